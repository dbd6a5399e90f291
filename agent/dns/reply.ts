// Answers as bytes: the question as it was asked, letter by letter (it may carry a secret in the case of
// its letters), then records that point to its name, then OPT if the question had one.
import type { Query } from "./query.js";
import {
  BADVERS,
  CLASS_IN,
  HEADER_BYTES,
  NOERROR,
  OPT_BYTES,
  QR,
  RA,
  RD,
  TC,
  TYPE_A,
  TYPE_AAAA,
  TYPE_PTR,
  TYPE_SRV,
  UDP_BYTES_ADVERTISED,
  UDP_BYTES_MIN,
} from "./wire.js";

/**
 * Choice: of our own names. What changes is told to nodes within milliseconds; a client that keeps an answer
 * for a second is late by no more than that, and one that asks again every second costs nothing.
 */
const OWN_TTL_SECONDS = 1;
// Choice: the way is a loopback interface, which has no use for small packets, but a client's buffer may be
// a number that it does not mean.
const UDP_BYTES_MAX = 4096;
const TCP_BYTES_MAX = 65_535;
const CD = 0x0010;
// A pointer to the question's name, which always begins after the header.
const QUESTION_NAME = 0xc000 | HEADER_BYTES;

/** A record with the question's name, ready to be copied. */
export type Rr = Buffer;

export function addressRr(address: Uint8Array): Rr {
  return rr(address.length === 4 ? TYPE_A : TYPE_AAAA, address);
}
export function pointerRr(target: Uint8Array): Rr {
  return rr(TYPE_PTR, target);
}
export function serviceRr(port: number, target: Uint8Array): Rr {
  // RFC 2782: priority, weight, port, target, which must not be compressed.
  const data = Buffer.alloc(6 + target.length);
  data.writeUInt16BE(port, 4);
  data.set(target, 6);
  return rr(TYPE_SRV, data);
}

function rr(type: number, data: Uint8Array): Rr {
  const made = Buffer.alloc(12 + data.length);
  made.writeUInt16BE(QUESTION_NAME, 0);
  made.writeUInt16BE(type, 2);
  made.writeUInt16BE(CLASS_IN, 4);
  made.writeUInt32BE(OWN_TTL_SECONDS, 6);
  made.writeUInt16BE(data.length, 10);
  made.set(data, 12);
  return made;
}

export type Transport = "udp" | "tcp";

export function bytesMax(query: Pick<Query, "edns">, transport: Transport): number {
  if (transport === "tcp") return TCP_BYTES_MAX;
  return Math.min(query.edns?.udpBytes ?? UDP_BYTES_MIN, UDP_BYTES_MAX);
}

/**
 * `records` in the order that `order` chooses, any number: who asks often meets all of them first equally
 * often. What does not fit is left out and the answer says so (TC): a client that does not come again by TCP
 * has some of them at least.
 */
export function reply(
  query: Query,
  code: number,
  records: readonly Rr[],
  transport: Transport,
  order = 0,
): Buffer {
  const { bytes, questionEnd, edns } = query;
  const most = bytesMax(query, transport) - (edns === undefined ? 0 : OPT_BYTES);
  let length = questionEnd;
  let count = 0;
  const shown = records.length > 1 ? shuffled(records, order) : records;
  for (const record of shown) {
    if (length + record.length > most) break;
    length += record.length;
    count++;
  }
  const out = Buffer.allocUnsafe(length + (edns === undefined ? 0 : OPT_BYTES));
  // Byte by byte: for so few, a call costs more than they do.
  for (let i = 0; i < questionEnd; i++) out[i] = bytes[i] ?? 0;
  writeHeader(out, query.flags, code, count < records.length ? TC : 0, 1);
  out[6] = count >> 8;
  out[7] = count;
  let at = questionEnd;
  for (let i = 0; i < count; i++) {
    const record = shown[i];
    const size = record?.length ?? 0;
    for (let j = 0; j < size; j++) out[at++] = record?.[j] ?? 0;
  }
  if (edns !== undefined) writeOpt(out, at, code);
  return out;
}

/** An answer to what could not be read: its id, the question if there was one, and the code. */
export function replyWrong(bytes: Buffer, code: number, questionEnd: number): Buffer {
  const hasQuestion = questionEnd > HEADER_BYTES;
  const isExtended = code >= BADVERS;
  const out = Buffer.alloc(questionEnd + (isExtended ? OPT_BYTES : 0));
  bytes.copy(out, 0, 0, questionEnd);
  writeHeader(out, bytes.readUInt16BE(2), code, 0, hasQuestion ? 1 : 0);
  if (isExtended) writeOpt(out, questionEnd, code);
  return out;
}

/** Its id is in place. */
function writeHeader(
  out: Buffer,
  asked: number,
  code: number,
  extra: number,
  questions: number,
): void {
  const opcode = asked & 0x7800;
  const flags = QR | RA | opcode | (asked & (RD | CD)) | extra | (code & 0xf);
  out[2] = flags >> 8;
  out[3] = flags;
  out[4] = 0;
  out[5] = questions;
  for (let i = 6; i < HEADER_BYTES; i++) out[i] = 0;
}

function writeOpt(out: Buffer, at: number, code: number): void {
  out.fill(0, at, at + OPT_BYTES);
  out.writeUInt16BE(41, at + 1);
  out.writeUInt16BE(UDP_BYTES_ADVERTISED, at + 3);
  out[at + 5] = code === NOERROR ? 0 : code >> 4;
  out.writeUInt16BE(1, 10);
}

/** Fisher and Yates, with Marsaglia's xorshift32 started from the argument. */
function shuffled(records: readonly Rr[], order: number): readonly Rr[] {
  const mixed = [...records];
  let state = order | 0 || 1;
  for (let i = mixed.length - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    const [a, b] = [mixed[i], mixed[j]];
    if (a !== undefined && b !== undefined) [mixed[i], mixed[j]] = [b, a];
  }
  return mixed;
}
