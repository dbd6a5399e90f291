// Replicated services: as many slots as were asked for. Slot numbers need not be 1 to N: what is scaled
// away is taken from the nodes that have most.
import { type Service, type Task, TaskState } from "../../proto/gen/service.js";
import { addSlots } from "./add.js";
import { keepSlot } from "./keep.js";
import { newestOf, type Slot } from "./slots.js";
import { stateOf } from "./task.js";
import type { Work } from "./work.js";

/** Answers the slots that make up the service now. */
export function planReplicated(
  work: Work,
  service: Service,
  replicas: number,
  all: readonly Slot[],
): readonly Slot[] {
  const slots = all.filter(isKept);
  const surplus = slots.length - replicas;
  const doomed = new Set(surplus > 0 ? chooseDoomed(slots).slice(0, surplus) : []);
  for (const slot of doomed) dropSlot(work, slot);
  const kept = slots.filter((slot) => !doomed.has(slot));
  for (const slot of kept) {
    if (!work.hasRoom()) return kept;
    keepSlot(work, service, slot);
  }
  return [...kept, ...addSlots(work, service, replicas - slots.length, all, kept)];
}

/** Some of its tasks, running or not, still count. */
function isKept(slot: Slot): boolean {
  return slot.tasks.some(({ desiredState }) => desiredState !== TaskState.REMOVE);
}

/** All its tasks, history included: it has not been there. */
export function dropSlot(work: Work, slot: Slot): void {
  for (const task of slot.tasks) {
    if (!work.hasRoom()) return;
    work.desire(task, TaskState.REMOVE);
  }
}

/** In the order in which they are given up: not running first, then from the nodes that have most. */
function chooseDoomed(slots: readonly Slot[]): readonly Slot[] {
  const onNode = new Map<string, number>();
  const ranked = [...slots]
    .sort((a, b) => a.number - b.number)
    .map((slot) => {
      const task = servingTask(slot);
      if (task === undefined) return { slot, rank: Number.POSITIVE_INFINITY };
      const rank = onNode.get(task.nodeId) ?? 0;
      onNode.set(task.nodeId, rank + 1);
      return { slot, rank };
    });
  ranked.sort((a, b) =>
    a.rank === b.rank ? b.slot.number - a.slot.number : b.rank > a.rank ? 1 : -1,
  );
  return ranked.map(({ slot }) => slot);
}

function servingTask(slot: Slot): Task | undefined {
  return newestOf(slot.living.filter((task) => stateOf(task) === TaskState.RUNNING));
}
