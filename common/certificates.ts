// What a node's certificate says, and how its key is made. Reading uses Node's own parser; making a
// signing request is in csr.ts, because it loads a library that readers do not need.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  X509Certificate,
} from "node:crypto";
import { Role } from "../proto/gen/types.js";
import { childrenOf } from "./der.js";

// The words in the certificate's OU, and its DNS names: a client asks TLS itself for "skein-manager".
export const MANAGER_NAME = "skein-manager";
const WORKER_NAME = "skein-worker";

/** Who a certificate says its holder is. Worth something only after its chain was verified. */
export interface PeerIdentity {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
}

/** Whom TLS has proven, and how new the proof is: by the clock of the manager that issued it, in whole seconds. */
export interface ProvenPeer extends PeerIdentity {
  readonly issuedMs: number;
}

export interface CertificateFacts extends PeerIdentity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of the public key's SPKI DER: `Node.public_key_digest`. */
  readonly publicKeyDigest: Buffer;
}

export function roleName(role: Role): string {
  return role === Role.MANAGER ? MANAGER_NAME : WORKER_NAME;
}

/** From a subject's fields; undefined unless each of CN, OU and O is there exactly once and OU is a role. */
export function identityOf(subject: {
  readonly CN?: unknown;
  readonly OU?: unknown;
  readonly O?: unknown;
}): PeerIdentity | undefined {
  const { CN, OU, O } = subject;
  if (typeof CN !== "string" || typeof O !== "string" || CN === "" || O === "") return undefined;
  if (OU !== MANAGER_NAME && OU !== WORKER_NAME) return undefined;
  return { nodeId: CN, clusterId: O, role: OU === MANAGER_NAME ? Role.MANAGER : Role.WORKER };
}

/** Reads the first certificate of a PEM text (or a DER); undefined if it is none of a Skein node's. */
export function readCertificate(certificate: Uint8Array): CertificateFacts | undefined {
  return ifReadable(() => factsOf(certificate));
}

function factsOf(certificate: Uint8Array): CertificateFacts | undefined {
  const parsed = leafOf(certificate);
  const identity = parsed && identityOf(parsed.toLegacyObject().subject);
  if (!parsed || !identity) return undefined;
  return {
    ...identity,
    notBeforeMs: Date.parse(parsed.validFrom),
    notAfterMs: Date.parse(parsed.validTo),
    publicKeyDigest: spkiDigest(parsed.publicKey.export({ type: "spki", format: "der" })),
  };
}

/**
 * Whether the leaf was signed by one of these roots, or by an intermediate among `chain` that was, and the time of
 * each has come and not passed. `chain` is PEM, leaf first; `roots` is PEM, one or more. While a swarm moves to
 * another root, leaves of the new one come with a certificate of its key by the old one (docs/certificates.md).
 */
export function isIssuedBy(chain: Uint8Array, roots: Uint8Array, nowMs: number): boolean {
  return ifReadable(() => verifies(parseAll(chain), parseAll(roots), nowMs)) ?? false;
}

function verifies(
  [leaf, ...rest]: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  nowMs: number,
): boolean {
  if (!leaf) return false;
  const from = (issuer: X509Certificate, to: X509Certificate) =>
    isCurrent(to, nowMs) && to.checkIssued(issuer) && to.verify(issuer.publicKey);
  if (anchors.some((root) => from(root, leaf))) return true;
  return rest.some(
    (middle) => middle.ca && from(middle, leaf) && anchors.some((root) => from(root, middle)),
  );
}

function isCurrent(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo);
}

/** Whether the key (SPKI, DER) signed the first certificate of this PEM text itself. */
export function isSignedWith(chain: Uint8Array, issuerPublicKey: Uint8Array): boolean {
  const der = { key: Buffer.from(issuerPublicKey), format: "der", type: "spki" } as const;
  return ifReadable(() => leafOf(chain)?.verify(createPublicKey(der))) ?? false;
}

export interface TlsInfo {
  /** DER of the issuer's name, as the leaf has it, and of its public key (SPKI). */
  readonly issuerSubject: Buffer;
  readonly issuerPublicKey: Buffer;
  /** SHA-256 of the trusted roots' PEM text. */
  readonly trustRootDigest: Buffer;
}

/** Whose certificate it is that a node uses, and whom it trusts; undefined when no issuer of it is known. */
export function tlsInfoOf(chain: Uint8Array, roots: Uint8Array): TlsInfo | undefined {
  return ifReadable(() => tlsInfo(chain, roots));
}

function tlsInfo(chain: Uint8Array, roots: Uint8Array): TlsInfo | undefined {
  const [leaf, ...rest] = parseAll(chain);
  const issuer = [...parseAll(roots), ...rest].find(
    (each) => leaf?.checkIssued(each) && leaf.verify(each.publicKey),
  );
  if (!leaf || !issuer) return undefined;
  // RFC 5280 section 4.1: version, serial number, signature algorithm, issuer.
  const [tbs = new Uint8Array()] = childrenOf(leaf.raw) ?? [];
  const subject = childrenOf(tbs)?.[3];
  if (!subject) return undefined;
  return {
    issuerSubject: Buffer.from(subject),
    issuerPublicKey: Buffer.from(issuer.publicKey.export({ type: "spki", format: "der" })),
    trustRootDigest: trustDigest(roots),
  };
}

/** What names a set of trusted roots: SHA-256 of its PEM text. */
export function trustDigest(roots: Uint8Array): Buffer {
  return createHash("sha256").update(roots).digest();
}

/** The certificates of a PEM text, in its order, as PEM each; what cannot be read is left out. */
export function splitPem(pem: Uint8Array): readonly Buffer[] {
  const blocks = Buffer.from(pem).toString("latin1").match(PEM_BLOCK) ?? [];
  return blocks.slice(0, CHAIN_LENGTH_MAX).map((block) => Buffer.from(`${block}\n`));
}

/** Whether this private key (PKCS #8 PEM) is the one the certificate speaks for. */
export function keyFits(certificate: Uint8Array, privateKeyPem: Uint8Array): boolean {
  const fits = () => {
    const key = createPrivateKey(Buffer.from(privateKeyPem));
    return leafOf(certificate)?.checkPrivateKey(key);
  };
  return ifReadable(fits) ?? false;
}

/** A new node key: ECDSA P-256, PKCS #8 PEM. */
export function newNodeKey(): Buffer {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" }) as string);
}

export function spkiDigest(spkiDer: Uint8Array): Buffer {
  return createHash("sha256").update(spkiDer).digest();
}

/**
 * When to renew: a point between half and 80 % of the certificate's life, so that a swarm that was
 * made in one minute does not renew in one minute. `fraction` is uniform in 0..1. An hour of the
 * life lies before the issue (backdating), and is not counted.
 */
export function renewalTimeMs(
  facts: Pick<CertificateFacts, "notBeforeMs" | "notAfterMs">,
  fraction: number,
): number {
  const issuedMs = facts.notBeforeMs + BACKDATE_MS;
  return issuedMs + (facts.notAfterMs - issuedMs) * (0.5 + 0.3 * fraction);
}

/** Certificates are valid from an hour before they are made: clocks in a swarm differ. */
export const BACKDATE_MS = 3_600_000;

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
// A leaf, the certificate by the root before, and two roots: more than twice that is not ours.
const CHAIN_LENGTH_MAX = 10;

/**
 * The one that everything here means by the first. OpenSSL would take other PEM labels for certificates too, so that
 * whom a text speaks of could be read of one certificate, and verified of the next.
 */
function leafOf(bytes: Uint8Array): X509Certificate | undefined {
  return parseAll(bytes)[0];
}

/** Of a PEM text; or the one of a DER. */
function parseAll(bytes: Uint8Array): readonly X509Certificate[] {
  const isDer = bytes[0] === DER_SEQUENCE;
  return (isDer ? [bytes] : splitPem(bytes)).flatMap((each) => parse(each) ?? []);
}

// X.690 section 8.9: a certificate is a SEQUENCE; no PEM text begins so.
const DER_SEQUENCE = 0x30;

function parse(certificate: Uint8Array): X509Certificate | undefined {
  return ifReadable(() => new X509Certificate(Buffer.from(certificate)));
}

/** Node's parser reads a certificate's key and names only when they are asked for, and throws only then. */
function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
