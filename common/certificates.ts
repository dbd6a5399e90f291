// What a node's certificate says, and how its key is made. Reading uses Node's own parser; making a
// signing request is in csr.ts, because it loads a library that readers do not need.
import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { Role } from "../proto/gen/types.js";

// The words in the certificate's OU, and its DNS names: a client asks TLS itself for "skein-manager".
export const MANAGER_NAME = "skein-manager";
export const WORKER_NAME = "skein-worker";

/** Who a certificate says its holder is. Worth something only after its chain was verified. */
export interface PeerIdentity {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
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
  const parsed = parse(certificate);
  const identity = parsed && identityOf(parsed.toLegacyObject().subject);
  if (!parsed || !identity) return undefined;
  return {
    ...identity,
    notBeforeMs: Date.parse(parsed.validFrom),
    notAfterMs: Date.parse(parsed.validTo),
    publicKeyDigest: spkiDigest(parsed.publicKey.export({ type: "spki", format: "der" })),
  };
}

/** Whether the leaf was signed by this root and its time has come and not passed. */
export function isIssuedBy(leaf: Uint8Array, root: Uint8Array, nowMs: number): boolean {
  const leafCert = parse(leaf);
  const rootCert = parse(root);
  if (!leafCert || !rootCert) return false;
  const current = Date.parse(leafCert.validFrom) <= nowMs && nowMs <= Date.parse(leafCert.validTo);
  return current && leafCert.checkIssued(rootCert) && leafCert.verify(rootCert.publicKey);
}

/** Whether this private key (PKCS #8 PEM) is the one the certificate speaks for. */
export function keyFits(certificate: Uint8Array, privateKeyPem: Uint8Array): boolean {
  try {
    const key = createPrivateKey(Buffer.from(privateKeyPem));
    return parse(certificate)?.checkPrivateKey(key) ?? false;
  } catch {
    return false;
  }
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

function parse(certificate: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(Buffer.from(certificate));
  } catch {
    return undefined;
  }
}
