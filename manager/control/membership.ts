// Who belongs to the swarm and as what: admission, certificates, and seats in the Raft group. What a
// token or key proves has been checked by the caller.
import { type Refusal, refuse } from "../../common/fault.js";
import {
  type Availability,
  type Cluster,
  type ExpiredRenewal,
  type Node,
  NodeDescription,
  NodeState,
  type Role,
} from "../../proto/gen/types.js";
import type { Draft } from "../store/view.js";
import type { Context } from "./context.js";

export interface AdmitNode {
  /** The role whose secret the joiner knew. */
  readonly role: Role;
  readonly hostname: string;
  readonly availability: Availability;
  readonly publicKeyDigest: Buffer;
  /** Without port. */
  readonly remoteAddr: string;
}

/** A new node; or the one that has this key already, so that a joiner who missed the answer may ask again. */
export function admitNode(draft: Draft, request: AdmitNode, ctx: Context): Node | Refusal {
  const cluster = draft.cluster();
  if (cluster === undefined) return refuse("failed-precondition", "there is no swarm yet");
  const known = draft.nodeByKeyDigest(request.publicKeyDigest);
  if (known !== undefined) return known;
  const node = newNode(request, cluster, ctx.newId());
  draft.create("node", node);
  return draft.node(node.id) ?? node;
}

function newNode(request: AdmitNode, cluster: Cluster, id: string): Node {
  const { role, availability, hostname, remoteAddr, publicKeyDigest } = request;
  return {
    id,
    meta: undefined,
    spec: { name: "", labels: {}, role, availability },
    description: NodeDescription.create({ hostname }),
    role,
    state: NodeState.UNKNOWN,
    message: "has joined and not been heard yet",
    addr: remoteAddr,
    dataPathAddr: "",
    manager: undefined,
    publicKeyDigest,
    certIssuerSubject: cluster.issuerSubject,
    certIssuerPublicKey: cluster.issuerPublicKey,
    silent: false,
  };
}

export interface IssuedCertificate {
  readonly nodeId: string;
  /** The role that the certificate says. */
  readonly role: Role;
  readonly publicKeyDigest: Buffer;
  /** The end of the one before had passed. */
  readonly expiredRenewal?: ExpiredRenewal;
}

/** The node has a certificate of this role from now on; whose issuer it uses it says itself, when it does. */
export function recordCertificate(draft: Draft, issued: IssuedCertificate): Node | Refusal {
  const node = draft.node(issued.nodeId);
  if (node === undefined) {
    return refuse("not-found", `node ${issued.nodeId} not found`);
  }
  const same =
    node.role === issued.role &&
    Buffer.compare(node.publicKeyDigest, issued.publicKeyDigest) === 0 &&
    issued.expiredRenewal === undefined;
  if (same) return node;
  draft.update("node", {
    ...node,
    role: issued.role,
    publicKeyDigest: issued.publicKeyDigest,
    ...(issued.expiredRenewal && { expiredRenewal: issued.expiredRenewal }),
  });
  return draft.node(node.id) ?? node;
}

/** The node has a seat in the Raft group, reached at `addr`. */
export function setManagerMember(
  draft: Draft,
  member: { readonly nodeId: string; readonly raftId: number; readonly addr: string },
): Node | Refusal {
  const node = draft.node(member.nodeId);
  if (node === undefined) return refuse("not-found", `node ${member.nodeId} not found`);
  const { raftId, addr } = member;
  if (node.manager?.raftId === raftId && node.manager.addr === addr) return node;
  draft.update("node", { ...node, manager: { raftId, addr } });
  return draft.node(node.id) ?? node;
}

/** Its seat is gone. A node that is not there, or has none, is no error. */
export function clearManagerMember(draft: Draft, nodeId: string): Node | undefined {
  const node = draft.node(nodeId);
  if (node?.manager === undefined) return node;
  draft.update("node", { ...node, manager: undefined });
  return draft.node(nodeId);
}
