// Deltas that many nodes get alike. Of one change on a network of a thousand nodes, all but those that it names are told
// the same: that is put together once, and is one object, so that it is also encoded once (manager/grpc/shared-bytes.ts).
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { metaOf } from "../store/objects.js";
import type { RecentChange } from "../store/recent.js";
import type { StoreView } from "../store/view.js";
import { assignmentsFor, deltaAssignments } from "./assignments.js";
import { sharedIngress } from "./told-networks.js";

// Choice: nodes that were told at so many different revisions wait at once. A swarm's nodes are told together, but for
// those that are slow; beyond this the slow ones are told by themselves.
const BASES_MAX = 16;

/** What happened since one revision, and the messages that were made of it. */
interface Basis {
  readonly changes: readonly RecentChange[];
  /** Nodes that a change is about: what they are told says more than the others', or less. */
  readonly named: ReadonlySet<string>;
  /** Networks of which there is something to tell. */
  readonly networks: ReadonlySet<string>;
  /** By which of those networks a node is told of. */
  readonly messages: Map<string, Assignments>;
}

export class SharedDeltas {
  #view: StoreView | undefined;
  #revision = 0;
  readonly #bases = new Map<number, Basis | undefined>();

  /** The very object for all nodes that are told the same; what it says is what `assignmentsFor` says. */
  for(view: StoreView, nodeId: string, since: number): Assignments {
    if (view !== this.#view || view.revision !== this.#revision) {
      this.#view = view;
      this.#revision = view.revision;
      this.#bases.clear();
    }
    const basis = this.#basis(view, since);
    if (basis === undefined || basis.named.has(nodeId)) return assignmentsFor(view, nodeId, since);
    const told = toldOf(view, nodeId, basis.networks);
    const known = basis.messages.get(told);
    if (known !== undefined) return known;
    const made = deltaAssignments(view, nodeId, since, basis.changes);
    basis.messages.set(told, made);
    return made;
  }

  #basis(view: StoreView, since: number): Basis | undefined {
    if (this.#bases.has(since)) return this.#bases.get(since);
    if (this.#bases.size >= BASES_MAX) return undefined;
    const basis = basisOf(view, since);
    this.#bases.set(since, basis);
    return basis;
  }
}

/** `undefined`: every node's is its own. */
function basisOf(view: StoreView, since: number): Basis | undefined {
  const changes = since > 0 && since <= view.revision ? view.changesSince(since) : undefined;
  if (changes === undefined || isIngressNew(view, since)) return undefined;
  const named = new Set<string>();
  const networks = new Set<string>();
  for (const { kind, id, nodeId, networkId } of changes) {
    if (nodeId !== "") named.add(nodeId);
    if (networkId !== "") networks.add(networkId);
    if (kind === "network") networks.add(id);
    if (kind === "service") for (const each of view.networksOfService(id)) networks.add(each);
    if (kind === "node") {
      named.add(id);
      for (const each of view.networksOf(id)) networks.add(each);
    }
  }
  return { changes, named, networks, messages: new Map() };
}

/** Then it is told in whole, and each node with all the others as its peers. */
function isIngressNew(view: StoreView, since: number): boolean {
  const ingress = sharedIngress(view);
  if (ingress === undefined) return false;
  for (const vip of view.vipsOn(ingress.id)) if (metaOf(vip).createdVersion <= since) return false;
  return true;
}

/** A node that is on none of them hears of nodes that were removed, if it is on any network at all. */
function toldOf(view: StoreView, nodeId: string, networks: ReadonlySet<string>): string {
  const ingress = sharedIngress(view);
  const told: string[] = [];
  let isOnAny = ingress !== undefined;
  if (ingress !== undefined && networks.has(ingress.id)) told.push(ingress.id);
  for (const id of view.networksOf(nodeId)) {
    isOnAny = true;
    if (id !== ingress?.id && networks.has(id)) told.push(id);
  }
  return `${isOnAny} ${told.sort().join()}`;
}
