// Keeps one slot filled: what has ended, or must leave its node, is replaced as its restart policy allows.
import {
  type Service,
  type Task,
  TaskState,
  UpdateOrder,
  UpdateState,
} from "../../proto/gen/service.js";
import { isOver } from "../store/work-index.js";
import { verdictOf } from "./nodes.js";
import { isOutdated } from "./outdated.js";
import { restartOf } from "./restart.js";
import { newestOf, type Slot } from "./slots.js";
import { isJob, isWanted, stateOf } from "./task.js";
import type { Work } from "./work.js";

/** `mayMake`: a new task may be made for the slot (the node of a global service may be paused). */
export function keepSlot(work: Work, service: Service, slot: Slot, mayMake = true): void {
  settleEnded(work, service, slot);
  leaveNodes(work, service, slot, mayMake);
  settleRivals(work, service, slot);
  if (mayMake && slot.living.length === 0) refill(work, service, slot);
}

/** What has ended is not wanted any more; a job's task that has done its work stays as it is. */
export function settleEnded(work: Work, service: Service, slot: Slot): void {
  for (const task of slot.tasks) {
    if (!isWanted(task) || !isOver(task)) continue;
    if (isJob(service.spec) && stateOf(task) === TaskState.COMPLETE) continue;
    work.desire(task, TaskState.SHUTDOWN);
  }
}

/**
 * From a node that is down, drained, or not what the task asked for. A start-first service gets the
 * replacement first, if the node can still stop the old one.
 */
function leaveNodes(work: Work, service: Service, slot: Slot, mayMake: boolean): void {
  for (const task of slot.living) {
    const verdict = verdictOf(work.view, task);
    if (verdict === "stays") continue;
    const keepsServing =
      mayMake && verdict === "leaves" && isStartFirst(work, service) && runs(task);
    if (!keepsServing) work.desire(task, TaskState.SHUTDOWN);
    else if (slot.living.length === 1 && work.hasRoom()) slot.fill(service, 0);
  }
}

/** Of several living tasks one stays; the others go when it runs, or at once if they do not run either. */
function settleRivals(work: Work, service: Service, slot: Slot): void {
  const living = slot.living;
  if (living.length < 2) return;
  const staying = living.filter((task) => verdictOf(work.view, task) === "stays");
  const current = staying.filter((task) => !isOutdated(work.view, service, task));
  const chosen = newestOf(current) ?? newestOf(staying) ?? newestOf(living);
  for (const task of living) {
    if (task === chosen) continue;
    const keepsServing = isStartFirst(work, service) && runs(task) && !runs(chosen);
    if (!keepsServing) work.desire(task, TaskState.SHUTDOWN);
  }
}

function refill(work: Work, service: Service, slot: Slot): void {
  const last = slot.newest;
  const restart = restartOf(
    slot.tasks.filter(({ desiredState }) => desiredState !== TaskState.REMOVE),
    work.nowMs,
  );
  if (restart.kind === "never") return;
  // How often and how fast another template failed says nothing about this one.
  const afresh = last !== undefined && isOutdated(work.view, service, last);
  if (afresh || restart.kind === "now") {
    if (work.hasRoom())
      slot.fill(service, restart.kind === "now" && !afresh ? restart.notBeforeMs : 0);
  } else {
    work.wakeAt(restart.atMs);
  }
}

/** The order of the update, or of the rollback while there is one. */
export function isStartFirst(work: Work, service: Service): boolean {
  const config = isRollingBack(work) ? service.spec?.rollback : service.spec?.update;
  return config?.order === UpdateOrder.START_FIRST;
}

export function isRollingBack(work: Work): boolean {
  const state = work.updateStatus?.state;
  return state === UpdateState.ROLLBACK_STARTED || state === UpdateState.ROLLBACK_PAUSED;
}

function runs(task: Task | undefined): boolean {
  return task !== undefined && stateOf(task) === TaskState.RUNNING;
}
