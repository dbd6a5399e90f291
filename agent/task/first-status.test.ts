import { describe, expect, test } from "vitest";
import { Task, TaskState, TaskStatus } from "../../proto/gen/service.js";
import type { Container } from "../seams.js";
import { statusAtFirst } from "./first-status.js";
import { UNHEALTHY } from "./task-step.js";

const NOW_MS = 5_000;
const { ASSIGNED, PREPARING, READY, STARTING, RUNNING, COMPLETE, FAILED } = TaskState;

const told = (state: TaskState) =>
  Task.create({ id: "t1", status: TaskStatus.create({ state, containerId: "c1", pid: 7 }) });
const found = (state: Container["state"], health?: string) =>
  ({
    ...{ id: "c1", state, pid: state === "running" ? 9 : 0, ports: [], startedAtMs: 3_000 },
    health: health === undefined ? undefined : { status: health },
  }) as unknown as Container;

describe("of a task whose container", () => {
  const cases: {
    readonly name: string;
    readonly said: TaskState;
    readonly container: Container | undefined;
    readonly want: Partial<TaskStatus>;
  }[] = [
    {
      name: "is not there, and was not to be yet: it begins anew",
      said: PREPARING,
      container: undefined,
      want: { state: ASSIGNED, containerId: "", pid: 0 },
    },
    {
      name: "is not there any more: it has failed",
      said: RUNNING,
      container: undefined,
      want: { state: FAILED, err: "No such container: c1", pid: 0 },
    },
    {
      name: "was only made: it is ready",
      said: PREPARING,
      container: found("created"),
      want: { state: READY },
    },
    {
      name: "runs, and has no health check: it runs",
      said: STARTING,
      container: found("running"),
      want: { state: RUNNING, err: "", pid: 9, atMs: 3_000 },
    },
    {
      name: "runs, and has not been well yet: it is starting",
      said: STARTING,
      container: found("running", "starting"),
      want: { state: STARTING },
    },
    {
      name: "fell sick after it was well: it runs, with an error, so that nobody connects to it",
      said: RUNNING,
      container: found("running", "unhealthy"),
      want: { state: RUNNING, err: UNHEALTHY },
    },
    {
      name: "has ended meanwhile: the steps find that out",
      said: RUNNING,
      container: found("exited"),
      want: { state: RUNNING },
    },
  ];
  for (const { name, said, container, want } of cases) {
    test(name, () => {
      expect(statusAtFirst(told(said), container, NOW_MS)).toMatchObject(want);
    });
  }
});

test("what is over stays as it was said", () => {
  const task = told(COMPLETE);
  expect(statusAtFirst(task, found("running"), NOW_MS)).toBe(task.status);
});

test("a task of which nothing was said yet is assigned", () => {
  const status = statusAtFirst(Task.create({ id: "t1" }), undefined, NOW_MS);
  expect(status).toMatchObject({ state: ASSIGNED, atMs: NOW_MS });
});
