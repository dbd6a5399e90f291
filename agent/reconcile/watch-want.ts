// The nodes' own network, by which they watch each other (agent/overlay/probe-address.ts): which peers are on it, and
// what this node holds for them. It stands while this node shares a network with anybody, and needs nobody's word:
// both sides know that they share one.
import { bitsOf, formatIp, type Ip, parseIp } from "../../common/address.js";
import { isEncrypted } from "../../common/encrypted.js";
import { WATCH_VNI } from "../../common/ids.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { EndpointKind } from "../../proto/gen/types.js";
import { probeIp, probeMac } from "../overlay/probe-address.js";
import type { NetworkWant, Self } from "./want.js";

/** In aliases and problems, as a network's id. */
const WATCH_ID = "peers";

// RFC 791: every IPv4 host takes 576; RFC 8200 section 5: an IPv6 link has 1280. Probes are small, whatever the
// underlay takes.
const MTU_BYTES = { 4: 576, 6: 1280 } as const;

export interface WatchedPeer {
  readonly nodeId: string;
  readonly hostname: string;
  readonly vtep: Ip;
  /** The leader has not heard of it for a while. */
  readonly silent: boolean;
}

/**
 * The other nodes of this node's networks; where the routing mesh is, all. In order of their ids. Encrypted networks
 * do not count: their frames go by another port, and WireGuard itself knows of its peers.
 */
export function watchedPeers(
  { endpoints, networks, peers }: Assignments,
  self: Pick<Self, "nodeId" | "vtep">,
): readonly WatchedPeer[] {
  const mine = new Set<string>();
  const byNetwork = new Map<string, Set<string>>();
  const meshes = new Set(networks.filter(({ spec }) => spec?.ingress).map(({ id }) => id));
  const hidden = new Set(networks.filter(isEncrypted).map(({ id }) => id));
  let isMesh = false;
  for (const { networkId, nodeId, kind } of endpoints) {
    if (kind === EndpointKind.VIP) {
      isMesh ||= meshes.has(networkId);
      continue;
    }
    if (hidden.has(networkId)) continue;
    if (nodeId === self.nodeId) mine.add(networkId);
    const on = byNetwork.get(networkId) ?? new Set();
    byNetwork.set(networkId, on.add(nodeId));
  }
  const near = new Set([...mine].flatMap((id) => [...(byNetwork.get(id) ?? [])]));
  const watched = new Map<string, WatchedPeer>();
  for (const { nodeId, dataPathAddr, hostname, silent } of peers) {
    const vtep = parseIp(dataPathAddr);
    if (nodeId === self.nodeId || (!isMesh && !near.has(nodeId))) continue;
    if (vtep?.family !== self.vtep.family || formatIp(vtep) === formatIp(self.vtep)) continue;
    watched.set(formatIp(vtep), { nodeId, hostname: hostname || nodeId, vtep, silent });
  }
  return [...watched.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

/** Undefined: there is nobody to watch. */
export function watchNetwork(assignments: Assignments, self: Self): NetworkWant | undefined {
  const peers = watchedPeers(assignments, self);
  if (peers.length === 0) return undefined;
  const { vtep, port, path, also } = self;
  const prefix = { ip: probeIp(vtep), length: bitsOf(vtep.family) };
  return {
    networkId: WATCH_ID,
    name: WATCH_ID,
    vni: WATCH_VNI,
    mtuBytes: MTU_BYTES[vtep.family],
    vtep,
    port,
    ...(also && { also }),
    // What the programs of the accelerated path do not know goes by the kernel's own, which is under them.
    path: path === "accelerated" ? "kernel" : path,
    own: { mac: probeMac(vtep), prefix },
    subnets: [],
    locals: [],
    remotes: peers.map((peer) => ({
      endpointId: `peer-${peer.nodeId}`,
      mac: probeMac(peer.vtep),
      ips: [probeIp(peer.vtep)],
      vtep: peer.vtep,
      version: 0,
    })),
    // What is sent to all, nobody is to have.
    floodTo: [],
  };
}
