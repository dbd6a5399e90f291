// What a container's control group counts. Read from the kernel's files: what containerd says of them
// holds numbers that mean "no limit" and that no JavaScript number holds.
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import type { CgroupSupport } from "../oci/resources.js";
import type { ContainerStats } from "../seams.js";
import { networksOf, statsOfV1, statsOfV2 } from "../task/cgroup-stats.js";

const ROOT = "/sys/fs/cgroup";

export function cgroupSupport(): CgroupSupport {
  // Only the unified hierarchy has this file at its top; a hybrid machine runs its containers on v1.
  if (existsSync(join(ROOT, "cgroup.controllers"))) return { version: 2, swap: true };
  return { version: 1, swap: existsSync(join(ROOT, "memory/memory.memsw.limit_in_bytes")) };
}

/** Whether the kernel ended something in it because its memory was used up. To be asked before it is removed. */
export function wasOomKilled(version: 1 | 2, path: string): boolean {
  const file =
    version === 2
      ? join(ROOT, path, "memory.events")
      : join(ROOT, "memory", path, "memory.oom_control");
  return /^oom_kill [1-9]/m.test(read(file));
}

export function readStats(version: 1 | 2, path: string, pid: number, atMs: number): ContainerStats {
  const stats =
    version === 2
      ? statsOfV2((file) => read(join(ROOT, path, file)))
      : statsOfV1((controller, file) => read(join(ROOT, controller, path, file)));
  return {
    ...stats,
    // As Docker shows it: who has no limit of its own has the machine's.
    memoryLimitBytes: stats.memoryLimitBytes === 0 ? totalmem() : stats.memoryLimitBytes,
    cpus: availableParallelism(),
    atMs,
    networks: networksOf(read(`/proc/${pid}/net/dev`)),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
