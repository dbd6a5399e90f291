// Rolling updates and rollbacks. What has been done so far is read from the slots: one whose oldest task of
// the current template replaced another has been updated, and is watched from when that task ran.
import {
  FailureAction,
  type Service,
  type Task,
  TaskState,
  type UpdateConfig,
  UpdateState,
} from "../../proto/gen/service.js";
import { isOver } from "../store/work-index.js";
import { isRollingBack, isStartFirst } from "./keep.js";
import { isOutdated } from "./outdated.js";
import { restartOf } from "./restart.js";
import type { Slot } from "./slots.js";
import { hasFailed, isUnassigned, msOf, stateOf, statusTimeMs } from "./task.js";
import type { Work } from "./work.js";

// Docker's (swarmkit api/defaults/service.go).
const DEFAULTS: UpdateConfig = {
  parallelism: 1,
  delayNs: 0,
  failureAction: FailureAction.PAUSE,
  monitorNs: 0,
  maxFailureRatio: 0,
  order: 0,
};
const MONITOR_MS = 5_000;

/** What a failure asks for comes before all else. Answers whether the spec is to go back first. */
export function judgeUpdate(work: Work, service: Service, slots: readonly Slot[]): boolean {
  const status = work.updateStatus;
  if (status === undefined || !isUnderWay(work)) return false;
  const config = configOf(work, service);
  if (config.failureAction === FailureAction.CONTINUE) return false;
  const updated = slots.flatMap((slot) => updatedTask(service, slot) ?? []);
  const failures = updated.filter((task) => countsAsFailure(task, config, status.startedAtMs));
  const [first] = failures;
  const waiting = slots.filter((slot) => isWaiting(work, service, slot)).length;
  const ratio = failures.length / (updated.length + waiting);
  if (first === undefined || ratio <= config.maxFailureRatio) return false;
  const why = `due to failure or early termination of task ${first.id}`;
  if (config.failureAction === FailureAction.ROLLBACK && !isRollingBack(work)) {
    if (service.previousSpec !== undefined) {
      work.rollBack(`update rolled back ${why}`);
      return true;
    }
  }
  const neverBackTwice = config.failureAction === FailureAction.ROLLBACK && isRollingBack(work);
  work.setUpdateStatus({
    ...status,
    state: isRollingBack(work) ? UpdateState.ROLLBACK_PAUSED : UpdateState.PAUSED,
    message: `${neverBackTwice ? "rollback" : "update"} paused ${why}`,
  });
  return false;
}

/** Updates as many slots as may be under way at once. */
export function planUpdate(work: Work, service: Service, slots: readonly Slot[]): void {
  // A look at half of the slots would begin too many.
  if (work.unfinished || isPaused(work)) return;
  retryRivals(work, service, slots);
  const waiting = slots.filter((slot) => isWaiting(work, service, slot));
  if (!isUnderWay(work)) {
    if (waiting.length === 0) return;
    work.setUpdateStatus({
      state: UpdateState.UPDATING,
      startedAtMs: work.nowMs,
      completedAtMs: 0,
      message: "update in progress",
    });
  }
  const config = configOf(work, service);
  let free = (config.parallelism || slots.length) - countUnderWay(work, service, slots, config);
  // What does not run anyway comes first: so nothing more stops for it.
  waiting.sort((a, b) => Number(isServing(a)) - Number(isServing(b)) || a.number - b.number);
  for (const slot of waiting) {
    if (free <= 0 || !work.hasRoom()) return;
    updateSlot(work, service, slot);
    free--;
  }
  if (waiting.length === 0) complete(work, service, slots, config);
}

function updateSlot(work: Work, service: Service, slot: Slot): void {
  const startsFirst = isStartFirst(work, service) && isServing(slot);
  for (const task of slot.living) {
    if (startsFirst && stateOf(task) === TaskState.RUNNING) continue;
    work.desire(task, TaskState.SHUTDOWN);
  }
  slot.fill(service, 0);
}

/** Start-first: the new task failed beside the old one, and its restart policy allows another. */
function retryRivals(work: Work, service: Service, slots: readonly Slot[]): void {
  for (const slot of slots) {
    const { living, newest } = slot;
    if (living.length === 0 || newest === undefined || !isOver(newest)) continue;
    if (isOutdated(work.view, service, newest) || !hasFailed(newest)) continue;
    if (!living.every((task) => isOutdated(work.view, service, task))) continue;
    const restart = restartOf(slot.tasks, work.nowMs);
    if (restart.kind === "later") work.wakeAt(restart.atMs);
    if (restart.kind === "now" && work.hasRoom()) slot.fill(service, restart.notBeforeMs);
  }
}

function complete(
  work: Work,
  service: Service,
  slots: readonly Slot[],
  config: UpdateConfig,
): void {
  const status = work.updateStatus;
  if (status === undefined) return;
  let doneAtMs = 0;
  for (const slot of slots) {
    const task = updatedTask(service, slot);
    if (task === undefined) continue;
    const settledMs = settledTimeMs(task);
    if (settledMs === undefined) return;
    doneAtMs = Math.max(doneAtMs, settledMs + Math.max(monitorMs(config), delayMs(config)));
  }
  if (doneAtMs > work.nowMs) {
    work.wakeAt(doneAtMs);
    return;
  }
  const back = isRollingBack(work);
  work.setUpdateStatus({
    ...status,
    state: back ? UpdateState.ROLLBACK_COMPLETED : UpdateState.COMPLETED,
    completedAtMs: work.nowMs,
    message: back ? "rollback completed" : "update completed",
  });
}

/** Slots whose new task does not run yet, or has not for as long as the delay. */
function countUnderWay(
  work: Work,
  service: Service,
  slots: readonly Slot[],
  config: UpdateConfig,
): number {
  let count = 0;
  for (const slot of slots) {
    const task = updatedTask(service, slot);
    if (task === undefined || tookNothing(slot, task)) continue;
    const settledMs = settledTimeMs(task);
    const freeAtMs = settledMs === undefined ? undefined : settledMs + delayMs(config);
    if (freeAtMs !== undefined && freeAtMs <= work.nowMs) continue;
    if (freeAtMs !== undefined) work.wakeAt(freeAtMs);
    count++;
  }
  return count;
}

/** It waits for a node in a slot where nothing ever ran: the others need not wait for it. */
function tookNothing(slot: Slot, task: Task): boolean {
  return isUnassigned(task) && slot.tasks.every(({ runningAtMs }) => runningAtMs === 0);
}

/** Of an older template, and not touched by this update yet. */
function isWaiting(work: Work, service: Service, slot: Slot): boolean {
  if (updatedTask(service, slot) !== undefined) return false;
  const { living, newest } = slot;
  if (living.length > 0) return living.every((task) => isOutdated(work.view, service, task));
  return newest !== undefined && isOutdated(work.view, service, newest);
}

/** The first task of the current template that replaced another; what followed it are restarts. */
function updatedTask(service: Service, slot: Slot): Task | undefined {
  return slot.tasks.find(
    (task) => task.specVersion === service.specVersion && task.replaces !== "",
  );
}

/** When it ran, or ended without; from then on the update goes on with other slots. */
function settledTimeMs(task: Task): number | undefined {
  if (task.runningAtMs > 0) return task.runningAtMs;
  return stateOf(task) >= TaskState.RUNNING ? statusTimeMs(task) : undefined;
}

function countsAsFailure(task: Task, config: UpdateConfig, sinceMs: number): boolean {
  if (!isOver(task) || !hasFailed(task)) return false;
  const endedMs = statusTimeMs(task);
  if (endedMs < sinceMs) return false;
  return task.runningAtMs === 0 || endedMs - task.runningAtMs <= monitorMs(config);
}

function isServing(slot: Slot): boolean {
  return slot.living.some((task) => stateOf(task) === TaskState.RUNNING);
}

function isUnderWay(work: Work): boolean {
  const state = work.updateStatus?.state;
  return state === UpdateState.UPDATING || state === UpdateState.ROLLBACK_STARTED;
}

function isPaused(work: Work): boolean {
  const state = work.updateStatus?.state;
  return state === UpdateState.PAUSED || state === UpdateState.ROLLBACK_PAUSED;
}

function configOf(work: Work, service: Service): UpdateConfig {
  return (isRollingBack(work) ? service.spec?.rollback : service.spec?.update) ?? DEFAULTS;
}

function monitorMs(config: UpdateConfig): number {
  return config.monitorNs === 0 ? MONITOR_MS : msOf(config.monitorNs);
}

function delayMs(config: UpdateConfig): number {
  return msOf(config.delayNs);
}
