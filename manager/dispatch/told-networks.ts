// The networks that a node is told of: those it has endpoints on, and the ingress network while a service
// is published there, since every node answers for every published port.
import type { Network } from "../../proto/gen/types.js";
import { metaOf } from "../store/objects.js";
import type { StoreView } from "../store/view.js";

/** The ingress network while it is every node's. */
export function sharedIngress(view: StoreView): Network | undefined {
  const ingress = view.ingressNetwork();
  if (ingress === undefined) return undefined;
  for (const _ of view.vipsOn(ingress.id)) return ingress;
  return undefined;
}

export function networksTold(view: StoreView, nodeId: string): ReadonlySet<string> {
  const ids = new Set(view.networksOf(nodeId));
  const ingress = sharedIngress(view);
  if (ingress !== undefined) ids.add(ingress.id);
  return ids;
}

/**
 * Those of them that the node was surely told of in whole by `since`: an endpoint is there still that made
 * it so then. Of the ingress network only a VIP did, since only then all nodes are its peers.
 */
export function networksKnown(view: StoreView, nodeId: string, since: number): ReadonlySet<string> {
  const ids = new Set<string>();
  const ingress = sharedIngress(view);
  for (const endpoint of view.endpointsOf(nodeId)) {
    const { networkId } = endpoint;
    if (networkId !== ingress?.id && metaOf(endpoint).createdVersion <= since) ids.add(networkId);
  }
  if (ingress === undefined) return ids;
  for (const vip of view.vipsOn(ingress.id)) {
    if (metaOf(vip).createdVersion > since) continue;
    ids.add(ingress.id);
    break;
  }
  return ids;
}
