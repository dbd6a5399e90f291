// The swarm's certificate authority: makes the root, checks signing requests, signs leaves (X.509 version 3,
// RFC 5280). It decides nothing: who may be whom comes from manager/ca.
import { createPrivateKey, createPublicKey, sign, X509Certificate } from "node:crypto";
import { BACKDATE_MS, roleName, spkiDigest } from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { ECDSA_SHA256, readCsr } from "../../common/csr.js";
import {
  bitString,
  contextTag,
  element,
  objectIdentifier,
  positiveInteger,
  readInside,
  sequence,
  TAG,
  time,
} from "../../common/der.js";
import { assert, type Refusal, refuse } from "../../common/fault.js";
import type { Random } from "../../common/random.js";
import { Role } from "../../proto/gen/types.js";
import type { CertificateSigner, CheckedCsr, LeafWish } from "../seams.js";
import {
  authorityKeyIdentifier,
  basicConstraints,
  dnsNames,
  extendedKeyUsage,
  keyUsage,
  subjectKeyIdentifier,
} from "./extensions.js";

/** Largest signing request that is looked at; one of P-256 has about 200 bytes. */
const CSR_BYTES_MAX = 4096;
// Docker (swarmkit ca/certificates.go RootCAExpiration): 20 years.
const ROOT_LIFE_MS = 20 * 365 * 86_400_000;
// RFC 5280 section 4.1.2.2: at most 20 octets, positive.
const SERIAL_BYTES = 16;
// RFC 5280 section 4.1.2.1: version 3 is 2.
const VERSION_3 = element(contextTag(0), element(TAG.integer, Buffer.of(2)));
// X.520: commonName, organizationName, organizationalUnitName.
const NAME_OID = { CN: "2.5.4.3", O: "2.5.4.10", OU: "2.5.4.11" } as const;

export interface RootCa {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}

/** A self-signed root for the key given (PKCS #8 PEM, P-256). */
export function createRoot(privateKey: Buffer, nowMs: number, random: Random): RootCa {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const subject = name([["CN", "skein-ca"]]);
  const certificate = signed(privateKey, {
    serial: serial(random),
    issuer: subject,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + ROOT_LIFE_MS,
    subject,
    publicKey,
    // A leaf of ours can sign nothing, so one level below the root is all there is.
    extensions: [
      basicConstraints({ pathLength: 0 }),
      keyUsage("sign-certificates"),
      subjectKeyIdentifier(publicKey),
    ],
  });
  return { certificate, privateKey };
}

export function checkCsr(csr: Uint8Array): CheckedCsr | Refusal {
  const invalid = (why: string) =>
    refuse("invalid-argument", `invalid certificate request: ${why}`);
  if (csr.length > CSR_BYTES_MAX) return invalid(`more than ${CSR_BYTES_MAX} bytes`);
  const read = readCsr(csr);
  if ("problem" in read) return invalid(read.problem);
  return { publicKey: read.publicKey, publicKeyDigest: spkiDigest(read.publicKey) };
}

/** A node's certificate, PEM. Everything in it is ours; of the request only the key is taken. */
export function issueLeaf(
  root: RootCa,
  csr: CheckedCsr,
  wish: LeafWish,
  nowMs: number,
  random: Random,
): Buffer {
  const issuer = issuerInfo(root.certificate);
  const issuerEndsMs = Date.parse(new X509Certificate(root.certificate).validTo);
  const role = roleName(wish.role);
  return signed(root.privateKey, {
    serial: serial(random),
    issuer: issuer.subject,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: Math.min(nowMs + wish.lifeMs, issuerEndsMs),
    subject: name([
      ["CN", wish.nodeId],
      ["OU", role],
      ["O", wish.clusterId],
    ]),
    publicKey: csr.publicKey,
    extensions: [
      basicConstraints("leaf"),
      keyUsage("sign-handshakes"),
      extendedKeyUsage(wish.role === Role.MANAGER ? ["server", "client"] : ["client"]),
      dnsNames([role, wish.nodeId]),
      authorityKeyIdentifier(issuer.publicKey),
    ],
  });
}

export function certificateSigner(clock: Clock, random: Random): CertificateSigner {
  return {
    checkCsr,
    issue: (root, csr, wish) => issueLeaf(root, csr, wish, clock.nowMs(), random),
  };
}

/** DER of the root's subject and public key: what Docker's TLSInfo shows. */
export function issuerInfo(rootCert: Uint8Array): { subject: Buffer; publicKey: Buffer } {
  const { raw, publicKey } = new X509Certificate(Buffer.from(rootCert));
  // SEQUENCE { TBS, … }; TBS: version, serial, algorithm, issuer, validity, subject, …
  const [tbs] = readInside(raw, TAG.sequence) ?? [];
  const subject = tbs && readInside(tbs.whole, TAG.sequence)?.[5];
  assert(subject !== undefined, "OpenSSL has read this certificate");
  return {
    subject: Buffer.from(subject.whole),
    publicKey: publicKey.export({ type: "spki", format: "der" }),
  };
}

interface ToBeSigned {
  readonly serial: Buffer;
  /** Names and the key are DER already. */
  readonly issuer: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subject: Buffer;
  readonly publicKey: Buffer;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280 section 4.1, as PEM. */
function signed(issuerKeyPem: Buffer, tbs: ToBeSigned): Buffer {
  const body = sequence(
    VERSION_3,
    positiveInteger(tbs.serial),
    ECDSA_SHA256,
    tbs.issuer,
    sequence(time(tbs.notBeforeMs), time(tbs.notAfterMs)),
    tbs.subject,
    tbs.publicKey,
    element(contextTag(3), sequence(...tbs.extensions)),
  );
  const signature = sign("sha256", body, createPrivateKey(issuerKeyPem));
  const certificate = sequence(body, ECDSA_SHA256, bitString(signature));
  return Buffer.from(new X509Certificate(certificate).toString());
}

/** RFC 5280 section 4.1.2.4: a sequence of sets of one attribute each. */
function name(fields: readonly (readonly [keyof typeof NAME_OID, string])[]): Buffer {
  const attribute = ([field, value]: readonly [keyof typeof NAME_OID, string]) =>
    sequence(objectIdentifier(NAME_OID[field]), element(TAG.utf8String, Buffer.from(value)));
  return sequence(...fields.map((field) => element(TAG.set, attribute(field))));
}

function serial(random: Random): Buffer {
  const bytes = Buffer.from(random.bytes(SERIAL_BYTES));
  // The top bit would make the number negative; a leading zero byte would not be the shortest form.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}
