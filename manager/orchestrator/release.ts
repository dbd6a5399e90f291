// Lets go of tasks that were held back: when their time has come and the slot's older tasks have ended.
import { type Service, type Task, TaskState } from "../../proto/gen/service.js";
import { isInTheWay, type Slot } from "./slots.js";
import { goalOf, msOf } from "./task.js";
import type { Work } from "./work.js";

// Choice (and SwarmKit's): a task that does not stop, though its node is there, is waited for this long
// beyond the time that it was given; then the slot is filled all the same.
const STOP_WAIT_MS = 60_000;
// Docker's default.
const GRACE_MS = 10_000;

export function releaseSlot(work: Work, service: Service, slot: Slot): void {
  for (const task of slot.living) {
    if (task.desiredState !== TaskState.READY) continue;
    const atMs = releaseTimeMs(work, slot, task);
    if (atMs > work.nowMs) work.wakeAt(atMs);
    else work.desire(task, goalOf(service));
  }
}

function releaseTimeMs(work: Work, slot: Slot, task: Task): number {
  let atMs = task.notBeforeMs;
  for (const older of slot.tasks) {
    if (!isInTheWay(work, older)) continue;
    const graceNs = older.spec?.container?.stopGracePeriodNs;
    const graceMs = graceNs === undefined ? GRACE_MS : msOf(graceNs);
    atMs = Math.max(atMs, task.notBeforeMs + graceMs + STOP_WAIT_MS);
  }
  return atMs;
}
