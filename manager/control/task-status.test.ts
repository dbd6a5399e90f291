import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Task, TaskState, TaskStatus } from "../../proto/gen/service.js";
import { Endpoint, EndpointKind } from "../../proto/gen/types.js";
import { makeService, makeTask, serviceSpec } from "../../test/fakes/services.js";
import { FIRST_NODE, SwarmState } from "../../test/fakes/swarm-state.js";
import { takeAddresses } from "../ipam/addresses.js";
import { removeNode } from "./node.js";
import { condemnTasks } from "./service.js";
import { recordReports } from "./task-status.js";

const STATES = Object.values(TaskState).filter((state) => typeof state === "number");

function lab() {
  const swarm = new SwarmState();
  swarm.node("n1");
  const network = swarm.network({ name: "web" });
  const service = makeService(swarm, serviceSpec());
  const report = (task: Task, state: number, more: object = {}, nodeId = task.nodeId) => {
    const reports = [{ taskId: task.id, status: TaskStatus.fromPartial({ state, ...more }) }];
    swarm.must((draft) => {
      recordReports(draft, nodeId, reports, 77);
      return true;
    });
    return swarm.view.task(task.id)?.status;
  };
  /** Assigned to n1 with an endpoint, as the scheduler leaves it. */
  const assigned = (slot = 1) => {
    const id = `e${slot}`;
    const status = { state: TaskState.ASSIGNED };
    const task = makeTask(swarm, service, { nodeId: "n1", slot, status, endpointIds: [id] });
    swarm.must((draft) => {
      const given = takeAddresses(draft, network, { ipv4: "", ipv6: "" });
      const place = { networkId: network.id, nodeId: "n1", kind: EndpointKind.TASK };
      const endpoint = { ...Endpoint.fromPartial({ id, ...place, ownerId: task.id }) };
      draft.create("endpoint", { ...endpoint, ...(given as object) });
      return true;
    });
    return task;
  };
  return { swarm, network, report, assigned };
}

describe("a report", () => {
  test("is kept with its words; the first of RUNNING says when", () => {
    const { swarm, report, assigned } = lab();
    const task = assigned();
    expect(report(task, TaskState.PREPARING, { message: "preparing" })?.message).toBe("preparing");
    report(task, TaskState.RUNNING, { containerId: "c", pid: 12 });
    expect(swarm.view.task(task.id)).toMatchObject({ runningAtMs: 77, status: { pid: 12 } });
  });

  test("that says nothing new costs no entry", () => {
    const { swarm, report, assigned } = lab();
    const task = assigned();
    report(task, TaskState.RUNNING, { atMs: 1 });
    const { revision } = swarm.store;
    report(task, TaskState.RUNNING, { atMs: 2 });
    report(task, TaskState.STARTING);
    expect(swarm.store.revision).toBe(revision);
  });

  test("of the end frees the endpoints in the same entry, and their addresses rest", () => {
    const { swarm, network, report, assigned } = lab();
    const task = assigned();
    report(task, TaskState.FAILED, { exitCode: 7, err: "task: non-zero exit (7)" });
    expect(swarm.view.task(task.id)).toMatchObject({ endpointIds: [], status: { exitCode: 7 } });
    expect([...swarm.view.endpointsOn(network.id)]).toEqual([]);
    expect(swarm.view.quarantined(`${network.id}/10.0.1.2`)).toBeDefined();
  });

  test("of RUNNING lets new connections come, until it is sick or asked to end", () => {
    const { swarm, report, assigned } = lab();
    const task = assigned();
    const serves = () => swarm.view.endpoint("e1")?.serving;
    report(task, TaskState.STARTING);
    expect(serves()).toBe(false);
    report(task, TaskState.RUNNING);
    expect(serves()).toBe(true);
    report(task, TaskState.RUNNING, { err: "dockerexec: unhealthy container" });
    expect(serves()).toBe(false);
    report(task, TaskState.RUNNING);
    expect(serves()).toBe(true);
    swarm.must((draft) => {
      draft.remove("service", task.serviceId);
      return condemnTasks(draft, task.serviceId, 77) || true;
    });
    expect(serves()).toBe(false);
    report(task, TaskState.RUNNING, { pid: 3 });
    expect([serves(), swarm.view.task(task.id)?.status?.pid]).toEqual([false, 3]);
  });

  const ignored = [
    ["of another node's task", TaskState.RUNNING, FIRST_NODE],
    ["of a state that only managers give", TaskState.PENDING, "n1"],
    ["that it is orphaned", TaskState.ORPHANED, "n1"],
    ["of a state that there is not", 513, "n1"],
  ] as const;
  for (const [name, state, nodeId] of ignored) {
    test(`${name} is ignored`, () => {
      const { report, assigned } = lab();
      expect(report(assigned(), state, {}, nodeId)?.state).toBe(TaskState.ASSIGNED);
    });
  }

  test("of a task that is not there is no error", () => {
    const { report, assigned } = lab();
    expect(report({ ...assigned(), id: "nosuch" }, TaskState.RUNNING)).toBeUndefined();
  });

  test("is bounded: a node's sentence is cut", () => {
    const { report, assigned } = lab();
    const status = report(assigned(), TaskState.REJECTED, { err: "x".repeat(100_000) });
    expect(status?.err).toHaveLength(1_024);
  });

  test("never takes a state back, in whatever order reports come; an end stays the end", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...STATES), { maxLength: 20 }), (states) => {
        const { report, assigned } = lab();
        const task = assigned();
        let before = task.status?.state ?? 0;
        for (const state of states) {
          const now = report(task, state)?.state ?? 0;
          expect(now).toBeGreaterThanOrEqual(before);
          if (before > TaskState.RUNNING) expect(now).toBe(before);
          before = now;
        }
      }),
      { numRuns: 50 },
    );
  });
});

test("a node that is removed orphans its tasks, which give up their endpoints; history stays", () => {
  const { swarm, network, report, assigned } = lab();
  const [lives, over] = [assigned(1), assigned(2)];
  report(over, TaskState.COMPLETE);
  swarm.must((draft) => {
    removeNode(draft, { id: "n1", force: true }, swarm.context);
    return true;
  });
  expect(swarm.view.node("n1")).toBeUndefined();
  expect(swarm.view.task(lives.id)?.status).toMatchObject({
    state: TaskState.ORPHANED,
    message: "Task belonged to a node that has been deleted",
  });
  expect(swarm.view.task(over.id)?.status?.state).toBe(TaskState.COMPLETE);
  expect([...swarm.view.endpointsOn(network.id)]).toEqual([]);
});
