// A task's life on its node, as SwarmKit has it: what is to be done next, from the state that it is in
// and the state that is desired. States only grow. `agent/loops/task-controller.ts` does the steps.
//
//   ASSIGNED → ACCEPTED → PREPARING → READY → STARTING → RUNNING → COMPLETE
//                             │         ┆         │          └──→ FAILED
//                          REJECTED  (held)     FAILED      any → SHUTDOWN
import { TaskState } from "../../proto/gen/service.js";

export type TaskStep =
  /** Only said: nothing has to happen for it. */
  | { readonly kind: "advance"; readonly state: TaskState; readonly message: string }
  /** Image and container: READY after it, REJECTED when that fails. */
  | { readonly kind: "prepare" }
  /** RUNNING after it, FAILED when that fails. */
  | { readonly kind: "start" }
  /** COMPLETE or FAILED when it has ended. */
  | { readonly kind: "watch" }
  /** Whatever it does, it ends: SHUTDOWN. */
  | { readonly kind: "stop" }
  /** Nothing until something else is desired. */
  | { readonly kind: "rest" };

export function nextStep(state: TaskState, desired: TaskState): TaskStep {
  if (isOver(state)) return { kind: "rest" };
  if (isEnd(desired)) return { kind: "stop" };
  switch (state) {
    // What has begun goes on, also past what is desired.
    case TaskState.PREPARING:
      return { kind: "prepare" };
    case TaskState.STARTING:
      return { kind: "start" };
    case TaskState.RUNNING:
      return { kind: "watch" };
    case TaskState.ACCEPTED:
      return desired > state ? said(TaskState.PREPARING, "preparing") : { kind: "rest" };
    case TaskState.READY:
      return desired > state ? said(TaskState.STARTING, "starting") : { kind: "rest" };
    default:
      return desired > state ? said(TaskState.ACCEPTED, "accepted") : { kind: "rest" };
  }
}

export function isOver(state: TaskState): boolean {
  return state >= TaskState.COMPLETE;
}

/** Whether nobody wants it to run. COMPLETE, which is desired of a job's task, is reached by running. */
export function isEnd(desired: TaskState): boolean {
  return desired >= TaskState.SHUTDOWN;
}

function said(state: TaskState, message: string): TaskStep {
  return { kind: "advance", state, message };
}

// ---- Docker's words (moby daemon/cluster/executor/container: controller.go, errors.go) ---------------

export const UNHEALTHY = "dockerexec: unhealthy container";

/** How a command's end is told. Empty: it ended well. */
export function exitSentence(exitCode: number, cause: string): string {
  if (exitCode === 0) return "";
  return `task: non-zero exit (${exitCode})${cause === "" ? "" : `: ${cause}`}`;
}

export function startFailed(why: string): string {
  return `starting container failed: ${why}`;
}
