// Whether and when the next task of a slot may start, from what is stored of those before it.
import { RestartCondition, type Task, TaskState } from "../../proto/gen/service.js";
import { metaOf } from "../store/objects.js";
import { isOver } from "../store/work-index.js";
import { hasFailed, msOf, stateOf, statusTimeMs } from "./task.js";

export type Restart =
  | { readonly kind: "never" }
  /** Not even made before then. */
  | { readonly kind: "later"; readonly atMs: number }
  /** Made now, and held back until then. 0: not held back. */
  | { readonly kind: "now"; readonly notBeforeMs: number };

// Docker's default (swarmkit api/defaults/service.go).
const DELAY_MS = 5_000;
// Choice: tasks that end as soon as they are started come no faster than this in the end, whatever the
// delay that was asked for; the pause doubles from the first to the last.
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 1_000;
// Choice: what ran for this long did not end as soon as it was started.
const LONG_LIFE_MS = 10_000;

/** `slot`: oldest first, none of them wanted any more. */
export function restartOf(slot: readonly Task[], nowMs: number): Restart {
  const last = slot[slot.length - 1];
  if (last === undefined) return { kind: "now", notBeforeMs: 0 };
  if (!mayRestart(slot, last)) return { kind: "never" };
  // Told to leave, or lost with its node: nothing is wrong with the task.
  if (!isOver(last)) return { kind: "now", notBeforeMs: 0 };
  // It failed while it was still held back (an image that cannot be had): its own time must come first,
  // or each would be followed at once by the next.
  if (last.notBeforeMs > nowMs) return { kind: "later", atMs: last.notBeforeMs };
  const endedMs = Math.max(statusTimeMs(last), last.notBeforeMs);
  const delay = hasFailed(last) ? delayMs(last) : 0;
  const notBeforeMs = endedMs + Math.max(delay, pauseMs(last, endedMs));
  return { kind: "now", notBeforeMs: notBeforeMs > nowMs ? notBeforeMs : 0 };
}

function delayMs(task: Task): number {
  const delayNs = task.spec?.restart?.delayNs;
  return delayNs === undefined ? DELAY_MS : msOf(delayNs);
}

function pauseMs(last: Task, endedMs: number): number {
  const madeMs = metaOf(last).createdAtMs;
  const startMs = Math.max(last.notBeforeMs, madeMs);
  if (endedMs - startMs >= LONG_LIFE_MS) return 0;
  const heldMs = startMs - madeMs;
  return Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, 2 * heldMs));
}

function mayRestart(slot: readonly Task[], last: Task): boolean {
  switch (last.spec?.restart?.condition ?? RestartCondition.ANY) {
    case RestartCondition.ANY:
      // A job's task that is done is done.
      if (last.desiredState === TaskState.COMPLETE && stateOf(last) === TaskState.COMPLETE) {
        return false;
      }
      break;
    case RestartCondition.ON_FAILURE:
      if (stateOf(last) === TaskState.COMPLETE) return false;
      break;
    default:
      return false;
  }
  const most = last.spec?.restart?.maxAttempts ?? 0;
  return most === 0 || !hasFailed(last) || attemptsBefore(slot, last) < most;
}

/** Tasks made of the same spec that ended by themselves, within the window before the last one's end. */
function attemptsBefore(slot: readonly Task[], last: Task): number {
  const windowNs = last.spec?.restart?.windowNs ?? 0;
  const sinceMs = windowNs === 0 ? 0 : statusTimeMs(last) - msOf(windowNs);
  return slot.filter(
    (task) =>
      task !== last &&
      task.specVersion === last.specVersion &&
      task.jobIteration === last.jobIteration &&
      isOver(task) &&
      hasFailed(task) &&
      statusTimeMs(task) >= sinceMs,
  ).length;
}

// Choice: a service that allows more attempts than this is not counted any more, and restarts for ever.
const COUNTED_MAX = 1_000;

/** How many tasks of a slot must be kept, so that its attempts can be counted. */
export function countedAttempts(task: Task | undefined): number {
  const most = task?.spec?.restart?.maxAttempts ?? 0;
  return most === 0 ? 0 : Math.min(most, COUNTED_MAX) + 1;
}
