// The tables that sandboxes of this node are to have, made of what can be reached: VIPs and their backends, the way
// to the resolver, and policies. What has not changed is the same object as before: whoever compares, or
// writes, has to look only at what is new.
import { type Family, formatIp, parsePrefix } from "../../common/address.js";
import type { Endpoint } from "../../proto/gen/types.js";
import type { Reach, ReachNetwork } from "../reach/reach.js";
import { sandboxKey } from "../reconcile/names.js";
import type { ChainWant, MapWant, NamespaceTables, TableWant } from "../reconcile/table-want.js";
import type { SandboxRef } from "../reconcile/want.js";
import {
  type FamilyMaps,
  mapsOf,
  NO,
  outputChain,
  pickChain,
  pickOf,
  type ResolverPorts,
  refuseChain,
} from "./chains.js";
import { kept } from "./order.js";
import { policyOf } from "./policy.js";
import { elementsOf, type ServiceElements } from "./service-elements.js";

/** An interface inside a sandbox. */
export interface Inside {
  readonly network: ReachNetwork;
  readonly endpoint: Endpoint;
  readonly interfaceName: string;
}

export interface Inhabited {
  readonly sandbox: SandboxRef;
  readonly insides: readonly Inside[];
  /** Where questions to 127.0.0.11 port 53 go; undefined: nobody answers them there. */
  readonly resolver: ResolverPorts | undefined;
}

/** What is the same for all that are on the same networks. */
interface Shared {
  readonly families: ReadonlyMap<Family, Omit<FamilyMaps, "sticky">>;
  readonly sticky: readonly ServiceElements[];
  readonly chains: readonly ChainWant[];
}

export class Balance {
  /** By network, then by service. */
  #services = new Map<string, ReadonlyMap<string, ServiceElements>>();
  #networks = new Map<string, ReachNetwork["services"]>();
  #shared = new Map<string, Shared>();
  #tables = new Map<string, TableWant>();

  constructor(private readonly tableName: (sandbox: SandboxRef) => string) {}

  tables(reach: Reach, inhabited: readonly Inhabited[]): readonly NamespaceTables[] {
    const changed = this.#follow(reach);
    const shared = new Map<string, Shared>();
    const tables = new Map<string, TableWant>();
    const all: NamespaceTables[] = [];
    for (const each of inhabited) {
      const { sandbox } = each;
      const networks = balanced(each.insides);
      const ids = networks.map(({ network }) => network.id);
      const key = ids.join(" ");
      const known =
        shared.get(key) ?? (ids.some((id) => changed.has(id)) ? undefined : this.#shared.get(key));
      const common = known ?? this.#share(networks);
      shared.set(key, common);
      const name = sandboxKey(sandbox);
      const table = sameAs(this.#tables.get(name), this.#tableOf(each, common));
      if (table.maps.length === 0 && each.resolver === undefined) continue;
      tables.set(name, table);
      all.push({ sandbox, tables: [table] });
    }
    this.#shared = shared;
    this.#tables = tables;
    return all;
  }

  /** Takes note of what changed; the networks of which something did. */
  #follow(reach: Reach): ReadonlySet<string> {
    const changed = new Set<string>();
    const services = new Map<string, ReadonlyMap<string, ServiceElements>>();
    for (const [id, network] of reach.networks) {
      const before = this.#services.get(id);
      if (before !== undefined && this.#networks.get(id) === network.services) {
        services.set(id, before);
        continue;
      }
      changed.add(id);
      const now = network.services.map((service) => {
        const had = before?.get(service.id);
        return [service.id, had?.service === service ? had : elementsOf(service, had)] as const;
      });
      services.set(id, new Map(now));
    }
    this.#services = services;
    this.#networks = new Map([...reach.networks].map(([id, { services: all }]) => [id, all]));
    return changed;
  }

  #share(networks: readonly ReachNetwork[]): Shared {
    const services = networks.flatMap(({ network }) => [
      ...(this.#services.get(network.id)?.values() ?? []),
    ]);
    const families = new Map(
      familiesOf(networks).map((family) => [family, sharedMaps(services, family)] as const),
    );
    const sticky = services.filter(
      ({ service, order }) => service.row?.affinity && order.length > 0,
    );
    const chains = [...families].flatMap(([family, { counts }]) =>
      [...counts].sort((a, b) => a - b).map((count) => pickOf(family, count)),
    );
    return { families, sticky, chains };
  }

  #tableOf({ sandbox, insides, resolver }: Inhabited, common: Shared): TableWant {
    const families = [...common.families.keys()];
    const policy = policyOf(insides);
    const refuses = families.length > 0 || policy !== undefined;
    return {
      family: "inet",
      name: this.tableName(sandbox),
      maps: [
        ...[...common.families].flatMap(([family, maps]) =>
          mapsOf(family, { ...maps, sticky: stickyOf(insides, common.sticky, family) }),
        ),
        ...(policy?.maps ?? []),
      ],
      chains: [
        outputChain(families, resolver),
        ...common.chains,
        ...(families.length > 0 ? [refuseChain(families)] : []),
        ...(policy?.chains ?? []),
        ...(refuses ? [NO] : []),
      ],
    };
  }
}

/** Nobody inside is told of addresses on the ingress network. Each network once, in the order of their ids. */
function balanced(insides: readonly Inside[]): readonly ReachNetwork[] {
  const networks = new Map(insides.map(({ network }) => [network.network.id, network]));
  return [...networks.values()]
    .filter(({ network }) => network.spec?.ingress !== true)
    .sort((a, b) => (a.network.id < b.network.id ? -1 : 1));
}

function familiesOf(networks: readonly ReachNetwork[]): readonly Family[] {
  const found = new Set(
    networks.flatMap(({ network }) =>
      network.subnets.flatMap(({ cidr }) => parsePrefix(cidr)?.ip.family ?? []),
    ),
  );
  return ([4, 6] as const).filter((family) => found.has(family));
}

function sharedMaps(services: readonly ServiceElements[], family: Family) {
  const vips = new Map<string, string>();
  const backends = new Map<string, string>();
  const refused = new Map<string, string>();
  const members = new Map<string, string>();
  const counts = new Set<number>();
  for (const { families } of services) {
    const elements = families.get(family);
    if (elements === undefined) continue;
    for (const address of elements.members) members.set(address, "");
    const count = elements.backends.length;
    if (count === 0) refused.set(elements.vip, "");
    else if (!elements.affinity) {
      counts.add(count);
      vips.set(elements.vip, pickChain(family, count));
      for (const [key, address] of elements.backends) backends.set(key, address);
    }
  }
  return { vips, backends, refused, members, counts };
}

/** In a sandbox a network has one client: who is in it. Both families lead it to the same backend. */
function stickyOf(
  insides: readonly Inside[],
  services: readonly ServiceElements[],
  family: Family,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (services.length === 0) return found;
  const clients = new Map<unknown, string>();
  for (const { network, endpoint } of insides) {
    const ip = parsePrefix(endpoint.ipv4 || endpoint.ipv6)?.ip;
    if (ip === undefined) continue;
    for (const service of network.services)
      if (service.row?.affinity) clients.set(service, formatIp(ip));
  }
  for (const { service, order, families } of services) {
    const client = clients.get(service);
    const elements = families.get(family);
    if (client === undefined || elements === undefined) continue;
    const chosen =
      elements.backends[order.indexOf(kept(client, order) ?? "")] ?? elements.backends[0];
    if (chosen !== undefined) found.set(elements.vip, chosen[1]);
  }
  return found;
}

/** The earlier table, or map, where the new one says the same. */
function sameAs(before: TableWant | undefined, now: TableWant): TableWant {
  if (before === undefined) return now;
  const maps = now.maps.map((map, i) => sameMap(before.maps[i], map));
  const isSame =
    before.maps.length === maps.length &&
    maps.every((map, i) => map === before.maps[i]) &&
    before.name === now.name &&
    sameChains(before.chains, now.chains);
  return isSame ? before : { ...now, maps };
}

// Choice: larger ones are made once for all sandboxes and not looked through for each.
const LOOK_THROUGH_MAX = 1000;

function sameMap(before: MapWant | undefined, now: MapWant): MapWant {
  if (before === undefined || before.name !== now.name) return now;
  if (before.elements === now.elements) return before;
  const { size } = now.elements;
  if (before.elements.size !== size || size > LOOK_THROUGH_MAX) return now;
  for (const [key, value] of now.elements) if (before.elements.get(key) !== value) return now;
  return before;
}

function sameChains(before: readonly ChainWant[], now: readonly ChainWant[]): boolean {
  const text = (chains: readonly ChainWant[]) =>
    chains.map(({ name, rules }) => [name, ...rules.map(({ comment }) => comment)].join()).join();
  return before.length === now.length && text(before) === text(now);
}
