// What a node must know: its own endpoints and, of the networks that they are on, every row. It is derived
// from the state and the revision that the node holds, and from nothing else, so any leader can answer.
import type { Assignments, Peer } from "../../proto/gen/dispatcher.js";
import type { Endpoint, Network, Node } from "../../proto/gen/types.js";
import { metaOf, versionOf } from "../store/objects.js";
import type { RecentChange } from "../store/recent.js";
import type { StoreView } from "../store/view.js";

/** A delta since `sinceRevision` where the memory reaches back to it, else all; 0 is always all. */
export function assignmentsFor(
  view: StoreView,
  nodeId: string,
  sinceRevision: number,
): Assignments {
  // A node that is ahead of the log has followed another one (a swarm forced anew): its rows mean nothing.
  const known = sinceRevision > 0 && sinceRevision <= view.revision;
  const changes = known ? view.changesSince(sinceRevision) : undefined;
  return changes === undefined
    ? fullAssignments(view, nodeId)
    : deltaAssignments(view, nodeId, sinceRevision, changes);
}

/** Whether there is anything in it to send. */
export function isEmptyDelta(message: Assignments): boolean {
  const { full, networks, endpoints, peers, removedNetworks, removedEndpoints } = message;
  const rows = [networks, endpoints, peers, removedNetworks, removedEndpoints];
  return !full && rows.every((list) => list.length === 0);
}

function fullAssignments(view: StoreView, nodeId: string): Assignments {
  const message = new Message(view, nodeId);
  for (const networkId of networksOf(view, nodeId)) message.addNetworkWhole(networkId);
  return message.finish(true);
}

function deltaAssignments(
  view: StoreView,
  nodeId: string,
  since: number,
  changes: readonly RecentChange[],
): Assignments {
  const message = new Message(view, nodeId);
  // The networks that are new to the node: it has no endpoint there that is as old as what it holds.
  const earliest = new Map<string, number>();
  for (const endpoint of view.endpointsOf(nodeId)) {
    const { createdVersion } = metaOf(endpoint);
    const known = earliest.get(endpoint.networkId) ?? Infinity;
    earliest.set(endpoint.networkId, Math.min(known, createdVersion));
  }
  for (const [networkId, createdVersion] of earliest) {
    if (createdVersion > since) message.addNetworkWhole(networkId);
  }
  for (const change of changes) {
    if (change.kind === "endpoint") {
      const isOn = earliest.has(change.networkId);
      if (change.removed && (isOn || change.nodeId === nodeId)) message.removeEndpoint(change.id);
      if (change.removed && !isOn && change.nodeId === nodeId) {
        message.removeNetwork(change.networkId);
      }
      if (!change.removed && isOn) message.addEndpoint(view.endpoint(change.id));
    } else if (change.kind === "network") {
      if (earliest.has(change.id)) message.addNetwork(view.network(change.id));
    } else if (change.kind === "node" && !change.removed) {
      const shares = [...earliest.keys()].some((networkId) => view.isOn(change.id, networkId));
      if (shares) message.addPeer(change.id);
    }
  }
  return message.finish(false);
}

/** Gathers rows, each once, as they are now. */
class Message {
  readonly #networks = new Map<string, Network>();
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #peers = new Map<string, Peer>();
  readonly #removedNetworks = new Set<string>();
  readonly #removedEndpoints = new Set<string>();

  constructor(
    private readonly view: StoreView,
    private readonly nodeId: string,
  ) {}

  addNetworkWhole(networkId: string): void {
    this.addNetwork(this.view.network(networkId));
    for (const endpoint of this.view.endpointsOn(networkId)) this.addEndpoint(endpoint);
  }

  addNetwork(network: Network | undefined): void {
    if (network !== undefined) this.#networks.set(network.id, network);
  }

  /** With the node that it is on: whoever gets a row can also reach it. */
  addEndpoint(endpoint: Endpoint | undefined): void {
    if (endpoint === undefined) return;
    this.#endpoints.set(endpoint.id, endpoint);
    this.addPeer(endpoint.nodeId);
  }

  // A node without address, or that is down, is listed all the same: its endpoints may live on.
  addPeer(nodeId: string): void {
    if (nodeId === this.nodeId || this.#peers.has(nodeId)) return;
    const node = this.view.node(nodeId);
    if (node !== undefined) this.#peers.set(nodeId, peerOf(node));
  }

  removeEndpoint(id: string): void {
    this.#removedEndpoints.add(id);
  }

  removeNetwork(id: string): void {
    this.#removedNetworks.add(id);
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
    };
  }
}

function peerOf(node: Node): Peer {
  return {
    nodeId: node.id,
    dataPathAddr: node.dataPathAddr,
    hostname: node.description?.hostname ?? "",
    version: versionOf(node),
  };
}

function networksOf(view: StoreView, nodeId: string): ReadonlySet<string> {
  return new Set([...view.endpointsOf(nodeId)].map((endpoint) => endpoint.networkId));
}
