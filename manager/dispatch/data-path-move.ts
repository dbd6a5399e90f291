// Whether a change of the data path port can take its next step, from what the nodes say of themselves.
import { type Node, NodeState } from "../../proto/gen/types.js";
import type { StoreView } from "../store/view.js";

/** What a node with a session has said last. */
export interface NodeWay {
  readonly nodeId: string;
  /** It has applied the revision that was asked about. */
  readonly applied: boolean;
  /** UDP ports on which it takes frames. */
  readonly ports: readonly number[];
  /** Why not on all that it was told, as a sentence. */
  readonly problem: string;
}

export type MoveStep =
  | { readonly kind: "wait" }
  | { readonly kind: "advance" }
  | { readonly kind: "give-up"; readonly why: string };

// Choice: as long as a program that is just ending, or a step that is tried again, may take.
const GRACE_MS = 10_000;

/** A node that is down is not waited for: it is told when it is back. `waitedMs`: since the step before. */
export function moveStep(view: StoreView, ways: readonly NodeWay[], waitedMs: number): MoveStep {
  const move = view.cluster()?.dataPathMove;
  if (move === undefined) return { kind: "wait" };
  const byNode = new Map(ways.map((way) => [way.nodeId, way]));
  for (const node of view.nodes()) {
    if (node.state === NodeState.DOWN) continue;
    const way = byNode.get(node.id);
    if (way === undefined || !way.applied) return { kind: "wait" };
    if (move.sending || way.ports.includes(move.port)) continue;
    if (waitedMs < GRACE_MS) return { kind: "wait" };
    return { kind: "give-up", why: whyNot(node, move.port, way.problem) };
  }
  return { kind: "advance" };
}

function whyNot(node: Node, port: number, problem: string): string {
  const who = node.description?.hostname || node.id;
  return `${who} does not take frames on UDP ${port}${problem === "" ? "." : `: ${problem}`}`;
}
