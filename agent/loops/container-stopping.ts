// Bringing a running container to its end: the signal that was asked for, and what follows when it is not
// heard. The end itself is noticed elsewhere (container-lives.ts).
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import { SIGKILL } from "../task/signals.js";
import type { ContainerEntry } from "./container-entry.js";
import type { ContainerEvents } from "./container-events.js";

export interface StopTools {
  readonly events: ContainerEvents;
  readonly clock: Clock;
  readonly log: Logger;
}

// Choice: after SIGKILL the kernel needs no longer, unless a disk holds the process.
const KILLED_MS = 10_000;

/** Resolves when it has ended, in every sense. `waitMs` undefined: the signal may take as long as it takes. */
export async function stopRunning(
  entry: ContainerEntry,
  signal: number,
  waitMs: number | undefined,
  tools: StopTools,
): Promise<void> {
  await markStopped(entry, tools.log);
  const ended = endOf(entry);
  await sendSignal(entry, signal, tools);
  if (!(await within(ended, waitMs, tools.clock))) await killHard(entry, tools);
  await ended;
}

/** Sends it, and after SIGKILL waits for the end, a while. */
export async function killRunning(
  entry: ContainerEntry,
  signal: number,
  tools: StopTools,
): Promise<void> {
  const ended = endOf(entry);
  await sendSignal(entry, signal, tools);
  if (signal === SIGKILL) await within(ended, KILLED_MS, tools.clock);
}

/** On disk, so that a restart rule knows of it after the agent's next start. */
export async function markStopped(entry: ContainerEntry, log: Logger): Promise<void> {
  entry.stopAsked = true;
  await entry.mustGoOn({ kind: "stopped" }, log);
}

/** For what is to be removed. */
export async function endHard(entry: ContainerEntry, tools: StopTools): Promise<void> {
  entry.stopAsked = true;
  const ended = endOf(entry);
  await killHard(entry, tools);
  await ended;
}

async function killHard(entry: ContainerEntry, tools: StopTools): Promise<void> {
  if (entry.record.phase !== "running") return;
  const ended = endOf(entry);
  await sendSignal(entry, SIGKILL, tools);
  if (!(await within(ended, KILLED_MS, tools.clock))) await entry.supervised?.destroy();
}

async function sendSignal(entry: ContainerEntry, signal: number, tools: StopTools): Promise<void> {
  try {
    await entry.supervised?.signal(signal);
    tools.events.container("kill", entry.record, { signal: String(signal) });
    // A frozen process gets its signals when it goes on.
    if (entry.record.paused) await entry.supervised?.unpause();
  } catch (error) {
    // It has ended, or its supervisor has: `exited` says so in a moment.
    tools.log.debug({ container: entry.record.id, err: messageOf(error) }, "not signalled");
  }
}

function endOf(entry: ContainerEntry): Promise<void> {
  return new Promise((resolve) => void entry.onExit(() => resolve()));
}

/** Whether it came to pass in time. */
async function within(
  event: Promise<void>,
  ms: number | undefined,
  clock: Clock,
): Promise<boolean> {
  if (ms === undefined) return event.then(() => true);
  const timer = new AbortController();
  const late = clock.sleep(ms, timer.signal).then(
    () => false,
    () => true,
  );
  const inTime = await Promise.race([event.then(() => true), late]);
  timer.abort();
  return inTime;
}
