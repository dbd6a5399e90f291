// From a task, as the swarm asks for it, to the container that it becomes: what Docker's executor does
// (moby daemon/cluster/executor/container/container.go).

import { expandSpec, type TaskNode, taskName } from "../../common/template/task-template.js";
import { TemplateError } from "../../common/template/value.js";
import {
  type ContainerSpec as Asked,
  type Mount as AskedMount,
  type HealthConfig,
  type PortConfig,
  PortProtocol,
  type Task,
} from "../../proto/gen/service.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import {
  type ContainerSpec,
  EMPTY_SPEC,
  type EndpointWish,
  type HealthCheck,
  type Limits,
  type LogRule,
  type Mount,
  type PortBinding,
  type Protocol,
  type Security,
} from "./container-spec.js";
import { withTag } from "./image-reference.js";

/** What the node knows about a task besides the task. */
export interface TaskSurroundings {
  readonly node: TaskNode;
  readonly endpoints: readonly Endpoint[];
  readonly networks: readonly Network[];
  /** Whether this node has a network of its own by that name or id. */
  readonly isLocalNetwork: (ref: string) => boolean;
}

export interface TaskContainer {
  readonly spec: ContainerSpec;
  /** What was asked, with its templates filled in. */
  readonly asked: Asked;
}

const NS_PER_MS = 1e6;
const DEFAULT_GRACE_NS = 10e9;

/** The container to make, or why it cannot be, as a sentence. */
export function taskContainer(task: Task, around: TaskSurroundings): TaskContainer | string {
  const container = task.spec?.container;
  if (container === undefined) return "the task has no container";
  const runtime = runtimeOf(task.spec?.runtime ?? "");
  if (runtime === undefined) return `unknown runtime "${task.spec?.runtime}"`;
  if (container.image === "" && runtime === "containerd") return "dockerexec: image required";
  try {
    const asked = expandSpec(task, container, around.node);
    const log = logRule(task);
    if (typeof log === "string") return log;
    const wrong = asked.mounts.map(mountProblem).find((problem) => problem !== undefined);
    if (wrong !== undefined) return wrong;
    return { asked, spec: specOf(task, asked, runtime, log, around) };
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
}

function specOf(
  task: Task,
  asked: Asked,
  runtime: ContainerSpec["runtime"],
  log: LogRule,
  around: TaskSurroundings,
): ContainerSpec {
  const graceNs = asked.stopGracePeriodNs ?? DEFAULT_GRACE_NS;
  return {
    ...EMPTY_SPEC,
    name: taskName(task),
    image: runtime === "process" ? asked.image || "process" : withTag(asked.image),
    runtime,
    entrypoint: asked.command,
    command: asked.args,
    env: [...asked.env, ...genericResourceEnv(task)],
    workingDir: asked.dir,
    user: asked.user,
    hostname: asked.hostname,
    tty: asked.tty,
    openStdin: asked.openStdin,
    labels: labelsOf(task, asked),
    stopSignal: asked.stopSignal,
    stopTimeoutSeconds: Math.trunc(graceNs / 1e9),
    ...networking(task, around),
    ports: task.hostPorts.map(portBinding),
    exposed: task.hostPorts.map((port) => `${port.targetPort}/${protocolOf(port.protocol)}`),
    mounts: asked.mounts.map(mountOf),
    limits: limitsOf(task),
    ulimits: asked.ulimits.map(({ name, soft, hard }) => ({ name, soft, hard })),
    security: securityOf(asked),
    sysctls: asked.sysctls,
    oomScoreAdj: asked.oomScoreAdj,
    init: asked.init ?? false,
    healthCheck: healthCheckOf(asked.healthcheck),
    log,
    dns: asked.dns?.nameservers ?? [],
    dnsSearch: asked.dns?.search ?? [],
    dnsOptions: asked.dns?.options ?? [],
    extraHosts: asked.hosts.flatMap(extraHosts),
    taskId: task.id,
  };
}

function runtimeOf(name: string): ContainerSpec["runtime"] | undefined {
  if (name === "" || name === "container") return "containerd";
  return name === "process" ? "process" : undefined;
}

/** Docker's own stand over what a person chose. */
function labelsOf(task: Task, asked: Asked): Readonly<Record<string, string>> {
  return {
    ...asked.labels,
    "com.docker.swarm.node.id": task.nodeId,
    "com.docker.swarm.service.id": task.serviceId,
    "com.docker.swarm.service.name": task.serviceName,
    "com.docker.swarm.task": "",
    "com.docker.swarm.task.id": task.id,
    "com.docker.swarm.task.name": taskName(task),
  };
}

/** DOCKER_RESOURCE_GPU=UUID1,UUID2 (SwarmKit genericresource.EnvFormat). */
function genericResourceEnv({ genericResources }: Task): readonly string[] {
  const byKind = new Map<string, string[]>();
  for (const { kind, namedValue, value } of genericResources) {
    const key = `DOCKER_RESOURCE_${kind.toUpperCase()}`;
    byKind.set(key, [...(byKind.get(key) ?? []), namedValue || String(value)]);
  }
  return [...byKind].map(([key, values]) => `${key}=${values.join(",")}`);
}

// ---- Networks --------------------------------------------------------------------------------------

function networking(
  task: Task,
  around: TaskSurroundings,
): Pick<ContainerSpec, "networkMode" | "endpoints"> {
  const wanted = task.spec?.networks ?? [];
  const targets = wanted.map(({ target }) => target);
  if (targets.includes("host")) return { networkMode: "host", endpoints: [] };
  if (targets.includes("none")) return { networkMode: "none", endpoints: [] };
  const given = new Map(around.endpoints.map((endpoint) => [endpoint.id, endpoint]));
  const names = new Map(around.networks.map(({ id, spec }) => [id, spec?.name ?? id]));
  const wish = { ipv4: "", ipv6: "" };
  const endpoints: EndpointWish[] = [];
  const taken = new Set<string>();
  const assigned = task.endpointIds.map((id) => ({
    id,
    networkId: given.get(id)?.networkId ?? "",
  }));
  // In the order that was asked for; networks that nobody asked for (ingress) come last.
  const rankOf = (networkId: string) => {
    const rank = targets.indexOf(networkId);
    return rank < 0 ? targets.length : rank;
  };
  assigned.sort((a, b) => rankOf(a.networkId) - rankOf(b.networkId));
  for (const { id, networkId } of assigned) {
    const aliases = wanted.find(({ target }) => target === networkId)?.aliases ?? [];
    const network = names.get(networkId) ?? networkId;
    endpoints.push({ ...wish, network: network || id, aliases, assigned: id });
    taken.add(networkId);
  }
  for (const { target, aliases } of wanted) {
    if (taken.has(target) || !around.isLocalNetwork(target)) continue;
    endpoints.push({ ...wish, network: target, aliases });
  }
  if (endpoints.length > 0) return { networkMode: "networks", endpoints };
  // As any container that says nothing of networks.
  if (!around.isLocalNetwork("bridge")) return { networkMode: "none", endpoints: [] };
  return {
    networkMode: "networks",
    endpoints: [{ ...wish, network: "bridge", aliases: [] }],
  };
}

function protocolOf(protocol: PortProtocol): Protocol {
  if (protocol === PortProtocol.UDP) return "udp";
  return protocol === PortProtocol.SCTP ? "sctp" : "tcp";
}

function portBinding(port: PortConfig): PortBinding {
  return {
    containerPort: port.targetPort,
    protocol: protocolOf(port.protocol),
    hostIp: "",
    hostPort: port.publishedPort,
  };
}

/** The host-mode ports as the node published them, each once: for the task's status. */
export function publishedPorts(
  task: Task,
  published: readonly PortBinding[],
): readonly PortConfig[] {
  return task.hostPorts.flatMap((wanted) => {
    const found = published.find(
      ({ containerPort, protocol, hostPort }) =>
        containerPort === wanted.targetPort &&
        protocol === protocolOf(wanted.protocol) &&
        (wanted.publishedPort === 0 || wanted.publishedPort === hostPort),
    );
    return found === undefined ? [] : [{ ...wanted, publishedPort: found.hostPort }];
  });
}

/** "IP name [alias…]" → "name:IP" for each name. */
function extraHosts(line: string): readonly string[] {
  const [address = "", ...names] = line.trim().split(/\s+/);
  return names.map((name) => `${name}:${address}`);
}

// ---- Mounts ----------------------------------------------------------------------------------------

function mountProblem(mount: AskedMount): string | undefined {
  const { type, source, target } = mount;
  if (!target.startsWith("/")) return `invalid mount target, must be an absolute path: ${target}`;
  switch (type) {
    case "bind":
      return source.startsWith("/")
        ? undefined
        : `invalid bind mount source, must be an absolute path: ${source}`;
    case "volume":
      return source.startsWith("/")
        ? `invalid volume mount source, must not be an absolute path: ${source}`
        : undefined;
    case "tmpfs":
      return source === "" ? undefined : "invalid tmpfs source, source must be empty";
    default:
      return `invalid mount type: ${type}`;
  }
}

function mountOf(mount: AskedMount): Mount {
  const kind = mount.type === "bind" || mount.type === "tmpfs" ? mount.type : "volume";
  return {
    kind,
    source: mount.source,
    target: mount.target,
    readOnly: mount.readOnly,
    propagation: mount.propagation || "rprivate",
    recursive: !mount.nonRecursive,
    createSource: mount.createMountpoint,
    noCopy: mount.noCopy,
    subpath: mount.subpath,
    volumeDriver: mount.driverName,
    volumeOptions: mount.driverOptions,
    volumeLabels: mount.labels,
    tmpfsBytes: mount.tmpfsSizeBytes,
    tmpfsMode: mount.tmpfsMode === 0 ? undefined : mount.tmpfsMode,
    tmpfsOptions: [],
  };
}

// ---- Limits, rights, health ---------------------------------------------------------------------------

function limitsOf(task: Task): Limits {
  const resources = task.spec?.resources;
  const limits = resources?.limits;
  const memoryBytes = limits?.memoryBytes ?? 0;
  return {
    ...EMPTY_SPEC.limits,
    memoryBytes,
    // Asked for without memory, memory and swap together here; -1 is no limit in both.
    memorySwapBytes: memoryBytes === 0 ? 0 : memoryAndSwap(memoryBytes, resources?.swapBytes),
    memorySwappiness: resources?.memorySwappiness,
    nanoCpus: limits?.nanoCpus ?? 0,
    pids: limits?.pids ?? 0,
  };
}

function memoryAndSwap(memoryBytes: number, swapBytes: number | undefined): number {
  if (swapBytes === undefined) return 0;
  return swapBytes < 0 ? -1 : memoryBytes + swapBytes;
}

function securityOf(asked: Asked): Security {
  const privileges = asked.privileges;
  return {
    capAdd: asked.capabilityAdd,
    capDrop: asked.capabilityDrop,
    noNewPrivileges: privileges?.noNewPrivileges ?? false,
    seccomp: seccompOf(privileges),
    readOnlyRoot: asked.readOnly,
    groupAdd: asked.groups,
  };
}

function seccompOf(privileges: Asked["privileges"]): Security["seccomp"] {
  if (privileges?.seccompMode === "unconfined") return "unconfined";
  if (privileges?.seccompMode !== "custom") return "default";
  return { profile: Buffer.from(privileges.seccompProfile).toString("utf8") };
}

function healthCheckOf(health: HealthConfig | undefined): HealthCheck | null | undefined {
  if (health === undefined) return undefined;
  if (health.test[0] === "NONE") return null;
  return {
    test: health.test,
    intervalMs: health.intervalNs / NS_PER_MS,
    timeoutMs: health.timeoutNs / NS_PER_MS,
    retries: health.retries,
    startPeriodMs: health.startPeriodNs / NS_PER_MS,
    startIntervalMs: health.startIntervalNs / NS_PER_MS,
  };
}

// ---- Logs ------------------------------------------------------------------------------------------

function logRule(task: Task): LogRule | string {
  const driver = task.spec?.logDriver;
  const name = driver?.name || "json-file";
  if (name !== "json-file" && name !== "none") {
    return `logger: no log driver named '${name}' is registered`;
  }
  const options = driver?.options ?? {};
  let { maxBytes, maxFiles } = EMPTY_SPEC.log;
  for (const [key, value] of Object.entries(options)) {
    if (key === "max-size") {
      const bytes = sizeOf(value);
      if (bytes === undefined) return `invalid size: '${value}'`;
      maxBytes = bytes;
    } else if (key === "max-file") {
      if (!/^[1-9]\d{0,4}$/.test(value)) return `invalid value for max-file: ${value}`;
      maxFiles = Number(value);
    } else return `unknown log opt '${key}' for ${name} log driver`;
  }
  return { driver: name, maxBytes, maxFiles };
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** "10m", as Docker's go-units reads sizes of memory; -1: no limit. */
function sizeOf(text: string): number | undefined {
  if (text === "-1") return 0;
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?)i?b?$/i.exec(text);
  if (match === null) return undefined;
  return Math.trunc(Number(match[1]) * (UNITS[(match[2] ?? "").toLowerCase()] ?? 1));
}
