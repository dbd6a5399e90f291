// What must be true of the objects together: nothing is given twice, and nothing refers to what is not
// there. Asked for every change, on every manager alike; the words are for the person whose request lost.
import { contains, formatPrefix, networkOf, overlaps, parsePrefix } from "../../common/address.js";
import { type Refusal, refuse, unreachable } from "../../common/fault.js";
import { VNI_MAX } from "../../common/ids.js";
import type { Endpoint, Network, Node, Quarantine } from "../../proto/gen/types.js";
import { addressesOf } from "./network-index.js";
import type { Change } from "./objects.js";
import type { Tables } from "./tables.js";

/** Why the change must not be made, or `undefined`. */
export function findViolation(tables: Tables, change: Change): Refusal | undefined {
  switch (change.kind) {
    case "cluster":
      if (change.after === undefined) return refuse("failed-precondition", "a swarm has a cluster");
      if (change.before !== undefined || tables.cluster() === undefined) return undefined;
      return refuse("already-exists", "this swarm is already initialized");
    case "node":
      if (change.after === undefined) return ofNodeRemoval(tables, change.id);
      return ofNode(tables, change.after);
    case "network":
      if (change.after === undefined) return ofNetworkRemoval(tables, change.id);
      if (change.before === undefined) return ofNewNetwork(tables, change.after);
      return ofNetworkUpdate(tables, change.before, change.after);
    case "endpoint":
      if (change.after === undefined) return undefined;
      if (change.before === undefined) return ofNewEndpoint(tables, change.after);
      return ofEndpointUpdate(change.before, change.after);
    case "quarantine":
      return change.after === undefined ? undefined : ofQuarantine(tables, change.after);
    default:
      return unreachable(change);
  }
}

function ofNode(tables: Tables, node: Node): Refusal | undefined {
  const sameKey = tables.nodeByKeyDigest(node.publicKeyDigest);
  if (sameKey !== undefined && sameKey.id !== node.id) {
    return refuse("already-exists", `node ${sameKey.id} has the same key`);
  }
  if (node.manager === undefined) return undefined;
  const { raftId } = node.manager;
  const sameRaftId = tables.nodeByRaftId(raftId);
  if (sameRaftId === undefined || sameRaftId.id === node.id) return undefined;
  return refuse("already-exists", `raft id ${raftId} belongs to node ${sameRaftId.id}`);
}

function ofNodeRemoval(tables: Tables, id: string): Refusal | undefined {
  for (const endpoint of tables.endpointsOf(id)) {
    return refuse("failed-precondition", `node ${id} still has endpoint ${endpoint.id}`);
  }
  return undefined;
}

function ofNewNetwork(tables: Tables, network: Network): Refusal | undefined {
  const taken = ofName(tables, network);
  if (taken !== undefined) return taken;
  if (!(network.vni >= 1 && network.vni <= VNI_MAX)) {
    return refuse("invalid-argument", `VNI ${network.vni} is not between 1 and ${VNI_MAX}`);
  }
  const sameVni = tables.networkByVni(network.vni);
  if (sameVni !== undefined) {
    return refuse("already-exists", `VNI ${network.vni} belongs to network ${nameOf(sameVni)}`);
  }
  if (tables.quarantined(`vni/${network.vni}`) !== undefined) {
    return refuse("failed-precondition", `VNI ${network.vni} was freed a moment ago and rests`);
  }
  return ofSubnets(tables, network);
}

function ofSubnets(tables: Tables, network: Network): Refusal | undefined {
  const prefixes = network.subnets.map((subnet) => parsePrefix(subnet.cidr));
  for (const [i, prefix] of prefixes.entries()) {
    if (prefix === undefined || formatPrefix(networkOf(prefix)) !== network.subnets[i]?.cidr) {
      return refuse("invalid-argument", `invalid subnet ${network.subnets[i]?.cidr}`);
    }
    const use = tables.overlappingSubnet(prefix);
    const inside = prefixes.findIndex((other, j) => j < i && other && overlaps(other, prefix));
    if (use === undefined && inside < 0) continue;
    const other = use === undefined ? network : tables.network(use.networkId);
    return refuse(
      "failed-precondition",
      `subnet ${network.subnets[i]?.cidr} overlaps with a subnet of network ${nameOf(other)}`,
    );
  }
  return undefined;
}

function ofNetworkUpdate(tables: Tables, before: Network, after: Network): Refusal | undefined {
  const fixed = (network: Network) => JSON.stringify([network.vni, network.subnets]);
  if (fixed(before) !== fixed(after)) {
    return refuse("invalid-argument", "VNI and subnets of a network cannot be changed");
  }
  return ofName(tables, after);
}

function ofName(tables: Tables, network: Network): Refusal | undefined {
  const name = network.spec?.name ?? "";
  const same = tables.networkByName(name);
  if (same === undefined || same.id === network.id) return undefined;
  return refuse("already-exists", `network with name ${name} already exists`);
}

function ofNetworkRemoval(tables: Tables, id: string): Refusal | undefined {
  for (const endpoint of tables.endpointsOn(id)) {
    return refuse("failed-precondition", `network ${id} is in use by endpoint ${endpoint.id}`);
  }
  if (tables.restingCount(id) === 0) return undefined;
  return refuse("failed-precondition", `network ${id} still has addresses that rest`);
}

function ofNewEndpoint(tables: Tables, endpoint: Endpoint): Refusal | undefined {
  const network = tables.network(endpoint.networkId);
  if (network === undefined) return refuse("not-found", `network ${endpoint.networkId} not found`);
  if (tables.node(endpoint.nodeId) === undefined) {
    return refuse("not-found", `node ${endpoint.nodeId} not found`);
  }
  const sameMac = tables.macHolder(network.id, endpoint.mac);
  if (sameMac !== undefined) {
    return refuse("already-exists", `MAC ${endpoint.mac} is in use by endpoint ${sameMac.id}`);
  }
  for (const address of addressesOf(endpoint)) {
    const holder = tables.addressHolder(network.id, address);
    if (holder !== undefined) {
      return refuse("already-exists", `address ${address} is in use by endpoint ${holder.id}`);
    }
    if (tables.quarantined(`${network.id}/${address}`) !== undefined) {
      return refuse("failed-precondition", `address ${address} was freed a moment ago and rests`);
    }
  }
  for (const text of [endpoint.ipv4, endpoint.ipv6]) {
    if (text !== "" && !isInside(network, text)) {
      return refuse("invalid-argument", `address ${text} is outside network ${nameOf(network)}`);
    }
  }
  return undefined;
}

function isInside(network: Network, text: string): boolean {
  const address = parsePrefix(text);
  return network.subnets.some((subnet) => {
    const prefix = parsePrefix(subnet.cidr);
    return address && prefix && contains(prefix, address.ip) && prefix.length === address.length;
  });
}

function ofEndpointUpdate(before: Endpoint, after: Endpoint): Refusal | undefined {
  const fixed = (e: Endpoint) => [e.networkId, e.nodeId, e.ipv4, e.ipv6, e.mac].join(" ");
  if (fixed(before) === fixed(after)) return undefined;
  return refuse("invalid-argument", "network, node and addresses of an endpoint cannot be changed");
}

function ofQuarantine(tables: Tables, quarantine: Quarantine): Refusal | undefined {
  const { networkId, address, vni } = quarantine;
  if (networkId === "") {
    if (tables.networkByVni(vni) === undefined) return undefined;
    return refuse("failed-precondition", `VNI ${vni} is in use and cannot rest`);
  }
  if (tables.network(networkId) === undefined) {
    return refuse("not-found", `network ${networkId} not found`);
  }
  if (tables.addressHolder(networkId, address) === undefined) return undefined;
  return refuse("failed-precondition", `address ${address} is in use and cannot rest`);
}

function nameOf(network: Network | undefined): string {
  return network?.spec?.name ?? "?";
}
