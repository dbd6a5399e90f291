// Join tokens: SWMTKN-1-<digest of the root certificate>-<secret>, Docker's form. The digest lets a
// joining node know the right swarm before it says anything; the secret lets the swarm know the node.
import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { type Refusal, refuse } from "./fault.js";
import type { Random } from "./random.js";

// Docker (swarmkit ca/config.go): base 36, padded, so that every token has the same length.
// 36^50 > 2^256 and 36^25 > 2^128.
const DIGEST_BYTES = 32;
const DIGEST_DIGITS = 50;
const SECRET_BYTES = 16;
const SECRET_DIGITS = 25;
const TOKEN = /^SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})$/;

export interface JoinToken {
  /** SHA-256 of the root certificate's DER. */
  readonly rootDigest: Uint8Array;
  /** 25 base-36 digits: what `Cluster.join_secrets` holds. */
  readonly secret: string;
}

export function parseJoinToken(text: string): JoinToken | Refusal {
  const match = TOKEN.exec(text.trim());
  const rootDigest = match?.[1] === undefined ? undefined : fromBase36(match[1], DIGEST_BYTES);
  if (!match?.[2] || !rootDigest) return refuse("invalid-argument", "invalid join token");
  return { rootDigest, secret: match[2] };
}

export function formatJoinToken(token: JoinToken): string {
  return `SWMTKN-1-${toBase36(token.rootDigest, DIGEST_DIGITS)}-${token.secret}`;
}

/** The token that a person types, from what the store holds. */
export function joinTokenOf(rootCaCertPem: Uint8Array, secret: string): string {
  return formatJoinToken({ rootDigest: rootDigestOf(rootCaCertPem), secret });
}

/** A new secret for one role: 128 random bits. */
export function newJoinSecret(random: Random): string {
  return toBase36(random.bytes(SECRET_BYTES), SECRET_DIGITS);
}

/** Compares without telling by its duration how much was right. */
export function sameSecret(a: string, b: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b)) && a !== "";
}

/** SHA-256 of a certificate given as PEM (the first in the text) or DER. */
export function rootDigestOf(certificate: Uint8Array): Buffer {
  const { raw } = new X509Certificate(Buffer.from(certificate));
  return createHash("sha256").update(raw).digest();
}

function toBase36(bytes: Uint8Array, digits: number): string {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`)
    .toString(36)
    .padStart(digits, "0");
}

function fromBase36(text: string, bytes: number): Uint8Array | undefined {
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  const hex = value.toString(16).padStart(bytes * 2, "0");
  return hex.length === bytes * 2 ? Buffer.from(hex, "hex") : undefined;
}
