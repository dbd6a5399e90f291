// What can be reached from this node and how, made of its assignments: names and load balancing are
// functions of this view alone. It knows neither sandboxes nor the kernel.
import { type Ip, parsePrefix } from "../../common/address.js";
import type { Assignments, ServiceRow } from "../../proto/gen/dispatcher.js";
import { type Endpoint, EndpointKind, type Network, type Policy } from "../../proto/gen/types.js";

export interface Addresses {
  readonly ipv4: Ip | undefined;
  readonly ipv6: Ip | undefined;
}

/** A task of a service on one network. */
export interface Backend extends Addresses {
  readonly endpointId: string;
  readonly taskId: string;
  readonly nodeId: string;
  /** "web.1.<task id>". */
  readonly name: string;
  readonly hostname: string;
  readonly aliases: readonly string[];
  /** New connections may go to it (docs/reachability.md: serving, and not on a silent node unless all are). */
  readonly usable: boolean;
}

/** A service on one network. */
export interface ReachService {
  readonly id: string;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly row: ServiceRow | undefined;
  /** Undefined: dnsrr, or none was given. */
  readonly vip: Addresses | undefined;
  /** In the order of their endpoint ids. */
  readonly backends: readonly Backend[];
}

/** What is on a network by itself: containers and attachments. */
export interface Single extends Addresses {
  readonly endpointId: string;
  readonly nodeId: string;
  readonly name: string;
  readonly hostname: string;
  readonly aliases: readonly string[];
}

export interface ReachNetwork {
  readonly network: Network;
  readonly services: readonly ReachService[];
  readonly singles: readonly Single[];
  readonly policies: readonly Policy[];
  /** This node's own endpoints on it, by id. */
  readonly own: ReadonlyMap<string, Endpoint>;
}

export interface Reach {
  readonly revision: number;
  readonly networks: ReadonlyMap<string, ReachNetwork>;
}

/** What is the same as `before` is the same object: whoever makes something of a service makes it once. */
export function reachOf(held: Assignments, nodeId: string, before?: Reach): Reach {
  const rows = new Map(held.services.map((row) => [row.id, row]));
  const silent = new Set(held.peers.filter((peer) => peer.silent).map((peer) => peer.nodeId));
  const byNetwork = new Map<string, Endpoint[]>(held.networks.map(({ id }) => [id, []]));
  for (const endpoint of held.endpoints) byNetwork.get(endpoint.networkId)?.push(endpoint);
  const networks = new Map<string, ReachNetwork>();
  for (const network of held.networks) {
    const endpoints = byNetwork.get(network.id) ?? [];
    const had = before?.networks.get(network.id);
    const next: ReachNetwork = {
      network,
      services: servicesOf(endpoints, rows, silent, had?.services ?? []),
      singles: endpoints.filter(({ kind }) => kind === EndpointKind.ATTACHMENT).map(singleOf),
      policies: held.policies.filter(({ networkId }) => networkId === network.id),
      own: new Map(
        endpoints.filter((each) => each.nodeId === nodeId).map((each) => [each.id, each]),
      ),
    };
    networks.set(network.id, next);
  }
  return { revision: held.revision, networks };
}

/** A network that only this node has. */
export function localView(network: Network, endpoints: readonly Endpoint[]): ReachNetwork {
  const own = new Map(endpoints.map((each) => [each.id, each]));
  return { network, services: [], singles: endpoints.map(singleOf), policies: [], own };
}

function servicesOf(
  endpoints: readonly Endpoint[],
  rows: ReadonlyMap<string, ServiceRow>,
  silent: ReadonlySet<string>,
  before: readonly ReachService[],
): readonly ReachService[] {
  const known = new Map(before.map((service) => [service.id, service]));
  const groups = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    if (endpoint.serviceId === "") continue;
    const group = groups.get(endpoint.serviceId);
    if (group === undefined) groups.set(endpoint.serviceId, [endpoint]);
    else group.push(endpoint);
  }
  const services = [...groups].map(([id, group]) => {
    const row = rows.get(id);
    const had = known.get(id);
    return had !== undefined && isMadeOf(had, row, group, silent)
      ? had
      : serviceOf(id, row, group, silent);
  });
  const isSame =
    services.length === before.length && services.every((each, i) => each === before[i]);
  return isSame ? before : services;
}

/** What a service was made of: endpoints are replaced when they change, never written to. */
const origins = new WeakMap<
  ReachService,
  { readonly group: readonly Endpoint[]; readonly silent: readonly boolean[] }
>();

function isMadeOf(
  service: ReachService,
  row: ServiceRow | undefined,
  group: readonly Endpoint[],
  silent: ReadonlySet<string>,
): boolean {
  const origin = origins.get(service);
  if (origin === undefined || service.row !== row || origin.group.length !== group.length)
    return false;
  return group.every(
    (each, i) => each === origin.group[i] && silent.has(each.nodeId) === origin.silent[i],
  );
}

function serviceOf(
  id: string,
  row: ServiceRow | undefined,
  group: readonly Endpoint[],
  silent: ReadonlySet<string>,
): ReachService {
  const vip = group.find(({ kind }) => kind === EndpointKind.VIP);
  const tasks = group.filter(({ kind }) => kind === EndpointKind.TASK);
  const service: ReachService = {
    id,
    name: row?.name ?? vip?.name ?? "",
    aliases: vip?.aliases ?? tasks[0]?.aliases ?? [],
    row,
    vip: vip && addressesOf(vip),
    backends: backendsOf(tasks, silent),
  };
  origins.set(service, { group, silent: group.map(({ nodeId }) => silent.has(nodeId)) });
  return service;
}

function backendsOf(tasks: readonly Endpoint[], silent: ReadonlySet<string>): readonly Backend[] {
  // Suspicion never empties a service.
  const heard = tasks.some(({ serving, nodeId }) => serving && !silent.has(nodeId));
  return tasks
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((endpoint) => ({
      ...singleOf(endpoint),
      taskId: endpoint.ownerId,
      usable: endpoint.serving && !(heard && silent.has(endpoint.nodeId)),
    }));
}

// Of the same endpoint it is the same object.
const singles = new WeakMap<Endpoint, Single>();

function singleOf(endpoint: Endpoint): Single {
  const had = singles.get(endpoint);
  if (had !== undefined) return had;
  const { id, nodeId, name, hostname, aliases } = endpoint;
  const single = { endpointId: id, nodeId, name, hostname, aliases, ...addressesOf(endpoint) };
  singles.set(endpoint, single);
  return single;
}

function addressesOf({ ipv4, ipv6 }: Endpoint): Addresses {
  return { ipv4: parsePrefix(ipv4)?.ip, ipv6: parsePrefix(ipv6)?.ip };
}
