// What the dispatcher learns of a node: that it is there, that it is gone.
import { canEncrypt } from "../../common/encrypted.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { TlsInUse } from "../../proto/gen/dispatcher.js";
import { type Node, NodeDescription, NodeState, Role } from "../../proto/gen/types.js";
import type { Draft } from "../store/view.js";

export interface NodeSession {
  /** Whether it is held to be silent all the same: it comes and goes. */
  readonly silent?: boolean;
  readonly nodeId: string;
  readonly description: NodeDescription | undefined;
  /** The address that the session came from, without port; empty: keep what is known. */
  readonly addr: string;
  readonly dataPathAddr: string;
  /** Absent: keep what is known. */
  readonly tls?: TlsInUse | undefined;
}

/** The node is ready. Writes nothing when nothing is new, so that reconnecting costs no entry. */
export function recordNodeSession(draft: Draft, session: NodeSession): Node | Refusal {
  const node = draft.node(session.nodeId);
  if (node === undefined) return refuse("not-found", `node ${session.nodeId} not found`);
  const after: Node = {
    ...node,
    description: ownKeyOnly(draft, node, session.description) ?? node.description,
    addr: session.addr || node.addr,
    dataPathAddr: session.dataPathAddr || node.dataPathAddr,
    state: NodeState.READY,
    message: "",
    silent: session.silent ?? false,
    ...tlsOf(session.tls),
  };
  if (JSON.stringify(after) === JSON.stringify(node)) return node;
  draft.update("node", after);
  return draft.node(node.id) ?? after;
}

function tlsOf(tls: TlsInUse | undefined): Partial<Node> {
  if (tls === undefined) return {};
  return {
    certIssuerSubject: tls.issuerSubject,
    certIssuerPublicKey: tls.issuerPublicKey,
    trustRootDigest: tls.trustRootDigest,
  };
}

/**
 * Two nodes with one key could not be told apart by their peers: the first has it. Which happens when a machine's
 * disk is copied with all that is on it.
 */
function ownKeyOnly(
  draft: Draft,
  node: Node,
  description: NodeDescription | undefined,
): NodeDescription | undefined {
  const key = description?.wireguard?.publicKey;
  if (!canEncrypt(description) || key === undefined) return description;
  // Looked for only when it is new: every node of the swarm reconnects at once after a leader has changed.
  if (isSame(node, key)) return description;
  for (const other of draft.nodesByWireguardKey(key)) {
    if (other.id === node.id) continue;
    const problem = `node ${other.description?.hostname || other.id} has the same WireGuard key; remove this node's identity/wireguard.key and restart its agent`;
    const wireguard = { publicKey: Buffer.alloc(0), port: 0, kind: "", problem };
    return NodeDescription.fromPartial({ ...description, wireguard });
  }
  return description;
}

function isSame({ description }: Node, key: Uint8Array): boolean {
  return Buffer.compare(description?.wireguard?.publicKey ?? new Uint8Array(), key) === 0;
}

/** Who is silent, and who no longer is. A node that is down is neither. */
export function recordSilence(draft: Draft, changed: ReadonlyMap<string, boolean>): true {
  for (const [nodeId, silent] of changed) {
    const node = draft.node(nodeId);
    if (node === undefined || node.state === NodeState.DOWN || node.silent === silent) continue;
    draft.update("node", { ...node, silent });
  }
  return true;
}

/**
 * It says goodbye, so it is no manager that anybody need wait for; one whose log is damaged cannot give its seat back
 * itself. The leader takes it (docs/managers.md, the rules). A worker, or a node that is not there, is no error.
 */
export function resignManager(draft: Draft, nodeId: string): void {
  const node = draft.node(nodeId);
  if (node?.spec?.role !== Role.MANAGER) return;
  draft.update("node", { ...node, spec: { ...node.spec, role: Role.WORKER } });
}

/** `message` says why, as a sentence ("heartbeat failure"). A node that is not there is no error. */
export function markNodeDown(draft: Draft, nodeId: string, message: string): Node | undefined {
  const node = draft.node(nodeId);
  if (node === undefined || node.state === NodeState.DOWN) return node;
  draft.update("node", { ...node, state: NodeState.DOWN, message });
  return draft.node(nodeId);
}
