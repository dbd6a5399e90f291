import { describe, expect, test } from "vitest";
import { Fault } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { ServiceSpec, type Task, TaskState } from "../../proto/gen/service.js";
import { Availability, NodeDescription } from "../../proto/gen/types.js";
import { idleLog } from "../../test/fakes/idle-log.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { createService, removeService, updateService } from "../control/service.js";
import { recordNodeSession } from "../control/session.js";
import { recordReports } from "../control/task-status.js";
import type { Consensus } from "../seams.js";
import type { Outcomes } from "../store/store.js";
import { Orchestrator } from "./orchestrate.js";
import { schedule } from "./schedule.js";
import { Writer } from "./write.js";

/** A leader alone: the real writer, orchestrator and scheduler on a log that commits at once. */
function lead() {
  const state = new SwarmState();
  const clock = new ManualClock();
  let fault: Fault | undefined;
  const consensus: Consensus<Outcomes> = {
    ...idleLog(),
    propose: async (data) => {
      if (fault) throw fault;
      return state.store.apply(state.store.revision + 1, data);
    },
  };
  const log = silentLogger();
  const { store } = state;
  const writer = new Writer({ store, consensus, clock, log });
  const options = { store, writer, clock, random: seededRandom(7), log };
  const stop = new AbortController();
  const term = stop.signal;
  const running = [writer.run(term), new Orchestrator(options).run(term), schedule(options, term)];
  const ready = (name: string) =>
    state.must((draft) =>
      recordNodeSession(draft, {
        nodeId: name,
        description: NodeDescription.fromPartial({ hostname: name, nanoCpus: 4e9 }),
        addr: "",
        dataPathAddr: "",
      }),
    );
  for (const name of ["h1", "h2"]) {
    state.node(name);
    ready(name);
  }
  const close = async () => {
    stop.abort();
    await Promise.all(running);
  };
  const fail = (next: Fault | undefined) => {
    fault = next;
  };
  return { state, clock, fail, close };
}

function states(tasks: Iterable<Task>): string[] {
  return [...tasks].map(
    (task) =>
      `${task.slot} ${task.nodeId || "-"} ${TaskState[task.desiredState]} ${TaskState[task.status?.state ?? 0]}`,
  );
}

const spec = (replicas: number, constraints: string[] = []) =>
  ServiceSpec.fromPartial({
    name: "web",
    task: {
      container: { image: "alpine" },
      restart: { delayNs: 2e9 },
      placement: { constraints },
    },
    mode: { $case: "replicated", value: { replicas } },
  });

describe("the leader's loops", () => {
  test("a service becomes tasks on nodes, and goes with its tasks", async () => {
    const { state, clock, close } = lead();
    const { id } = state.must((draft) =>
      createService(draft, { spec: spec(2, ["node.id!=node0"]) }, state.context),
    );
    await clock.advance(10);
    expect(states(state.view.tasksOf(id))).toEqual([
      "1 h1 RUNNING ASSIGNED",
      "2 h2 RUNNING ASSIGNED",
    ]);
    const version = state.view.service(id)?.meta?.version ?? 0;
    const request = { id, version, spec: spec(1, ["node.id!=node0"]), rollback: false };
    state.must((draft) =>
      updateService(draft, { ...request, authFromPrevious: false }, state.context),
    );
    await clock.advance(10);
    expect(states(state.view.tasksOf(id))).toEqual([
      "1 h1 RUNNING ASSIGNED",
      "2 h2 REMOVE ASSIGNED",
    ]);
    state.must((draft) => removeService(draft, { id }, state.context) ?? true);
    for (const task of [...state.view.tasksOf(id)]) report(state, task, TaskState.SHUTDOWN);
    await clock.advance(10);
    expect(states(state.view.tasks())).toEqual([]);
    await close();
  });

  test("a failed task is replaced when its delay is over", async () => {
    const { state, clock, close } = lead();
    const { id } = state.must((draft) =>
      createService(draft, { spec: spec(1, ["node.id==h1"]) }, state.context),
    );
    await clock.advance(10);
    for (const task of [...state.view.tasksOf(id)]) report(state, task, TaskState.FAILED);
    await clock.advance(1_000);
    expect(states(state.view.tasksOf(id))).toEqual(["1 h1 SHUTDOWN FAILED", "1 h1 READY ASSIGNED"]);
    await clock.advance(2_000);
    expect(states(state.view.tasksOf(id))).toEqual([
      "1 h1 SHUTDOWN FAILED",
      "1 h1 RUNNING ASSIGNED",
    ]);
    await close();
  });

  test("a disk that is full stops nothing for good", async () => {
    const { state, clock, fail, close } = lead();
    fail(new Fault("DISK_FULL"));
    const { id } = state.must((draft) =>
      createService(draft, { spec: spec(1, ["node.id==h1"]) }, state.context),
    );
    await clock.advance(10_000);
    expect(states(state.view.tasksOf(id))).toEqual([]);
    fail(undefined);
    await clock.advance(10_000);
    expect(states(state.view.tasksOf(id))).toEqual(["1 h1 RUNNING ASSIGNED"]);
    await close();
  });

  test("a task that fits nowhere says why, and goes when it can", async () => {
    const { state, clock, close } = lead();
    const { id } = state.must((draft) =>
      createService(draft, { spec: spec(1, ["node.labels.zone==mars"]) }, state.context),
    );
    await clock.advance(10);
    const [task] = state.view.tasksOf(id);
    expect(task?.status?.err).toBe(
      "no suitable node (scheduling constraints not satisfied on 3 nodes)",
    );
    const revision = state.store.revision;
    await clock.advance(60_000);
    expect(state.store.revision, "said once").toBe(revision);
    state.must((draft) => {
      const node = draft.node("h2");
      if (node?.spec) {
        const labels = { zone: "mars" };
        const availability = Availability.ACTIVE;
        draft.update("node", { ...node, spec: { ...node.spec, labels, availability } });
      }
      return true;
    });
    await clock.advance(1_000);
    expect(states(state.view.tasksOf(id))).toEqual(["1 h2 RUNNING ASSIGNED"]);
    await close();
  });
});

function report(state: SwarmState, task: Task, reported: TaskState): void {
  const status = {
    ...task.status,
    state: reported,
    atMs: 0,
    message: "",
    err: "",
    containerId: "",
    pid: 0,
    exitCode: 0,
    ports: [],
  };
  state.must((draft) => {
    recordReports(draft, task.nodeId, [{ taskId: task.id, status }], state.nowMs);
    return true;
  });
}
