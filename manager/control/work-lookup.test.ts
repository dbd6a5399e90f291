import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { TaskState } from "../../proto/gen/service.js";
import { makeService, makeTask, serviceSpec } from "../../test/fakes/services.js";
import { FIRST_NODE, SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { isImageReference } from "./image-reference.js";
import { markNodeDown } from "./session.js";
import { findService, findTask, shownService, shownTasks, statusOf } from "./work-lookup.js";

test("a service is found by id, name and the beginning of its id", () => {
  const swarm = new SwarmState();
  const one = makeService(swarm, serviceSpec());
  const two = makeService(swarm, serviceSpec({ name: "two" }));
  const found = (ref: string) => {
    const service = findService(swarm.view, ref);
    return isRefusal(service) ? sentenceOf(service) : service.id;
  };
  expect([found(one.id), found("two"), found(one.id.slice(0, 3))]).toEqual([
    one.id,
    two.id,
    one.id,
  ]);
  expect(found("id")).toBe("invalid-argument: service id is ambiguous (2 matches found)");
  expect(found("nosuch")).toBe("not-found: service nosuch not found");
  expect(found("")).toBe("not-found: service  not found");
  expect(sentenceOf(findTask(swarm.view, "nosuch"))).toBe("not-found: task nosuch not found");
});

describe("the status of a service", () => {
  const counts = (swarm: SwarmState, id: string) => {
    const service = swarm.view.service(id);
    if (service === undefined) throw new Error("no service");
    const { running, desired, completed } = statusOf(swarm.view, service);
    return [running, desired, completed];
  };
  const task = (desiredState: TaskState, state: TaskState, nodeId = FIRST_NODE) => ({
    desiredState,
    status: { state },
    nodeId,
  });

  test("counts what runs, not on nodes that are down, against the replicas", () => {
    const swarm = new SwarmState();
    swarm.node("n1");
    const mode = { $case: "replicated", value: { replicas: 3 } } as const;
    const service = makeService(swarm, serviceSpec({ mode }));
    makeTask(swarm, service, task(TaskState.RUNNING, TaskState.RUNNING));
    makeTask(swarm, service, task(TaskState.RUNNING, TaskState.RUNNING, "n1"));
    makeTask(swarm, service, task(TaskState.SHUTDOWN, TaskState.FAILED));
    expect(counts(swarm, service.id)).toEqual([2, 3, 0]);
    swarm.must((draft) => markNodeDown(draft, "n1", "heartbeat failure") ?? true);
    expect(counts(swarm, service.id)).toEqual([1, 3, 0]);
  });

  test("of a global one counts what is wanted", () => {
    const swarm = new SwarmState();
    const mode = { $case: "global", value: {} } as const;
    const service = makeService(swarm, serviceSpec({ mode }));
    makeTask(swarm, service, task(TaskState.RUNNING, TaskState.STARTING));
    makeTask(swarm, service, task(TaskState.SHUTDOWN, TaskState.SHUTDOWN));
    expect(counts(swarm, service.id)).toEqual([0, 1, 0]);
  });

  test("of a job counts its iteration, and what it has completed", () => {
    const swarm = new SwarmState();
    const value = { maxConcurrent: 2, totalCompletions: 3 };
    const service = makeService(swarm, serviceSpec({ mode: { $case: "replicatedJob", value } }));
    makeTask(swarm, service, task(TaskState.COMPLETE, TaskState.COMPLETE));
    makeTask(swarm, service, task(TaskState.COMPLETE, TaskState.RUNNING));
    const old = { ...task(TaskState.COMPLETE, TaskState.COMPLETE), jobIteration: 7 };
    makeTask(swarm, service, old);
    expect(counts(swarm, service.id)).toEqual([1, 2, 1]);
  });
});

test("credentials are shown of no service and no task, and tasks still share what they show", () => {
  const swarm = new SwarmState();
  const service = makeService(swarm, serviceSpec({}, { registryAuth: "token" }));
  const tasks = [makeTask(swarm, service), makeTask(swarm, service, { slot: 2 })];
  expect(JSON.stringify(shownService(service))).not.toContain("token");
  const [one, two] = shownTasks(tasks);
  expect(JSON.stringify(one)).not.toContain("token");
  expect(one?.spec).toBe(two?.spec);
  expect(tasks[0]?.spec?.container?.registryAuth).toBe("token");
});

describe("an image is named", () => {
  const hex = "a".repeat(64);
  const cases = [
    ["alpine", true],
    ["alpine:3.20", true],
    ["localhost:5000/a/b_c:v1", true],
    ["Registry.example.com/app", true],
    ["[::1]:5000/app", true],
    [`alpine@sha256:${hex}`, true],
    [`r.io/x:tag@sha256:${hex}`, true],
    ["UPPER/case:latest", false],
    ["Alpine", false],
    ["a//b", false],
    ["a:", false],
    ["a@sha256:xyz", false],
    [hex, false],
    ["-a", false],
    ["a b", false],
    ["a".repeat(256), false],
  ] as const;
  for (const [text, want] of cases) {
    test(`${text.slice(0, 40)}: ${want}`, () => expect(isImageReference(text)).toBe(want));
  }
});
