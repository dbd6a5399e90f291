// What the dispatcher learns of a node: that it is there, that it is gone.
import { type Refusal, refuse } from "../../common/fault.js";
import { type Node, type NodeDescription, NodeState } from "../../proto/gen/types.js";
import type { Draft } from "../store/view.js";

export interface NodeSession {
  readonly nodeId: string;
  readonly description: NodeDescription | undefined;
  /** The address that the session came from, without port; empty: keep what is known. */
  readonly addr: string;
  readonly dataPathAddr: string;
}

/** The node is ready. Writes nothing when nothing is new, so that reconnecting costs no entry. */
export function recordNodeSession(draft: Draft, session: NodeSession): Node | Refusal {
  const node = draft.node(session.nodeId);
  if (node === undefined) return refuse("not-found", `node ${session.nodeId} not found`);
  const after: Node = {
    ...node,
    description: session.description ?? node.description,
    addr: session.addr || node.addr,
    dataPathAddr: session.dataPathAddr || node.dataPathAddr,
    state: NodeState.READY,
    message: "",
  };
  if (JSON.stringify(after) === JSON.stringify(node)) return node;
  draft.update("node", after);
  return draft.node(node.id) ?? after;
}

/** `message` says why, as a sentence ("heartbeat failure"). A node that is not there is no error. */
export function markNodeDown(draft: Draft, nodeId: string, message: string): Node | undefined {
  const node = draft.node(nodeId);
  if (node === undefined || node.state === NodeState.DOWN) return node;
  draft.update("node", { ...node, state: NodeState.DOWN, message });
  return draft.node(nodeId);
}
