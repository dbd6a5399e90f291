// A moment of a container's use → Docker's StatsResponse (engine-api.yaml).
import type { Container, ContainerStats } from "../seams.js";
import { goTime, NEVER } from "./times.js";

/** `stats` undefined: it does not run; `before`: the moment that rates are counted from. */
export function statsJson(
  container: Container,
  stats: ContainerStats | undefined,
  before: ContainerStats | undefined,
  cgroupVersion: number,
): object {
  return {
    name: `/${container.spec.name}`,
    id: container.id,
    read: stats === undefined ? NEVER : goTime(stats.atMs),
    preread: before === undefined ? NEVER : goTime(before.atMs),
    pids_stats: stats === undefined ? {} : pidsJson(stats),
    blkio_stats: blockJson(stats),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuJson(stats),
    precpu_stats: cpuJson(before),
    memory_stats: stats === undefined ? {} : memoryJson(stats, cgroupVersion),
    ...(stats === undefined ? {} : { networks: networksJson(stats) }),
  };
}

function pidsJson({ pids, pidsLimit }: ContainerStats): object {
  return { current: pids, ...(pidsLimit > 0 ? { limit: pidsLimit } : {}) };
}

function cpuJson(stats: ContainerStats | undefined): object {
  const throttling_data = {
    periods: 0,
    throttled_periods: stats?.throttledPeriods ?? 0,
    throttled_time: stats?.throttledNs ?? 0,
  };
  if (stats === undefined) {
    const none = { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 };
    return { cpu_usage: none, throttling_data };
  }
  return {
    cpu_usage: {
      total_usage: stats.cpuTotalNs,
      usage_in_kernelmode: stats.cpuSystemNs,
      usage_in_usermode: stats.cpuUserNs,
    },
    // What all processors together have had of time, used or idle: clients look at differences only.
    system_cpu_usage: Math.round(stats.atMs * 1e6 * stats.cpus),
    online_cpus: stats.cpus,
    throttling_data,
  };
}

function memoryJson(stats: ContainerStats, cgroupVersion: number): object {
  // The name by which the CLI finds the cache that it leaves out.
  const inactive = cgroupVersion === 1 ? "total_inactive_file" : "inactive_file";
  return {
    usage: stats.memoryBytes,
    stats: { [inactive]: stats.inactiveFileBytes },
    limit: stats.memoryLimitBytes,
  };
}

function blockJson(stats: ContainerStats | undefined): object {
  const row = (op: string, value: number) => ({ major: 0, minor: 0, op, value });
  const bytes =
    stats === undefined
      ? null
      : [row("read", stats.blockReadBytes), row("write", stats.blockWriteBytes)];
  return {
    io_service_bytes_recursive: bytes,
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

function networksJson({ networks }: ContainerStats): object {
  return Object.fromEntries(
    Object.entries(networks).map(([name, each]) => [
      name,
      {
        rx_bytes: each.rxBytes,
        rx_packets: each.rxPackets,
        rx_errors: each.rxErrors,
        rx_dropped: each.rxDropped,
        tx_bytes: each.txBytes,
        tx_packets: each.txPackets,
        tx_errors: each.txErrors,
        tx_dropped: each.txDropped,
      },
    ]),
  );
}
