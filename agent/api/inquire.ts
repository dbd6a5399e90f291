// Inquiries to nodes, for routes: this node is asked directly, without a manager; others through this node's own.
import type { Inquiry, InquiryPart } from "../../proto/gen/control.js";
import type { Call } from "./call.js";
import { findOne, NODE_WORDS } from "./find.js";
import { listNodes, manager } from "./manager.js";
import { streamed } from "./probe.js";

export interface InquiryNode {
  readonly id: string;
  readonly hostname: string;
}

/** This node, or one that this node's manager knows by the name or id. */
export async function findInquiryNode(call: Call, ref: string): Promise<InquiryNode> {
  const self = { id: call.node.membership.status().nodeId, hostname: call.node.host().hostname };
  if (["", "self", self.id, self.hostname].includes(ref)) return self;
  const { nodes } = await listNodes(call);
  const all = nodes.map((node) => ({ id: node.id, hostname: node.description?.hostname ?? "" }));
  return findOne(ref, all, ({ id, hostname }) => ({ id, names: [hostname] }), NODE_WORDS);
}

/** Ends with the last node, or with the signal. Throws what the manager refuses; a node's failure is a part. */
export async function* inquire(
  call: Call,
  nodeIds: readonly string[],
  inquiry: Inquiry,
  signal: AbortSignal = call.signal,
): AsyncGenerator<InquiryPart> {
  const own = call.node.membership.status().nodeId;
  const [first, ...rest] = nodeIds;
  if (first === undefined) return;
  if (rest.length === 0 && first === own) {
    for await (const part of call.node.inquire(inquiry, signal)) yield { nodeId: own, part };
    return;
  }
  const client = await manager(call);
  yield* streamed(client.inquire({ nodeIds: [...nodeIds], inquiry }), signal);
}
