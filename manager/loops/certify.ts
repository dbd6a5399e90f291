// Gives nodes their certificates: asks manager/ca who the caller may be, records a new node, signs.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { rootDigestOf } from "../../common/join-token.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { IssueCertificateRequest, IssueCertificateResponse } from "../../proto/gen/ca.js";
import { type Cluster, type ExpiredRenewal, Role } from "../../proto/gen/types.js";
import { proveByKey } from "../ca/expired.js";
import { certLifeMs, decideIssue } from "../ca/issue.js";
import { signingCa, trustedRoots } from "../ca/root-rotation.js";
import type { Context } from "../control/context.js";
import { admitNode, recordCertificate } from "../control/membership.js";
import type { AuthorityApi, Caller, CertificateSigner, CheckedCsr } from "../seams.js";
import type { Draft, StoreView } from "../store/view.js";
import type { Router } from "./route.js";
import { requestContext, type Writer } from "./write.js";

export interface CertifyOptions {
  readonly writer: Writer;
  readonly router: Router;
  readonly signer: CertificateSigner;
  readonly random: Random;
  readonly log: Logger;
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
  /** Of another node; empty: of none. */
  readonly dataPathAddr: string;
  /** Its certificate was over. */
  readonly expired?: ExpiredRenewal | undefined;
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
  const { nodeId, role, cluster, dataPathAddr, expired } = granted;
  if (expired !== undefined) {
    const { expiredAtMs, renewedAtMs } = expired;
    const overMs = renewedAtMs - expiredAtMs;
    const node = { node: nodeId, addr: asker.addr, expiredAtMs, overMs };
    options.log.warn(node, "renewed a certificate that was over, for the node that holds its key");
  }
  const wish = { nodeId, role, clusterId: cluster.id, lifeMs: certLifeMs(cluster) };
  return {
    nodeId,
    role,
    certificate: await options.signer.issue(signingCa(cluster), csr, wish),
    rootCaCert: trustedRoots(cluster),
    clusterId: cluster.id,
    dataPathPort: cluster.dataPathPort,
    dataPathAddr,
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
  const findNode = (id: string) => draft.node(id);
  const { publicKeyDigest } = csr;
  const chain = request.ownCertificate ?? Buffer.alloc(0);
  // TLS has proven nobody, or a joiner who knows a token.
  const proven =
    asker.nodeId === undefined && request.token === "" && chain.length > 0
      ? proveByKey(cluster, findNode, { chain, publicKeyDigest }, ctx.nowMs)
      : undefined;
  if (isRefusal(proven)) return proven;
  const decision = decideIssue(cluster, findNode, {
    token: request.token,
    rootDigest: rootDigestOf(cluster.rootCaCert),
    callerNodeId: asker.nodeId ?? proven?.nodeId,
  });
  if (isRefusal(decision)) return decision;
  if (decision.kind === "renew") {
    const { nodeId, role } = decision;
    const expired = proven?.isExpired
      ? { expiredAtMs: proven.notAfterMs, renewedAtMs: ctx.nowMs }
      : undefined;
    const renewed = recordCertificate(draft, {
      nodeId,
      role,
      publicKeyDigest,
      ...(expired && { expiredRenewal: expired }),
    });
    return isRefusal(renewed) ? renewed : { nodeId, role, cluster, dataPathAddr: "", expired };
  }
  const { hostname, availability } = request;
  const admitted = admitNode(
    draft,
    { role: decision.role, hostname, availability, publicKeyDigest, remoteAddr: asker.addr },
    ctx,
  );
  if (isRefusal(admitted)) return admitted;
  const { id, role } = admitted;
  return { nodeId: id, role, cluster, dataPathAddr: dataPathAddrOf(draft) };
}

/** A manager's: they are there longest, and the first node is one. */
function dataPathAddrOf(view: StoreView): string {
  for (const { dataPathAddr, role } of view.nodes())
    if (dataPathAddr !== "" && role === Role.MANAGER) return dataPathAddr;
  return "";
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
