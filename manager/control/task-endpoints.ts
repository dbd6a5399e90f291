// A task's endpoints follow its states, in the transaction that changes them: new connections go to it
// only while it runs well and is to go on, and with its end its addresses are given back.
import { type Task, TaskState } from "../../proto/gen/service.js";
import type { Endpoint } from "../../proto/gen/types.js";
import type { Draft } from "../store/view.js";
import { isOver } from "../store/work-index.js";
import { removeEndpoint } from "./endpoint.js";

/**
 * Whether new connections may go to it. A node says RUNNING when the task's health check, if it has one,
 * has passed; RUNNING with an error is a task that has fallen sick, and is about to be stopped by its node.
 */
function isServing({ status, desiredState }: Task): boolean {
  return (
    status?.state === TaskState.RUNNING && status.err === "" && desiredState < TaskState.SHUTDOWN
  );
}

/** The task as it is to be written: call it for every task whose state or desired state changes. */
export function withEndpointsAligned(draft: Draft, task: Task, nowMs: number): Task {
  if (task.endpointIds.length === 0) return task;
  if (isOver(task)) return withoutEndpoints(draft, task, nowMs);
  const serving = isServing(task);
  for (const endpoint of endpointsOf(draft, task)) {
    if (endpoint.serving !== serving) draft.update("endpoint", { ...endpoint, serving });
  }
  return task;
}

/** All of its addresses are given back. */
export function withoutEndpoints(draft: Draft, task: Task, nowMs: number): Task {
  for (const endpoint of endpointsOf(draft, task)) removeEndpoint(draft, endpoint, nowMs);
  return { ...task, endpointIds: [] };
}

function endpointsOf(draft: Draft, task: Task): readonly Endpoint[] {
  return task.endpointIds.flatMap((id) => {
    const endpoint = draft.endpoint(id);
    return endpoint?.ownerId === task.id ? [endpoint] : [];
  });
}
