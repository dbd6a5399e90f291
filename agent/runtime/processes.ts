// Is a process still the one that was recorded? Process ids are used again; with the time that the
// process started and the boot it started in, they are not.
import { readFileSync } from "node:fs";

export interface ProcessMark {
  readonly pid: number;
  /** Clock ticks after boot (proc_pid_stat(5), field 22). */
  readonly startTicks: string;
  readonly bootId: string;
}

// include/linux/sched.h; shown by proc_pid_stat(5) as field 9. It stays set in a zombie.
const PF_EXITING = 0x4;

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Undefined when there is no such process. */
export function markOf(pid: number): ProcessMark | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses, and may itself hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // What is exiting runs no more. Process 1 of a namespace stays so until everybody in it is reaped,
    // some of them by the machine's own init, whenever that looks.
    if (Number(fields[6]) & PF_EXITING) return undefined;
    return { pid, startTicks: fields[19] ?? "", bootId: bootId() };
  } catch {
    return undefined;
  }
}

export function isAlive(mark: ProcessMark): boolean {
  const now = markOf(mark.pid);
  return now?.startTicks === mark.startTicks && now.bootId === mark.bootId;
}

/** SIGKILL, unless the process is gone already. */
export function killMarked(mark: ProcessMark): void {
  if (!isAlive(mark)) return;
  try {
    process.kill(mark.pid, "SIGKILL");
  } catch {
    // It ended between the look and the kill.
  }
}
