// A manager's own certificate, when it is over and no leader can be asked: while the certificates of most managers are
// over there is none. The root's key is in this manager's log, and what that says of the node and of the policy counts.
import type { Clock } from "../../common/clock.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { RenewExpiredResponse } from "../../proto/gen/admin.js";
import { Role } from "../../proto/gen/types.js";
import { proveByKey } from "../ca/expired.js";
import { certLifeMs } from "../ca/issue.js";
import { signingCa, trustedRoots } from "../ca/root-rotation.js";
import type { CertificateSigner } from "../seams.js";
import { isManager } from "../store/node-index.js";
import type { StoreView } from "../store/view.js";

export interface AloneOptions {
  readonly csr: Uint8Array;
  /** PEM: the one that this manager uses. */
  readonly ownCertificate: Uint8Array;
  readonly view: StoreView;
  readonly signer: CertificateSigner;
  readonly clock: Pick<Clock, "nowMs">;
  readonly log: Logger;
}

export async function renewAlone(options: AloneOptions): Promise<RenewExpiredResponse | Refusal> {
  const { view, signer, clock, log } = options;
  const csr = await signer.checkCsr(options.csr);
  if (isRefusal(csr)) return csr;
  const cluster = view.cluster();
  if (cluster === undefined) return refuse("unavailable", "this manager knows no swarm yet");
  const proof = { chain: options.ownCertificate, publicKeyDigest: csr.publicKeyDigest };
  const proven = proveByKey(cluster, (id) => view.node(id), proof, clock.nowMs());
  if (isRefusal(proven)) return proven;
  const { nodeId, notAfterMs, isExpired } = proven;
  if (!isExpired) {
    return refuse("failed-precondition", "the certificate is not over: ask a leader");
  }
  const node = view.node(nodeId);
  if (node === undefined || !isManager(node)) {
    return refuse("permission-denied", "the node is not a manager of this swarm any more");
  }
  const wish = {
    nodeId,
    role: Role.MANAGER,
    clusterId: cluster.id,
    lifeMs: certLifeMs(cluster),
  };
  const certificate = await signer.issue(signingCa(cluster), csr, wish);
  const overMs = clock.nowMs() - notAfterMs;
  log.warn({ node: nodeId, overMs }, "renewed this manager's certificate, which was over");
  return { certificate, rootCaCert: trustedRoots(cluster) };
}
