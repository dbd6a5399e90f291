// Whom a person means by the two ends of a trace: containers, tasks, services, addresses, nodes, and ports.
import { formatIp, parseIp, parsePrefix } from "../../common/address.js";
import { isRefusal } from "../../common/fault.js";
import { TraceProtocol } from "../../proto/gen/control.js";
import type { Service } from "../../proto/gen/service.js";
import { type Endpoint, EndpointKind, type Node } from "../../proto/gen/types.js";
import type { Call } from "./call.js";
import { badRequest, notFound } from "./http-error.js";
import { ask, listEndpoints, listNodes } from "./manager.js";

export type End =
  /** One or several of the same container or task, or the tasks of a service: one of them is meant. */
  | {
      readonly kind: "endpoints";
      readonly endpoints: readonly Endpoint[];
      readonly service: boolean;
    }
  | { readonly kind: "node"; readonly node: Node }
  /** An address or a name that nothing of the swarm's is known by. */
  | { readonly kind: "other" };

export interface Swarm {
  readonly endpoints: readonly Endpoint[];
  readonly nodes: readonly Node[];
  readonly services: readonly Service[];
}

export async function readSwarm(call: Call): Promise<Swarm> {
  const [endpoints, { nodes }, { services }] = await Promise.all([
    listEndpoints(call),
    listNodes(call),
    ask(call, (client) => client.listServices, { withStatus: false }, true),
  ]);
  return { endpoints, nodes, services };
}

export interface Target {
  readonly ref: string;
  readonly protocol: TraceProtocol;
  /** 0 for ICMP. */
  readonly port: number;
}

const PORT_MAX = 65_535;

/** HOST, HOST:PORT, HOST:PORT/PROTOCOL; an IPv6 address with a port is in brackets. */
export function parseTarget(text: string): Target {
  const bare = parseIp(text) !== undefined;
  const match = bare ? null : /^(\[[^\]]+\]|[^:]*):(\d{1,5})(?:\/(\w+))?$/.exec(text);
  if (match === null) {
    const ref = text.replace(/^\[(.*)\]$/, "$1");
    if (!bare && /[:/]/.test(ref) && parseIp(ref) === undefined) {
      throw badRequest(`invalid target ${text}: it is NAME, NAME:PORT or NAME:PORT/udp`);
    }
    return { ref, protocol: TraceProtocol.ICMP, port: 0 };
  }
  const [, host = "", digits = "", word = "tcp"] = match;
  const port = Number(digits);
  if (port < 1 || port > PORT_MAX) throw badRequest(`invalid port ${digits} in ${text}`);
  if (word !== "tcp" && word !== "udp") {
    throw badRequest(`invalid protocol ${word} in ${text}: it is tcp or udp`);
  }
  const protocol = word === "tcp" ? TraceProtocol.TCP : TraceProtocol.UDP;
  return { ref: host.replace(/^\[(.*)\]$/, "$1"), protocol, port };
}

export function findEnd(call: Call, swarm: Swarm, ref: string): End {
  if (ref === "") throw badRequest("a trace needs two ends");
  const ends = swarm.endpoints.filter(({ kind }) => kind !== EndpointKind.VIP);
  const found = (endpoints: readonly Endpoint[], service = false): End => ({
    kind: "endpoints",
    endpoints,
    service,
  });
  const ip = parseIp(ref);
  if (ip !== undefined) {
    const text = formatIp(ip);
    const at = ends.filter((each) => addressesOf(each).includes(text));
    if (at.length > 0) return found(at);
    const node = swarm.nodes.find(({ dataPathAddr, addr }) => [dataPathAddr, addr].includes(text));
    return node === undefined ? { kind: "other" } : { kind: "node", node };
  }
  const named = ends.filter(({ id, ownerId, name }) => [id, ownerId, name].includes(ref));
  if (named.length > 0) return found(named);
  const container = call.node.containers.get(ref);
  if (!isRefusal(container)) {
    const task = container.spec.labels["com.docker.swarm.task.id"];
    const own = ends.filter(({ ownerId }) => ownerId === container.id || ownerId === task);
    if (own.length > 0) return found(own);
  }
  const service = swarm.services.find(({ id, spec }) => [id, spec?.name].includes(ref));
  if (service !== undefined) {
    return found(
      ends.filter(({ serviceId }) => serviceId === service.id),
      true,
    );
  }
  // "web.1" is a task of "web", whichever it is now.
  const slot = ends.filter(({ name, ownerId }) => name === `${ref}.${ownerId}`);
  if (slot.length > 0) return found(slot);
  const node = swarm.nodes.find(({ id, description }) => [id, description?.hostname].includes(ref));
  if (node !== undefined) return { kind: "node", node };
  const owners = new Map<string, Endpoint[]>();
  for (const each of ends) {
    if (!each.ownerId.startsWith(ref) && !each.id.startsWith(ref)) continue;
    owners.set(each.ownerId, [...(owners.get(each.ownerId) ?? []), each]);
  }
  if (owners.size > 1) throw badRequest(`${ref} is ambiguous (${owners.size} matches found)`);
  const [only] = owners.values();
  return only === undefined ? { kind: "other" } : found(only);
}

export function addressesOf({ ipv4, ipv6 }: Endpoint): readonly string[] {
  return [ipv4, ipv6].flatMap((text) => {
    const ip = parsePrefix(text)?.ip;
    return ip === undefined ? [] : [formatIp(ip)];
  });
}

export interface Ends {
  readonly from: Endpoint | Node;
  readonly fromIsNode: boolean;
  /** Endpoints that it may come to, one a node and endpoint; empty: none of the swarm's. */
  readonly to: readonly Endpoint[];
  readonly toNode: Node | undefined;
  /** What the source is to send to; a name is looked up in its sandbox. */
  readonly address: string;
  readonly name: string;
}

/** Of several that are meant, those on a network that both ends are on, in the order of their names. */
export function chooseEnds(
  swarm: Swarm,
  from: End,
  to: End,
  refs: readonly [string, string],
): Ends {
  const [fromRef, toRef] = refs;
  if (from.kind === "other") {
    throw notFound(`no such container, task, service, address or node: ${fromRef}`);
  }
  const isAddress = parseIp(toRef) !== undefined;
  const toEnds = to.kind === "endpoints" ? inOrder(to.endpoints) : [];
  const toNode = to.kind === "node" ? to.node : undefined;
  const name = isAddress || toNode !== undefined ? "" : toRef;
  if (from.kind === "node") {
    const address = toNode?.dataPathAddr || (toEnds[0] && addressesOf(toEnds[0])[0]);
    return {
      ...{ from: from.node, fromIsNode: true, to: toEnds, toNode, name: address ? "" : name },
      address: isAddress ? toRef : (address ?? ""),
    };
  }
  const networks = new Set(toEnds.map(({ networkId }) => networkId));
  const vipNetworks = swarm.endpoints
    .filter((each) => each.kind === EndpointKind.VIP && addressesOf(each).includes(toRef))
    .map(({ networkId }) => networkId);
  for (const id of vipNetworks) networks.add(id);
  const sources = inOrder(from.endpoints);
  const source = sources.find(({ networkId }) => networks.has(networkId)) ?? sources[0];
  if (source === undefined) throw notFound(`nothing of ${fromRef} is on a network of the swarm`);
  const shared = toEnds.filter((each) => each.networkId === source.networkId && each !== source);
  const vip = swarm.endpoints.find(
    (each) =>
      each.kind === EndpointKind.VIP &&
      each.networkId === source.networkId &&
      (addressesOf(each).includes(toRef) || each.serviceId === shared[0]?.serviceId) &&
      each.serviceId !== "",
  );
  const isService = to.kind === "endpoints" && to.service;
  const families = addressesOf(source).map((text) => text.includes(":"));
  const firstOf = (each: Endpoint | undefined) =>
    each && addressesOf(each).find((text) => families.includes(text.includes(":")));
  const address = isAddress
    ? toRef
    : toNode?.dataPathAddr || firstOf(isService ? (vip ?? shared[0]) : shared[0]);
  const backends =
    isAddress && vip !== undefined && shared.length === 0
      ? swarm.endpoints.filter(
          (each) =>
            each.kind !== EndpointKind.VIP &&
            each.serviceId === vip.serviceId &&
            each.networkId === vip.networkId,
        )
      : shared;
  return {
    ...{ from: source, fromIsNode: false, to: inOrder(backends), toNode, name },
    address: address ?? "",
  };
}

function inOrder(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return endpoints.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
