// What somebody asks: one question, with or without EDNS (RFC 1035 section 4.1, RFC 6891). Everything here
// comes from a container: nothing throws, and the work is bounded by the message's length.
//
//   id 2 | flags 2 | questions 2 | answers 2 | authorities 2 | additionals 2 | name | type 2 | class 2 | …
import {
  BADVERS,
  CLASS_IN,
  FORMERR,
  HEADER_BYTES,
  NOTIMP,
  plainNameEnd,
  QR,
  TYPE_AXFR,
  TYPE_IXFR,
  TYPE_OPT,
  UDP_BYTES_MIN,
} from "./wire.js";

export interface Query {
  /** As it came; the question is `HEADER_BYTES` to `questionEnd`. */
  readonly bytes: Buffer;
  readonly questionEnd: number;
  readonly flags: number;
  /** In wire form and lower case (wire.ts). */
  readonly key: string;
  readonly type: number;
  /** Undefined: the asker does not know EDNS. */
  readonly edns: { readonly udpBytes: number; readonly dnssecOk: boolean } | undefined;
}

export type Read =
  | { readonly kind: "query"; readonly query: Query }
  /** Answered with this code; the question is repeated if there is one. */
  | { readonly kind: "wrong"; readonly code: number; readonly questionEnd: number }
  /** Not a question at all. An answer to it could go on for ever between two resolvers. */
  | { readonly kind: "drop" };

const OPCODE_MASK = 0x7800;
const DROP: Read = { kind: "drop" };

export function readQuery(bytes: Buffer): Read {
  if (bytes.length < HEADER_BYTES) return DROP;
  const flags = u16(bytes, 2);
  if ((flags & QR) !== 0) return DROP;
  if ((flags & OPCODE_MASK) !== 0) return wrong(NOTIMP);
  // Answers and authorities in a question mean nothing.
  if (u16(bytes, 4) !== 1 || u16(bytes, 6) !== 0 || u16(bytes, 8) !== 0) return wrong(FORMERR);
  const end = plainNameEnd(bytes, HEADER_BYTES);
  if (end === undefined || end + 4 > bytes.length) return wrong(FORMERR);
  const questionEnd = end + 4;
  const type = u16(bytes, end);
  if (u16(bytes, end + 2) !== CLASS_IN || type === TYPE_AXFR || type === TYPE_IXFR) {
    return wrong(NOTIMP, questionEnd);
  }
  const additionals = u16(bytes, 10);
  const edns = additionals === 0 ? undefined : readOpt(bytes, questionEnd, additionals);
  if (typeof edns === "number") return wrong(edns, questionEnd);
  const key = bytes.toString("latin1", HEADER_BYTES, end).toLowerCase();
  return { kind: "query", query: { bytes, questionEnd, flags, key, type, edns } };
}

function wrong(code: number, questionEnd = HEADER_BYTES): Read {
  return { kind: "wrong", code, questionEnd };
}

/** The only record that a question may have. Others (TSIG, SIG(0)) are of no use here. */
function readOpt(bytes: Buffer, at: number, count: number): NonNullable<Query["edns"]> | number {
  if (count !== 1 || at + 11 > bytes.length || bytes[at] !== 0) return FORMERR;
  if (u16(bytes, at + 1) !== TYPE_OPT) return FORMERR;
  if (at + 11 + u16(bytes, at + 9) > bytes.length) return FORMERR;
  if (bytes[at + 6] !== 0) return BADVERS;
  const udpBytes = Math.max(u16(bytes, at + 3), UDP_BYTES_MIN);
  return { udpBytes, dnssecOk: ((bytes[at + 7] ?? 0) & 0x80) !== 0 };
}

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
