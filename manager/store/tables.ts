// The objects and everything derived from them, kept in step by one method: `replace`. It takes any
// change back by its reverse, which is what drafts and refused transactions rest on.
import { contains, networkOf, type Prefix, parsePrefix } from "../../common/address.js";
import { assert, unreachable } from "../../common/fault.js";
import type { Config, PortProtocol, Secret, Service, Task } from "../../proto/gen/service.js";
import type {
  Cluster,
  Endpoint,
  Network,
  Node,
  Policy,
  Quarantine,
} from "../../proto/gen/types.js";
import { BITS_MAX, SparseBits } from "../ipam/sparse-bits.js";
import { NetworkIndex } from "./network-index.js";
import { NodeIndex } from "./node-index.js";
import type { Change, Kind, Objects } from "./objects.js";
import { type RecentChange, RecentChanges } from "./recent.js";
import { SubnetIndex } from "./subnet-index.js";
import type { StoreView, SubnetUse } from "./view.js";
import { type Referred, WorkIndex } from "./work-index.js";

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

export class Tables implements StoreView {
  revision = 0;
  recent = new RecentChanges(0);

  readonly #objects: { readonly [K in Kind]: Map<string, Objects[K]> } = {
    cluster: new Map(),
    node: new Map(),
    network: new Map(),
    endpoint: new Map(),
    quarantine: new Map(),
    secret: new Map(),
    config: new Map(),
    service: new Map(),
    task: new Map(),
    policy: new Map(),
  };
  readonly #work = new WorkIndex();
  readonly #nodeIndex = new NodeIndex();
  readonly #networkIndexes = new Map<string, NetworkIndex>();
  readonly #networkNames = new Map<string, Network>();
  readonly #subnets = new SubnetIndex();
  readonly #vnis = new Map<number, string>();
  /** VNIs in use or resting. */
  readonly #vnisTaken = new SparseBits();
  readonly #vnisResting = new Map<string, Quarantine>();
  readonly #endpointsOf = new Map<string, Map<string, Endpoint>>();
  /** Endpoints of each service, and of each node, by network. */
  readonly #serviceNetworks = new Map<string, Map<string, number>>();
  readonly #nodeNetworks = new Map<string, Map<string, number>>();
  readonly #ingress = new Set<string>();

  get<K extends Kind>(kind: K, id: string): Objects[K] | undefined {
    return this.#objects[kind].get(id);
  }

  all<K extends Kind>(kind: K): Iterable<Objects[K]> {
    return this.#objects[kind].values();
  }

  /** The task with a spec that others of its service have too, where it says the same: memory only. */
  withSharedSpec(task: Task): Task {
    const before = this.task(task.id);
    const spec = this.#work.sharedSpec(task, before, this.service(task.serviceId));
    return spec === task.spec ? task : { ...task, spec };
  }

  /** Puts `after` in the place of `before`. The rules have been asked; this only keeps the books. */
  replace(change: Change) {
    switch (change.kind) {
      case "cluster":
        return this.#swap(this.#objects.cluster, change);
      case "node":
        this.#swap(this.#objects.node, change);
        return this.#nodeIndex.replace(change.before, change.after);
      case "network":
        this.#swap(this.#objects.network, change);
        return this.#replaceNetwork(change.before, change.after);
      case "endpoint":
        this.#swap(this.#objects.endpoint, change);
        return this.#replaceEndpoint(change.before, change.after);
      case "quarantine":
        this.#swap(this.#objects.quarantine, change);
        return this.#replaceQuarantine(change.before, change.after);
      case "secret":
        this.#swap(this.#objects.secret, change);
        return this.#work.replaceSecret(change.before, change.after);
      case "config":
        this.#swap(this.#objects.config, change);
        return this.#work.replaceConfig(change.before, change.after);
      case "service":
        this.#swap(this.#objects.service, change);
        return this.#work.replaceService(change.before, change.after);
      case "task":
        this.#swap(this.#objects.task, change);
        return this.#work.replaceTask(change.before, change.after);
      case "policy":
        this.#swap(this.#objects.policy, change);
        return this.#replacePolicy(change.before, change.after);
      default:
        unreachable(change);
    }
  }

  #swap<T>(table: Map<string, T>, change: { readonly id: string; readonly after: T | undefined }) {
    if (change.after === undefined) table.delete(change.id);
    else table.set(change.id, change.after);
  }

  #replaceNetwork(before: Network | undefined, after: Network | undefined): void {
    // The name of one that is leaving is free, and may be another's already.
    if (before && !before.leaving) this.#networkNames.delete(before.spec?.name ?? "");
    if (after && !after.leaving) this.#networkNames.set(after.spec?.name ?? "", after);
    if (before?.spec?.ingress) this.#ingress.delete(before.id);
    if (after?.spec?.ingress && !after.leaving) this.#ingress.add(after.id);
    // VNI, subnets and reserved addresses of a network never change (rules.ts), so an update leaves them.
    if (before !== undefined && after !== undefined) return;
    if (before !== undefined) {
      for (const prefix of prefixesOf(before)) this.#subnets.remove(prefix);
      this.#vnis.delete(before.vni);
      this.#vnisTaken.delete(before.vni);
      this.#networkIndexes.delete(before.id);
    }
    if (after !== undefined) {
      for (const prefix of prefixesOf(after)) this.#subnets.add({ networkId: after.id, prefix });
      this.#vnis.set(after.vni, after.id);
      this.#vnisTaken.add(after.vni);
      this.#networkIndexes.set(after.id, new NetworkIndex(after));
    }
  }

  #replaceEndpoint(before: Endpoint | undefined, after: Endpoint | undefined): void {
    if (before !== undefined) {
      this.#index(before.networkId).removeEndpoint(before);
      const own = this.#endpointsOf.get(before.nodeId);
      own?.delete(before.id);
      if (own?.size === 0) this.#endpointsOf.delete(before.nodeId);
      this.#countNetworks(before, -1);
    }
    if (after !== undefined) {
      this.#index(after.networkId).addEndpoint(after);
      const own = this.#endpointsOf.get(after.nodeId);
      if (own === undefined) this.#endpointsOf.set(after.nodeId, new Map([[after.id, after]]));
      else own.set(after.id, after);
      this.#countNetworks(after, 1);
    }
  }

  #countNetworks({ serviceId, nodeId, networkId }: Endpoint, by: 1 | -1): void {
    if (serviceId !== "") count(this.#serviceNetworks, serviceId, networkId, by);
    // A VIP is on no node of its own.
    if (nodeId !== "") count(this.#nodeNetworks, nodeId, networkId, by);
  }

  #replacePolicy(before: Policy | undefined, after: Policy | undefined): void {
    if (before !== undefined) this.#index(before.networkId).policies.delete(before.id);
    if (after !== undefined) this.#index(after.networkId).policies.set(after.id, after);
  }

  #replaceQuarantine(before: Quarantine | undefined, after: Quarantine | undefined): void {
    for (const [quarantine, rests] of [[before, false] as const, [after, true] as const]) {
      if (quarantine === undefined) continue;
      if (quarantine.networkId !== "") {
        const index = this.#index(quarantine.networkId);
        if (rests) index.addResting(quarantine);
        else index.removeResting(quarantine);
      } else if (rests) {
        this.#vnisResting.set(quarantine.id, quarantine);
        this.#vnisTaken.add(quarantine.vni);
      } else {
        this.#vnisResting.delete(quarantine.id);
        this.#vnisTaken.delete(quarantine.vni);
      }
    }
  }

  #index(networkId: string): NetworkIndex {
    const index = this.#networkIndexes.get(networkId);
    assert(index !== undefined, "the network of an endpoint or a policy is in the store");
    return index;
  }

  // ---- StoreView ----

  cluster(): Cluster | undefined {
    for (const cluster of this.#objects.cluster.values()) return cluster;
    return undefined;
  }

  policy(id: string): Policy | undefined {
    return this.#objects.policy.get(id);
  }
  policies(): Iterable<Policy> {
    return this.#objects.policy.values();
  }
  policiesOn(networkId: string): Iterable<Policy> {
    return (this.#networkIndexes.get(networkId)?.policies ?? NOTHING).values();
  }

  node(id: string): Node | undefined {
    return this.#objects.node.get(id);
  }
  nodes(): Iterable<Node> {
    return this.#objects.node.values();
  }
  get nodeCount(): number {
    return this.#objects.node.size;
  }
  nodeByRaftId(raftId: number): Node | undefined {
    return this.node(this.#nodeIndex.byRaftId.get(raftId) ?? "");
  }
  nodeByKeyDigest(digest: Uint8Array): Node | undefined {
    return this.node(this.#nodeIndex.byKeyDigest.get(Buffer.from(digest).toString("hex")) ?? "");
  }
  nodesByWireguardKey(key: Uint8Array): Iterable<Node> {
    const id = Buffer.from(key).toString("hex");
    return (this.#nodeIndex.byWireguardKey.get(id) ?? NOTHING).values();
  }
  managers(): Iterable<Node> {
    return this.#nodeIndex.managers.values();
  }
  hasUnderlayAddressIn(prefix: Prefix): boolean {
    for (const { ip } of this.#nodeIndex.addresses.values()) if (contains(prefix, ip)) return true;
    return false;
  }

  network(id: string): Network | undefined {
    return this.#objects.network.get(id);
  }
  networkByName(name: string): Network | undefined {
    return this.#networkNames.get(name);
  }
  networkByVni(vni: number): Network | undefined {
    return this.network(this.#vnis.get(vni) ?? "");
  }
  ingressNetwork(): Network | undefined {
    for (const id of this.#ingress) return this.network(id);
    return undefined;
  }
  networks(): Iterable<Network> {
    return this.#objects.network.values();
  }
  overlappingSubnet(prefix: Prefix): SubnetUse | undefined {
    return this.#subnets.overlapping(networkOf(prefix));
  }
  lowestFreeVni(first: number): number | undefined {
    return this.#vnisTaken.lowestGap(first, BITS_MAX - 1);
  }

  endpoint(id: string): Endpoint | undefined {
    return this.#objects.endpoint.get(id);
  }
  endpoints(): Iterable<Endpoint> {
    return this.#objects.endpoint.values();
  }
  endpointsOn(networkId: string): Iterable<Endpoint> {
    return (this.#networkIndexes.get(networkId)?.endpoints ?? NOTHING).values();
  }
  endpointsOf(nodeId: string): Iterable<Endpoint> {
    return (this.#endpointsOf.get(nodeId) ?? NOTHING).values();
  }
  nodesOn(networkId: string): Iterable<string> {
    return (this.#networkIndexes.get(networkId)?.nodes ?? NOTHING).keys();
  }
  isOn(nodeId: string, networkId: string): boolean {
    return this.#networkIndexes.get(networkId)?.nodes.has(nodeId) ?? false;
  }
  vipsOn(networkId: string): Iterable<Endpoint> {
    return (this.#networkIndexes.get(networkId)?.vips ?? NOTHING).values();
  }
  networksOf(nodeId: string): Iterable<string> {
    return (this.#nodeNetworks.get(nodeId) ?? NOTHING).keys();
  }
  networksOfService(serviceId: string): Iterable<string> {
    return (this.#serviceNetworks.get(serviceId) ?? NOTHING).keys();
  }
  addressHolder(networkId: string, address: string): Endpoint | undefined {
    return this.endpoint(this.#networkIndexes.get(networkId)?.holder(address) ?? "");
  }
  macHolder(networkId: string, mac: string): Endpoint | undefined {
    return this.endpoint(this.#networkIndexes.get(networkId)?.macHolder(mac) ?? "");
  }
  lowestFreeAddress(networkId: string, cidr: string): string | undefined {
    return this.#networkIndexes.get(networkId)?.lowestFree(cidr);
  }
  isReserved(networkId: string, address: string): boolean {
    return this.#networkIndexes.get(networkId)?.isReserved(address) ?? false;
  }
  quarantined(id: string): Quarantine | undefined {
    return this.#objects.quarantine.get(id);
  }
  resting(networkId: string): Iterable<Quarantine> {
    return this.#restingOf(networkId).values();
  }
  restingCount(networkId: string): number {
    return this.#restingOf(networkId).size;
  }
  #restingOf(networkId: string): ReadonlyMap<string, Quarantine> {
    if (networkId === "") return this.#vnisResting;
    return this.#networkIndexes.get(networkId)?.resting ?? NOTHING;
  }

  service(id: string): Service | undefined {
    return this.#objects.service.get(id);
  }
  serviceByName(name: string): Service | undefined {
    return this.#work.serviceNames.get(name);
  }
  services(): Iterable<Service> {
    return this.#objects.service.values();
  }
  portHolder(protocol: PortProtocol, publishedPort: number): Service | undefined {
    return this.#work.portHolder(protocol, publishedPort);
  }
  lowestFreePort(protocol: PortProtocol, first: number, last: number): number | undefined {
    return this.#work.lowestFreePort(protocol, first, last);
  }
  task(id: string): Task | undefined {
    return this.#objects.task.get(id);
  }
  tasks(): Iterable<Task> {
    return this.#objects.task.values();
  }
  tasksOf(serviceId: string): Iterable<Task> {
    return this.#work.tasksOf(serviceId);
  }
  tasksOn(nodeId: string): Iterable<Task> {
    return this.#work.tasksOn(nodeId);
  }
  secret(id: string): Secret | undefined {
    return this.#objects.secret.get(id);
  }
  secretByName(name: string): Secret | undefined {
    return this.#work.secretNames.get(name);
  }
  secrets(): Iterable<Secret> {
    return this.#objects.secret.values();
  }
  config(id: string): Config | undefined {
    return this.#objects.config.get(id);
  }
  configByName(name: string): Config | undefined {
    return this.#work.configNames.get(name);
  }
  configs(): Iterable<Config> {
    return this.#objects.config.values();
  }
  *usersOf(kind: Referred, id: string): Iterable<Service> {
    for (const serviceId of this.#work.usersOf(kind, id)) {
      const service = this.service(serviceId);
      if (service !== undefined) yield service;
    }
  }

  changesSince(revision: number): readonly RecentChange[] | undefined {
    return this.recent.since(revision);
  }
}

/** Keeps no zero and nothing empty. */
function count(
  counts: Map<string, Map<string, number>>,
  key: string,
  of: string,
  by: 1 | -1,
): void {
  const own = counts.get(key) ?? new Map<string, number>();
  const now = (own.get(of) ?? 0) + by;
  if (now > 0) own.set(of, now);
  else own.delete(of);
  if (own.size > 0) counts.set(key, own);
  else counts.delete(key);
}

function prefixesOf(network: Network): readonly Prefix[] {
  return network.subnets.map((subnet) => {
    const prefix = parsePrefix(subnet.cidr);
    assert(prefix !== undefined, "a stored subnet is a prefix");
    return prefix;
  });
}
