import { beforeEach, describe, expect, test } from "vitest";
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { type Task, TaskState, TaskStatus } from "../../proto/gen/service.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { makeService, makeTask, serviceSpec } from "../../test/fakes/services.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import type { StoreView } from "../store/view.js";
import { Reports } from "./reports.js";
import type { Request, Writer } from "./write.js";

/** Writes when it is told to, or fails as it is told to. */
class HeldWriter implements Pick<Writer, "write"> {
  readonly held: ((failure?: Refusal | Fault) => void)[] = [];

  constructor(private readonly swarm: SwarmState) {}

  write<T, Answer = T>(
    request: Request<T>,
    after: (view: StoreView, result: T) => Answer,
  ): Promise<Answer | Refusal> {
    return new Promise((resolve, reject) => {
      this.held.push((failure) => {
        if (failure instanceof Fault) return reject(failure);
        if (failure !== undefined) return resolve(failure);
        const result = this.swarm.must((draft) => request(draft, 1));
        resolve(after(this.swarm.view, result));
      });
    });
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

let swarm: SwarmState;
let writer: HeldWriter;
let clock: ManualClock;
let reports: Reports;
let tasks: Task[];

beforeEach(() => {
  swarm = new SwarmState();
  writer = new HeldWriter(swarm);
  clock = new ManualClock();
  reports = new Reports({
    store: swarm.store,
    writer: writer as unknown as Writer,
    clock,
    log: silentLogger(),
  });
  swarm.node("n1");
  const service = makeService(swarm, serviceSpec());
  const status = { state: TaskState.ASSIGNED };
  tasks = Array.from({ length: 300 }, (_, i) =>
    makeTask(swarm, service, { slot: i + 1, nodeId: "n1", status }),
  );
  void reports.run(new AbortController().signal);
});

function note(of: readonly Task[], state: TaskState, nodeId = "n1"): void {
  const status = TaskStatus.fromPartial({ state });
  reports.note(
    nodeId,
    of.map(({ id }) => ({ taskId: id, status })),
  );
}

const states = () => tasks.map(({ id }) => swarm.view.task(id)?.status?.state);

describe("reports", () => {
  test("that come during a write share the next one, the newest word for each task", async () => {
    const some = tasks.slice(0, 3);
    note(some.slice(0, 1), TaskState.ACCEPTED);
    await turn();
    for (const state of [TaskState.PREPARING, TaskState.RUNNING, TaskState.STARTING]) {
      note(some, state);
    }
    expect(writer.held).toHaveLength(1);
    writer.held[0]?.();
    await turn();
    writer.held[1]?.();
    await turn();
    expect(writer.held).toHaveLength(2);
    expect(states().slice(0, 3)).toEqual(Array(3).fill(TaskState.RUNNING));
  });

  test("of many tasks go in several writes", async () => {
    note(tasks, TaskState.RUNNING);
    for (let write = 0; write < 2; write++) {
      await turn();
      writer.held[write]?.();
    }
    await turn();
    expect(new Set(states())).toEqual(new Set([TaskState.RUNNING]));
    expect(writer.held).toHaveLength(2);
  });

  test("of another node's tasks, or of none, are not even written", async () => {
    swarm.node("n2");
    note(tasks, TaskState.RUNNING, "n2");
    note([{ ...(tasks[0] as Task), id: "nosuch" }], TaskState.RUNNING);
    await turn();
    expect(writer.held).toHaveLength(0);
  });

  const failures = [
    refuse("resource-exhausted", "the disk is full"),
    new Fault("LEADERSHIP_LOST"),
  ] as const;
  for (const failure of failures) {
    test(`wait after: ${failure.message}; what came since stands`, async () => {
      const [one] = tasks;
      if (one === undefined) throw new Error("no task");
      note([one], TaskState.STARTING);
      await turn();
      note([one], TaskState.RUNNING);
      writer.held[0]?.(failure);
      await turn();
      expect(writer.held).toHaveLength(1);
      await clock.advance(1_000);
      await turn();
      writer.held[1]?.();
      await turn();
      expect(swarm.view.task(one.id)?.status?.state).toBe(TaskState.RUNNING);
    });
  }
});
