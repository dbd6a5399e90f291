// Roots of certificate authorities: made, looked over when a person brings one, and signed by the one before.
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  webcrypto,
  X509Certificate,
} from "node:crypto";
import { BACKDATE_MS, newNodeKey, splitPem } from "../../common/certificates.js";
import { ECDSA_SHA256, importKeyPair } from "../../common/csr.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type { Random } from "../../common/random.js";
import { loadX509, type X509 } from "../../common/x509.js";
import type { RootCa, SigningRoot } from "../seams.js";

// Docker (swarmkit ca/certificates.go RootCAExpiration): 20 years.
const ROOT_LIFE_MS = 20 * 365 * 86_400_000;
// Docker (swarmkit manager/controlapi/ca_rotation.go minRootExpiration): a root that is brought lasts a year at least.
const ROOT_LIFE_MIN_MS = 365 * 86_400_000;
// NIST SP 800-57 part 1, table 2; Docker's as well.
const RSA_BITS_MIN = 2048;
// Choice: a certificate with many names has 4 KiB, a key of RSA 8192 about 6.
const PEM_BYTES_MAX = 64 * 1024;
// RFC 5280 section 4.1.2.2: at most 20 octets, positive.
const SERIAL_BYTES = 16;

const CURVES: Readonly<Record<string, { readonly name: string; readonly hash: string }>> = {
  prime256v1: { name: "P-256", hash: "SHA-256" },
  secp384r1: { name: "P-384", hash: "SHA-384" },
  secp521r1: { name: "P-521", hash: "SHA-512" },
};

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
      // No limit below it: the root that comes after is signed by it, and signs in turn.
      new x509.BasicConstraintsExtension(true, undefined, true),
      ...(await caExtensions(x509, keys.publicKey)),
    ],
  });
  return { certificate: pem(certificate), privateKey };
}

export async function newRoot(nowMs: number, random: Random): Promise<SigningRoot> {
  const root = await createRoot(newNodeKey(), nowMs, random);
  return { ...root, ...(await issuerInfo(root.certificate)) };
}

/** A root and its key (PEM) as a person brings them, or what is wrong with them; the words are SwarmKit's where it has any. */
export async function checkRoot(
  certificate: Uint8Array,
  key: Uint8Array,
  nowMs: number,
): Promise<SigningRoot | Refusal> {
  const wrong = (why: string) => refuse("invalid-argument", why);
  if (certificate.length === 0) {
    return wrong("if a signing CA key is provided, the signing CA cert must also be provided");
  }
  if (key.length === 0) {
    return wrong(
      "the desired CA certificate comes without its key: only an external CA could sign with it, and Skein uses none",
    );
  }
  if (certificate.length > PEM_BYTES_MAX || key.length > PEM_BYTES_MAX) {
    return wrong(`a CA certificate or key of more than ${PEM_BYTES_MAX / 1024} KiB`);
  }
  const blocks = splitPem(certificate);
  if (blocks.length > 1) {
    return wrong("the desired CA certificate cannot contain multiple certificates");
  }
  const x509 = await loadX509();
  let parsed: InstanceType<X509["X509Certificate"]>;
  let root: X509Certificate;
  try {
    root = new X509Certificate(blocks[0] ?? Buffer.alloc(0));
    parsed = new x509.X509Certificate(root.raw);
  } catch {
    return wrong("could not parse the desired CA certificate");
  }
  const why = refuseRoot(root, parsed, x509, nowMs);
  if (why !== undefined) return wrong(why);
  const privateKey = parseKey(key);
  if (typeof privateKey === "string") return wrong(privateKey);
  if (!root.checkPrivateKey(privateKey)) return wrong("certificate key mismatch");
  return {
    certificate: Buffer.from(root.toString()),
    privateKey: Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" }) as string),
    ...(await issuerInfo(Buffer.from(root.toString()))),
  };
}

function refuseRoot(
  root: X509Certificate,
  parsed: InstanceType<X509["X509Certificate"]>,
  x509: X509,
  nowMs: number,
): string | undefined {
  const invalid = (why: string) => `error while validating Root CA Certificate: ${why}`;
  const keyProblem = refuseKey(root.publicKey);
  if (keyProblem !== undefined) return keyProblem;
  const { name, hash } = parsed.signatureAlgorithm as { name: string; hash?: { name: string } };
  const hashName = hash?.name ?? "";
  if (!["SHA-256", "SHA-384", "SHA-512"].includes(hashName)) {
    return `unsupported signature algorithm: ${name} with ${hashName || "an unknown hash"}`;
  }
  const usages = parsed.getExtension(x509.KeyUsagesExtension)?.usages;
  if (!root.ca) return invalid("it is not a CA's (basic constraints CA:TRUE)");
  if (usages !== undefined && (usages & x509.KeyUsageFlags.keyCertSign) === 0) {
    return invalid("its key usage does not allow signing certificates");
  }
  if (!root.checkIssued(root) || !root.verify(root.publicKey)) {
    return invalid("it is not signed by itself; an intermediate cannot be the swarm's root");
  }
  const [fromMs, untilMs] = [Date.parse(root.validFrom), Date.parse(root.validTo)];
  if (nowMs < fromMs || nowMs > untilMs) {
    return invalid("x509: certificate has expired or is not yet valid");
  }
  return untilMs < nowMs + ROOT_LIFE_MIN_MS ? "CA certificate expires too soon" : undefined;
}

function refuseKey(key: KeyObject): string | undefined {
  const { modulusLength, publicExponent, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if ((modulusLength ?? 0) < RSA_BITS_MIN || publicExponent === 1n) {
        return `unsupported RSA key parameters: ${modulusLength} bits, and at least ${RSA_BITS_MIN} are needed`;
      }
      return undefined;
    case "ec":
      return CURVES[namedCurve ?? ""] ? undefined : "unsupported ECDSA key parameters";
    default:
      return "unknown or unsupported certificate public key algorithm";
  }
}

function parseKey(key: Uint8Array): KeyObject | string {
  const text = Buffer.from(key).toString("latin1");
  if (/ENCRYPTED/.test(text)) {
    return "the CA key is encrypted: decrypt it first (openssl pkey -in FILE -out FILE)";
  }
  try {
    return createPrivateKey(Buffer.from(key));
  } catch {
    return "could not parse the CA key";
  }
}

/**
 * The next root's key, certified by the root before (PEM): who trusts that one alone accepts what the next has signed.
 * Refused where the root before allows no such certificate.
 */
export async function crossSign(
  before: RootCa,
  next: RootCa,
  nowMs: number,
  random: Random,
): Promise<Buffer | Refusal> {
  const x509 = await loadX509();
  const old = new x509.X509Certificate(before.certificate.toString());
  const root = new x509.X509Certificate(next.certificate.toString());
  // RFC 5280 section 6.1.4 (l): a certificate of the same name does not count.
  const sameName = old.subject === root.subject;
  if (old.getExtension(x509.BasicConstraintsExtension)?.pathLength === 0 && !sameName) {
    return refuse(
      "failed-precondition",
      "the present root allows no other below it (path length 0): rotate to a generated root first (swarm ca --rotate), then to this one",
    );
  }
  const { privateKey, algorithm } = await importSigningKey(before.privateKey);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(random),
    subject: root.subjectName,
    issuer: old.subjectName,
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(Math.min(root.notAfter.getTime(), old.notAfter.getTime())),
    publicKey: root.publicKey,
    signingKey: privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      ...(await caExtensions(x509, root.publicKey)),
      await x509.AuthorityKeyIdentifierExtension.create(old.publicKey),
    ],
  });
  return pem(certificate);
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

/** A root's private key (PEM; RSA or ECDSA), for signing with WebCrypto. */
export async function importSigningKey(privateKeyPem: Uint8Array): Promise<SigningKey> {
  const key = createPrivateKey(Buffer.from(privateKeyPem));
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  const curve = CURVES[createPublicKey(key).asymmetricKeyDetails?.namedCurve ?? ""];
  const algorithm =
    curve === undefined
      ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
      : { name: "ECDSA", hash: curve.hash, namedCurve: curve.name };
  const privateKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
  return { privateKey, algorithm } as unknown as SigningKey;
}

export interface SigningKey {
  readonly privateKey: GeneratorOptions["signingKey"];
  readonly algorithm: NonNullable<GeneratorOptions["signingAlgorithm"]>;
}
type GeneratorOptions = Extract<
  Parameters<X509["X509CertificateGenerator"]["create"]>[0],
  { signingKey: unknown }
>;

async function caExtensions(
  x509: X509,
  key: Parameters<X509["SubjectKeyIdentifierExtension"]["create"]>[0],
) {
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  return [
    new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(key),
  ];
}

export function serial(random: Random): string {
  const bytes = Uint8Array.from(random.bytes(SERIAL_BYTES));
  // The top bit would make the number negative; a leading zero byte would not be the shortest form.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

export function pem(certificate: { toString(format: "pem"): string }): Buffer {
  return Buffer.from(`${certificate.toString("pem")}\n`);
}
