// What becomes of a task, as its node tells it, or as is concluded when its node no longer can. A state
// only grows, whoever tells it and however late; its endpoints follow it (task-endpoints.ts).
import type { TaskReport } from "../../proto/gen/dispatcher.js";
import { type Task, TaskState, TaskStatus } from "../../proto/gen/service.js";
import type { Draft } from "../store/view.js";
import { isOver } from "../store/work-index.js";
import { withEndpointsAligned } from "./task-endpoints.js";

// What a node can know; the states before are the manager's to decide, and the one after is about nodes.
const FIRST_REPORTED = TaskState.ACCEPTED;
const LAST_REPORTED = TaskState.REJECTED;
// Choice: sentences for people; a node that says more is cut short.
const TEXT_MAX = 1_024;
const PORTS_MAX = 1_024;

/** What node `nodeId` says of its own tasks. Of others, or of what is older than what is known, nothing is kept. */
export function recordReports(
  draft: Draft,
  nodeId: string,
  reports: readonly TaskReport[],
  nowMs: number,
): void {
  for (const { taskId, status } of reports) {
    const task = draft.task(taskId);
    if (task?.nodeId === nodeId && status !== undefined) recordStatus(draft, task, status, nowMs);
  }
}

function recordStatus(draft: Draft, task: Task, status: TaskStatus, nowMs: number): void {
  const before = task.status?.state ?? TaskState.NEW;
  const { state } = status;
  if (state < FIRST_REPORTED || state > LAST_REPORTED || TaskState[state] === undefined) return;
  if (state < before || isOver(task)) return;
  const bounded: TaskStatus = {
    ...status,
    message: status.message.slice(0, TEXT_MAX),
    err: status.err.slice(0, TEXT_MAX),
    containerId: status.containerId.slice(0, TEXT_MAX),
    ports: status.ports.slice(0, PORTS_MAX),
  };
  if (state === before && isSame(task.status, bounded)) return;
  const isFirstRun = state === TaskState.RUNNING && task.runningAtMs === 0;
  const runningAtMs = isFirstRun ? nowMs : task.runningAtMs;
  const after = { ...task, status: bounded, runningAtMs };
  draft.update("task", withEndpointsAligned(draft, after, nowMs));
}

/** Its node is gone and will say no more. What is over stays as it ended. */
export function orphanTask(draft: Draft, task: Task, message: string, nowMs: number): void {
  if (isOver(task)) return;
  const status: TaskStatus = {
    ...(task.status ?? TaskStatus.create()),
    state: TaskState.ORPHANED,
    atMs: nowMs,
    message,
  };
  draft.update("task", withEndpointsAligned(draft, { ...task, status }, nowMs));
}

function isSame(a: TaskStatus | undefined, b: TaskStatus): boolean {
  return a !== undefined && JSON.stringify({ ...a, atMs: 0 }) === JSON.stringify({ ...b, atMs: 0 });
}
