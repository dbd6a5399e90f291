// Whom a change concerns: the nodes to which something is to be sent, and no others.
import {
  type Cluster,
  type Endpoint,
  EndpointKind,
  type Node,
  type PathMtus,
  type Wireguard,
} from "../../proto/gen/types.js";
import { trustedRoots } from "../ca/root-rotation.js";
import type { Change } from "../store/objects.js";
import type { StoreChange, StoreView } from "../store/view.js";
import { isSameRow } from "./service-row.js";
import { onlySilence } from "./silence.js";
import { nodeConcerned } from "./task-view.js";
import { sharedIngress } from "./told-networks.js";

export interface Affected {
  /** Nodes whose assignments changed. */
  readonly assignments: "all" | ReadonlySet<string>;
  /** Nodes whose NodeUpdate changed. A node that was removed is among them. */
  readonly nodeUpdates: "all" | ReadonlySet<string>;
}

/** `view` is the state after the change. */
export function affectedNodes(change: StoreChange, view: StoreView): Affected {
  if (change.restored) return { assignments: "all", nodeUpdates: "all" };
  const nodeUpdates = new Set<string>();
  const concerned = new Concerned(view);
  let everybody = false;
  for (const each of change.changed) {
    switch (each.kind) {
      case "cluster":
        everybody ||= concernsEverybody(each);
        concerned.all ||= !isSameWay(each.before, each.after);
        break;
      case "node":
        if (!onlySilence(each.before, each.after)) nodeUpdates.add(each.id);
        everybody ||= each.before?.manager?.addr !== each.after?.manager?.addr;
        if (!isSamePeer(each.before, each.after)) concerned.addPeersOf(each.id);
        break;
      case "network":
        concerned.addNetwork(each.id);
        break;
      case "endpoint":
        concerned.addEndpoint(each.after ?? each.before);
        break;
      case "task":
        concerned.addNode(nodeConcerned(each.before, each.after));
        break;
      case "service":
        if (each.before && each.after && isSameRow(each.before, each.after)) break;
        for (const id of view.networksOfService(each.id)) concerned.addNetwork(id);
        break;
      case "policy":
        concerned.addNetwork((each.after ?? each.before)?.networkId ?? "");
        break;
      // Secrets and configs never change, and come with the task that refers to them.
      case "quarantine":
      case "secret":
      case "config":
        break;
    }
  }
  return {
    assignments: concerned.all ? "all" : concerned.nodes,
    nodeUpdates: everybody ? "all" : nodeUpdates,
  };
}

class Concerned {
  readonly nodes = new Set<string>();
  all = false;
  // Rows of one network concern the same nodes: each network is looked up once.
  readonly #seen = new Set<string>();
  readonly #shared: string | undefined;

  constructor(private readonly view: StoreView) {
    this.#shared = sharedIngress(view)?.id;
  }

  addNode(nodeId: string): void {
    if (nodeId !== "") this.nodes.add(nodeId);
  }

  addNetwork(networkId: string): void {
    if (networkId === this.#shared) this.all = true;
    if (this.all || this.#seen.has(networkId)) return;
    this.#seen.add(networkId);
    for (const nodeId of this.view.nodesOn(networkId)) this.nodes.add(nodeId);
  }

  addEndpoint(endpoint: Endpoint | undefined): void {
    if (endpoint === undefined) return;
    this.addNode(endpoint.nodeId);
    // The last VIP there may be gone with it, and so the network from every node.
    const network = this.view.network(endpoint.networkId);
    const isIngress = network === undefined || network.spec?.ingress === true;
    if (endpoint.kind === EndpointKind.VIP && isIngress) this.all = true;
    this.addNetwork(endpoint.networkId);
  }

  addPeersOf(nodeId: string): void {
    if (this.#shared !== undefined) this.all = true;
    for (const networkId of this.view.networksOf(nodeId)) this.addNetwork(networkId);
  }
}

function concernsEverybody(change: Extract<Change, { readonly kind: "cluster" }>): boolean {
  const { before, after } = change;
  if (before === undefined || after === undefined) return true;
  const sameRoot =
    Buffer.compare(trustedRoots(before), trustedRoots(after)) === 0 &&
    Buffer.compare(before.issuerPublicKey, after.issuerPublicKey) === 0;
  return !sameRoot || before.spec?.heartbeatPeriodMs !== after.spec?.heartbeatPeriodMs;
}

function isSameWay(before: Cluster | undefined, after: Cluster | undefined): boolean {
  return (
    before?.dataPathPort === after?.dataPathPort &&
    before?.dataPathMove?.port === after?.dataPathMove?.port
  );
}

function isSamePeer(before: Node | undefined, after: Node | undefined): boolean {
  return (
    before?.dataPathAddr === after?.dataPathAddr &&
    before?.description?.hostname === after?.description?.hostname &&
    before?.silent === after?.silent &&
    isSameWireguard(before?.description?.wireguard, after?.description?.wireguard) &&
    arePathsSame(before?.description?.pathMtus, after?.description?.pathMtus)
  );
}

function arePathsSame(before: PathMtus | undefined, after: PathMtus | undefined): boolean {
  const [one, other] = [before?.bytes ?? {}, after?.bytes ?? {}];
  const ids = Object.keys(one);
  return ids.length === Object.keys(other).length && ids.every((id) => one[id] === other[id]);
}

function isSameWireguard(before: Wireguard | undefined, after: Wireguard | undefined): boolean {
  const keys = [before, after].map((each) => each?.publicKey ?? NO_KEY) as [Uint8Array, Uint8Array];
  return before?.port === after?.port && Buffer.compare(...keys) === 0;
}

const NO_KEY = new Uint8Array();
