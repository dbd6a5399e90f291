// Who comes with a certificate that TLS does not take, since its end has passed, and proves by its key that it is
// its own: within the swarm's policy it is still the node it was.
import { isIssuedBy, readCertificate } from "../../common/certificates.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { Cluster, Node } from "../../proto/gen/types.js";
import { isBarred, removedWords } from "./barred.js";
import { trustedRoots } from "./root-rotation.js";

/** Choice: a machine that was off for a month is still the same machine. Docker: not at all. */
export const EXPIRED_RENEWAL_MS = 30 * 86_400_000;
// A leaf and the certificates that lead to its root have 3 KiB.
const CHAIN_BYTES_MAX = 32 * 1024;
const DAY_MS = 86_400_000;

export interface ExpiredProof {
  /** PEM, leaf first. */
  readonly chain: Uint8Array;
  /** SHA-256 of the SPKI of the key that has signed the request: whoever asks holds it. */
  readonly publicKeyDigest: Uint8Array;
}

export interface ProvenByKey {
  readonly nodeId: string;
  readonly notAfterMs: number;
  readonly isExpired: boolean;
}

export function proveByKey(
  cluster: Cluster,
  findNode: (id: string) => Node | undefined,
  { chain, publicKeyDigest }: ExpiredProof,
  nowMs: number,
): ProvenByKey | Refusal {
  const wrong = (why: string) => refuse("permission-denied", `the certificate shown is ${why}`);
  const facts = chain.length > CHAIN_BYTES_MAX ? undefined : readCertificate(chain);
  if (!facts) return wrong("none of a node's");
  const { nodeId, notAfterMs } = facts;
  // What was true of it up to its end; the roots are those of now.
  const aliveMs = Math.min(nowMs, notAfterMs);
  if (facts.clusterId !== cluster.id || !isIssuedBy(chain, trustedRoots(cluster), aliveMs)) {
    return wrong("not of this swarm's root");
  }
  if (Buffer.compare(facts.publicKeyDigest, publicKeyDigest) !== 0) {
    return wrong("of another key than the request's");
  }
  const node = findNode(nodeId);
  if (node === undefined || isBarred(cluster, nodeId)) {
    return refuse("permission-denied", removedWords(nodeId));
  }
  if (Buffer.compare(node.publicKeyDigest, publicKeyDigest) !== 0) {
    return wrong("of a key that the node has not any more");
  }
  const lateMs = nowMs - notAfterMs;
  const allowedMs = cluster.spec?.expiredRenewalMs ?? EXPIRED_RENEWAL_MS;
  if (lateMs > allowedMs) return refuse("permission-denied", tooLate(lateMs, allowedMs));
  return { nodeId, notAfterMs, isExpired: lateMs > 0 };
}

function tooLate(lateMs: number, allowedMs: number): string {
  const policy =
    allowedMs === 0
      ? "the swarm renews none that is over"
      : `the swarm renews those that have been over for up to ${spanOf(allowedMs)}`;
  return `the node's certificate has been over for ${spanOf(lateMs)}, and ${policy}: leave the swarm there with --force and join again, or allow it for a while with 'skein swarm update --allow-expired-renewal'`;
}

function spanOf(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.round(ms / DAY_MS)} days`;
  return ms >= 7_200_000 ? `${Math.round(ms / 3_600_000)} hours` : `${Math.ceil(ms / 60_000)} min`;
}
