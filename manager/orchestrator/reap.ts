// What is over and told nobody, and what is told no longer: tasks that were lost with their node, history
// beyond its limit, and all that belongs to what was removed.
import { TaskState } from "../../proto/gen/service.js";
import { NodeState } from "../../proto/gen/types.js";
import { metaOf } from "../store/objects.js";
import { isOver } from "../store/work-index.js";
import { countedAttempts } from "./restart.js";
import type { Slot } from "./slots.js";
import { isUnassigned } from "./task.js";
import type { Work } from "./work.js";

// SwarmKit's: a node that was down for so long does not come back with what it had.
const DOWN_MAX_MS = 24 * 60 * 60 * 1_000;
// Docker's default, before the swarm has said anything.
const HISTORY_LIMIT = 5;

/** Ends the tasks whose node is gone, or was down for too long. */
export function endOrphans(work: Work): void {
  for (const task of work.tasks()) {
    if (task.nodeId === "" || isOver(task)) continue;
    if (!work.hasRoom()) return;
    const node = work.view.node(task.nodeId);
    if (node === undefined) {
      work.end(task, TaskState.ORPHANED, "its node was removed");
      continue;
    }
    if (node.state !== NodeState.DOWN) continue;
    const orphanedAtMs = metaOf(node).updatedAtMs + DOWN_MAX_MS;
    if (orphanedAtMs > work.nowMs) work.wakeAt(orphanedAtMs);
    else work.end(task, TaskState.ORPHANED, "its node was down for a day");
  }
}

/** What was removed goes as soon as it is over, or at once if no node has heard of it. */
export function reapRemoved(work: Work): void {
  for (const task of [...work.tasks()]) {
    if (task.desiredState !== TaskState.REMOVE) continue;
    if (!work.hasRoom()) return;
    if (isOver(task) || isUnassigned(task)) work.remove(task);
  }
}

/** The oldest go first; what runs stays, and so does the newest: it says how the slot stands. */
export function reapHistory(work: Work, slot: Slot): void {
  const tasks = slot.tasks;
  const newest = tasks[tasks.length - 1];
  const gone = slot.nodeId !== "" && work.view.node(slot.nodeId) === undefined;
  const limit = work.view.cluster()?.spec?.taskHistoryLimit ?? HISTORY_LIMIT;
  let surplus = tasks.length - Math.max(limit, countedAttempts(newest));
  for (const task of tasks) {
    if (!isOver(task)) continue;
    if (!work.hasRoom()) return;
    if (gone) work.remove(task);
    else if (surplus-- > 0 && task !== newest) work.remove(task);
  }
}
