// The extensions of our certificates (RFC 5280 section 4.2), DER each.
import { createHash } from "node:crypto";
import {
  bitString,
  element,
  implicitTag,
  objectIdentifier,
  readInside,
  sequence,
  TAG,
} from "../../common/der.js";

const TRUE = element(TAG.boolean, Buffer.of(0xff));

/** Section 4.2.1.9. */
export function basicConstraints(constraint: { readonly pathLength: number } | "leaf"): Buffer {
  const inside =
    constraint === "leaf" ? [] : [TRUE, element(TAG.integer, Buffer.of(constraint.pathLength))];
  return critical("2.5.29.19", sequence(...inside));
}

/** Section 4.2.1.3: digitalSignature is bit 0, keyCertSign 5, cRLSign 6, counted from the left. */
export function keyUsage(usage: "sign-handshakes" | "sign-certificates"): Buffer {
  const bits =
    usage === "sign-handshakes"
      ? bitString(Buffer.of(0b1000_0000), 7)
      : bitString(Buffer.of(0b0000_0110), 1);
  return critical("2.5.29.15", bits);
}

const PURPOSE_OID = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;

/** Section 4.2.1.12. */
export function extendedKeyUsage(purposes: readonly (keyof typeof PURPOSE_OID)[]): Buffer {
  const oids = purposes.map((purpose) => objectIdentifier(PURPOSE_OID[purpose]));
  return critical("2.5.29.37", sequence(...oids));
}

/** Section 4.2.1.6: dNSName is [2]. */
export function dnsNames(names: readonly string[]): Buffer {
  const each = names.map((name) => element(implicitTag(2), Buffer.from(name, "latin1")));
  return plain("2.5.29.17", sequence(...each));
}

/** Section 4.2.1.2. */
export function subjectKeyIdentifier(spki: Buffer): Buffer {
  return plain("2.5.29.14", element(TAG.octetString, keyIdentifier(spki)));
}

/** Section 4.2.1.1: keyIdentifier is [0]. */
export function authorityKeyIdentifier(issuerSpki: Buffer): Buffer {
  return plain("2.5.29.35", sequence(element(implicitTag(0), keyIdentifier(issuerSpki))));
}

/** Section 4.2.1.2, method 1: SHA-1 of the key's bits, without the byte that counts unused ones. */
function keyIdentifier(spki: Buffer): Buffer {
  const bits = readInside(spki, TAG.sequence)?.[1]?.content.subarray(1) ?? spki;
  return createHash("sha1").update(bits).digest();
}

function critical(oid: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), TRUE, element(TAG.octetString, value));
}

function plain(oid: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(oid), element(TAG.octetString, value));
}
