// The swarm's certificate authority: makes the root, checks signing requests, signs leaves. It decides
// nothing: who may be whom comes from manager/ca.
import { BACKDATE_MS, roleName, spkiDigest } from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { ECDSA_SHA256, importKeyPair } from "../../common/csr.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { Random } from "../../common/random.js";
import { loadX509 } from "../../common/x509.js";
import { Role } from "../../proto/gen/types.js";
import type { CertificateSigner, CheckedCsr, LeafWish } from "../seams.js";

/** Largest signing request that is looked at; one of P-256 has about 200 bytes. */
const CSR_BYTES_MAX = 4096;
// Docker (swarmkit ca/certificates.go RootCAExpiration): 20 years.
const ROOT_LIFE_MS = 20 * 365 * 86_400_000;
// RFC 5280 section 4.1.2.2: at most 20 octets, positive.
const SERIAL_BYTES = 16;
// RFC 5280 section 4.2.1.12.
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

export interface RootCa {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}

/** A self-signed root for the key given (PKCS #8 PEM, P-256). */
export async function createRoot(
  privateKey: Buffer,
  nowMs: number,
  random: Random,
): Promise<RootCa> {
  const x509 = await loadX509();
  const keys = await importKeyPair(privateKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(random),
    name: "CN=skein-ca",
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + ROOT_LIFE_MS),
    keys,
    signingAlgorithm: ECDSA_SHA256,
    extensions: [
      // A leaf of ours can sign nothing, so one level below the root is all there is.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), privateKey };
}

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

/** A node's certificate, PEM. Everything in it is ours; of the request only the key is taken. */
export async function issueLeaf(
  root: RootCa,
  csr: CheckedCsr,
  wish: LeafWish,
  nowMs: number,
  random: Random,
): Promise<Buffer> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(Buffer.from(root.certificate).toString());
  const { privateKey } = await importKeyPair(root.privateKey);
  const usages = wish.role === Role.MANAGER ? [SERVER_AUTH, CLIENT_AUTH] : [CLIENT_AUTH];
  const names = [roleName(wish.role), wish.nodeId];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(random),
    subject: [{ CN: [wish.nodeId] }, { OU: [roleName(wish.role)] }, { O: [wish.clusterId] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(Math.min(nowMs + wish.lifeMs, issuer.notAfter.getTime())),
    publicKey: new x509.Pkcs10CertificateRequest(Uint8Array.from(csr.der)).publicKey,
    signingKey: privateKey,
    signingAlgorithm: ECDSA_SHA256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages, true),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: "dns" as const, value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return pem(certificate);
}

export function certificateSigner(clock: Clock, random: Random): CertificateSigner {
  return {
    checkCsr,
    issue: (root, csr, wish) => issueLeaf(root, csr, wish, clock.nowMs(), random),
  };
}

/** DER of the root's subject and public key: what Docker's TLSInfo shows. */
export async function issuerInfo(
  rootCert: Uint8Array,
): Promise<{ subject: Buffer; publicKey: Buffer }> {
  const x509 = await loadX509();
  const root = new x509.X509Certificate(Buffer.from(rootCert).toString());
  return {
    subject: Buffer.from(root.subjectName.toArrayBuffer()),
    publicKey: Buffer.from(root.publicKey.rawData),
  };
}

function serial(random: Random): string {
  const bytes = Uint8Array.from(random.bytes(SERIAL_BYTES));
  // The top bit would make the number negative; a leading zero byte would not be the shortest form.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

function pem(certificate: { toString(format: "pem"): string }): Buffer {
  return Buffer.from(`${certificate.toString("pem")}\n`);
}
