// What a node is told of itself and of whom to talk to.
import type { ManagerAddress, NodeUpdate } from "../../proto/gen/dispatcher.js";
import { trustedRoots } from "../ca/root-rotation.js";
import type { StoreView } from "../store/view.js";

// Choice: each costs the leader a handshake, a signature and a line of the log, a millisecond or two together.
const RENEWAL_MS = 5;

/** `undefined` for a node that is not, or no longer, in the swarm. */
export function nodeUpdateFor(view: StoreView, nodeId: string): NodeUpdate | undefined {
  const node = view.node(nodeId);
  const cluster = view.cluster();
  if (node === undefined || cluster === undefined) return undefined;
  return {
    node,
    managers: managerAddresses(view),
    rootCaCert: trustedRoots(cluster),
    heartbeatPeriodMs: cluster.spec?.heartbeatPeriodMs ?? 0,
    signerPublicKey: cluster.issuerPublicKey,
    renewSpreadMs: cluster.rootRotation ? RENEWAL_MS * view.nodeCount : 0,
  };
}

/** Members of the Raft group, in the order of node id. */
function managerAddresses(view: StoreView): readonly ManagerAddress[] {
  const managers: ManagerAddress[] = [];
  for (const { id, manager } of view.managers()) {
    if (manager !== undefined) managers.push({ nodeId: id, addr: manager.addr });
  }
  return managers.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}
