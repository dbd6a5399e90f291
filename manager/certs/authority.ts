// The swarm's certificate authority: checks signing requests, signs leaves. It decides nothing: who may be whom
// comes from manager/ca.
import { BACKDATE_MS, roleName, spkiDigest } from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { Random } from "../../common/random.js";
import { loadX509 } from "../../common/x509.js";
import { Role } from "../../proto/gen/types.js";
import type { CertificateSigner, CheckedCsr, LeafWish, SigningCa } from "../seams.js";
import { issuerOf } from "./issuer.js";
import { checkRoot, crossSign, newRoot, pem, serial } from "./roots.js";

/** Largest signing request that is looked at; one of P-256 has about 200 bytes. */
const CSR_BYTES_MAX = 4096;
// RFC 5280 section 4.2.1.12.
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

export async function checkCsr(csr: Uint8Array): Promise<CheckedCsr | Refusal> {
  const invalid = (why: string) =>
    refuse("invalid-argument", `invalid certificate request: ${why}`);
  if (csr.length > CSR_BYTES_MAX) return invalid(`more than ${CSR_BYTES_MAX} bytes`);
  const x509 = await loadX509();
  try {
    const request = new x509.Pkcs10CertificateRequest(Uint8Array.from(csr));
    const { algorithm } = request.publicKey as { algorithm: { name: string; namedCurve?: string } };
    if (algorithm.name !== "ECDSA" || algorithm.namedCurve !== "P-256") {
      return invalid("the key is not P-256");
    }
    if (!(await request.verify())) return invalid("its signature does not verify");
    const { publicKey } = request;
    return { der: csr, publicKeyDigest: spkiDigest(new Uint8Array(publicKey.rawData)) };
  } catch {
    return invalid("it cannot be read");
  }
}

/** A node's certificate, PEM, and after it those that lead to a root that was before. Everything in it is ours; of the request only the key is taken. */
export async function issueLeaf(
  root: SigningCa,
  csr: CheckedCsr,
  wish: LeafWish,
  nowMs: number,
  random: Random,
): Promise<Buffer> {
  const x509 = await loadX509();
  const issuer = await issuerOf(root);
  const usages = wish.role === Role.MANAGER ? [SERVER_AUTH, CLIENT_AUTH] : [CLIENT_AUTH];
  const names = [roleName(wish.role), wish.nodeId];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(random),
    subject: [{ CN: [wish.nodeId] }, { OU: [roleName(wish.role)] }, { O: [wish.clusterId] }],
    issuer: issuer.name,
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(Math.min(nowMs + wish.lifeMs, issuer.notAfterMs)),
    publicKey: new x509.Pkcs10CertificateRequest(Uint8Array.from(csr.der)).publicKey,
    signingKey: issuer.privateKey,
    signingAlgorithm: issuer.algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages, true),
      issuer.authorityKey,
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: "dns" as const, value })),
      ),
    ],
  });
  return Buffer.concat([pem(certificate), root.intermediate ?? Buffer.alloc(0)]);
}

export function certificateSigner(clock: Clock, random: Random): CertificateSigner {
  return {
    checkCsr,
    issue: (root, csr, wish) => issueLeaf(root, csr, wish, clock.nowMs(), random),
    newRoot: () => newRoot(clock.nowMs(), random),
    checkRoot: (certificate, key) => checkRoot(certificate, key, clock.nowMs()),
    crossSign: (before, next) => crossSign(before, next, clock.nowMs(), random),
  };
}
