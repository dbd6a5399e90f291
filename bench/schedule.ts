// What services cost the leader: making tasks, giving them to nodes, and one change among many. Run
// `npm run build`, then `node --expose-gc dist/bench/schedule.js [SERVICES] [TASKS] [NODES]`; it measures
// a tenth, a half and all of it. The log is left out: every entry is drafted, encoded and applied.
import { isRefusal } from "../common/fault.js";
import { seededRandom } from "../common/random.js";
import type { Context } from "../manager/control/context.js";
import { admitNode } from "../manager/control/membership.js";
import { createNetwork } from "../manager/control/network.js";
import { createService } from "../manager/control/service.js";
import { recordNodeSession } from "../manager/control/session.js";
import { recordReports } from "../manager/control/task-status.js";
import { Affected } from "../manager/orchestrator/affected.js";
import { applyPlan } from "../manager/orchestrator/apply.js";
import { planService } from "../manager/orchestrator/plan.js";
import { Scheduler } from "../manager/scheduler/scheduler.js";
import { Store } from "../manager/store/store.js";
import type { Draft } from "../manager/store/view.js";
import { ServiceSpec, type Task, TaskState } from "../proto/gen/service.js";
import { Batch } from "../proto/gen/store.js";
import { Availability, NetworkSpec, NodeDescription, Role } from "../proto/gen/types.js";
import { firstCluster, heapMib } from "./first-cluster.js";

const SERVICES = Number(process.argv[2] ?? 5_000);
const TASKS = Number(process.argv[3] ?? 50_000);
const NODES = Number(process.argv[4] ?? 1_000);
// As the leader's loops: this many tasks share one entry.
const BATCH = 200;
const NETWORKS = 50;
const CHURN = 2_000;

interface Measured {
  readonly tasks: number;
  readonly plan: number;
  readonly schedule: number;
  readonly both: number;
  readonly heapMib: number;
  readonly replaceUs: number;
  readonly newLeaderMs: number;
  readonly unplaceableMs: number;
}

class Swarm {
  readonly store = new Store();
  readonly dirty = new Set<string>();
  readonly #affected = new Affected();
  readonly #random = seededRandom(1);
  #ids = 0;
  #nowMs = 1_000;
  scheduler = new Scheduler(this.store.view);

  constructor() {
    this.store.changes.subscribe((change) => {
      this.#affected.note(change, this.store.view, this.dirty);
      this.scheduler.note(change.changed);
    });
  }

  get ctx(): Context {
    return {
      nowMs: this.#nowMs,
      newId: () => `id${(this.#ids++).toString().padStart(23, "0")}`,
      randomBytes: (length) => this.#random.bytes(length),
    };
  }

  write<T>(request: (draft: Draft) => T): T {
    const { result, transactions } = this.store.draft((draft) => ({
      result: draft.attempt(this.#nowMs++, request),
      transactions: draft.transactions,
    }));
    if (isRefusal(result)) throw new Error(result.message);
    if (transactions.length > 0) {
      const data = Batch.encode({ transactions }).finish();
      const refused = this.store.apply(this.store.revision + 1, data).find(isRefusal);
      if (refused) throw new Error(refused.message);
    }
    return result as T;
  }

  /** Plans all that is to be planned. */
  plan(): void {
    while (this.dirty.size > 0) {
      this.write((draft) => {
        let room = BATCH;
        for (const id of this.dirty) {
          if (room <= 0) break;
          this.dirty.delete(id);
          const plan = planService(draft, id, this.ctx, room);
          applyPlan(draft, id, plan, this.ctx);
          room -= plan.tasks.length;
          if (plan.unfinished) this.dirty.add(id);
        }
        return true;
      });
    }
  }

  schedule(): void {
    while (this.scheduler.hasReady) {
      this.write((draft) => {
        this.scheduler.run(draft, this.ctx, BATCH);
        return true;
      });
      this.scheduler.settle(this.store.view);
    }
  }

  report(task: Task, state: TaskState): void {
    const empty = { message: "", err: "", containerId: "", pid: 0, exitCode: 0, ports: [] };
    const status = { state, atMs: this.#nowMs, ...empty };
    this.write((draft) => {
      recordReports(draft, task.nodeId, [{ taskId: task.id, status }], this.#nowMs);
      return true;
    });
  }
}

function prepare(nodes: number): Swarm {
  const swarm = new Swarm();
  const drained = { subnetSize: 20, availability: Availability.DRAIN };
  swarm.write((draft) => firstCluster(draft, swarm.ctx, drained));
  for (let i = 0; i < nodes; i++) {
    const id = `node${i}`;
    swarm.write((draft) =>
      admitNode(
        draft,
        {
          role: Role.WORKER,
          hostname: id,
          availability: Availability.ACTIVE,
          publicKeyDigest: Buffer.from(id),
          remoteAddr: "",
        },
        { ...swarm.ctx, newId: () => id },
      ),
    );
    const description = NodeDescription.fromPartial({
      hostname: id,
      platform: { architecture: "x86_64", os: "linux" },
      nanoCpus: 16e9,
      memoryBytes: 64e9,
    });
    swarm.write((draft) =>
      recordNodeSession(draft, { nodeId: id, description, addr: "", dataPathAddr: "" }),
    );
  }
  for (let i = 0; i < NETWORKS; i++) {
    const spec = NetworkSpec.fromPartial({ name: `net${i}` });
    swarm.write((draft) => createNetwork(draft, { spec }, swarm.ctx));
  }
  return swarm;
}

function specOf(i: number, replicas: number, constraint = "node.platform.os==linux"): ServiceSpec {
  return ServiceSpec.fromPartial({
    name: `service${i}`,
    labels: { stack: `stack${i % 100}` },
    task: {
      container: {
        image: "registry.example.com/team/image:1.2.3",
        env: ["A=1", "B=two", "LOG_LEVEL=info"],
        args: ["serve", "--port", "8080"],
      },
      networks: [{ target: `net${i % NETWORKS}` }],
      resources: { reservations: { nanoCpus: 1e7, memoryBytes: 64e6 } },
      placement: { constraints: [constraint] },
      // Nothing is held back: what is measured is work, not waiting.
      restart: { delayNs: 0 },
    },
    mode: { $case: "replicated", value: { replicas } },
  });
}

/** Of the processor: nothing here waits, and what else runs on the machine is not counted. */
function seconds(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

function measure(services: number, tasks: number, nodes: number): Measured {
  const swarm = prepare(nodes);
  const before = heapMib();
  const replicas = Math.round(tasks / services);
  for (let i = 0; i < services; i++) {
    swarm.write((draft) => createService(draft, { spec: specOf(i, replicas) }, swarm.ctx));
  }
  const plan = seconds(() => swarm.plan());
  const schedule = seconds(() => swarm.schedule());
  swarm.plan();
  const all = [...swarm.store.view.tasks()];
  for (const task of all) {
    if (task.nodeId === "") throw new Error(`task ${task.id}: ${task.status?.err}`);
  }
  const used = heapMib() - before;
  // One task fails: it is recorded, its service planned, the next one placed.
  const step = Math.max(1, Math.floor(all.length / CHURN));
  const victims = all.filter((_, i) => i % step === 0).slice(0, CHURN);
  const churn = seconds(() => {
    for (const task of victims) {
      swarm.report(task, TaskState.FAILED);
      swarm.plan();
      swarm.schedule();
    }
  });
  swarm.plan();
  const newLeader = seconds(() => {
    swarm.scheduler = new Scheduler(swarm.store.view);
    for (const { id } of swarm.store.view.services()) swarm.dirty.add(id);
    swarm.plan();
  });
  // Found to fit nowhere, and said so.
  const nowhere = seconds(() => {
    const spec = specOf(services, 1, "node.labels.zone==mars");
    swarm.write((draft) => createService(draft, { spec }, swarm.ctx));
    swarm.plan();
    swarm.schedule();
  });
  return {
    tasks: all.length,
    plan: all.length / plan,
    schedule: all.length / schedule,
    both: all.length / (plan + schedule),
    heapMib: used,
    replaceUs: (churn / victims.length) * 1e6,
    newLeaderMs: newLeader * 1e3,
    unplaceableMs: nowhere * 1e3,
  };
}

const parts = [0.1, 0.5, 1];
// The first of all is slower than the rest: the program is still being compiled.
measure(Math.ceil(SERVICES / 50), Math.ceil(TASKS / 50), Math.ceil(NODES / 50));
const measured = parts.map((part) =>
  measure(Math.ceil(SERVICES * part), Math.ceil(TASKS * part), Math.ceil(NODES * part)),
);
console.log(`${SERVICES} services, ${TASKS} tasks, ${NODES} nodes; ${BATCH} tasks an entry\n`);
console.log(`| what | a tenth | a half | all |\n|---|---|---|---|`);
const row = (what: string, of: (m: Measured) => number, unit: string, digits = 0) => {
  const cells = measured.map((m) => `${of(m).toFixed(digits)} ${unit}`);
  console.log(`| ${what} | ${cells.join(" | ")} |`);
};
row("tasks", (m) => m.tasks, "");
row("make tasks of services", (m) => m.plan, "a second");
row("give tasks to nodes, with an address each", (m) => m.schedule, "a second");
row("both", (m) => m.both, "a second");
row("heap for all of it", (m) => m.heapMib, "MiB");
row("- for each task", (m) => (m.heapMib * 1_024) / m.tasks, "KiB", 1);
row("a task fails: recorded, replaced, placed", (m) => m.replaceUs, "us");
row("a new leader looks at everything", (m) => m.newLeaderMs, "ms");
row("a task that fits nowhere is told why", (m) => m.unplaceableMs, "ms", 1);
