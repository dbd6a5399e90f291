// What must be true of the objects together: nothing is given twice, and nothing refers to what is not
// there. Asked for every change, on every manager alike; the words are for the person whose request lost.
import { contains, formatPrefix, networkOf, overlaps, parsePrefix } from "../../common/address.js";
import { type Refusal, refuse, unreachable } from "../../common/fault.js";
import { VNI_MAX } from "../../common/ids.js";
import { PublishMode, type Service, type Task } from "../../proto/gen/service.js";
import {
  type Endpoint,
  EndpointKind,
  type Network,
  type Node,
  type Policy,
  type Quarantine,
} from "../../proto/gen/types.js";
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
    case "secret":
      if (change.after === undefined) return ofReferredRemoval(tables, "secret", change.id);
      return ofUniqueName(
        "secret",
        change.after,
        tables.secretByName(change.after.spec?.name ?? ""),
      );
    case "config":
      if (change.after === undefined) return ofReferredRemoval(tables, "config", change.id);
      return ofUniqueName(
        "config",
        change.after,
        tables.configByName(change.after.spec?.name ?? ""),
      );
    case "service":
      return change.after === undefined ? undefined : ofService(tables, change.after);
    case "task":
      if (change.after === undefined) return undefined;
      if (change.before === undefined) return ofTask(tables, change.after);
      return ofTaskUpdate(change.before, change.after) ?? ofTask(tables, change.after);
    case "policy":
      return change.after === undefined ? undefined : ofPolicy(tables, change.after);
    default:
      return unreachable(change);
  }
}

function ofPolicy(tables: Tables, policy: Policy): Refusal | undefined {
  for (const id of [policy.fromServiceId, policy.toServiceId]) {
    if (id !== "" && tables.service(id) === undefined) {
      return refuse("not-found", `service ${id} not found`);
    }
  }
  if (tables.network(policy.networkId) !== undefined) return undefined;
  return refuse("not-found", `network ${policy.networkId} not found`);
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
  if (before.leaving && !after.leaving) {
    return refuse("invalid-argument", "the removal of a network cannot be taken back");
  }
  return ofName(tables, after);
}

function ofName(tables: Tables, network: Network): Refusal | undefined {
  if (network.leaving) return undefined;
  const name = network.spec?.name ?? "";
  const same = tables.networkByName(name);
  if (same === undefined || same.id === network.id) return undefined;
  return refuse("already-exists", `network with name ${name} already exists`);
}

function ofNetworkRemoval(tables: Tables, id: string): Refusal | undefined {
  const [first] = [...tables.endpointsOn(id)].map((endpoint) => endpoint.id).sort();
  // The same on every manager, also on one that started from a snapshot.
  if (first !== undefined) {
    return refuse("failed-precondition", `network ${id} is in use by endpoint ${first}`);
  }
  for (const _ of tables.policiesOn(id)) {
    return refuse("failed-precondition", `network ${id} still has policies`);
  }
  if (tables.restingCount(id) === 0) return undefined;
  return refuse("failed-precondition", `network ${id} still has addresses that rest`);
}

function ofNewEndpoint(tables: Tables, endpoint: Endpoint): Refusal | undefined {
  const network = tables.network(endpoint.networkId);
  if (network === undefined || network.leaving) {
    return refuse("not-found", `network ${endpoint.networkId} not found`);
  }
  // A VIP is on every node of the network.
  const nowhere = endpoint.kind === EndpointKind.VIP && endpoint.nodeId === "";
  if (!nowhere && tables.node(endpoint.nodeId) === undefined) {
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

function ofReferredRemoval(
  tables: Tables,
  kind: "secret" | "config",
  id: string,
): Refusal | undefined {
  const names = [...tables.usersOf(kind, id)].map((service) => service.spec?.name ?? service.id);
  if (names.length === 0) return undefined;
  const name = tables.get(kind, id)?.spec?.name ?? id;
  const services = names.length === 1 ? "service" : "services";
  return refuse(
    "invalid-argument",
    `${kind} '${name}' is in use by the following ${services}: ${names.sort().join(", ")}`,
  );
}

function ofUniqueName(
  kind: string,
  object: { readonly id: string; readonly spec: { readonly name: string } | undefined },
  same: { readonly id: string } | undefined,
): Refusal | undefined {
  if (same === undefined || same.id === object.id) return undefined;
  return refuse("already-exists", `${kind} ${object.spec?.name} already exists`);
}

function ofService(tables: Tables, service: Service): Refusal | undefined {
  const name = service.spec?.name ?? "";
  const same = tables.serviceByName(name);
  if (same !== undefined && same.id !== service.id) {
    return refuse(
      "already-exists",
      `name conflicts with an existing object: service ${name} already exists`,
    );
  }
  for (const { protocol, publishedPort, publishMode } of service.ports) {
    if (publishMode !== PublishMode.INGRESS) continue;
    const holder = tables.portHolder(protocol, publishedPort);
    if (holder === undefined || holder.id === service.id) continue;
    return refuse(
      "invalid-argument",
      `port '${publishedPort}' is already in use by service '${holder.spec?.name}' (${holder.id}) as an ingress port`,
    );
  }
  return undefined;
}

function ofTask(tables: Tables, task: Task): Refusal | undefined {
  if (task.nodeId === "" || tables.node(task.nodeId) !== undefined) return undefined;
  // A task's end is recorded after its node is gone, too.
  if (tables.task(task.id)?.nodeId === task.nodeId) return undefined;
  return refuse("not-found", `node ${task.nodeId} not found`);
}

function ofTaskUpdate(before: Task, after: Task): Refusal | undefined {
  // A spec that says the same is the same object: shared-specs.ts.
  if (before.serviceId !== after.serviceId || before.spec !== after.spec) {
    return refuse("invalid-argument", "service and spec of a task cannot be changed");
  }
  if (before.nodeId === "" || before.nodeId === after.nodeId) return undefined;
  return refuse("invalid-argument", "a task stays on the node that it was given to");
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
