// What the node is told, kept by revision: a full set replaces, a delta adds. Pure; the loop journals
// the result and hands it to the kernel.
import type { Assignments } from "../../proto/gen/dispatcher.js";
import {
  type Config,
  type Secret,
  type Task,
  TaskState,
  type TaskStatus,
} from "../../proto/gen/service.js";
import type { Endpoint, Meta, Network } from "../../proto/gen/types.js";

export const NOTHING: Assignments = {
  full: true,
  revision: 0,
  networks: [],
  endpoints: [],
  peers: [],
  removedNetworks: [],
  removedEndpoints: [],
  tasks: [],
  removedTasks: [],
  secrets: [],
  configs: [],
  services: [],
  removedServices: [],
  policies: [],
  removedPolicies: [],
  removedPeers: [],
  dataPathPorts: undefined,
};

/**
 * What the node holds after `heard`. Rows of networks without an endpoint of this node's own are
 * forgotten, as proto/dispatcher.proto asks, and so are secrets and configs that no task which may
 * still run refers to. A row never goes back to an older version, and hearing the same thing twice
 * changes nothing. The result is a full set, in order of id.
 */
export function merge(
  have: Assignments | undefined,
  heard: Assignments,
  nodeId: string,
): Assignments {
  const base = heard.full || have === undefined ? NOTHING : have;
  // A late delta of a session that ended: what it says is known already, or was overtaken.
  if (!heard.full && heard.revision < base.revision) return base;
  const networks = new Map(base.networks.map((network) => [network.id, network]));
  const endpoints = new Map(base.endpoints.map((endpoint) => [endpoint.id, endpoint]));
  const peers = new Map(base.peers.map((peer) => [peer.nodeId, peer]));
  const tasks = new Map(base.tasks.map((task) => [task.id, task]));
  const secrets = new Map(base.secrets.map((secret) => [secret.id, secret]));
  const configs = new Map(base.configs.map((config) => [config.id, config]));
  const services = new Map(base.services.map((service) => [service.id, service]));
  const policies = new Map(base.policies.map((policy) => [policy.id, policy]));
  for (const id of heard.removedTasks) tasks.delete(id);
  const statuses = new Map(have?.tasks.map(({ id, status }) => [id, status]));
  for (const task of heard.tasks) putNewer(tasks, furthest(task, statuses.get(task.id)));
  for (const secret of heard.secrets) putNewer(secrets, secret);
  for (const config of heard.configs) putNewer(configs, config);
  const wanted = referredTo(tasks.values());
  for (const id of heard.removedNetworks) networks.delete(id);
  for (const id of heard.removedEndpoints) endpoints.delete(id);
  for (const network of heard.networks) putNewer(networks, network);
  for (const endpoint of heard.endpoints) putNewer(endpoints, endpoint);
  for (const id of heard.removedPeers) peers.delete(id);
  for (const peer of heard.peers) {
    if (peer.version >= (peers.get(peer.nodeId)?.version ?? 0)) peers.set(peer.nodeId, peer);
  }
  for (const id of heard.removedServices) services.delete(id);
  for (const service of heard.services) {
    if (service.version >= (services.get(service.id)?.version ?? 0)) {
      services.set(service.id, service);
    }
  }
  for (const id of heard.removedPolicies) policies.delete(id);
  for (const policy of heard.policies) putNewer(policies, policy);
  const mine = new Set<string>();
  for (const endpoint of endpoints.values()) {
    if (endpoint.nodeId === nodeId && networks.has(endpoint.networkId))
      mine.add(endpoint.networkId);
  }
  // No endpoint of this node's own is on ingress until a task is, and yet every node serves it.
  for (const { id, spec } of networks.values()) if (spec?.ingress === true) mine.add(id);
  const kept = [...endpoints.values()].filter((endpoint) => mine.has(endpoint.networkId));
  const served = new Set(kept.map(({ serviceId }) => serviceId));
  return {
    full: true,
    revision: heard.revision,
    networks: inOrder([...networks.values()].filter((network) => mine.has(network.id))),
    endpoints: inOrder(kept),
    // A peer's row may come before its first endpoint does, so peers stay while there is a network.
    peers: mine.size === 0 ? [] : [...peers.values()].sort((a, b) => compare(a.nodeId, b.nodeId)),
    removedNetworks: [],
    removedEndpoints: [],
    tasks: inOrder([...tasks.values()]),
    removedTasks: [],
    secrets: inOrder([...secrets.values()].filter(({ id }) => wanted.has(id))),
    configs: inOrder([...configs.values()].filter(({ id }) => wanted.has(id))),
    services: inOrder([...services.values()].filter(({ id }) => served.has(id))),
    removedServices: [],
    policies: inOrder([...policies.values()].filter(({ networkId }) => mine.has(networkId))),
    removedPolicies: [],
    removedPeers: [],
    dataPathPorts: heard.dataPathPorts ?? base.dataPathPorts,
  };
}

/** What this node itself has said of a task may not have come to the managers yet: a state only grows. */
function furthest(task: Task, own: TaskStatus | undefined): Task {
  const isFurther = own !== undefined && own.state > (task.status?.state ?? TaskState.NEW);
  return isFurther ? { ...task, status: own } : task;
}

/** A task's status as this node says it, kept with the task: the next agent goes on from there. */
export function withStatus(have: Assignments, taskId: string, status: TaskStatus): Assignments {
  const at = have.tasks.findIndex(({ id }) => id === taskId);
  const task = have.tasks[at];
  if (task === undefined) return have;
  const next = furthest(task, status);
  return next === task ? have : { ...have, tasks: have.tasks.with(at, next) };
}

/** The secrets and configs of tasks that are not over, by id. */
function referredTo(tasks: Iterable<Task>): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const { spec, status } of tasks) {
    if ((status?.state ?? TaskState.NEW) >= TaskState.COMPLETE) continue;
    for (const { secretId } of spec?.container?.secrets ?? []) ids.add(secretId);
    for (const { configId } of spec?.container?.configs ?? []) ids.add(configId);
  }
  return ids;
}

// ---- What a disk may hold -------------------------------------------------------------------------

/** Stands where credentials were; it is no base64, so that nobody takes it for some. */
const NOT_KEPT = "(not kept)";

/**
 * The same without what must not lie on a disk: the data of secrets (and of configs, which templates
 * mix with them), and the credentials of registries.
 */
export function forDisk(held: Assignments): Assignments {
  const bare = ({ spec, ...row }: Secret | Config) => ({
    ...row,
    spec: spec && { ...spec, data: Buffer.alloc(0) },
  });
  return {
    ...held,
    tasks: held.tasks.map((task) => {
      const { spec } = task;
      if (!spec?.container?.registryAuth) return task;
      const container = { ...spec.container, registryAuth: NOT_KEPT };
      return { ...task, spec: { ...spec, container } };
    }),
    secrets: held.secrets.map(bare),
    configs: held.configs.map(bare),
  };
}

/** Whether something was left out that a task needs: then all has to be asked for again. */
export function lacksSomething({ tasks, secrets, configs }: Assignments): boolean {
  return secrets.length > 0 || configs.length > 0 || tasks.some(lacksCredentials);
}

export function lacksCredentials({ spec, status }: Task): boolean {
  const isOver = (status?.state ?? TaskState.NEW) >= TaskState.COMPLETE;
  return !isOver && spec?.container?.registryAuth === NOT_KEPT;
}

/** The answer to an Attach, added before the session tells of it, so that the caller need not wait. */
export function mergeOwn(
  have: Assignments | undefined,
  endpoint: Endpoint,
  network: Network,
  nodeId: string,
): Assignments {
  const base = have ?? NOTHING;
  const own = { ...NOTHING, full: false, revision: base.revision };
  return merge(base, { ...own, networks: [network], endpoints: [endpoint] }, nodeId);
}

/** The endpoint gone here before the session tells of it. */
export function withoutOwn(have: Assignments, endpointId: string, nodeId: string): Assignments {
  const delta = { ...NOTHING, full: false, revision: have.revision };
  return merge(have, { ...delta, removedEndpoints: [endpointId] }, nodeId);
}

function putNewer<T extends { readonly id: string; readonly meta: Meta | undefined }>(
  rows: Map<string, T>,
  row: T,
): void {
  const known = rows.get(row.id)?.meta?.version ?? 0;
  if ((row.meta?.version ?? 0) >= known) rows.set(row.id, row);
}

function inOrder<T extends { readonly id: string }>(rows: T[]): T[] {
  return rows.sort((a, b) => compare(a.id, b.id));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
