// A draft works on the store's own tables and takes everything back at the end, all within one
// synchronous call: so it has every index of the store at hand, sees its own changes, and costs what it
// changes. It reads through to the tables, hence the long list of one-line methods.
import type { Prefix } from "../../common/address.js";
import { assert, isRefusal, type Refusal } from "../../common/fault.js";
import type { PortProtocol } from "../../proto/gen/service.js";
import type { StoreAction, Transaction } from "../../proto/gen/store.js";
import { briefItem } from "./brief-tasks.js";
import { Edit, UNCOMMITTED } from "./edit.js";
import { type Item, itemOf, type Kind, type Objects } from "./objects.js";
import type { Tables } from "./tables.js";
import type { Draft } from "./view.js";
import type { Referred } from "./work-index.js";

export class TablesDraft implements Draft {
  readonly transactions: Transaction[] = [];
  readonly #kept: Edit[] = [];
  #edit: Edit | undefined;
  #actions: StoreAction[] = [];
  #violation: Refusal | undefined;
  #ended = false;

  constructor(private readonly tables: Tables) {}

  attempt<T>(nowMs: number, request: (draft: Draft) => T | Refusal): T | Refusal {
    assert(!this.#ended, "a draft is used only within its call");
    assert(this.#edit === undefined, "attempts are not nested");
    const edit = new Edit(this.tables, UNCOMMITTED, nowMs);
    this.#edit = edit;
    this.#actions = [];
    this.#violation = undefined;
    let kept = false;
    try {
      const answer = request(this);
      const result = isRefusal(answer) ? answer : (this.#violation ?? answer);
      kept = !isRefusal(result);
      return result;
    } finally {
      this.#edit = undefined;
      if (!kept) edit.undo();
      else if (this.#actions.length > 0) {
        this.transactions.push({ actions: this.#actions, nowMs });
        this.#kept.push(edit);
      }
    }
  }

  create<K extends Kind>(kind: K, object: Objects[K]): void {
    const item = itemOf(kind, object);
    const logged = briefItem(this.tables, item);
    this.#note({ $case: "create", value: { object: logged } }, (edit) => edit.create(item));
  }

  update<K extends Kind>(kind: K, object: Objects[K]): void {
    const item: Item = itemOf(kind, object);
    const logged = briefItem(this.tables, item);
    this.#note({ $case: "update", value: { object: logged } }, (edit) => edit.update(item));
  }

  remove(kind: Kind, id: string): void {
    this.#note({ $case: "remove", value: { kind, id } }, (edit) => edit.remove(kind, id));
  }

  /** Takes back all that was kept. The draft is of no use afterwards. */
  end(): void {
    this.#ended = true;
    for (let edit = this.#kept.pop(); edit !== undefined; edit = this.#kept.pop()) edit.undo();
  }

  #note(action: NonNullable<StoreAction["action"]>, make: (edit: Edit) => Refusal | undefined) {
    assert(this.#edit !== undefined, "a draft is changed only within an attempt");
    // The first broken rule is the answer; what comes after it may only be its consequence.
    this.#violation ??= make(this.#edit);
    this.#actions.push({ action });
  }

  get revision() {
    return this.tables.revision;
  }
  cluster() {
    return this.tables.cluster();
  }
  node(id: string) {
    return this.tables.node(id);
  }
  nodes() {
    return this.tables.nodes();
  }
  get nodeCount() {
    return this.tables.nodeCount;
  }
  nodeByRaftId(raftId: number) {
    return this.tables.nodeByRaftId(raftId);
  }
  nodeByKeyDigest(digest: Uint8Array) {
    return this.tables.nodeByKeyDigest(digest);
  }
  nodesByWireguardKey(key: Uint8Array) {
    return this.tables.nodesByWireguardKey(key);
  }
  managers() {
    return this.tables.managers();
  }
  hasUnderlayAddressIn(prefix: Prefix) {
    return this.tables.hasUnderlayAddressIn(prefix);
  }
  policy(id: string) {
    return this.tables.policy(id);
  }
  policies() {
    return this.tables.policies();
  }
  policiesOn(networkId: string) {
    return this.tables.policiesOn(networkId);
  }
  network(id: string) {
    return this.tables.network(id);
  }
  networkByName(name: string) {
    return this.tables.networkByName(name);
  }
  networkByVni(vni: number) {
    return this.tables.networkByVni(vni);
  }
  ingressNetwork() {
    return this.tables.ingressNetwork();
  }
  networks() {
    return this.tables.networks();
  }
  overlappingSubnet(prefix: Prefix) {
    return this.tables.overlappingSubnet(prefix);
  }
  lowestFreeVni(first: number) {
    return this.tables.lowestFreeVni(first);
  }
  endpoint(id: string) {
    return this.tables.endpoint(id);
  }
  endpoints() {
    return this.tables.endpoints();
  }
  endpointsOn(networkId: string) {
    return this.tables.endpointsOn(networkId);
  }
  endpointsOf(nodeId: string) {
    return this.tables.endpointsOf(nodeId);
  }
  nodesOn(networkId: string) {
    return this.tables.nodesOn(networkId);
  }
  isOn(nodeId: string, networkId: string) {
    return this.tables.isOn(nodeId, networkId);
  }
  vipsOn(networkId: string) {
    return this.tables.vipsOn(networkId);
  }
  networksOf(nodeId: string) {
    return this.tables.networksOf(nodeId);
  }
  networksOfService(serviceId: string) {
    return this.tables.networksOfService(serviceId);
  }
  addressHolder(networkId: string, address: string) {
    return this.tables.addressHolder(networkId, address);
  }
  macHolder(networkId: string, mac: string) {
    return this.tables.macHolder(networkId, mac);
  }
  lowestFreeAddress(networkId: string, cidr: string) {
    return this.tables.lowestFreeAddress(networkId, cidr);
  }
  isReserved(networkId: string, address: string) {
    return this.tables.isReserved(networkId, address);
  }
  quarantined(id: string) {
    return this.tables.quarantined(id);
  }
  resting(networkId: string) {
    return this.tables.resting(networkId);
  }
  restingCount(networkId: string) {
    return this.tables.restingCount(networkId);
  }
  service(id: string) {
    return this.tables.service(id);
  }
  serviceByName(name: string) {
    return this.tables.serviceByName(name);
  }
  services() {
    return this.tables.services();
  }
  portHolder(protocol: PortProtocol, publishedPort: number) {
    return this.tables.portHolder(protocol, publishedPort);
  }
  lowestFreePort(protocol: PortProtocol, first: number, last: number) {
    return this.tables.lowestFreePort(protocol, first, last);
  }
  task(id: string) {
    return this.tables.task(id);
  }
  tasks() {
    return this.tables.tasks();
  }
  tasksOf(serviceId: string) {
    return this.tables.tasksOf(serviceId);
  }
  tasksOn(nodeId: string) {
    return this.tables.tasksOn(nodeId);
  }
  secret(id: string) {
    return this.tables.secret(id);
  }
  secretByName(name: string) {
    return this.tables.secretByName(name);
  }
  secrets() {
    return this.tables.secrets();
  }
  config(id: string) {
    return this.tables.config(id);
  }
  configByName(name: string) {
    return this.tables.configByName(name);
  }
  configs() {
    return this.tables.configs();
  }
  usersOf(kind: Referred, id: string) {
    return this.tables.usersOf(kind, id);
  }
  changesSince(revision: number) {
    return this.tables.changesSince(revision);
  }
}
