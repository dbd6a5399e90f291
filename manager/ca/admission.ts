// Which certificate opens which service on port 2377. Asked before any byte of a request is looked at.
import type { ProvenPeer } from "../../common/certificates.js";
import { type Refusal, refuse } from "../../common/fault.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { isManager } from "../store/node-index.js";
import type { StoreView } from "../store/view.js";
import { isBarred, removedWords } from "./barred.js";

/** What a caller without a certificate may ask, and nothing else. */
const OPEN_TO_ALL = "/skein.v1.CertificateAuthority/IssueCertificate";
const FOR_ALL_NODES = "/skein.v1.Dispatcher/";
const RAFT = "/skein.v1.Raft/";
/** What Raft's own messages are called here, though they are no gRPC. */
export const RAFT_MESSAGES = "/skein.v1.Raft/Step";
/** Whether a node may have, or has, a seat is the leader's to say: a manager that lags only passes it on. */
const ABOUT_SEATS = ["/skein.v1.Raft/Join", "/skein.v1.Raft/HasSeat"];

/** `view` is what this manager knows, which on one that is just joining is nothing. */
export function admit(
  path: string,
  peer: ProvenPeer | undefined,
  clusterId: string,
  view: StoreView | undefined,
): Refusal | undefined {
  if (path === OPEN_TO_ALL) return undefined;
  if (!peer || peer.clusterId !== clusterId) {
    return refuse("permission-denied", "a certificate of this swarm is necessary");
  }
  const cluster = view?.cluster();
  const node = view?.node(peer.nodeId);
  if (cluster && isBarred(cluster, peer.nodeId)) return removed(peer.nodeId);
  if (path.startsWith(FOR_ALL_NODES)) {
    // Only the leader goes on from here, and it knows every node there is.
    return undefined;
  }
  // A demoted manager's certificate still says manager; the store knows better. A node that this
  // manager has not heard of yet has only its certificate to speak for it, and only for Raft.
  const isRaft = path.startsWith(RAFT);
  const known =
    ABOUT_SEATS.includes(path) ||
    (node ? isManager(node) || (isRaft && isNews(peer, node)) : isRaft || cluster === undefined);
  if (peer.role === Role.MANAGER && known) return undefined;
  if (peer.role === Role.MANAGER) return refuse("permission-denied", NOT_A_MANAGER_ANY_MORE);
  return refuse("permission-denied", "only managers may ask this");
}

const NOT_A_MANAGER_ANY_MORE = "the node is not a manager of this swarm any more";

function removed(nodeId: string): Refusal {
  return refuse("permission-denied", removedWords(nodeId));
}

/**
 * Whether a Raft message may come from this caller: true, or why not. `memberNodeId` is the node that
 * holds the sender's raft id as far as this manager knows; one that lags may not know it. One that leads
 * (`leads`) does not lag: who was removed while it was away, and is wanted again meanwhile, hears of it so.
 */
export function admitStep(
  peer: ProvenPeer | undefined,
  memberNodeId: string | undefined,
  view: StoreView,
  leads: boolean,
): true | string {
  if (peer?.role !== Role.MANAGER) return "only managers may ask this";
  const cluster = view.cluster();
  if (cluster && isBarred(cluster, peer.nodeId)) return removedWords(peer.nodeId);
  if (memberNodeId !== undefined) {
    return memberNodeId === peer.nodeId || "the raft id belongs to another node";
  }
  if (leads) return "the raft id has no seat in the group";
  const node = view.node(peer.nodeId);
  const may = node === undefined || isManager(node) || isNews(peer, node);
  return may ? true : NOT_A_MANAGER_ANY_MORE;
}

// A certificate's times are whole seconds.
const SECOND_MS = 1_000;

/**
 * Whether the certificate is newer than what this manager knows of the node: then it was promoted since, and may
 * even lead. One that was away must hear it, or would stay behind, and its vote be lost, for as long as that leads.
 * A node that was demoted has no certificate that is newer than that.
 */
function isNews(peer: ProvenPeer, node: Node): boolean {
  return peer.issuedMs + SECOND_MS > (node.meta?.updatedAtMs ?? 0);
}
