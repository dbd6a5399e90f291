// A signing request (PKCS #10, RFC 2986): made by a node, read by a manager. Its subject is empty: who a
// node may be is the swarm's to say, and the request proves only that its sender holds the key.
//
//   SEQUENCE { SEQUENCE { version 0, subject, SPKI, [0] attributes }, algorithm, BIT STRING signature }
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import {
  bitString,
  contextTag,
  element,
  objectIdentifier,
  readInside,
  sequence,
  TAG,
} from "./der.js";

/** RFC 5758 section 3.2: ecdsa-with-SHA256, which has no parameters. */
export const ECDSA_SHA256 = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
const VERSION = element(TAG.integer, Buffer.of(0));

/** DER of a request for this key (PKCS #8 PEM, P-256). */
export function createCsr(privateKeyPem: Uint8Array): Buffer {
  const key = createPrivateKey(Buffer.from(privateKeyPem));
  const info = sequence(VERSION, sequence(), spkiOf(createPublicKey(key)), element(contextTag(0)));
  return sequence(info, ECDSA_SHA256, bitString(sign("sha256", info, key)));
}

/** The SPKI DER of the key that the request is for, or what is wrong with the request. */
export function readCsr(
  der: Uint8Array,
): { readonly publicKey: Buffer } | { readonly problem: string } {
  const unreadable = { problem: "it cannot be read" };
  const [info, algorithm, signature, ...more] = readInside(Buffer.from(der), TAG.sequence) ?? [];
  if (info?.tag !== TAG.sequence || more.length > 0) return unreadable;
  if (algorithm === undefined || signature?.tag !== TAG.bitString) return unreadable;
  const [version, subject, spki] = readInside(info.whole, TAG.sequence) ?? [];
  if (!version?.whole.equals(VERSION) || subject?.tag !== TAG.sequence) return unreadable;
  const key = spki && publicKeyOf(spki.whole);
  if (key === undefined) return unreadable;
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    return { problem: "the key is not P-256" };
  }
  // Its first byte counts unused bits, and a signature has none.
  const signed =
    algorithm.whole.equals(ECDSA_SHA256) &&
    signature.content[0] === 0 &&
    verify("sha256", info.whole, key, signature.content.subarray(1));
  return signed ? { publicKey: spkiOf(key) } : { problem: "its signature does not verify" };
}

function publicKeyOf(spki: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: spki, format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}
