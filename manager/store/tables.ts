// The objects and everything derived from them, kept in step by one method: `replace`. It takes any
// change back by its reverse, which is what drafts and refused transactions rest on.
import { contains, networkOf, type Prefix, parsePrefix } from "../../common/address.js";
import { assert, unreachable } from "../../common/fault.js";
import type { Cluster, Endpoint, Network, Node, Quarantine } from "../../proto/gen/types.js";
import { BITS_MAX, SparseBits } from "../ipam/sparse-bits.js";
import { NetworkIndex } from "./network-index.js";
import { NodeIndex } from "./node-index.js";
import type { Change, Kind, Objects } from "./objects.js";
import { type RecentChange, RecentChanges } from "./recent.js";
import { SubnetIndex } from "./subnet-index.js";
import type { StoreView, SubnetUse } from "./view.js";

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
  };
  readonly #nodeIndex = new NodeIndex();
  readonly #networkIndexes = new Map<string, NetworkIndex>();
  readonly #networkNames = new Map<string, Network>();
  readonly #subnets = new SubnetIndex();
  readonly #vnis = new Map<number, string>();
  /** VNIs in use or resting. */
  readonly #vnisTaken = new SparseBits();
  readonly #vnisResting = new Map<string, Quarantine>();
  readonly #endpointsOf = new Map<string, Map<string, Endpoint>>();

  get<K extends Kind>(kind: K, id: string): Objects[K] | undefined {
    return this.#objects[kind].get(id);
  }

  all<K extends Kind>(kind: K): Iterable<Objects[K]> {
    return this.#objects[kind].values();
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
      default:
        unreachable(change);
    }
  }

  #swap<T>(table: Map<string, T>, change: { readonly id: string; readonly after: T | undefined }) {
    if (change.after === undefined) table.delete(change.id);
    else table.set(change.id, change.after);
  }

  #replaceNetwork(before: Network | undefined, after: Network | undefined): void {
    if (before !== undefined) this.#networkNames.delete(before.spec?.name ?? "");
    if (after !== undefined) this.#networkNames.set(after.spec?.name ?? "", after);
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
    }
    if (after !== undefined) {
      this.#index(after.networkId).addEndpoint(after);
      const own = this.#endpointsOf.get(after.nodeId);
      if (own === undefined) this.#endpointsOf.set(after.nodeId, new Map([[after.id, after]]));
      else own.set(after.id, after);
    }
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
    assert(index !== undefined, "an endpoint's network is in the store");
    return index;
  }

  // ---- StoreView ----

  cluster(): Cluster | undefined {
    for (const cluster of this.#objects.cluster.values()) return cluster;
    return undefined;
  }

  node(id: string): Node | undefined {
    return this.#objects.node.get(id);
  }
  nodes(): Iterable<Node> {
    return this.#objects.node.values();
  }
  nodeByRaftId(raftId: number): Node | undefined {
    return this.node(this.#nodeIndex.byRaftId.get(raftId) ?? "");
  }
  nodeByKeyDigest(digest: Uint8Array): Node | undefined {
    return this.node(this.#nodeIndex.byKeyDigest.get(Buffer.from(digest).toString("hex")) ?? "");
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
    // Only creating an ingress network asks, and there are few networks.
    for (const network of this.networks()) if (network.spec?.ingress) return network;
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

  changesSince(revision: number): readonly RecentChange[] | undefined {
    return this.recent.since(revision);
  }
}

function prefixesOf(network: Network): readonly Prefix[] {
  return network.subnets.map((subnet) => {
    const prefix = parsePrefix(subnet.cidr);
    assert(prefix !== undefined, "a stored subnet is a prefix");
    return prefix;
  });
}
