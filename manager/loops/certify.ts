// Gives nodes their certificates: asks manager/ca who the caller may be, records a new node, signs.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { rootDigestOf } from "../../common/join-token.js";
import type { Random } from "../../common/random.js";
import type { IssueCertificateRequest, IssueCertificateResponse } from "../../proto/gen/ca.js";
import type { Cluster, Role } from "../../proto/gen/types.js";
import { certLifeMs, decideIssue } from "../ca/issue.js";
import type { Context } from "../control/context.js";
import { admitNode, recordCertificate } from "../control/membership.js";
import type { AuthorityApi, Caller, CertificateSigner, CheckedCsr } from "../seams.js";
import type { Draft } from "../store/view.js";
import type { Router } from "./route.js";
import { requestContext, type Writer } from "./write.js";

export interface CertifyOptions {
  readonly writer: Writer;
  readonly router: Router;
  readonly signer: CertificateSigner;
  readonly random: Random;
}

/** Who asks: the caller itself, or whom a follower has authenticated and speaks for. */
interface Asker {
  readonly nodeId: string | undefined;
  readonly addr: string;
}

interface Granted {
  readonly nodeId: string;
  readonly role: Role;
  readonly cluster: Cluster;
}

export function authorityApi(options: CertifyOptions): AuthorityApi {
  const { router } = options;
  return {
    // A node is known by its key, so asking again with the same key gives the same node.
    issueCertificate: (request, caller) =>
      router.onLeader(
        caller,
        () => issue(options, request, askerOf(request, caller)),
        (leader, routed) => leader.authority.issueCertificate(onBehalf(request, caller), routed),
      ),
  };
}

async function issue(
  options: CertifyOptions,
  request: IssueCertificateRequest,
  asker: Asker,
): Promise<IssueCertificateResponse | Refusal> {
  const csr = await options.signer.checkCsr(request.csr);
  if (isRefusal(csr)) return csr;
  const granted = await options.writer.write(
    (draft, nowMs) => grant(draft, request, asker, csr, requestContext(nowMs, options.random)),
    (_view, result) => result,
  );
  if (isRefusal(granted)) return granted;
  const { nodeId, role, cluster } = granted;
  const root = { certificate: cluster.rootCaCert, privateKey: cluster.rootCaKey };
  const wish = { nodeId, role, clusterId: cluster.id, lifeMs: certLifeMs(cluster) };
  return {
    nodeId,
    role,
    certificate: await options.signer.issue(root, csr, wish),
    rootCaCert: cluster.rootCaCert,
    clusterId: cluster.id,
    dataPathPort: cluster.dataPathPort,
  };
}

function grant(
  draft: Draft,
  request: IssueCertificateRequest,
  asker: Asker,
  csr: CheckedCsr,
  ctx: Context,
): Granted | Refusal {
  const cluster = draft.cluster();
  if (!cluster) return refuse("unavailable", "this swarm is not made yet");
  const decision = decideIssue(cluster, (id) => draft.node(id), {
    token: request.token,
    rootDigest: rootDigestOf(cluster.rootCaCert),
    callerNodeId: asker.nodeId,
  });
  if (isRefusal(decision)) return decision;
  const { publicKeyDigest } = csr;
  if (decision.kind === "renew") {
    const { nodeId, role } = decision;
    const renewed = recordCertificate(draft, { nodeId, role, publicKeyDigest });
    return isRefusal(renewed) ? renewed : { nodeId, role, cluster };
  }
  const { hostname, availability } = request;
  const admitted = admitNode(
    draft,
    { role: decision.role, hostname, availability, publicKeyDigest, remoteAddr: asker.addr },
    ctx,
  );
  return isRefusal(admitted) ? admitted : { nodeId: admitted.id, role: admitted.role, cluster };
}

function askerOf(request: IssueCertificateRequest, caller: Caller): Asker {
  if (!caller.forwarded) return { nodeId: caller.peer?.nodeId, addr: caller.remoteAddr };
  const nodeId = request.onBehalfOf === "" ? undefined : request.onBehalfOf;
  return { nodeId, addr: request.remoteAddr };
}

function onBehalf(request: IssueCertificateRequest, caller: Caller): IssueCertificateRequest {
  return {
    ...request,
    onBehalfOf: caller.peer?.nodeId ?? "",
    remoteAddr: caller.remoteAddr,
  };
}
