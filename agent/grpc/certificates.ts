// The certificate authority of a swarm, asked over the network: by a node that knows a token, or by one
// that holds a certificate already.
import type { ChannelCredentials } from "@grpc/grpc-js";
import { newNodeKey } from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { Fault, isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { callUnary } from "../../common/grpc/call.js";
import {
  joinerChannelCredentials,
  managerChannelCredentials,
  managerChannelOptions,
} from "../../common/grpc/channel.js";
import { rpcWords } from "../../common/grpc/rpc-words.js";
import { verifySwarmRoot } from "../../common/grpc/swarm-root.js";
import { parseJoinToken } from "../../common/join-token.js";
import type { Timing } from "../../common/timing.js";
import { CertificateAuthorityClient, IssueCertificateRequest } from "../../proto/gen/ca.js";
import { identityPem } from "../member/identity-pem.js";
import type { CertificateDoor, Issued } from "../seams.js";

export function certificateDoor(timing: Timing): CertificateDoor {
  return {
    async newKey() {
      const key = newNodeKey();
      return { key, csr: await createCsr(key) };
    },
    async join(addr, token, csr, about, signal) {
      const parsed = parseJoinToken(token);
      if (isRefusal(parsed)) return parsed;
      const root = await verifySwarmRoot(addr, parsed.rootDigest, timing.dialMs);
      if (isRefusal(root)) return root;
      const credentials = joinerChannelCredentials(root);
      const request = { ...about, csr: Buffer.from(csr), token: token.trim() };
      return issue(addr, credentials, request, timing.dialMs, signal);
    },
    async renew(addr, identity, signal) {
      const credentials = managerChannelCredentials(identityPem(identity));
      const csr = Buffer.from(await createCsr(identity.key));
      // For a manager to whom it is over: what it proves is then the request's key.
      const ownCertificate = Buffer.from(identity.certificate);
      return issue(addr, credentials, { csr, ownCertificate }, timing.requestMs, signal);
    },
  };
}

async function issue(
  addr: string,
  credentials: ChannelCredentials,
  request: Parameters<typeof IssueCertificateRequest.fromPartial>[0],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Issued | Refusal> {
  const client = new CertificateAuthorityClient(addr, credentials, managerChannelOptions());
  try {
    const method = client.issueCertificate.bind(client);
    const full = IssueCertificateRequest.fromPartial(request);
    const answer = await callUnary(method, full, { addr, timeoutMs, signal });
    // As dockerd shows what a manager that it has no membership with refuses.
    if (isRefusal(answer)) return refuse(answer.code, rpcWords(answer));
    const { rootCaCert: root, ...issued } = answer;
    return { ...issued, root };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const why = typeof error.data["why"] === "string" ? error.data["why"] : "no answer in time";
    return refuse("unavailable", `the manager at ${addr} does not issue a certificate: ${why}`);
  } finally {
    client.close();
  }
}
