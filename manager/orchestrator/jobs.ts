// Jobs: tasks that are to complete, not to run for ever. Each iteration begins anew; what is left of an
// older one goes.
import { type ReplicatedJobMode, type Service, TaskState } from "../../proto/gen/service.js";
import { isOver } from "../store/work-index.js";
import { addSlots } from "./add.js";
import { keepSlot } from "./keep.js";
import { mayStart } from "./nodes.js";
import { dropSlot } from "./replicated.js";
import { restartOf } from "./restart.js";
import { Slot } from "./slots.js";
import { isWanted, stateOf } from "./task.js";
import type { Work } from "./work.js";

// SwarmKit's: the docker CLI waits for a job by looking at the tasks of its slots 0 to N-1, and for ever if
// they begin at 1. So the task of slot 0 is called by its node, like a global one's.
const FIRST_SLOT = 0;

export function planReplicatedJob(
  work: Work,
  service: Service,
  mode: ReplicatedJobMode,
  all: readonly Slot[],
): readonly Slot[] {
  endOldIterations(work, service);
  const total = mode.totalCompletions;
  const slots: Slot[] = [];
  let completed = 0;
  for (const slot of all) {
    if (!hasIteration(service, slot)) {
      // Of an older iteration that was larger.
      if (slot.number >= FIRST_SLOT + total) dropSlot(work, slot);
      continue;
    }
    if (hasCompleted(service, slot)) completed++;
    else keepSlot(work, service, slot);
    slots.push(slot);
  }
  const open = slots.filter((slot) => !hasCompleted(service, slot));
  const active = open.filter((slot) => slot.living.length > 0 || willRestart(work, slot)).length;
  const missing = total - slots.length;
  const concurrent = (mode.maxConcurrent || total) - active;
  slots.push(...addSlots(work, service, Math.min(missing, concurrent), all, slots, FIRST_SLOT));
  dropSurplus(work, open, total - completed);
  return slots;
}

/** One on every node that fits, those that join later too. */
export function planGlobalJob(work: Work, service: Service, all: readonly Slot[]): readonly Slot[] {
  endOldIterations(work, service);
  const known = new Map(all.map((slot) => [slot.nodeId, slot]));
  for (const slot of all) {
    if (!hasIteration(service, slot) || hasCompleted(service, slot)) continue;
    const node = work.view.node(slot.nodeId);
    keepSlot(work, service, slot, node !== undefined && mayStart(node, service.spec?.task));
  }
  for (const node of work.view.nodes()) {
    const slot = known.get(node.id) ?? new Slot(work, 0, node.id);
    if (hasIteration(service, slot) || !mayStart(node, service.spec?.task)) continue;
    if (!work.hasRoom()) break;
    slot.fill(service, 0);
  }
  return all;
}

function iterationOf(service: Service): number {
  return service.jobStatus?.iteration ?? 0;
}

function endOldIterations(work: Work, service: Service): void {
  for (const task of work.tasks()) {
    if (task.jobIteration === iterationOf(service) || isOver(task)) continue;
    if (!work.hasRoom()) return;
    work.desire(task, TaskState.REMOVE);
  }
}

function hasIteration(service: Service, slot: Slot): boolean {
  return slot.tasks.some(
    (task) => task.jobIteration === iterationOf(service) && task.desiredState !== TaskState.REMOVE,
  );
}

function hasCompleted(service: Service, slot: Slot): boolean {
  return slot.tasks.some(
    (task) => task.jobIteration === iterationOf(service) && stateOf(task) === TaskState.COMPLETE,
  );
}

/** Its next attempt is to come, so it holds its place among those that may run at once. */
function willRestart(work: Work, slot: Slot): boolean {
  return restartOf(slot.tasks, work.nowMs).kind !== "never";
}

/** Fewer are asked for than are under way. */
function dropSurplus(work: Work, open: readonly Slot[], wanted: number): void {
  for (const slot of open.slice(Math.max(0, wanted))) {
    for (const task of slot.tasks) if (isWanted(task)) work.desire(task, TaskState.REMOVE);
  }
}
