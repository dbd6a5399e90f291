// How the rest of the manager reads the store, and how a request changes it. Objects are immutable: what
// was read stays as it was; iterables are live and must be used up before control returns to the event loop.
import type { Prefix } from "../../common/address.js";
import type { Refusal } from "../../common/fault.js";
import type { Config, PortProtocol, Secret, Service, Task } from "../../proto/gen/service.js";
import type { Transaction } from "../../proto/gen/store.js";
import type {
  Cluster,
  Endpoint,
  Network,
  Node,
  Policy,
  Quarantine,
} from "../../proto/gen/types.js";
import type { Change, Kind, Objects } from "./objects.js";
import type { RecentChange } from "./recent.js";

/** A consistent state of the swarm. Nothing here costs more than it returns, unless it says so. */
export interface StoreView {
  /** Raft index of the last entry applied. */
  readonly revision: number;

  /** `undefined` before the swarm is made. */
  cluster(): Cluster | undefined;

  node(id: string): Node | undefined;
  nodes(): Iterable<Node>;
  readonly nodeCount: number;
  nodeByRaftId(raftId: number): Node | undefined;
  /** By SHA-256 of the node's public key. */
  nodeByKeyDigest(digest: Uint8Array): Node | undefined;
  /** That say they have this WireGuard key: one at most, unless an earlier release let another in. */
  nodesByWireguardKey(key: Uint8Array): Iterable<Node>;
  /** Nodes that are, or are wanted as, managers. */
  managers(): Iterable<Node>;
  /** Whether any node is known on the underlay (control or data path) by an address in `prefix`. Looks at every node. */
  hasUnderlayAddressIn(prefix: Prefix): boolean;

  network(id: string): Network | undefined;
  /** None that is leaving. */
  networkByName(name: string): Network | undefined;
  networkByVni(vni: number): Network | undefined;
  /** As `networkByName`. */
  ingressNetwork(): Network | undefined;
  /** All, with those that are leaving. */
  networks(): Iterable<Network>;
  /** The subnet in use that shares an address with `prefix`; the lowest one. */
  overlappingSubnet(prefix: Prefix): SubnetUse | undefined;
  /** The lowest VNI from `first` on that is neither used nor resting. */
  lowestFreeVni(first: number): number | undefined;

  endpoint(id: string): Endpoint | undefined;
  endpoints(): Iterable<Endpoint>;
  endpointsOn(networkId: string): Iterable<Endpoint>;
  endpointsOf(nodeId: string): Iterable<Endpoint>;
  /** The ids of the nodes with an endpoint on the network. */
  nodesOn(networkId: string): Iterable<string>;
  isOn(nodeId: string, networkId: string): boolean;
  /** On which the node has an endpoint. */
  networksOf(nodeId: string): Iterable<string>;
  /** The endpoints there that are services' own addresses. */
  vipsOn(networkId: string): Iterable<Endpoint>;
  /** The networks on which it, or a task of it, has an endpoint; of a service that is gone too. */
  networksOfService(serviceId: string): Iterable<string>;
  /** By address without prefix length, in canonical text. */
  addressHolder(networkId: string, address: string): Endpoint | undefined;
  macHolder(networkId: string, mac: string): Endpoint | undefined;
  /**
   * The lowest address of the subnet, or of its IP range, that is not used, resting or reserved. Only
   * the first 2^24 addresses are looked at: no network here is that large.
   */
  lowestFreeAddress(networkId: string, cidr: string): string | undefined;
  /** Whether an address belongs to the network itself (network, broadcast, gateway, auxiliary). */
  isReserved(networkId: string, address: string): boolean;
  quarantined(id: string): Quarantine | undefined;
  /** What rests on a network; the resting VNIs if `networkId` is empty. In no particular order. */
  resting(networkId: string): Iterable<Quarantine>;
  restingCount(networkId: string): number;

  service(id: string): Service | undefined;
  serviceByName(name: string): Service | undefined;
  services(): Iterable<Service>;
  /** The service that has an ingress port, over all nodes. */
  portHolder(protocol: PortProtocol, publishedPort: number): Service | undefined;
  /** The lowest ingress port from `first` to `last` that no service has. */
  lowestFreePort(protocol: PortProtocol, first: number, last: number): number | undefined;
  task(id: string): Task | undefined;
  tasks(): Iterable<Task>;
  /** Of a service that is gone too, while its tasks are not. */
  tasksOf(serviceId: string): Iterable<Task>;
  /** Assigned to the node, whatever became of them. */
  tasksOn(nodeId: string): Iterable<Task>;
  secret(id: string): Secret | undefined;
  secretByName(name: string): Secret | undefined;
  secrets(): Iterable<Secret>;
  config(id: string): Config | undefined;
  configByName(name: string): Config | undefined;
  configs(): Iterable<Config>;
  policy(id: string): Policy | undefined;
  policies(): Iterable<Policy>;
  policiesOn(networkId: string): Iterable<Policy>;
  /**
   * The services whose spec, or one of whose tasks that is not over, refers to it. A previous spec does not
   * hold what it refers to: who changed a service over to another secret may remove the old one.
   */
  usersOf(kind: "secret" | "config" | "network", id: string): Iterable<Service>;

  /** Changes after `revision`, oldest first; `undefined` when the memory does not reach back to it. */
  changesSince(revision: number): readonly RecentChange[] | undefined;
}

export interface SubnetUse {
  readonly networkId: string;
  readonly prefix: Prefix;
}

/**
 * A state of the swarm that can be changed and looked at, and then vanishes: what stays are the
 * transactions. Objects changed in a draft have version 0: the entry that will hold them has no index
 * yet. Read them again from the store after it is applied.
 */
export interface Draft extends StoreView {
  /**
   * Runs one request. If it answers a Refusal, or a change breaks a rule of the store (the answer is
   * then that rule's Refusal), all its changes are undone; else they are kept as one more transaction
   * (none if it changed nothing). What it throws is thrown on, its changes undone. Not to be nested.
   */
  attempt<T>(nowMs: number, request: (draft: Draft) => T | Refusal): T | Refusal;
  create<K extends Kind>(kind: K, object: Objects[K]): void;
  /** `object.meta.version` must be that of what was read. */
  update<K extends Kind>(kind: K, object: Objects[K]): void;
  remove(kind: Kind, id: string): void;
  /** What was kept, in order. */
  readonly transactions: readonly Transaction[];
}

/** What one applied entry changed, in order. After a restore all may have changed, and `changed` is empty. */
export interface StoreChange {
  readonly revision: number;
  readonly restored: boolean;
  readonly changed: readonly Change[];
}
