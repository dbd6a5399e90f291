// What of a task concerns its node. A task is told to its node once it is assigned, and again when what is
// wanted of it changes; that its node's own reports were recorded is no news there.
import { type Task, TaskState } from "../../proto/gen/service.js";
import { isOver } from "../store/work-index.js";

/** Global tasks name their node before it is known to have room. */
export function isTold(task: Task | undefined): task is Task {
  return (
    task !== undefined &&
    task.nodeId !== "" &&
    (task.status?.state ?? TaskState.NEW) >= TaskState.ASSIGNED
  );
}

/** Whether it may still have to be started, and so needs its secrets, configs and credentials. */
export function isToRun(task: Task): boolean {
  return !isOver(task) && task.desiredState <= TaskState.COMPLETE;
}

/** The node that has to hear of the change, if any. */
export function nodeConcerned(before: Task | undefined, after: Task | undefined): string {
  if (!isTold(before)) return isTold(after) ? after.nodeId : "";
  if (!isTold(after)) return before.nodeId;
  const same =
    before.desiredState === after.desiredState &&
    before.notBeforeMs === after.notBeforeMs &&
    before.nodeId === after.nodeId;
  return same ? "" : after.nodeId;
}
