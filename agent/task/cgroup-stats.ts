// The numbers in a control group's files (Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst), and in
// /proc/PID/net/dev. A file that is not there counts nothing.
import type { ContainerStats } from "../seams.js";

export type CountedStats = Omit<ContainerStats, "atMs" | "networks" | "cpus">;

const NS_PER_US = 1_000;
// The kernel's "no limit" of v1 is near 2^63; anything that large means none.
const NO_LIMIT = 2 ** 60;

export function statsOfV2(read: (file: string) => string): CountedStats {
  const cpu = fields(read("cpu.stat"));
  const memory = fields(read("memory.stat"));
  const io = ioOfV2(read("io.stat"));
  return {
    cpuTotalNs: (cpu["usage_usec"] ?? 0) * NS_PER_US,
    cpuUserNs: (cpu["user_usec"] ?? 0) * NS_PER_US,
    cpuSystemNs: (cpu["system_usec"] ?? 0) * NS_PER_US,
    throttledPeriods: cpu["nr_throttled"] ?? 0,
    throttledNs: (cpu["throttled_usec"] ?? 0) * NS_PER_US,
    memoryBytes: number(read("memory.current")),
    inactiveFileBytes: memory["inactive_file"] ?? 0,
    memoryLimitBytes: limit(read("memory.max")),
    pids: number(read("pids.current")),
    pidsLimit: limit(read("pids.max")),
    ...io,
  };
}

// USER_HZ of every architecture that Linux and Node run on.
const NS_PER_TICK = 10_000_000;

export function statsOfV1(read: (controller: string, file: string) => string): CountedStats {
  const ticks = fields(read("cpuacct", "cpuacct.stat"));
  const cpu = fields(read("cpu", "cpu.stat"));
  const memory = fields(read("memory", "memory.stat"));
  const blocks = read("blkio", "blkio.throttle.io_service_bytes_recursive");
  return {
    cpuTotalNs: number(read("cpuacct", "cpuacct.usage")),
    cpuUserNs: (ticks["user"] ?? 0) * NS_PER_TICK,
    cpuSystemNs: (ticks["system"] ?? 0) * NS_PER_TICK,
    throttledPeriods: cpu["nr_throttled"] ?? 0,
    throttledNs: cpu["throttled_time"] ?? 0,
    memoryBytes: number(read("memory", "memory.usage_in_bytes")),
    inactiveFileBytes: memory["total_inactive_file"] ?? 0,
    memoryLimitBytes: limit(read("memory", "memory.limit_in_bytes")),
    pids: number(read("pids", "pids.current")),
    pidsLimit: limit(read("pids", "pids.max")),
    blockReadBytes: sumOf(blocks, "Read"),
    blockWriteBytes: sumOf(blocks, "Write"),
  };
}

export function networksOf(netDev: string): ContainerStats["networks"] {
  const networks: Record<string, ContainerStats["networks"][string]> = {};
  for (const line of netDev.split("\n")) {
    const at = line.indexOf(":");
    const name = line.slice(0, at).trim();
    if (at < 0 || name === "lo") continue;
    // Eight of what was received, then eight of what was sent (net/core/net-procfs.c).
    const n = line
      .slice(at + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    networks[name] = {
      rxBytes: n[0] ?? 0,
      rxPackets: n[1] ?? 0,
      rxErrors: n[2] ?? 0,
      rxDropped: n[3] ?? 0,
      txBytes: n[8] ?? 0,
      txPackets: n[9] ?? 0,
      txErrors: n[10] ?? 0,
      txDropped: n[11] ?? 0,
    };
  }
  return networks;
}

/** "name value" a line. */
function fields(text: string): Readonly<Record<string, number>> {
  const pairs = text.split("\n").map((line) => line.split(" "));
  return Object.fromEntries(pairs.map(([name = "", value]) => [name, Number(value) || 0]));
}

function number(text: string): number {
  return Number(text.trim()) || 0;
}

/** 0: none. */
function limit(text: string): number {
  const value = number(text);
  return value >= NO_LIMIT ? 0 : value;
}

/** "8:0 Read 4096" a line. */
function sumOf(text: string, operation: string): number {
  return text
    .split("\n")
    .map((line) => line.split(" "))
    .filter((parts) => parts[1] === operation)
    .reduce((sum, parts) => sum + (Number(parts[2]) || 0), 0);
}

/** "8:0 rbytes=4096 wbytes=0 …" a line. */
function ioOfV2(text: string): {
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
} {
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, "g"))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  return { blockReadBytes: sum("rbytes"), blockWriteBytes: sum("wbytes") };
}
