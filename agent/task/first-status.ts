// What is said of a task by an agent that begins with it: new, or as an earlier agent left it.
import { type Task, TaskState, TaskStatus } from "../../proto/gen/service.js";
import type { Container } from "../seams.js";
import { publishedPorts } from "./task-spec.js";
import { isOver, UNHEALTHY } from "./task-step.js";

/** Before anything is done: what its container shows, or nothing new. */
export function statusAtFirst(
  task: Task,
  container: Container | undefined,
  nowMs: number,
): TaskStatus {
  const told =
    task.status ??
    TaskStatus.create({ state: TaskState.ASSIGNED, atMs: nowMs, message: "assigned" });
  if (isOver(told.state)) return told;
  if (container === undefined) {
    if (told.state < TaskState.STARTING) {
      return { ...told, state: TaskState.ASSIGNED, containerId: "", pid: 0 };
    }
    // It ran, and somebody has taken it away.
    const err = `No such container: ${told.containerId}`;
    return { ...told, state: TaskState.FAILED, err, pid: 0, atMs: nowMs };
  }
  const found = { ...told, err: "", containerId: container.id, pid: container.pid, atMs: nowMs };
  if (container.state === "created")
    return { ...found, state: TaskState.READY, message: "prepared" };
  // Whether it is well, and whether it still runs, the steps find out.
  const wasSick = container.health !== undefined && container.health.status !== "healthy";
  if (wasSick && told.state < TaskState.RUNNING) {
    return { ...found, state: TaskState.STARTING, message: "starting" };
  }
  return {
    ...found,
    state: TaskState.RUNNING,
    message: "started",
    err: container.health?.status === "unhealthy" ? UNHEALTHY : "",
    ports: publishedPorts(task, container.ports),
    atMs: container.startedAtMs || nowMs,
  };
}
