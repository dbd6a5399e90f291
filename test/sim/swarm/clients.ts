// People and programs that use the simulated swarm, by any manager that they find: each asks one thing at a time, and
// waits for a while. What they were told is remembered, and held against the swarm.
import { isRefusal, type Refusal, Refused } from "../../../common/fault.js";
import type { Random } from "../../../common/random.js";
import { itself } from "../../../manager/loops/itself.js";
import type { ControlApi } from "../../../manager/seams.js";
import { CreateNetworkRequest, CreateServiceRequest } from "../../../proto/gen/control.js";
import { AttachRequest } from "../../../proto/gen/dispatcher.js";
import { NodeState, Role } from "../../../proto/gen/types.js";
import type { Invariants } from "./invariants.js";
import type { SimNode } from "./node.js";
import type { Answered, Asked, Call } from "./registers.js";
import type { VirtualTime } from "./time.js";

export interface ClientsOptions {
  readonly nodes: ReadonlyMap<string, SimNode>;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly invariants: Invariants;
  readonly trace: (line: () => string) => void;
  /** Managers that there should be. */
  readonly managers: number;
}

const NAMES = ["red", "green", "blue"];
const SERVICES = ["web", "db"];
// Choice: who waits longer than this for an answer has given up.
const PATIENCE_MS = 6_000;
const PAUSE_MS = 150;

const NEVER = "never happened";

type Job = (client: Clients, control: ControlApi, signal: AbortSignal) => Promise<string>;

export class Clients {
  readonly #calls: Call[] = [];
  readonly removed = new Set<string>();
  /** Of networks, services and endpoints that were heard of. */
  readonly #networks = new Map<string, string>();
  readonly #services = new Map<string, string>();
  readonly #endpoints = new Map<string, SimNode>();
  #jobs = JOBS;
  #made = 0;
  #stopped = false;
  acknowledged = 0;

  constructor(readonly options: ClientsOptions) {}

  /** `count` of them, until stopped. */
  start(count: number): void {
    for (let i = 0; i < count; i++) this.#next();
  }
  /** From here on nobody changes who manages, and nobody is removed. */
  calm(): void {
    this.#jobs = JOBS.filter(([name]) => !MEMBERSHIP.has(name));
  }
  stop(): void {
    this.#stopped = true;
  }

  #next(): void {
    const { time, random } = this.options;
    time.in(1 + random.below(PAUSE_MS), () => {
      if (!this.#stopped) void this.#ask().then(() => this.#next());
    });
  }

  async #ask(): Promise<void> {
    const { nodes, time, trace } = this.options;
    const running = [...nodes.values()].filter(({ seat }) => seat.process?.alive);
    const node = this.pick(running);
    if (node === undefined) return;
    const [name, job] = this.pick(this.#jobs) ?? ["none", undefined];
    const patience = new AbortController();
    const late = new Promise<string>((resolve) => {
      time.in(PATIENCE_MS, () => {
        patience.abort(new Error("the client gave up"));
        resolve("no answer");
      });
    });
    const asking = Promise.resolve(node.seat.process?.manager.control()).then((control) =>
      control === undefined || job === undefined ? "nobody" : job(this, control, patience.signal),
    );
    const said = await Promise.race([asking, late]).catch(
      (error: unknown) => `failed: ${String(error)}`,
    );
    trace(() => `client ${name} at ${node.id}: ${said}`);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.options.random.below(list.length)];
  }

  get history(): readonly Call[] {
    return this.#calls.filter(({ key }) => key !== NEVER);
  }

  /** Notes when it was asked, and when and what was answered, if ever. `answer`: "never" happened, or nobody knows. */
  async record<T>(
    key: string,
    input: Asked,
    ask: () => Promise<T | Refusal>,
    answer: (value: T | Refusal) => Answered | "never" | undefined,
  ): Promise<T | Refusal> {
    const at = this.#calls.length;
    const call: Call = { key, input, calledAt: this.#moment(), returned: undefined };
    this.#calls.push(call);
    const value = await refusalAsValue(ask);
    const output = answer(value);
    if (output === "never") this.#calls[at] = { ...call, key: NEVER };
    else if (output !== undefined) {
      this.#calls[at] = { ...call, returned: { at: this.#moment(), output } };
      this.acknowledged++;
    }
    return value;
  }

  /** Two things never happen at one moment. */
  #moments = 0;
  #moment(): number {
    return ++this.#moments;
  }

  // ---- What they ask --------------------------------------------------------------------------------

  async createNetwork(control: ControlApi, signal: AbortSignal): Promise<string> {
    const name = this.pick(NAMES) ?? "";
    const request = CreateNetworkRequest.fromPartial({ spec: { name, attachable: true } });
    const made = await this.record(
      `network ${name}`,
      { kind: "create" },
      () => control.createNetwork(request, itself(signal)),
      (value) =>
        isRefusal(value)
          ? value.code === "already-exists"
            ? { kind: "exists" }
            : // It was made, and somebody has removed it before the answer.
              value.code === "not-found"
              ? undefined
              : unlessDone(value)
          : { kind: "done", value: value.id },
    );
    if (isRefusal(made)) return made.message;
    this.#networks.set(made.id, name);
    this.options.invariants.promise("network", made.id);
    return made.id;
  }

  async removeNetwork(control: ControlApi, signal: AbortSignal): Promise<string> {
    const [id, name] = this.pick([...this.#networks]) ?? ["", ""];
    if (id === "") return "nothing to remove";
    this.options.invariants.release(id);
    const gone = await this.record(
      `network ${name}`,
      { kind: "remove", id },
      () => control.removeNetwork({ id }, itself(signal)),
      (value) => {
        if (!isRefusal(value)) return { kind: "done", value: "" };
        if (value.code === "not-found") return { kind: "absent" };
        return value.code === "failed-precondition" ? { kind: "exists" } : unlessDone(value);
      },
    );
    return isRefusal(gone) ? gone.message : `${id} is gone`;
  }

  /** One answer, of all names and labels. */
  async list(control: ControlApi, signal: AbortSignal): Promise<string> {
    const isNetworks = this.options.random.below(2) === 0;
    return isNetworks ? this.#listNetworks(control, signal) : this.#listNodes(control, signal);
  }

  async #listNetworks(control: ControlApi, signal: AbortSignal): Promise<string> {
    const calledAt = this.#moment();
    const value = await refusalAsValue(() => control.listNetworks({}, itself(signal)));
    if (isRefusal(value)) return value.message;
    const at = this.#moment();
    for (const name of NAMES) {
      const id = value.networks.find(({ spec }) => spec?.name === name)?.id ?? "";
      if (id !== "") this.#networks.set(id, name);
      this.#saw(`network ${name}`, calledAt, at, id);
    }
    return `${value.networks.length} networks`;
  }

  async #listNodes(control: ControlApi, signal: AbortSignal) {
    const calledAt = this.#moment();
    const value = await refusalAsValue(() => control.listNodes({}, itself(signal)));
    if (isRefusal(value)) return value.message;
    const at = this.#moment();
    for (const { id, spec } of value.nodes) {
      this.#saw(`label ${id}`, calledAt, at, spec?.labels["l"] ?? "");
    }
    return `${value.nodes.length} nodes`;
  }

  #saw(key: string, calledAt: number, at: number, value: string): void {
    const returned = { at, output: { kind: "done", value } } as const;
    this.#calls.push({ key, input: { kind: "read" }, calledAt, returned });
  }

  /** As `node update --label-add`: reads, and writes what it read with a change. */
  async changeNode(control: ControlApi, signal: AbortSignal, role?: Role): Promise<string> {
    const listed = await refusalAsValue(() => control.listNodes({}, itself(signal)));
    if (isRefusal(listed)) return listed.message;
    const managers = listed.nodes.filter(({ spec }) => spec?.role === Role.MANAGER);
    const wantsManager = managers.length < this.options.managers;
    const wanted = role === undefined ? undefined : wantsManager ? Role.MANAGER : Role.WORKER;
    const node = this.pick(listed.nodes.filter(({ spec }) => spec?.role !== wanted));
    if (node?.spec === undefined) return "no such node";
    const value = `v${++this.#made}`;
    const spec =
      wanted === undefined
        ? { ...node.spec, labels: { ...node.spec.labels, l: value } }
        : { ...node.spec, role: wanted };
    const request = { id: node.id, version: node.meta?.version ?? 0, spec };
    const update = () => control.updateNode(request, itself(signal));
    if (wanted !== undefined) {
      const answer = await refusalAsValue(update);
      return `${node.id} ${Role[wanted]}: ${isRefusal(answer) ? answer.message : "done"}`;
    }
    const answer = await this.record(`label ${node.id}`, { kind: "set", value }, update, (done) =>
      isRefusal(done) ? unlessDone(done) : { kind: "done", value },
    );
    return `${node.id} ${value}: ${isRefusal(answer) ? answer.message : "done"}`;
  }

  async removeNode(control: ControlApi, signal: AbortSignal): Promise<string> {
    const listed = await refusalAsValue(() => control.listNodes({}, itself(signal)));
    if (isRefusal(listed)) return listed.message;
    const workers = listed.nodes.filter(({ role, spec, manager, state }) => {
      return (
        role === Role.WORKER &&
        spec?.role === Role.WORKER &&
        !manager &&
        state !== NodeState.UNKNOWN
      );
    });
    // Some are left.
    const node = workers.length < 2 ? undefined : this.pick(workers);
    if (node === undefined) return "nobody to remove";
    for (const [id, at] of this.#endpoints) {
      if (at.id === node.id) this.options.invariants.release(id);
    }
    this.removed.add(node.id);
    const answer = await refusalAsValue(() =>
      control.removeNode({ id: node.id, force: true }, itself(signal)),
    );
    if (isRefusal(answer)) return `${node.id}: ${answer.message}`;
    this.options.invariants.removed(node.id);
    return `${node.id} is removed`;
  }

  async createService(control: ControlApi, signal: AbortSignal): Promise<string> {
    const name = this.pick(SERVICES) ?? "";
    const network = this.pick([...this.#networks.keys()]);
    const request = CreateServiceRequest.fromPartial({
      spec: {
        name,
        task: {
          container: { image: "image" },
          networks: network === undefined ? [] : [{ target: network }],
        },
        mode: { $case: "replicated", value: { replicas: 1 + this.options.random.below(3) } },
        endpoint: { ports: [{ targetPort: 80, publishedPort: 0 }] },
      },
    });
    const made = await refusalAsValue(() => control.createService(request, itself(signal)));
    if (isRefusal(made)) return made.message;
    const id = made.service?.id ?? "";
    this.#services.set(id, name);
    this.options.invariants.promise("service", id);
    return id;
  }

  async removeService(control: ControlApi, signal: AbortSignal): Promise<string> {
    const [id] = this.pick([...this.#services]) ?? [""];
    if (id === "") return "nothing to remove";
    this.#services.delete(id);
    this.options.invariants.release(id);
    const gone = await refusalAsValue(() => control.removeService({ id }, itself(signal)));
    return isRefusal(gone) ? gone.message : `${id} is gone`;
  }

  /** On any node, by its own agent. */
  async attach(signal: AbortSignal): Promise<string> {
    const node = this.pick([...this.options.nodes.values()].filter(({ isRunning }) => isRunning));
    const network = this.pick([...this.#networks.keys()]);
    if (node === undefined || network === undefined) return "nothing to attach to";
    const endpointId = `e${++this.#made}`;
    const request = AttachRequest.fromPartial({ endpointId, network, name: endpointId });
    const answer = await node.attach(request, signal);
    if (isRefusal(answer)) return `${node.id}: ${answer.message}`;
    this.#endpoints.set(endpointId, node);
    if (!this.removed.has(node.id)) this.options.invariants.promise("endpoint", endpointId);
    return `${node.id} has ${endpointId} at ${answer.endpoint?.ipv4}`;
  }

  async detach(signal: AbortSignal): Promise<string> {
    const [id, node] = this.pick([...this.#endpoints]) ?? ["", undefined];
    if (node === undefined) return "nothing to detach";
    this.#endpoints.delete(id);
    this.options.invariants.release(id);
    const refusal = await node.detach(id, signal);
    return refusal?.message ?? `${id} is gone`;
  }
}

/** Only "unavailable" leaves it open whether it was done. */
function unlessDone({ code }: Refusal): "never" | undefined {
  return code === "unavailable" ? undefined : "never";
}

async function refusalAsValue<T>(ask: () => Promise<T | Refusal>): Promise<T | Refusal> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
}

/** As often as they stand here. */
const JOBS: readonly (readonly [string, Job])[] = [
  ...many(4, "network create", (c, control, signal) => c.createNetwork(control, signal)),
  ...many(3, "network rm", (c, control, signal) => c.removeNetwork(control, signal)),
  ...many(6, "ls", (c, control, signal) => c.list(control, signal)),
  ...many(4, "label", (c, control, signal) => c.changeNode(control, signal)),
  ...many(2, "service create", (c, control, signal) => c.createService(control, signal)),
  ...many(1, "service rm", (c, control, signal) => c.removeService(control, signal)),
  ...many(4, "attach", (c, _, signal) => c.attach(signal)),
  ...many(2, "detach", (c, _, signal) => c.detach(signal)),
  ...many(1, "role", (c, control, signal) => c.changeNode(control, signal, Role.MANAGER)),
  ...many(1, "node rm", (c, control, signal) => c.removeNode(control, signal)),
];

const MEMBERSHIP = new Set(["role", "node rm"]);

function many(times: number, name: string, job: Job): readonly (readonly [string, Job])[] {
  return Array.from({ length: times }, () => [name, job] as const);
}
