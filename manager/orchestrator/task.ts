// What a task's fields mean to the orchestrator, and how a new one is made.
import {
  PublishMode,
  type Service,
  type ServiceSpec,
  type Task,
  TaskState,
  TaskStatus,
} from "../../proto/gen/service.js";
import { metaOf } from "../store/objects.js";
import { isOver } from "../store/work-index.js";

/** Whole milliseconds, as all times that are stored: what was asked for is waited in full. */
export function msOf(ns: number): number {
  return Math.ceil(ns / 1e6);
}

/** It is to run (or to complete), now or when it is no longer held back. */
export function isWanted(task: Task): boolean {
  return task.desiredState < TaskState.SHUTDOWN;
}

/** It was told to stop, and its end is not recorded. */
export function isLeaving(task: Task): boolean {
  return !isWanted(task) && !isOver(task);
}

export function stateOf(task: Task): TaskState {
  return task.status?.state ?? TaskState.NEW;
}

/** No node has heard of it. */
export function isUnassigned(task: Task): boolean {
  return stateOf(task) < TaskState.ASSIGNED;
}

/** It ended by itself: nobody told it to, and it was not lost with its node. */
export function hasFailed(task: Task): boolean {
  const state = stateOf(task);
  return state === TaskState.COMPLETE || state === TaskState.FAILED || state === TaskState.REJECTED;
}

/**
 * When its status began, by the leader's clock: a node's own clock is believed only between the task's
 * making and the last change of it.
 */
export function statusTimeMs(task: Task): number {
  const { createdAtMs, updatedAtMs } = metaOf(task);
  return Math.min(Math.max(task.status?.atMs ?? 0, createdAtMs), updatedAtMs);
}

export interface NewTask {
  readonly id: string;
  readonly slot: number;
  /** Of a global service; else empty. */
  readonly nodeId: string;
  readonly desiredState: TaskState;
  readonly notBeforeMs: number;
  readonly replaces: string;
  readonly nowMs: number;
}

/** SwarmKit's words in its first status. */
export function newTask(service: Service, wish: NewTask): Task {
  const { nowMs, ...rest } = wish;
  return {
    ...rest,
    meta: undefined,
    serviceId: service.id,
    spec: service.spec?.task,
    specVersion: service.specVersion,
    serviceName: service.spec?.name ?? "",
    serviceLabels: service.spec?.labels ?? {},
    hostPorts: service.ports.filter((port) => port.publishMode === PublishMode.HOST),
    status: TaskStatus.create({
      state: TaskState.PENDING,
      atMs: nowMs,
      message: "pending task scheduling",
    }),
    jobIteration: service.jobStatus?.iteration ?? 0,
    genericResources: [],
    endpointIds: [],
    runningAtMs: 0,
  };
}

export function isJob(spec: ServiceSpec | undefined): boolean {
  const mode = spec?.mode?.$case;
  return mode === "replicatedJob" || mode === "globalJob";
}

export function isGlobal(spec: ServiceSpec | undefined): boolean {
  const mode = spec?.mode?.$case;
  return mode === "global" || mode === "globalJob";
}

/** What its tasks are to become. */
export function goalOf(service: Service): TaskState {
  return isJob(service.spec) ? TaskState.COMPLETE : TaskState.RUNNING;
}
