// What a node is told of itself and of whom to talk to.
import type { ManagerAddress, NodeUpdate } from "../../proto/gen/dispatcher.js";
import type { StoreView } from "../store/view.js";

/** `undefined` for a node that is not, or no longer, in the swarm. */
export function nodeUpdateFor(view: StoreView, nodeId: string): NodeUpdate | undefined {
  const node = view.node(nodeId);
  const cluster = view.cluster();
  if (node === undefined || cluster === undefined) return undefined;
  return {
    node,
    managers: managerAddresses(view),
    rootCaCert: cluster.rootCaCert,
    heartbeatPeriodMs: cluster.spec?.heartbeatPeriodMs ?? 0,
  };
}

/** Members of the Raft group, in the order of node id. */
export function managerAddresses(view: StoreView): readonly ManagerAddress[] {
  const managers: ManagerAddress[] = [];
  for (const { id, manager } of view.managers()) {
    if (manager !== undefined) managers.push({ nodeId: id, addr: manager.addr });
  }
  return managers.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}
