// What a container may use of the machine, as the OCI spec says it. Runc turns it into files of cgroup
// v1 or v2; what only one of the two has is left out on the other.
import type { Limits } from "../task/container-spec.js";

export interface CgroupSupport {
  readonly version: 1 | 2;
  /** The kernel counts swap per group (v1: it may be off). */
  readonly swap: boolean;
}

// Docker's period for --cpus.
const CPU_PERIOD_US = 100_000;

export interface DeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

// Documentation/admin-guide/devices.txt; runc adds what every container needs besides (mknod, pts, ptmx).
const character = (major: number, minor: number): DeviceRule => ({
  allow: true,
  type: "c",
  major,
  minor,
  access: "rwm",
});
const DEVICE_RULES: readonly DeviceRule[] = [
  { allow: false, access: "rwm" },
  character(1, 3), // null
  character(1, 5), // zero
  character(1, 8), // random
  character(1, 9), // urandom
  character(5, 0), // tty
  character(5, 1), // console
];

export function resourcesOf(limits: Limits, support: CgroupSupport): Record<string, unknown> {
  const cpu = {
    ...some("shares", limits.cpuShares),
    ...cpuTime(limits),
    ...text("cpus", limits.cpusetCpus),
    ...text("mems", limits.cpusetMems),
  };
  const memory = memoryOf(limits, support);
  return {
    devices: DEVICE_RULES,
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(limits.pids > 0 ? { pids: { limit: limits.pids } } : {}),
    ...(limits.blkioWeight > 0 ? { blockIO: { weight: limits.blkioWeight } } : {}),
  };
}

function cpuTime(limits: Limits): Record<string, unknown> {
  if (limits.nanoCpus > 0) {
    return { period: CPU_PERIOD_US, quota: Math.round((limits.nanoCpus * CPU_PERIOD_US) / 1e9) };
  }
  return { ...some("period", limits.cpuPeriodUs), ...some("quota", limits.cpuQuotaUs) };
}

function memoryOf(limits: Limits, support: CgroupSupport): Record<string, unknown> {
  const { memoryBytes, memorySwapBytes, memorySwappiness } = limits;
  const swap = memorySwapBytes === 0 ? 2 * memoryBytes : memorySwapBytes;
  return {
    ...some("limit", memoryBytes),
    ...some("reservation", limits.memoryReservationBytes),
    ...(support.swap ? some("swap", swap) : {}),
    ...(support.version === 1 && memorySwappiness !== undefined && memorySwappiness >= 0
      ? { swappiness: memorySwappiness }
      : {}),
    ...(support.version === 1 && limits.oomKillDisable ? { disableOOMKiller: true } : {}),
  };
}

function some(key: string, value: number): Record<string, number> {
  return value === 0 ? {} : { [key]: value };
}

function text(key: string, value: string): Record<string, string> {
  return value === "" ? {} : { [key]: value };
}
