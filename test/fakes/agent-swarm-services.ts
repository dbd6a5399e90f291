// Services, tasks, secrets and configs of a swarm in memory: enough of a manager for the local API to be
// tested without daemons. Tasks run at once, on the nodes in turn, and updates are over at once; what a
// real orchestrator and scheduler decide is tested where they decide.
import { Readable } from "node:stream";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type {
  AllowPolicyRequest,
  CreateConfigRequest,
  CreateSecretRequest,
  CreateServiceRequest,
  ListServicesRequest,
  ListTasksRequest,
  LogMessage,
  LogsRequest,
  ServiceStatus,
  UpdateSecretRequest,
  UpdateServiceRequest,
} from "../../proto/gen/control.js";
import {
  type Config,
  FailureAction,
  type PortConfig,
  PublishMode,
  type Secret,
  type Service,
  type ServiceSpec,
  type Task,
  type TaskSpec,
  TaskState,
  UpdateState,
  type VirtualIp,
} from "../../proto/gen/service.js";
import {
  Availability,
  EndpointKind,
  type Node,
  NodeState,
  type Policy,
} from "../../proto/gen/types.js";
import type { FakeSwarm } from "./agent-swarm.js";

const DNS_NAME = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/;
const SECRET_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?$/;
const HISTORY = 5;

/** How a task of this spec ends up. */
interface Outcome {
  readonly state: TaskState;
  readonly desired: TaskState;
  readonly message: string;
  readonly err: string;
  readonly exitCode: number;
}

export class FakeServices {
  readonly services: Service[] = [];
  readonly tasks: Task[] = [];
  readonly secrets: Secret[] = [];
  readonly configs: Config[] = [];
  readonly policies: Policy[] = [];
  /** What the tasks of a service have written, by its name. */
  readonly logs = new Map<string, (task: Task) => readonly Pick<LogMessage, "stream" | "data">[]>();
  #turn = 0;

  constructor(private readonly swarm: FakeSwarm) {}

  /** The methods of Control that are about these; `unary` speaks as the generated client does. */
  methods(
    unary: <Request, Response>(serve: (request: Request) => Response | Refusal) => unknown,
  ): object {
    return {
      createService: unary((request: CreateServiceRequest) => this.#create(request)),
      updateService: unary((request: UpdateServiceRequest) => this.#update(request)),
      removeService: unary(({ id }: { id: string }) => this.#remove(id)),
      getService: unary(({ ref }: { ref: string }) => this.#findService(ref)),
      listServices: unary(({ withStatus }: ListServicesRequest) => ({
        services: [...this.services],
        statuses: withStatus ? this.services.map((service) => this.#statusOf(service)) : [],
      })),
      getTask: unary(({ ref }: { ref: string }) => found(this.tasks, ref, "task")),
      listTasks: unary((request: ListTasksRequest) => this.#listTasks(request)),
      createSecret: unary((request: CreateSecretRequest) =>
        this.#createHeld("secret", this.secrets, request.spec),
      ),
      updateSecret: unary((request: UpdateSecretRequest) =>
        this.#updateHeld("secret", this.secrets, request),
      ),
      removeSecret: unary(({ id }: { id: string }) => this.#removeHeld("secret", this.secrets, id)),
      listSecrets: unary(() => ({
        secrets: this.secrets.map((each) => ({ ...each, spec: blanked(each.spec) })),
      })),
      createConfig: unary((request: CreateConfigRequest) =>
        this.#createHeld("config", this.configs, request.spec),
      ),
      updateConfig: unary((request: UpdateSecretRequest) =>
        this.#updateHeld("config", this.configs, request),
      ),
      removeConfig: unary(({ id }: { id: string }) => this.#removeHeld("config", this.configs, id)),
      listConfigs: unary(() => ({ configs: [...this.configs] })),
      listPolicies: unary(() => ({ policies: [...this.policies] })),
      allowPolicy: unary((request: AllowPolicyRequest) => this.#allow(request)),
      removePolicy: unary(({ id }: { id: string }) => {
        const i = this.policies.findIndex((each) => each.id === id);
        this.policies.splice(i, 1);
        return {};
      }),
      serviceLogs: (request: LogsRequest) => {
        const stream = Readable.from(this.#logs(request));
        return Object.assign(stream, { cancel: () => void stream.destroy() });
      },
    };
  }

  #allow({ network, from, to, ports }: AllowPolicyRequest): Policy | Refusal {
    const target = this.#findService(to);
    if (isRefusal(target)) return target;
    const source = from === "" ? undefined : this.#findService(from);
    if (isRefusal(source)) return source;
    const on = this.swarm.networks.find(
      ({ id, spec }) => network === "" || id === network || spec?.name === network,
    );
    const policy: Policy = {
      id: this.swarm.newId(),
      meta: this.swarm.meta(),
      networkId: on?.id ?? "",
      fromServiceId: source?.id ?? "",
      toServiceId: target.id,
      ports,
    };
    this.policies.push(policy);
    return policy;
  }

  // ---- Services ---------------------------------------------------------------------------------

  #create({ spec }: CreateServiceRequest) {
    const problem = spec ? this.#problem(spec) : refuse("invalid-argument", "no spec");
    if (problem || !spec) return problem ?? refuse("invalid-argument", "no spec");
    if (this.services.some((each) => each.spec?.name === spec.name)) {
      return refuse(
        "already-exists",
        `name conflicts with an existing object: service ${spec.name} already exists`,
      );
    }
    const id = this.swarm.newId();
    const isJob = spec.mode?.$case === "replicatedJob" || spec.mode?.$case === "globalJob";
    const service: Service = {
      id,
      meta: this.swarm.meta(),
      spec,
      previousSpec: undefined,
      specVersion: 1,
      ports: portsOf(spec),
      virtualIps: this.#vips(id, spec),
      updateStatus: undefined,
      jobStatus: isJob ? { iteration: 0, lastExecutionMs: this.swarm.nowMs() } : undefined,
    };
    this.services.push(service);
    this.services.sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#reconcile(service);
    this.swarm.announce("service", "create", id, spec.name);
    return { service, warnings: [] };
  }

  #problem(spec: ServiceSpec): Refusal | undefined {
    const container = spec.task?.container;
    const image = container?.image ?? "";
    const invalid = (sentence: string) => refuse("invalid-argument", sentence);
    if (!DNS_NAME.test(spec.name)) return invalid("name must be valid as a DNS name component");
    if (!/^[a-z0-9][a-z0-9._/:@-]*$/.test(image)) {
      return invalid(`ContainerSpec: "${image}" is not a valid repository/tag`);
    }
    const ports = spec.endpoint?.ports ?? [];
    if (
      spec.endpoint?.mode === 1 &&
      ports.some(({ publishMode }) => publishMode === PublishMode.INGRESS)
    ) {
      return invalid(
        "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
      );
    }
    if (spec.task?.placement?.constraints.some((each) => !/==|!=/.test(each))) {
      return invalid("constraint expected one operator from ==, !=");
    }
    return undefined;
  }

  #update(request: UpdateServiceRequest) {
    const service = this.#findService(request.id);
    if (isRefusal(service)) return service;
    if (request.version !== service.meta?.version) {
      return refuse("failed-precondition", "update out of sequence");
    }
    const { previousSpec, spec: current } = service;
    if (request.rollback && !previousSpec) {
      return refuse("failed-precondition", `service ${service.id} does not have a previous spec`);
    }
    const spec = request.rollback ? previousSpec : withAuthOf(request.spec, current);
    const problem = spec ? this.#problem(spec) : undefined;
    if (problem || !spec) return problem ?? refuse("invalid-argument", "no spec");
    const changed = JSON.stringify([spec.task, spec.endpoint]);
    const isNew = changed !== JSON.stringify([current?.task, current?.endpoint]);
    const nowMs = this.swarm.nowMs();
    const status = {
      state: request.rollback ? UpdateState.ROLLBACK_COMPLETED : UpdateState.COMPLETED,
      startedAtMs: nowMs,
      completedAtMs: nowMs,
      message: request.rollback ? "rollback completed" : "update completed",
    };
    const updated: Service = {
      ...service,
      meta: this.swarm.meta(service.meta),
      spec,
      previousSpec: current,
      specVersion: service.specVersion + (isNew ? 1 : 0),
      ports: portsOf(spec),
      virtualIps: isNew ? this.#vips(service.id, spec) : service.virtualIps,
      updateStatus: isNew ? status : service.updateStatus,
    };
    this.#put(updated);
    const failed = this.#reconcile(updated);
    if (isNew && failed) this.#afterFailure(updated, failed);
    this.swarm.announce("service", "update", service.id, spec.name);
    return { service: updated, warnings: [] };
  }

  #afterFailure(service: Service, failed: Task): void {
    const because = `due to failure or early termination of task ${failed.id}`;
    const rollsBack = service.spec?.update?.failureAction === FailureAction.ROLLBACK;
    const nowMs = this.swarm.nowMs();
    if (!rollsBack || !service.previousSpec) {
      const message = `update paused ${because}`;
      const updateStatus = {
        state: UpdateState.PAUSED,
        startedAtMs: nowMs,
        completedAtMs: 0,
        message,
      };
      this.#put({ ...service, updateStatus });
      return;
    }
    const back: Service = {
      ...service,
      meta: this.swarm.meta(service.meta),
      spec: service.previousSpec,
      previousSpec: undefined,
      specVersion: service.specVersion + 1,
      updateStatus: {
        state: UpdateState.ROLLBACK_COMPLETED,
        startedAtMs: nowMs,
        completedAtMs: nowMs,
        message: "rollback completed",
      },
    };
    this.#put(back);
    this.#reconcile(back);
  }

  #put(service: Service): void {
    this.services[this.services.findIndex(({ id }) => id === service.id)] = service;
  }

  #remove(id: string): object | Refusal {
    const service = this.#findService(id);
    if (isRefusal(service)) return service;
    this.services.splice(this.services.indexOf(service), 1);
    for (const task of this.tasks.filter((each) => each.serviceId === id)) this.#drop(task);
    this.#freeEndpoints(id);
    this.swarm.announce("service", "remove", id, service.spec?.name ?? "");
    return {};
  }

  #findService(ref: string): Service | Refusal {
    return found(this.services, ref, "service");
  }

  // ---- Tasks ------------------------------------------------------------------------------------

  /** Makes the tasks what the service wants; a task that failed, if one did. */
  #reconcile(service: Service): Task | undefined {
    let failed: Task | undefined;
    const slots = this.#slotsOf(service);
    const own = this.tasks.filter(({ serviceId }) => serviceId === service.id);
    for (const task of own) if (!slots.has(slotKey(task, service))) this.#drop(task);
    for (const [key, { slot, nodeId }] of slots) {
      const before = own.filter((task) => slotKey(task, service) === key);
      if (before.some(({ specVersion }) => specVersion === service.specVersion)) continue;
      for (const task of before) this.#end(task);
      const outcome = outcomeOf(service.spec?.task, this.#fitting(service.spec?.task).length);
      const again = outcome.err !== "" && outcome.state !== TaskState.PENDING;
      const attempts = again ? (service.spec?.task?.restart?.maxAttempts ?? 0) + 1 : 1;
      for (let i = 0; i < attempts; i++) {
        const task = this.#add(service, slot, nodeId, outcome);
        if (again) failed = task;
      }
      const history = this.tasks.filter(
        (task) => task.serviceId === service.id && slotKey(task, service) === key,
      );
      for (const task of history.slice(0, -HISTORY)) this.#drop(task);
    }
    return failed;
  }

  /** What was pending for want of a node is looked at again. */
  nodesChanged(): void {
    for (const task of this.tasks.filter(({ status }) => status?.state === TaskState.PENDING)) {
      const service = this.services.find(({ id }) => id === task.serviceId);
      if (!service || this.#fitting(task.spec).length === 0) continue;
      this.#drop(task);
      this.#reconcile(service);
    }
  }

  #slotsOf({ spec }: Service): Map<string, { readonly slot: number; readonly nodeId: string }> {
    const slots = new Map<string, { readonly slot: number; readonly nodeId: string }>();
    const mode = spec?.mode;
    if (mode?.$case === "global" || mode?.$case === "globalJob") {
      for (const { id } of this.#fitting(spec?.task)) slots.set(id, { slot: 0, nodeId: id });
      return slots;
    }
    const isJob = mode?.$case === "replicatedJob";
    const count = isJob ? mode.value.totalCompletions : (mode?.value.replicas ?? 1);
    const first = isJob ? 0 : 1;
    for (let slot = first; slot < first + count; slot++) {
      slots.set(String(slot), { slot, nodeId: "" });
    }
    return slots;
  }

  #fitting(spec: TaskSpec | undefined): readonly Node[] {
    const active = this.swarm.nodes.filter(
      (node) => node.state === NodeState.READY && node.spec?.availability === Availability.ACTIVE,
    );
    return active.filter((node) =>
      (spec?.placement?.constraints ?? []).every((each) => isMet(each, node)),
    );
  }

  #add(service: Service, slot: number, nodeId: string, outcome: Outcome): Task {
    const { task: spec, mode, labels, name } = service.spec as ServiceSpec;
    const fitting = this.#fitting(spec);
    const chosen = nodeId || fitting[this.#turn++ % Math.max(fitting.length, 1)]?.id || "";
    const id = this.swarm.newId();
    const isJob = mode?.$case === "replicatedJob" || mode?.$case === "globalJob";
    const isDone = isJob && outcome.state === TaskState.RUNNING;
    const hasRun = outcome.state !== TaskState.PENDING && outcome.state !== TaskState.REJECTED;
    const task: Task = {
      id,
      meta: this.swarm.meta(),
      serviceId: service.id,
      slot,
      nodeId: chosen,
      spec,
      specVersion: service.specVersion,
      serviceName: name,
      serviceLabels: labels,
      hostPorts: [],
      desiredState: isDone ? TaskState.COMPLETE : outcome.desired,
      notBeforeMs: 0,
      status: {
        state: isDone ? TaskState.COMPLETE : outcome.state,
        atMs: this.swarm.nowMs(),
        message: isDone ? "finished" : outcome.message,
        err: outcome.err,
        containerId: hasRun ? Buffer.from(this.swarm.random.bytes(32)).toString("hex") : "",
        pid: outcome.state === TaskState.RUNNING && !isDone ? 1_000 + this.tasks.length : 0,
        exitCode: outcome.exitCode,
        ports:
          outcome.state === TaskState.RUNNING
            ? service.ports.filter(({ publishMode }) => publishMode === PublishMode.HOST)
            : [],
      },
      jobIteration: 0,
      genericResources: [],
      endpointIds: [],
      replaces: "",
      runningAtMs: 0,
    };
    const endpointIds =
      outcome.state === TaskState.RUNNING && !isDone ? this.#giveAddresses(task) : [];
    const given = { ...task, endpointIds };
    this.tasks.push(given);
    return given;
  }

  #giveAddresses(task: Task): readonly string[] {
    const name = `${task.serviceName}.${task.slot || task.nodeId}.${task.id}`;
    return (task.spec?.networks ?? []).flatMap(({ target, aliases }) => {
      const endpoint = this.swarm.give(target, {
        nodeId: task.nodeId,
        name,
        ownerId: task.id,
        kind: EndpointKind.TASK,
        aliases,
      });
      return endpoint ? [endpoint.id] : [];
    });
  }

  #end(task: Task): void {
    this.#freeEndpoints(task.id);
    if (!task.status || task.status.state >= TaskState.COMPLETE) return;
    const status = {
      ...task.status,
      state: TaskState.SHUTDOWN,
      message: "shutdown",
      pid: 0,
      exitCode: 137,
      atMs: this.swarm.nowMs(),
      ports: [],
    };
    const ended = { ...task, status, desiredState: TaskState.SHUTDOWN, endpointIds: [] };
    this.tasks[this.tasks.findIndex(({ id }) => id === task.id)] = ended;
  }

  #drop(task: Task): void {
    this.#freeEndpoints(task.id);
    const i = this.tasks.findIndex(({ id }) => id === task.id);
    if (i >= 0) this.tasks.splice(i, 1);
  }

  #freeEndpoints(ownerId: string): void {
    for (const { id } of this.swarm.endpoints.filter((each) => each.ownerId === ownerId)) {
      this.swarm.detach(id);
    }
  }

  #listTasks({ serviceIds, nodeId }: ListTasksRequest) {
    const tasks = this.tasks.filter(
      (task) =>
        (serviceIds.length === 0 || serviceIds.includes(task.serviceId)) &&
        (nodeId === "" || task.nodeId === nodeId),
    );
    const ids = new Set(tasks.map(({ id }) => id));
    return { tasks, endpoints: this.swarm.endpoints.filter(({ ownerId }) => ids.has(ownerId)) };
  }

  #statusOf(service: Service): ServiceStatus {
    const own = this.tasks.filter(({ serviceId }) => serviceId === service.id);
    const mode = service.spec?.mode;
    const running = own.filter(
      ({ status, desiredState }) =>
        status?.state === TaskState.RUNNING && desiredState === TaskState.RUNNING,
    );
    const completed = own.filter(({ status }) => status?.state === TaskState.COMPLETE);
    const slots = this.#slotsOf(service).size;
    const wanted = mode?.$case === "replicatedJob" ? mode.value.maxConcurrent : slots;
    return {
      serviceId: service.id,
      running: running.length,
      desired: wanted,
      completed: mode?.$case.endsWith("Job") ? completed.length : 0,
    };
  }

  #vips(serviceId: string, spec: ServiceSpec): readonly VirtualIp[] {
    if (!spec.endpoint || spec.endpoint.mode === 1) return [];
    this.#freeEndpoints(serviceId);
    const ingress = this.swarm.networks.find((network) => network.spec?.ingress);
    const published = spec.endpoint.ports.some((each) => each.publishMode === PublishMode.INGRESS);
    const own = (spec.task?.networks ?? []).map(({ target }) => target);
    return [...(published && ingress ? [ingress.id] : []), ...own].flatMap((networkId) => {
      const kind = EndpointKind.VIP;
      const wish = { nodeId: "", name: spec.name, ownerId: serviceId, kind, aliases: [] };
      const given = this.swarm.give(networkId, wish);
      return given ? [{ networkId, addr: given.ipv4, endpointId: given.id }] : [];
    });
  }

  *#logs({ serviceIds, taskIds, options }: LogsRequest): Generator<LogMessage> {
    const tasks = this.tasks.filter(
      ({ id, serviceId }) => taskIds.includes(id) || serviceIds.includes(serviceId),
    );
    for (const task of tasks) {
      const all = (this.logs.get(task.serviceName)?.(task) ?? []).filter(({ stream }) =>
        stream === 0 ? options?.stdout : options?.stderr,
      );
      const shown = options?.tail === undefined ? all : all.slice(-options.tail);
      for (const { stream, data } of shown) {
        const timeNs = String(BigInt(this.swarm.nowMs()) * 1_000_000n + 418_506n);
        const { id: taskId, serviceId, nodeId } = task;
        yield { serviceId, taskId, nodeId, timeNs, stream, data };
      }
    }
  }

  // ---- Secrets and configs ----------------------------------------------------------------------

  #createHeld<T extends Secret | Config>(kind: "secret" | "config", all: T[], spec: T["spec"]) {
    const name = spec?.name ?? "";
    if (!SECRET_NAME.test(name)) {
      const sentence =
        "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]";
      return refuse("invalid-argument", sentence);
    }
    const end = kind === "secret" ? 512_000 : 1_024_000;
    const bytes = spec?.data.length ?? 0;
    if (bytes < 1 || bytes >= end) {
      const sentence = `${kind} data must be larger than 0 and less than ${end} bytes`;
      return refuse("invalid-argument", sentence);
    }
    if (all.some((each) => each.spec?.name === name)) {
      return refuse("already-exists", `${kind} ${name} already exists`);
    }
    const held = { id: this.swarm.newId(), meta: this.swarm.meta(), spec } as T;
    all.push(held);
    this.swarm.announce(kind, "create", held.id, name);
    return held;
  }

  #updateHeld<T extends Secret | Config>(
    kind: "secret" | "config",
    all: T[],
    { id, version, spec }: UpdateSecretRequest,
  ) {
    const i = all.findIndex((each) => each.id === id);
    const held = all[i];
    if (!held?.spec) return refuse("not-found", `${kind} ${id} not found`);
    if (held.meta?.version !== version) {
      return refuse("failed-precondition", "update out of sequence");
    }
    if (spec?.name !== held.spec.name) {
      return refuse("invalid-argument", "only updates to Labels are allowed");
    }
    const labels = spec?.labels ?? {};
    all[i] = { ...held, meta: this.swarm.meta(held.meta), spec: { ...held.spec, labels } };
    this.swarm.announce(kind, "update", id, held.spec.name);
    return all[i];
  }

  #removeHeld(kind: "secret" | "config", all: (Secret | Config)[], id: string) {
    const i = all.findIndex((each) => each.id === id);
    const held = all[i];
    if (!held) return refuse("not-found", `${kind} ${id} not found`);
    const users = this.services.filter(({ spec }) => {
      const container = spec?.task?.container;
      return kind === "secret"
        ? container?.secrets.some(({ secretId }) => secretId === id)
        : container?.configs.some(({ configId }) => configId === id);
    });
    if (users.length > 0) {
      const names = users.map(({ spec }) => spec?.name).join(", ");
      const what = users.length === 1 ? "service" : "services";
      return refuse(
        "invalid-argument",
        `${kind} '${held.spec?.name}' is in use by the following ${what}: ${names}`,
      );
    }
    all.splice(i, 1);
    this.swarm.announce(kind, "remove", id, held.spec?.name ?? "");
    return {};
  }
}

/** Credentials that an update does not bring are kept. */
function withAuthOf(spec: ServiceSpec | undefined, before: ServiceSpec | undefined) {
  const container = spec?.task?.container;
  if (!spec?.task || !container || container.registryAuth !== "") return spec;
  const registryAuth = before?.task?.container?.registryAuth ?? "";
  return { ...spec, task: { ...spec.task, container: { ...container, registryAuth } } };
}

function blanked(spec: Secret["spec"]): Secret["spec"] {
  return spec && { ...spec, data: Buffer.alloc(0) };
}

function found<T extends { readonly id: string; readonly spec?: unknown }>(
  all: readonly T[],
  ref: string,
  kind: string,
): T | Refusal {
  const nameOf = (each: T) => (each.spec as { readonly name?: string } | undefined)?.name;
  const one =
    all.find(({ id }) => id === ref) ??
    all.find((each) => nameOf(each) === ref) ??
    all.find(({ id }) => ref !== "" && id.startsWith(ref));
  return one ?? refuse("not-found", `${kind} ${ref} not found`);
}

function slotKey({ slot, nodeId }: Task, { spec }: Service): string {
  const isGlobal = ["global", "globalJob"].includes(spec?.mode?.$case ?? "");
  return isGlobal ? nodeId : String(slot);
}

function portsOf(spec: ServiceSpec): readonly PortConfig[] {
  return (spec.endpoint?.ports ?? []).map((port, i) =>
    port.publishedPort === 0 && port.publishMode === PublishMode.INGRESS
      ? { ...port, publishedPort: 30_000 + i }
      : port,
  );
}

function isMet(constraint: string, node: Node): boolean {
  const [, key = "", operator, value] = /^(\S+?)\s*(==|!=)\s*(.*)$/.exec(constraint) ?? [];
  const label = /^node\.labels\.(.*)/.exec(key)?.[1];
  const have =
    key === "node.hostname"
      ? node.description?.hostname
      : key === "node.role"
        ? node.manager
          ? "manager"
          : "worker"
        : label === undefined
          ? undefined
          : node.spec?.labels[label];
  return (have === value) === (operator === "==");
}

function outcomeOf(spec: TaskSpec | undefined, fitting: number): Outcome {
  const image = spec?.container?.image ?? "";
  const base = { exitCode: 0, err: "", desired: TaskState.RUNNING };
  if (fitting === 0) {
    const err = "no suitable node (scheduling constraints not satisfied on 3 nodes)";
    return { ...base, state: TaskState.PENDING, message: "pending task scheduling", err };
  }
  const ended = { ...base, desired: TaskState.SHUTDOWN };
  if (image.startsWith("nosuchimage")) {
    const err = `No such image: ${image}`;
    return { ...ended, state: TaskState.REJECTED, message: "preparing", err };
  }
  const exit = /exit (\d+)$/.exec(spec?.container?.args.at(-1) ?? "")?.[1];
  if (exit !== undefined) {
    const err = `task: non-zero exit (${exit})`;
    return { ...ended, state: TaskState.FAILED, message: "started", err, exitCode: Number(exit) };
  }
  return { ...base, state: TaskState.RUNNING, message: "started" };
}
