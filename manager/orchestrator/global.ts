// Global services: one slot a node that fits. The node is the slot, and a task has it from the beginning.
import { type Service, TaskState } from "../../proto/gen/service.js";
import { keepSlot, settleEnded } from "./keep.js";
import { mayStart, mayStay } from "./nodes.js";
import { Slot } from "./slots.js";
import type { Work } from "./work.js";

/** Answers the slots that make up the service now, and may be changed. */
export function planGlobal(work: Work, service: Service, all: readonly Slot[]): readonly Slot[] {
  const spec = service.spec?.task;
  const slots: Slot[] = [];
  const known = new Set<string>();
  for (const slot of all) {
    known.add(slot.nodeId);
    if (!work.hasRoom()) continue;
    const node = work.view.node(slot.nodeId);
    if (node === undefined || !mayStay(node, spec)) {
      settleEnded(work, service, slot);
      for (const task of slot.living) work.desire(task, TaskState.SHUTDOWN);
      continue;
    }
    // A paused node keeps what it has.
    const mayMake = mayStart(node, spec);
    keepSlot(work, service, slot, mayMake);
    if (mayMake) slots.push(slot);
  }
  for (const node of work.view.nodes()) {
    if (known.has(node.id) || !mayStart(node, spec)) continue;
    if (!work.hasRoom()) break;
    const slot = new Slot(work, 0, node.id);
    slot.fill(service, 0);
    slots.push(slot);
  }
  return slots;
}
