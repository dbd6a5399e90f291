// What a node must know: its own tasks with what they need, its own endpoints and, of the networks that
// it is told of, every row. It is derived from the state and the revision that the node holds, and from
// nothing else, so any leader can answer.
import { canEncrypt } from "../../common/encrypted.js";
import type { Assignments, DataPathPorts, Peer, ServiceRow } from "../../proto/gen/dispatcher.js";
import type { Config, Secret, Service, Task } from "../../proto/gen/service.js";
import type { Endpoint, Network, Node, Policy } from "../../proto/gen/types.js";
import { metaOf, versionOf } from "../store/objects.js";
import type { RecentChange } from "../store/recent.js";
import type { StoreView } from "../store/view.js";
import { serviceRowOf } from "./service-row.js";
import { isTold, isToRun } from "./task-view.js";
import { networksKnown, networksTold, sharedIngress } from "./told-networks.js";

/**
 * A delta since `sinceRevision` where the memory reaches back to it, else all; 0 is always all. With
 * `withFiles` it has the secrets and configs of all tasks, not only of those that are new to the node: an
 * agent that was started anew holds its tasks, but no secret, for it writes none to its disk.
 */
export function assignmentsFor(
  view: StoreView,
  nodeId: string,
  sinceRevision: number,
  withFiles = false,
): Assignments {
  // A node that is ahead of the log has followed another one (a swarm forced anew): its rows mean nothing.
  const known = sinceRevision > 0 && sinceRevision <= view.revision;
  const changes = known ? view.changesSince(sinceRevision) : undefined;
  return changes === undefined
    ? fullAssignments(view, nodeId)
    : deltaAssignments(view, nodeId, sinceRevision, changes, withFiles);
}

/** Whether there is anything in it to send. */
export function isEmptyDelta(assignments: Assignments): boolean {
  const { full, revision: _, dataPathPorts, ...lists } = assignments;
  return (
    !full && dataPathPorts === undefined && Object.values(lists).every((list) => list.length === 0)
  );
}

export function fullAssignments(view: StoreView, nodeId: string): Assignments {
  const message = new Message(view, nodeId, 0);
  for (const networkId of networksTold(view, nodeId)) message.addNetworkWhole(networkId);
  for (const task of view.tasksOn(nodeId)) {
    message.addTask(task);
    message.addFilesOf(task);
  }
  message.addPorts();
  return message.finish(true);
}

/** `changes` are those since `since`, all of them. */
export function deltaAssignments(
  view: StoreView,
  nodeId: string,
  since: number,
  changes: readonly RecentChange[],
  withFiles = false,
): Assignments {
  const message = new Message(view, nodeId, since);
  const told = networksTold(view, nodeId);
  const known = networksKnown(view, nodeId, since);
  for (const id of told) if (!known.has(id)) message.addNetworkWhole(id);
  for (const change of changes) {
    switch (change.kind) {
      case "endpoint":
        message.endpointChanged(change, told.has(change.networkId));
        break;
      case "network":
        if (told.has(change.id)) message.addNetwork(view.network(change.id));
        break;
      case "policy":
        if (told.has(change.networkId)) message.policyChanged(change.id);
        break;
      case "service":
        message.serviceChanged(change.id, told);
        break;
      case "node":
        if (told.size > 0) message.nodeChanged(change, told);
        break;
      case "task":
        if (change.nodeId === nodeId) message.taskChanged(change);
        break;
      case "cluster":
        message.addPorts();
        break;
      case "quarantine":
      case "secret":
      case "config":
        break;
    }
  }
  if (withFiles) for (const task of view.tasksOn(nodeId)) message.addFilesOf(task);
  return message.finish(false);
}

/** Gathers rows, each once, as they are now. */
class Message {
  readonly #networks = new Map<string, Network>();
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #peers = new Map<string, Peer>();
  readonly #removedNetworks = new Set<string>();
  readonly #removedEndpoints = new Set<string>();
  readonly #tasks = new Map<string, Task>();
  readonly #removedTasks = new Set<string>();
  readonly #secrets = new Map<string, Secret>();
  readonly #configs = new Map<string, Config>();
  readonly #services = new Map<string, ServiceRow>();
  readonly #removedServices = new Set<string>();
  readonly #policies = new Map<string, Policy>();
  readonly #removedPolicies = new Set<string>();
  readonly #removedPeers = new Set<string>();
  readonly #shared: Network | undefined;
  #ports: DataPathPorts | undefined;

  /** The node holds what was there at revision `since`. */
  constructor(
    private readonly view: StoreView,
    private readonly nodeId: string,
    private readonly since: number,
  ) {
    this.#shared = sharedIngress(view);
  }

  // ---- What is new to the node

  addNetworkWhole(networkId: string): void {
    const { view } = this;
    this.addNetwork(view.network(networkId));
    for (const endpoint of view.endpointsOn(networkId)) this.#addNewEndpoint(endpoint);
    for (const policy of view.policiesOn(networkId)) this.#policies.set(policy.id, policy);
    // On the ingress network every node is everybody's peer: what a node without an endpoint there sends in
    // is answered to it.
    if (networkId !== this.#shared?.id) return;
    for (const { id } of view.nodes()) this.#addPeer(id);
  }

  addPorts(): void {
    const cluster = this.view.cluster();
    if (cluster === undefined) return;
    this.#ports = { port: cluster.dataPathPort, also: cluster.dataPathMove?.port ?? 0 };
  }

  addNetwork(network: Network | undefined): void {
    if (network !== undefined) this.#networks.set(network.id, network);
  }

  /** With the node that it is on and its service: whoever gets a row can also reach it. */
  #addNewEndpoint(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.id, endpoint);
    this.#addPeer(endpoint.nodeId);
    const service = this.view.service(endpoint.serviceId);
    if (service !== undefined) this.#addService(service);
  }

  // A node without address, or that is down, is listed all the same: its endpoints may live on.
  #addPeer(nodeId: string): void {
    if (nodeId === this.nodeId || this.#peers.has(nodeId)) return;
    const node = this.view.node(nodeId);
    if (node !== undefined) this.#peers.set(nodeId, peerOf(node));
  }

  #addService(service: Service): void {
    if (!this.#services.has(service.id)) this.#services.set(service.id, serviceRowOf(service));
  }

  // ---- What is another now

  endpointChanged(change: RecentChange, isTold: boolean): void {
    const { id, networkId, nodeId, removed } = change;
    const endpoint = this.view.endpoint(id);
    if (isTold) {
      if (endpoint === undefined) this.#removedEndpoints.add(id);
      else if (metaOf(endpoint).createdVersion > this.since) this.#addNewEndpoint(endpoint);
      else this.#endpoints.set(id, endpoint);
      return;
    }
    // It was why the node was told of the network: its own, or the last VIP on the ingress network.
    const network = this.view.network(networkId);
    const wasVip = nodeId === "" && (network === undefined || network.spec?.ingress === true);
    if (!removed || !(nodeId === this.nodeId || wasVip)) return;
    this.#removedEndpoints.add(id);
    this.#removedNetworks.add(networkId);
  }

  policyChanged(id: string): void {
    const policy = this.view.policy(id);
    if (policy === undefined) this.#removedPolicies.add(id);
    else this.#policies.set(id, policy);
  }

  /** Of a service without endpoints on the node's networks it has no row. */
  serviceChanged(id: string, told: ReadonlySet<string>): void {
    if (!some(this.view.networksOfService(id), (networkId) => told.has(networkId))) return;
    const service = this.view.service(id);
    if (service === undefined) this.#removedServices.add(id);
    else this.#addService(service);
  }

  nodeChanged({ id }: RecentChange, told: ReadonlySet<string>): void {
    if (this.view.node(id) === undefined) this.#removedPeers.add(id);
    else if (this.#shared !== undefined || some(told, (on) => this.view.isOn(id, on))) {
      this.#addPeer(id);
    }
  }

  taskChanged({ id, isNew }: RecentChange): void {
    const task = this.view.task(id);
    if (task === undefined) this.#removedTasks.add(id);
    else this.addTask(task);
    if (task !== undefined && isNew) this.addFilesOf(task);
  }

  // ---- Tasks

  addTask(task: Task): void {
    if (isTold(task)) this.#tasks.set(task.id, task);
  }

  addFilesOf(task: Task): void {
    if (!isTold(task) || !isToRun(task)) return;
    for (const { secretId } of task.spec?.container?.secrets ?? []) {
      const secret = this.view.secret(secretId);
      if (secret !== undefined) this.#secrets.set(secretId, secret);
    }
    for (const { configId } of task.spec?.container?.configs ?? []) {
      const config = this.view.config(configId);
      if (config !== undefined) this.#configs.set(configId, config);
    }
  }

  finish(full: boolean): Assignments {
    return {
      full,
      revision: this.view.revision,
      networks: [...this.#networks.values()],
      endpoints: [...this.#endpoints.values()],
      peers: [...this.#peers.values()],
      removedNetworks: [...this.#removedNetworks],
      removedEndpoints: [...this.#removedEndpoints],
      tasks: [...this.#tasks.values()],
      removedTasks: [...this.#removedTasks],
      secrets: [...this.#secrets.values()],
      configs: [...this.#configs.values()],
      services: [...this.#services.values()],
      removedServices: [...this.#removedServices],
      policies: [...this.#policies.values()],
      removedPolicies: [...this.#removedPolicies],
      removedPeers: [...this.#removedPeers],
      dataPathPorts: this.#ports,
    };
  }
}

function peerOf(node: Node): Peer {
  return {
    nodeId: node.id,
    dataPathAddr: node.dataPathAddr,
    hostname: node.description?.hostname ?? "",
    version: versionOf(node),
    silent: node.silent,
    ...wireguardOf(node),
    pathMtus: node.description?.pathMtus,
  };
}

function wireguardOf({ description }: Node): Pick<Peer, "wireguardKey" | "wireguardPort"> {
  const { publicKey, port } = description?.wireguard ?? {};
  return canEncrypt(description) ? { wireguardKey: publicKey, wireguardPort: port } : {};
}

function some<T>(items: Iterable<T>, isSo: (item: T) => boolean): boolean {
  for (const item of items) if (isSo(item)) return true;
  return false;
}
