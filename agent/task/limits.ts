// Can these limits hold? dockerd's checks and words (daemon/daemon_unix.go). And what the process runtime
// cannot give at all, said rather than left out.
import { type Refusal, refuse } from "../../common/fault.js";
import type { ContainerSpec } from "../seams.js";
import { EMPTY_SPEC, type Limits } from "./container-spec.js";

// dockerd's: runc's own first process needs about as much.
const MEMORY_BYTES_MIN = 6 * 1024 * 1024;

export function checkLimits(spec: ContainerSpec, cpus: number): Refusal | undefined {
  const why = memoryProblem(spec.limits) ?? cpuProblem(spec.limits, cpus) ?? otherProblem(spec);
  return why === undefined ? undefined : refuse("invalid-argument", why);
}

function memoryProblem(limits: ContainerSpec["limits"]): string | undefined {
  const { memoryBytes, memoryReservationBytes, memorySwapBytes, memorySwappiness } = limits;
  if (memoryBytes !== 0 && memoryBytes < MEMORY_BYTES_MIN) {
    return "Minimum memory limit allowed is 6MB";
  }
  if (memoryBytes > 0 && memorySwapBytes > 0 && memorySwapBytes < memoryBytes) {
    return "Minimum memoryswap limit should be larger than memory limit, see usage";
  }
  if (memoryBytes === 0 && memorySwapBytes > 0) {
    return "You should always set the Memory limit when using Memoryswap limit, see usage";
  }
  if (memorySwappiness !== undefined && (memorySwappiness < 0 || memorySwappiness > 100)) {
    return `Invalid value: ${memorySwappiness}, valid memory swappiness range is 0-100`;
  }
  if (memoryReservationBytes !== 0 && memoryReservationBytes < MEMORY_BYTES_MIN) {
    return "Minimum memory reservation allowed is 6MB";
  }
  if (memoryBytes > 0 && memoryReservationBytes > memoryBytes) {
    return "Minimum memory limit can not be less than memory reservation limit, see usage";
  }
  return undefined;
}

function cpuProblem(limits: ContainerSpec["limits"], cpus: number): string | undefined {
  const { nanoCpus, cpuPeriodUs, cpuQuotaUs } = limits;
  if (nanoCpus > 0 && cpuPeriodUs > 0) {
    return "Conflicting options: Nano CPUs and CPU Period cannot both be set";
  }
  if (nanoCpus > 0 && cpuQuotaUs > 0) {
    return "Conflicting options: Nano CPUs and CPU Quota cannot both be set";
  }
  if (nanoCpus < 0 || nanoCpus > cpus * 1e9 || (nanoCpus > 0 && nanoCpus < 1e7)) {
    return `range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`;
  }
  if (limits.cpuShares < 0) return "shares must not be negative";
  if (cpuPeriodUs !== 0 && (cpuPeriodUs < 1_000 || cpuPeriodUs > 1_000_000)) {
    return "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)";
  }
  if (cpuQuotaUs > 0 && cpuQuotaUs < 1_000) {
    return "CPU cfs quota can not be less than 1ms (i.e. 1000)";
  }
  for (const [what, list] of [
    ["cpus", limits.cpusetCpus],
    ["mems", limits.cpusetMems],
  ] as const) {
    if (list !== "" && !/^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/.test(list)) {
      return `Invalid value ${list} for cpuset ${what}`;
    }
  }
  return undefined;
}

function otherProblem({ limits, oomScoreAdj, shmBytes }: ContainerSpec): string | undefined {
  if (limits.blkioWeight !== 0 && (limits.blkioWeight < 10 || limits.blkioWeight > 1_000)) {
    return "Range of blkio weight is from 10 to 1000";
  }
  if (oomScoreAdj < -1_000 || oomScoreAdj > 1_000) {
    return `Invalid value ${oomScoreAdj}, range for oom score adj is [-1000, 1000]`;
  }
  if (shmBytes < 0) return "SHM size can not be less than 0";
  return undefined;
}

/** What an update of a container leaves out stays. dockerd's checks and words (container/container_unix.go). */
export function withLimits(have: Limits, asked: Limits): Limits | Refusal {
  const swap = have.memorySwapBytes || 2 * have.memoryBytes;
  const why =
    asked.nanoCpus > 0 && have.cpuPeriodUs > 0
      ? "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set"
      : asked.nanoCpus > 0 && have.cpuQuotaUs > 0
        ? "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"
        : asked.cpuPeriodUs > 0 && have.nanoCpus > 0
          ? "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set"
          : asked.cpuQuotaUs > 0 && have.nanoCpus > 0
            ? "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
            : asked.memoryBytes > swap && swap > 0 && asked.memorySwapBytes === 0
              ? "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
              : undefined;
  if (why !== undefined) return refuse("invalid-argument", why);
  // The swap that was meant when only the memory was said is meant still.
  const kept = asked.memoryBytes > 0 && swap > 0 ? { memorySwapBytes: swap } : {};
  const said = Object.entries(asked).filter(
    ([, value]) => value !== undefined && value !== 0 && value !== "" && value !== false,
  );
  const limits: Limits = { ...have, ...kept, ...Object.fromEntries(said) };
  return { ...limits, pids: Math.max(0, limits.pids) };
}

/** A command of the machine has the machine's files and rights; only its networks are its own. */
export function checkForProcess(spec: ContainerSpec): Refusal | undefined {
  const { limits, security } = spec;
  const none = EMPTY_SPEC;
  const differs = <T>(have: T, want: T) => JSON.stringify(have) !== JSON.stringify(want);
  const asked: readonly (readonly [boolean, string])[] = [
    [spec.mounts.length > 0, "mounts"],
    [differs(limits, none.limits), "limits of memory, CPU or processes"],
    [spec.ulimits.length > 0, "ulimits"],
    [differs(security, none.security), "capabilities, seccomp, a read-only root or more groups"],
    [Object.keys(spec.sysctls).length > 0, "sysctls"],
    [spec.shmBytes !== none.shmBytes, "a size for /dev/shm"],
    [spec.oomScoreAdj !== 0, "an OOM score"],
    [spec.init, "an init process"],
    [spec.domainname !== "", "a domain name"],
    [differs(spec.log, none.log), "log drivers and options"],
  ];
  const what = asked.find(([isAsked]) => isAsked)?.[1];
  if (what === undefined) return undefined;
  return refuse(
    "unimplemented",
    `the process runtime has no ${what}: it runs a command of this machine as it is; run an image instead`,
  );
}
