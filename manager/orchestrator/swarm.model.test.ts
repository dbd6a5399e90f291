// Swarms of services in which everything goes wrong, on a seed: what must always be true is looked at after
// every entry of the log, and in the end, with nothing wrong any more, all is as it was asked for.
import { describe, expect, test } from "vitest";
import { type Random, seededRandom } from "../../common/random.js";
import {
  type FailureAction,
  PublishMode,
  ServiceSpec,
  Task,
  TaskState,
  UpdateOrder,
} from "../../proto/gen/service.js";
import { Availability, Endpoint, EndpointKind, NodeState } from "../../proto/gen/types.js";
import { OrchestratedSwarm } from "../../test/fakes/orchestrated-swarm.js";
import { unconverged, unsettled, violations } from "../../test/fakes/swarm-invariants.js";
import { isOver } from "../store/work-index.js";

const SEEDS = Number(process.env["SKEIN_SEEDS"] ?? 15);
const ACTIONS = 40;
const NODES = 4;
// Docker's default.
const HISTORY_LIMIT = 5;

class Chaos {
  readonly swarm = new OrchestratedSwarm(NODES);
  /** What was told to run, and not lost with its node. */
  readonly mayRun = new Set<string>();
  readonly #lost = new Set<string>();
  readonly #names: string[] = [];
  #count = 0;

  constructor(private readonly random: Random) {
    this.swarm.onStep = () => this.#check();
    this.swarm.state.network({ name: "net" });
  }

  below(limit: number): number {
    return this.random.below(limit);
  }

  one<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to choose from");
    return item;
  }

  act(): void {
    const { swarm } = this;
    const node = `h${1 + this.below(NODES)}`;
    const name = this.#names.length > 0 ? this.one(this.#names) : undefined;
    const kind = this.below(12);
    if (name === undefined || (kind === 0 && this.#names.length < 5)) this.#create();
    else if (kind === 1) {
      swarm.remove(name);
      this.#names.splice(this.#names.indexOf(name), 1);
    } else if (kind <= 3) this.#scale(name);
    else if (kind <= 6) this.#update(name, this.one(["good", "good", "missing", "crash"]));
    else if (kind === 7 && swarm.service(name).previousSpec) swarm.rollBack(name);
    else if (kind === 8) this.#cutOff(node);
    else if (kind === 9) swarm.hello(node);
    else if (kind === 10) swarm.availability(node, this.below(3) as Availability);
    else swarm.newLeader();
    swarm.advance(this.one([0, 30, 200, 1_000, 7_000, 30_000]));
    expect([...unsettled(swarm.view, swarm.state.nowMs)], "planned twice").toEqual([]);
  }

  calm(): void {
    for (let i = 1; i <= NODES; i++) {
      this.swarm.hello(`h${i}`);
      this.swarm.availability(`h${i}`, Availability.ACTIVE);
    }
    for (const name of this.#names) this.#update(name, "good");
    this.swarm.advance(600_000);
  }

  #create(): void {
    const name = `s${this.#count++}`;
    this.#names.push(name);
    const global = this.below(4) === 0;
    const publishes = this.below(3) === 0 && !global;
    const spec = ServiceSpec.fromPartial({
      name,
      task: {
        container: { image: "good:0" },
        networks: this.below(2) === 0 ? [{ target: "net" }] : [],
        resources: { reservations: { nanoCpus: this.one([0, 1e8]) } },
        restart: { delayNs: this.one([0, 1e9, 5e9]) },
      },
      mode: global
        ? { $case: "global", value: {} }
        : { $case: "replicated", value: { replicas: this.below(NODES + 1) } },
      update: {
        parallelism: this.below(3),
        delayNs: this.one([0, 2e9]),
        failureAction: this.below(3) as FailureAction,
        monitorNs: this.one([0, 1e9]),
        maxFailureRatio: this.one([0, 0.5]),
        // A port of the host's cannot be had by the old and the new task on one node.
        order: publishes ? UpdateOrder.STOP_FIRST : (this.below(2) as UpdateOrder),
      },
      endpoint: publishes
        ? {
            ports: [
              {
                targetPort: 80,
                publishedPort: 8_000 + this.#count,
                publishMode: this.one([PublishMode.HOST, PublishMode.INGRESS]),
              },
            ],
          }
        : undefined,
    });
    // The order of a rollback is the order of the update, so that one bound holds for both.
    this.swarm.create({ ...spec, rollback: spec.update });
  }

  #scale(name: string): void {
    this.swarm.update(name, (spec) =>
      spec.mode?.$case === "replicated"
        ? { ...spec, mode: { $case: "replicated", value: { replicas: this.below(NODES) } } }
        : spec,
    );
  }

  #update(name: string, kind: string): void {
    const image = `${kind}:${++this.#count}`;
    const args = kind === "crash" ? ["crash", String(this.one([100, 3_000]))] : [];
    this.swarm.update(name, (spec) => ({
      ...spec,
      task: spec.task && {
        ...spec.task,
        container: spec.task.container && { ...spec.task.container, image, args },
      },
    }));
  }

  #cutOff(node: string): void {
    for (const task of this.swarm.view.tasksOn(node)) if (!isOver(task)) this.#forget(task.id);
    this.swarm.cutOff(node);
  }

  #forget(taskId: string): void {
    this.#lost.add(taskId);
    this.mayRun.delete(taskId);
  }

  #check(): void {
    for (const task of this.swarm.view.tasks()) {
      const isTold = task.nodeId !== "" && task.desiredState === TaskState.RUNNING;
      if (isTold && !this.#lost.has(task.id)) this.mayRun.add(task.id);
    }
    const wrong = violations(this.swarm.view, this.mayRun);
    if (wrong.length > 0) expect.fail(`at ${this.swarm.nowMs} ms: ${wrong.join("; ")}`);
  }
}

describe("whatever goes wrong", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`seed ${seed}: slots are not crowded, nodes not overfull, and all comes right`, () => {
      const chaos = new Chaos(seededRandom(seed));
      for (let i = 0; i < ACTIONS; i++) chaos.act();
      chaos.calm();
      expect([...unconverged(chaos.swarm.view, HISTORY_LIMIT)]).toEqual([]);
    });
  }
});

describe("a crash loop", () => {
  const cases = [
    { name: "with the default delay", delayNs: undefined, args: ["crash", "20"], most: 70 },
    { name: "without delay", delayNs: 0, args: ["crash", "20"], most: 330 },
    { name: "with a delay below a millisecond", delayNs: 1_500, args: ["crash", "20"], most: 330 },
    { name: "without delay, on an image that is missing", delayNs: 0, args: [], most: 330 },
  ];
  for (const { name, delayNs, args, most } of cases) {
    test(`${name} makes no more than ${most} tasks in five minutes`, () => {
      const swarm = new OrchestratedSwarm();
      const image = args.length > 0 ? "good" : "missing";
      const restart = delayNs === undefined ? undefined : { delayNs };
      const mode = { $case: "replicated" as const, value: { replicas: 1 } };
      swarm.create({ name: "loop", task: { container: { image, args }, restart }, mode });
      swarm.advance(300_000);
      expect(swarm.made).toBeLessThan(most);
      expect(swarm.made).toBeGreaterThan(30);
    });
  }
});

describe("what is looked for can be found", () => {
  const wreck = (change: (swarm: OrchestratedSwarm, task: Task) => void) => {
    const swarm = new OrchestratedSwarm();
    swarm.state.network({ name: "net" });
    const service = swarm.create({
      name: "web",
      task: {
        container: { image: "good" },
        networks: [{ target: "net" }],
        resources: { reservations: { nanoCpus: 1e9 } },
      },
      mode: { $case: "replicated", value: { replicas: 1 } },
    });
    swarm.advance(1_000);
    const task = swarm.tasks(service.id).at(-1) ?? Task.fromPartial({});
    expect(violations(swarm.view, new Set())).toEqual([]);
    change(swarm, task);
    return swarm;
  };
  const put = (swarm: OrchestratedSwarm, task: Task) =>
    swarm.state.must((draft) => {
      if (draft.task(task.id) === undefined) draft.create("task", task);
      else draft.update("task", task);
      return true;
    });

  test("a slot with two live tasks", () => {
    const swarm = wreck((s, task) => put(s, { ...task, id: "second", endpointIds: ["x"] }));
    const all = new Set([...swarm.view.tasks()].map(({ id }) => id));
    expect(violations(swarm.view, all)).toContain("slot 1 of web has 2 live tasks");
  });

  test("a node that promised too much, a port twice", () => {
    const hostPorts = [
      { name: "", protocol: 0, targetPort: 80, publishedPort: 80, publishMode: 1 },
    ];
    const swarm = wreck((s, task) => {
      for (let i = 0; i < 4; i++) put(s, { ...task, id: `t${i}`, slot: 2 + i, hostPorts });
    });
    const found = violations(swarm.view, new Set()).join("; ");
    expect(found).toContain("has promised 5000000000 CPUs");
    expect(found).toContain("has port 80 twice");
  });

  test("an address without a task, a task without an address", () => {
    const swarm = wreck((s, task) => put(s, { ...task, endpointIds: [] }));
    const found = violations(swarm.view, new Set()).join("; ");
    expect(found).toContain("belongs to no task that lives");
    expect(found).toContain("lacks an address");
    expect(Endpoint.fromPartial({}).kind).not.toBe(EndpointKind.TASK);
  });

  test("a plan that is not done", () => {
    const swarm = wreck((s, task) => put(s, { ...task, desiredState: TaskState.SHUTDOWN }));
    expect([...unsettled(swarm.view, swarm.state.nowMs)].join()).toContain("would create task");
  });

  test("a service that is not what was asked for", () => {
    const swarm = wreck((s) => s.changeNode("h1", (node) => ({ ...node, state: NodeState.DOWN })));
    swarm.update("web", (spec) => ({
      ...spec,
      mode: { $case: "replicated", value: { replicas: 2 } },
    }));
    expect([...unconverged(swarm.view, HISTORY_LIMIT)]).toContain("web has 1 of 2 tasks");
  });
});

describe("a rolling update", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`seed ${seed}: no more than its parallelism are down for it, and start-first none`, () => {
      const random = seededRandom(1_000 + seed);
      const replicas = 1 + random.below(8);
      const parallelism = random.below(4);
      const order = random.below(2) as UpdateOrder;
      const least =
        order === UpdateOrder.START_FIRST ? replicas : replicas - (parallelism || replicas);
      const swarm = new OrchestratedSwarm(NODES);
      const args = () => ["start", String(20 + random.below(3_000)), "slow-stop", "700"];
      const { id } = swarm.create({
        name: "web",
        task: { container: { image: "good:0", args: args() } },
        mode: { $case: "replicated", value: { replicas } },
        update: { parallelism, order, delayNs: random.below(2) * 1e9, monitorNs: 1e9 },
      });
      swarm.advance(10_000);
      let fewest = replicas;
      swarm.onStep = () => {
        const slots = new Set<number>();
        for (const task of swarm.tasks(id)) {
          if (task.status?.state === TaskState.RUNNING) slots.add(task.slot);
        }
        fewest = Math.min(fewest, slots.size);
      };
      // The second comes while the first is under way.
      for (const waitMs of [random.below(10_000), 120_000]) {
        swarm.update("web", (spec) => ({
          ...spec,
          task: spec.task && {
            ...spec.task,
            container: spec.task.container && { ...spec.task.container, args: args() },
            forceUpdate: spec.task.forceUpdate + 1,
          },
        }));
        swarm.advance(waitMs);
      }
      expect(fewest).toBeGreaterThanOrEqual(Math.max(0, least));
      expect([...unconverged(swarm.view, HISTORY_LIMIT)]).toEqual([]);
    });
  }
});
