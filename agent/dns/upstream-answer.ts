// Questions that go out and the answers that come back: what may go out, what is believed, how long it is
// kept. An answer is bytes of a stranger: it is walked over once, no pointer is followed, nothing throws.
import { type Query, u16 } from "./query.js";
import { bytesMax, type Transport } from "./reply.js";
import {
  AD,
  CD,
  HEADER_BYTES,
  NOERROR,
  NXDOMAIN,
  nameEnd,
  OPT_BYTES,
  QR,
  RD,
  TC,
  TYPE_OPT,
  TYPE_SOA,
  UDP_BYTES_ADVERTISED,
} from "./wire.js";

/** What makes two questions the same to whoever is asked, and so their answers. */
export function questionKey({ key, type, flags, edns }: Query): string {
  const manner = (flags & CD) | (flags & AD) | (edns ? 1 : 0) | (edns?.dnssecOk ? 2 : 0);
  return `${type} ${manner} ${key}`;
}

/** The same question under an id of ours, without anything else that the asker may have put into it. */
export function outgoing({ bytes, questionEnd, flags, edns }: Query, id: number): Buffer {
  const out = Buffer.alloc(questionEnd + (edns === undefined ? 0 : OPT_BYTES));
  bytes.copy(out, 0, 0, questionEnd);
  out.writeUInt16BE(id, 0);
  // We ask resolvers, which have to go on asking.
  out.writeUInt16BE(RD | (flags & (CD | AD)), 2);
  out.writeUInt16BE(1, 4);
  out.fill(0, 6, HEADER_BYTES);
  if (edns !== undefined) {
    out.writeUInt16BE(TYPE_OPT, questionEnd + 1);
    out.writeUInt16BE(UDP_BYTES_ADVERTISED, questionEnd + 3);
    out[questionEnd + 7] = edns.dnssecOk ? 0x80 : 0;
    out.writeUInt16BE(1, 10);
  }
  return out;
}

export interface Heard {
  readonly bytes: Buffer;
  readonly code: number;
  readonly isTruncated: boolean;
  /** 0: not to be kept. */
  readonly ttlSeconds: number;
  /** Where the TTLs are. */
  readonly ttlsAt: readonly number[];
}

/** Undefined: it does not belong to this question, or cannot be read. `sent` is what `outgoing` made. */
export function hear(sent: Buffer, bytes: Buffer): Heard | undefined {
  if (bytes.length < HEADER_BYTES || u16(bytes, 0) !== u16(sent, 0)) return undefined;
  const flags = u16(bytes, 2);
  if ((flags & QR) === 0 || u16(bytes, 4) !== 1) return undefined;
  const end = nameEnd(sent, HEADER_BYTES);
  if (end === undefined || !sameQuestion(sent, bytes, end + 4)) return undefined;
  const code = flags & 0xf;
  const isTruncated = (flags & TC) !== 0;
  const counts = [u16(bytes, 6), u16(bytes, 8), u16(bytes, 10)] as const;
  const ttlsAt: number[] = [];
  let ttl = Number.POSITIVE_INFINITY;
  let negative: number | undefined;
  let at = end + 4;
  for (let i = 0; i < counts[0] + counts[1] + counts[2]; i++) {
    const nameOver = nameEnd(bytes, at);
    if (nameOver === undefined || nameOver + 10 > bytes.length) {
      // A truncated one may end anywhere; it is asked for again by TCP.
      return isTruncated ? { bytes, code, isTruncated, ttlSeconds: 0, ttlsAt: [] } : undefined;
    }
    const type = u16(bytes, nameOver);
    const dataAt = nameOver + 10;
    const over = dataAt + u16(bytes, nameOver + 8);
    if (over > bytes.length) {
      return isTruncated ? { bytes, code, isTruncated, ttlSeconds: 0, ttlsAt: [] } : undefined;
    }
    if (type !== TYPE_OPT) {
      // RFC 2181 section 8: 31 bits; the highest one set means 0.
      const seconds = bytes.readUInt32BE(nameOver + 4);
      const shown = seconds > 0x7fff_ffff ? 0 : seconds;
      ttlsAt.push(nameOver + 4);
      ttl = Math.min(ttl, shown);
      // RFC 2308 section 5: the lesser of the SOA's own TTL and its last number.
      if (type === TYPE_SOA && i >= counts[0] && i < counts[0] + counts[1] && over - dataAt >= 22) {
        negative = Math.min(shown, bytes.readUInt32BE(over - 4));
      }
    }
    at = over;
  }
  const isNegative = code === NXDOMAIN || (code === NOERROR && counts[0] === 0);
  const known = code === NOERROR || code === NXDOMAIN;
  const kept = isNegative ? (negative ?? 0) : ttl;
  const ttlSeconds = !known || isTruncated || !Number.isFinite(kept) ? 0 : kept;
  return { bytes, code, isTruncated, ttlSeconds, ttlsAt };
}

/** The question comes back as it was sent, letter by letter but for their case, which some do not keep. */
function sameQuestion(sent: Buffer, bytes: Buffer, end: number): boolean {
  if (bytes.length < end) return false;
  for (let i = HEADER_BYTES; i < end; i++) {
    const [a = 0, b = 0] = [sent[i], bytes[i]];
    if (a !== b && lower(a) !== lower(b)) return false;
  }
  return true;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** What was heard `ageSeconds` ago as the answer to this query. */
export function passOn(
  query: Query,
  heard: Heard,
  ageSeconds: number,
  transport: Transport,
): Buffer {
  const tooLong = heard.bytes.length > bytesMax(query, transport);
  const out = Buffer.from(tooLong ? heard.bytes.subarray(0, query.questionEnd) : heard.bytes);
  query.bytes.copy(out, 0, 0, 2);
  query.bytes.copy(out, HEADER_BYTES, HEADER_BYTES, query.questionEnd);
  if (tooLong) {
    out.writeUInt16BE(u16(out, 2) | TC, 2);
    out.fill(0, 6, HEADER_BYTES);
    return out;
  }
  for (const at of heard.ttlsAt) {
    out.writeUInt32BE(Math.max(0, out.readUInt32BE(at) - ageSeconds), at);
  }
  return out;
}
