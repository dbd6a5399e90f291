// Whom a change concerns: the nodes to which something is to be sent, and no others.
import type { Node } from "../../proto/gen/types.js";
import type { Change } from "../store/objects.js";
import type { StoreChange, StoreView } from "../store/view.js";

export interface Affected {
  /** Nodes whose assignments changed. */
  readonly assignments: "all" | ReadonlySet<string>;
  /** Nodes whose NodeUpdate changed. A node that was removed is among them. */
  readonly nodeUpdates: "all" | ReadonlySet<string>;
}

/** `view` is the state after the change. */
export function affectedNodes(change: StoreChange, view: StoreView): Affected {
  if (change.restored) return { assignments: "all", nodeUpdates: "all" };
  const assignments = new Set<string>();
  const nodeUpdates = new Set<string>();
  let everybody = false;
  // Rows of one network concern the same nodes: look each network up once.
  const seen = new Set<string>();
  const addNetwork = (networkId: string) => {
    if (seen.has(networkId)) return;
    seen.add(networkId);
    for (const nodeId of view.nodesOn(networkId)) assignments.add(nodeId);
  };
  for (const each of change.changed) {
    switch (each.kind) {
      case "cluster":
        everybody ||= concernsEverybody(each);
        break;
      case "node":
        nodeUpdates.add(each.id);
        everybody ||= each.before?.manager?.addr !== each.after?.manager?.addr;
        if (!isSamePeer(each.before, each.after)) {
          for (const endpoint of view.endpointsOf(each.id)) addNetwork(endpoint.networkId);
        }
        break;
      case "network":
        addNetwork(each.id);
        break;
      case "endpoint": {
        const endpoint = each.after ?? each.before;
        if (endpoint === undefined) break;
        assignments.add(endpoint.nodeId);
        addNetwork(endpoint.networkId);
        break;
      }
      case "quarantine":
        break;
    }
  }
  return { assignments, nodeUpdates: everybody ? "all" : nodeUpdates };
}

function concernsEverybody(change: Extract<Change, { readonly kind: "cluster" }>): boolean {
  const { before, after } = change;
  if (before === undefined || after === undefined) return true;
  const sameRoot = Buffer.compare(before.rootCaCert, after.rootCaCert) === 0;
  return !sameRoot || before.spec?.heartbeatPeriodMs !== after.spec?.heartbeatPeriodMs;
}

function isSamePeer(before: Node | undefined, after: Node | undefined): boolean {
  return (
    before?.dataPathAddr === after?.dataPathAddr &&
    before?.description?.hostname === after?.description?.hostname
  );
}
