// What the node is told, kept by revision: a full set replaces, a delta adds. Pure; the loop journals
// the result and hands it to the kernel.
import type { Assignments } from "../../proto/gen/dispatcher.js";
import type { Endpoint, Meta, Network } from "../../proto/gen/types.js";

export const NOTHING: Assignments = {
  full: true,
  revision: 0,
  networks: [],
  endpoints: [],
  peers: [],
  removedNetworks: [],
  removedEndpoints: [],
};

/**
 * What the node holds after `heard`. Rows of networks without an endpoint of this node's own are
 * forgotten, as proto/dispatcher.proto asks. A row never goes back to an older version, and hearing
 * the same thing twice changes nothing. The result is a full set, in order of id.
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
  for (const id of heard.removedNetworks) networks.delete(id);
  for (const id of heard.removedEndpoints) endpoints.delete(id);
  for (const network of heard.networks) putNewer(networks, network);
  for (const endpoint of heard.endpoints) putNewer(endpoints, endpoint);
  for (const peer of heard.peers) {
    if (peer.version >= (peers.get(peer.nodeId)?.version ?? 0)) peers.set(peer.nodeId, peer);
  }
  const mine = new Set<string>();
  for (const endpoint of endpoints.values()) {
    if (endpoint.nodeId === nodeId && networks.has(endpoint.networkId))
      mine.add(endpoint.networkId);
  }
  const kept = [...endpoints.values()].filter((endpoint) => mine.has(endpoint.networkId));
  return {
    full: true,
    revision: heard.revision,
    networks: inOrder([...networks.values()].filter((network) => mine.has(network.id))),
    endpoints: inOrder(kept),
    // A peer's row may come before its first endpoint does, so peers stay while there is a network.
    peers: mine.size === 0 ? [] : [...peers.values()].sort((a, b) => compare(a.nodeId, b.nodeId)),
    removedNetworks: [],
    removedEndpoints: [],
  };
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
