// A whole swarm of services in one thread, on virtual time: the real store, orchestrator and scheduler,
// and agents that do with their tasks what they are told, or what the task's spec says goes wrong.
//
// What becomes of a task is written in its arguments: "crash 200" fails 200 ms after it runs, "finish 300"
// completes, "slow-stop 500" takes so long to stop, "start 400" to start. Image "missing" is rejected.

import { createService, removeService, updateService } from "../../manager/control/service.js";
import { markNodeDown, recordNodeSession } from "../../manager/control/session.js";
import { recordReports } from "../../manager/control/task-status.js";
import { applyPlan } from "../../manager/orchestrator/apply.js";
import { planService } from "../../manager/orchestrator/plan.js";
import { Scheduler } from "../../manager/scheduler/scheduler.js";
import { isOver } from "../../manager/store/work-index.js";
import { type Service, ServiceSpec, type Task, TaskState } from "../../proto/gen/service.js";
import { Availability, type Node, NodeDescription } from "../../proto/gen/types.js";
import { SwarmState } from "./swarm-state.js";

export type SpecParts = Parameters<typeof ServiceSpec.fromPartial>[0];

const START_MS = 1_000_000;
const STEP_MS = 20;
const ROUNDS_MAX = 10_000;

export class OrchestratedSwarm {
  readonly state = new SwarmState();
  scheduler = new Scheduler(this.state.view);
  readonly #wakes = new Map<string, number>();
  readonly #dirty = new Set<string>();
  /** When each task's next step is due at its agent, and what it was when that was set. */
  readonly #steps = new Map<string, { readonly atMs: number; readonly phase: string }>();
  readonly #cutOff = new Set<string>();
  /** Called after every entry that was applied. */
  onStep: () => void = () => {};
  /** Tasks made so far. */
  made = 0;
  entries = 0;

  constructor(nodes = 3) {
    this.state.nowMs = START_MS;
    this.state.store.changes.subscribe((change) => {
      this.scheduler.note(change.changed);
      for (const each of change.changed) {
        if (each.kind === "task") {
          this.#dirty.add((each.after ?? each.before)?.serviceId ?? "");
          if (each.before === undefined) this.made++;
        }
        if (each.kind === "service") this.#dirty.add(each.id);
        if (each.kind === "node") this.#allDirty();
      }
    });
    for (let i = 1; i <= nodes; i++) this.join(`h${i}`);
    this.availability("node0", Availability.DRAIN);
  }

  get nowMs(): number {
    return this.state.nowMs - START_MS;
  }
  get view() {
    return this.state.view;
  }

  join(name: string, parts: Parameters<typeof NodeDescription.fromPartial>[0] = {}): void {
    this.state.node(name);
    this.hello(name, parts);
  }

  hello(name: string, parts: Parameters<typeof NodeDescription.fromPartial>[0] = {}): void {
    this.#cutOff.delete(name);
    const description = NodeDescription.fromPartial({
      hostname: name,
      nanoCpus: 4e9,
      memoryBytes: 8e9,
      platform: { architecture: "x86_64", os: "linux" },
      ...(parts as object),
    });
    this.state.must((draft) =>
      recordNodeSession(draft, { nodeId: name, description, addr: "", dataPathAddr: "" }),
    );
  }

  /** Its tasks go on running, but nobody hears of them. */
  cutOff(name: string): void {
    this.#cutOff.add(name);
    this.state.must((draft) => markNodeDown(draft, name, "heartbeat failure") ?? true);
  }

  availability(name: string, availability: Availability): void {
    this.changeNode(name, (node) => ({
      ...node,
      spec: node.spec && { ...node.spec, availability },
    }));
  }

  changeNode(name: string, change: (node: Node) => Node): void {
    this.state.must((draft) => {
      const node = draft.node(name);
      if (node !== undefined) draft.update("node", change(node));
      return true;
    });
  }

  create(spec: SpecParts): Service {
    const full = ServiceSpec.fromPartial(spec);
    return this.state.must((draft) => createService(draft, { spec: full }, this.state.context));
  }

  /** Changes the spec as it is by `change`. */
  update(name: string, change: (spec: ServiceSpec) => ServiceSpec): void {
    const before = this.service(name);
    const request = {
      id: before.id,
      version: before.meta?.version ?? 0,
      spec: change(before.spec ?? ServiceSpec.fromPartial({})),
      rollback: false,
      authFromPrevious: false,
    };
    this.state.must((draft) => updateService(draft, request, this.state.context));
  }

  rollBack(name: string): void {
    const before = this.service(name);
    const version = before.meta?.version ?? 0;
    const request = { id: before.id, version, spec: undefined, rollback: true };
    this.state.must((draft) =>
      updateService(draft, { ...request, authFromPrevious: false }, this.state.context),
    );
  }

  remove(name: string): void {
    const { id } = this.service(name);
    this.state.must((draft) => removeService(draft, { id }, this.state.context) ?? true);
  }

  service(name: string): Service {
    const service = this.view.serviceByName(name);
    if (service === undefined) throw new Error(`no service ${name}`);
    return service;
  }

  tasks(serviceId: string): readonly Task[] {
    return [...this.view.tasksOf(serviceId)];
  }

  /** Another manager leads, and knows no more than the store. */
  newLeader(): void {
    this.scheduler = new Scheduler(this.view);
    this.#wakes.clear();
    this.#dirty.clear();
    this.#allDirty();
  }

  /** All that follows from what is, at this moment. */
  settle(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (!this.#planOne() && !this.#schedule()) return;
      this.entries++;
      this.onStep();
    }
    throw new Error("a busy loop: the swarm does not settle");
  }

  advance(ms: number): void {
    const end = this.state.nowMs + ms;
    this.settle();
    for (;;) {
      const next = this.#nextMs();
      if (next > end) break;
      this.state.nowMs = Math.max(next, this.state.nowMs);
      for (const [id, atMs] of this.#wakes) {
        if (atMs > this.state.nowMs) continue;
        this.#wakes.delete(id);
        this.#dirty.add(id);
      }
      this.#agents();
      this.settle();
    }
    this.state.nowMs = end;
  }

  #nextMs(): number {
    for (const task of this.view.tasks()) this.#stepTime(task);
    return Math.min(...this.#wakes.values(), ...[...this.#steps.values()].map(({ atMs }) => atMs));
  }

  #allDirty(): void {
    for (const { id } of this.view.services()) this.#dirty.add(id);
    for (const { serviceId } of this.view.tasks()) this.#dirty.add(serviceId);
  }

  #planOne(): boolean {
    for (const id of this.#dirty) {
      this.#dirty.delete(id);
      const before = this.state.store.revision;
      this.state.must((draft) => {
        const plan = planService(draft, id, this.state.context, 200);
        if (plan.wakeAtMs === undefined) this.#wakes.delete(id);
        else this.#wakes.set(id, plan.wakeAtMs);
        if (plan.unfinished) this.#dirty.add(id);
        return applyPlan(draft, id, plan, this.state.context) ?? true;
      });
      if (this.state.store.revision !== before) return true;
    }
    return false;
  }

  #schedule(): boolean {
    if (this.scheduler.mayRetry) this.scheduler.retry();
    if (!this.scheduler.hasReady) return false;
    const before = this.state.store.revision;
    this.state.must((draft) => {
      this.scheduler.run(draft, this.state.context, 200);
      return true;
    });
    this.scheduler.settle(this.view);
    return this.state.store.revision !== before;
  }

  // ---- Agents ---------------------------------------------------------------------------------

  #stepTime(task: Task): void {
    const inMs = this.#stepInMs(task);
    const phase = `${task.status?.state} ${task.desiredState >= TaskState.SHUTDOWN}`;
    if (inMs === undefined) this.#steps.delete(task.id);
    else if (this.#steps.get(task.id)?.phase !== phase) {
      this.#steps.set(task.id, { atMs: this.state.nowMs + inMs, phase });
    }
  }

  /** How long the agent's next step with the task takes; undefined: there is none. */
  #stepInMs(task: Task): number | undefined {
    const state = task.status?.state ?? 0;
    if (this.#cutOff.has(task.nodeId) || this.view.node(task.nodeId) === undefined)
      return undefined;
    if (state < TaskState.ASSIGNED || isOver(task)) return undefined;
    if (task.desiredState >= TaskState.SHUTDOWN) return wordMs(task, "slow-stop") ?? STEP_MS;
    if (state === TaskState.RUNNING) return wordMs(task, "crash") ?? wordMs(task, "finish");
    if (state === TaskState.READY && task.desiredState === TaskState.READY) return undefined;
    if (state === TaskState.STARTING) return wordMs(task, "start") ?? STEP_MS;
    return STEP_MS;
  }

  #agents(): void {
    for (const [id, { atMs }] of [...this.#steps]) {
      if (atMs > this.state.nowMs) continue;
      this.#steps.delete(id);
      const task = this.view.task(id);
      if (task === undefined || this.#stepInMs(task) === undefined) continue;
      const [state, err] = nextState(task);
      this.state.must((draft) => {
        const status = { ...task.status, state, atMs: this.state.nowMs, message: "", err };
        const full = { containerId: "", pid: 0, exitCode: 0, ports: [], ...status };
        recordReports(draft, task.nodeId, [{ taskId: id, status: full }], this.state.nowMs);
        return true;
      });
      this.entries++;
      this.onStep();
    }
    for (const id of this.#steps.keys()) if (!this.view.task(id)) this.#steps.delete(id);
  }
}

function nextState(task: Task): readonly [TaskState, string] {
  if (task.desiredState >= TaskState.SHUTDOWN) return [TaskState.SHUTDOWN, ""];
  switch (task.status?.state) {
    case TaskState.ASSIGNED:
      return [TaskState.PREPARING, ""];
    case TaskState.PREPARING: {
      const image = task.spec?.container?.image ?? "";
      if (image.startsWith("missing")) return [TaskState.REJECTED, `No such image: ${image}`];
      return [TaskState.READY, ""];
    }
    case TaskState.READY:
      return [TaskState.STARTING, ""];
    case TaskState.STARTING:
      return [TaskState.RUNNING, ""];
    default:
      if (wordMs(task, "crash") === undefined) return [TaskState.COMPLETE, ""];
      return [TaskState.FAILED, "task: non-zero exit (1)"];
  }
}

function wordMs(task: Task, word: string): number | undefined {
  const args = task.spec?.container?.args ?? [];
  const at = args.indexOf(word);
  return at < 0 ? undefined : Number(args[at + 1]);
}
