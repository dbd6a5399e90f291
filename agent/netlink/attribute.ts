// Attributes, the type-length-value lists inside every rtnetlink message. Reading never throws and
// never leaves its bounds; an attribute that the reader does not know is simply not looked at.
//
//   0       2       4
//   +-------+-------+----------------+-----------------+
//   | len   | type  | value          | pad to 4 bytes  |    len counts the 4 header bytes, not the pad
//   +-------+-------+----------------+-----------------+
//
// Numbers are in host byte order unless the attribute says otherwise. Ours is little-endian: libc.ts
// refuses to open on anything else.
import { NLA_TYPE_MASK } from "./constants.js";

const HEADER_BYTES = 4;

/**
 * Calls `visit` with each attribute's type and the bounds of its value in `bytes`. False when the list
 * is cut short or an attribute's length is impossible; those before it have been visited.
 */
export function eachAttribute(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (type: number, from: number, to: number) => void,
): boolean {
  let at = start;
  while (at + HEADER_BYTES <= end) {
    const length = bytes.readUInt16LE(at);
    if (length < HEADER_BYTES || at + length > end) return false;
    visit(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, at + HEADER_BYTES, at + length);
    at += align(length);
  }
  // What remains can only be padding that the sender left out or in: less than a header.
  return at >= end || end - at < HEADER_BYTES;
}

/** NLA_ALIGN and NLMSG_ALIGN are the same: 4. */
export function align(length: number): number {
  // Not with bit operators: those are of 31 bits, and a length from the wire may have 32.
  return length + 3 - ((length + 3) % 4);
}

export function readU8(bytes: Buffer, from: number, to: number): number {
  return to - from >= 1 ? bytes.readUInt8(from) : 0;
}

/** Network byte order: ports. */
export function readU16be(bytes: Buffer, from: number, to: number): number {
  return to - from >= 2 ? bytes.readUInt16BE(from) : 0;
}

export function readU32(bytes: Buffer, from: number, to: number): number {
  return to - from >= 4 ? bytes.readUInt32LE(from) : 0;
}

/** Up to the first NUL, if there is one. */
export function readText(bytes: Buffer, from: number, to: number): string {
  const nul = bytes.indexOf(0, from);
  return bytes.toString("utf8", from, nul >= from && nul < to ? nul : to);
}
