// A log segment as bytes: a header, then frames. One frame is one write, so it is the unit that a power
// loss can tear. Integers are big-endian.
//
//   segment header, 48 bytes
//    0        8        12                                   44       48
//   +--------+--------+------------------------------------+--------+
//   |SKEINLOG| format |  salt (32)                         | crc32c |  of the 44 bytes before
//   +--------+--------+------------------------------------+--------+
//
//   frame: header, 20 bytes, then `length` bytes
//    0        4        8        12       16       20
//   +--------+--------+--------+--------+--------+-------------------------+
//   | SKFR   | number | length | crc32c | crc32c | AES-256-GCM(LogFrame)   |
//   +--------+--------+--------+--------+--------+-------------------------+
//                               of what  of the 16
//                               follows  bytes before
//
// Numbers grow within a segment; one whose write failed is not used again.
import { crc32c } from "../../common/crc32c.js";
import { LogFrame } from "../../proto/gen/raft.js";
import { FileCipher, SALT_BYTES } from "./cipher.js";

const SEGMENT_MAGIC = Buffer.from("SKEINLOG");
const FRAME_MAGIC = Buffer.from("SKFR");
const SEGMENT_FORMAT = 1;
const SALT_OFFSET = 12;
const SEGMENT_HEADER_BYTES = SALT_OFFSET + SALT_BYTES + 4;
const FRAME_HEADER_BYTES = 20;
// The number and the length are protected along with the content.
const ASSOCIATED_BYTES = 12;

export function encodeSegmentHeader(salt: Uint8Array): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(bytes);
  bytes.writeUInt32BE(SEGMENT_FORMAT, 8);
  bytes.set(salt, SALT_OFFSET);
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, -4)), SEGMENT_HEADER_BYTES - 4);
  return bytes;
}

/** The salt, or undefined when this is no segment header. */
function decodeSegmentHeader(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  if (!header.subarray(0, 8).equals(SEGMENT_MAGIC)) return undefined;
  if (header.readUInt32BE(8) !== SEGMENT_FORMAT) return undefined;
  const crc = crc32c(header.subarray(0, -4));
  if (header.readUInt32BE(SEGMENT_HEADER_BYTES - 4) !== crc) return undefined;
  return header.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES);
}

export function encodeFrame(cipher: FileCipher, number: number, frame: LogFrame): Buffer {
  const plain = LogFrame.encode(frame).finish();
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  FRAME_MAGIC.copy(head);
  head.writeUInt32BE(number, 4);
  head.writeUInt32BE(plain.length + 16, 8);
  const sealed = cipher.seal(number, head.subarray(0, ASSOCIATED_BYTES), plain);
  head.writeUInt32BE(crc32c(sealed), 12);
  head.writeUInt32BE(crc32c(head.subarray(0, 16)), 16);
  return Buffer.concat([head, sealed]);
}

interface FrameHeader {
  readonly number: number;
  readonly length: number;
  readonly crc: number;
}

function decodeFrameHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length) return undefined;
  const head = bytes.subarray(offset, offset + FRAME_HEADER_BYTES);
  if (!head.subarray(0, 4).equals(FRAME_MAGIC)) return undefined;
  if (head.readUInt32BE(16) !== crc32c(head.subarray(0, 16))) return undefined;
  return { number: head.readUInt32BE(4), length: head.readUInt32BE(8), crc: head.readUInt32BE(12) };
}

export interface SegmentContent {
  readonly frames: readonly LogFrame[];
  /** How far the file is sound. */
  readonly soundBytes: number;
  /**
   * What follows: nothing; a torn write, which was never confirmed to anyone; or damage to something
   * that was durable once, as a later frame proves: writes are made one after the other.
   */
  readonly rest: "none" | "torn" | "damaged";
}

export function decodeSegment(bytes: Buffer, dataKey: Uint8Array): SegmentContent {
  const salt = decodeSegmentHeader(bytes);
  if (salt === undefined) {
    return { frames: [], soundBytes: 0, rest: hasFrameAfter(bytes, 0, 0) ? "damaged" : "torn" };
  }
  const cipher = new FileCipher(dataKey, salt, SEGMENT_PURPOSE);
  const frames: LogFrame[] = [];
  let offset = SEGMENT_HEADER_BYTES;
  let number = 0;
  while (offset < bytes.length) {
    const found = decodeFrame(bytes, offset, cipher, number);
    if (found === "damaged") return { frames, soundBytes: offset, rest: "damaged" };
    if (found === undefined) {
      const later = hasFrameAfter(bytes, offset + 1, number + 1);
      return { frames, soundBytes: offset, rest: later ? "damaged" : "torn" };
    }
    frames.push(found.frame);
    offset = found.end;
    number = found.number + 1;
  }
  return { frames, soundBytes: offset, rest: "none" };
}

export const SEGMENT_PURPOSE = "log segment 1";

/** "damaged": all of it is there as it was written, and yet it does not open. The key is another's. */
function decodeFrame(
  bytes: Buffer,
  offset: number,
  cipher: FileCipher,
  numberMin: number,
): { frame: LogFrame; end: number; number: number } | "damaged" | undefined {
  const header = decodeFrameHeader(bytes, offset);
  if (header === undefined || header.number < numberMin) return undefined;
  const start = offset + FRAME_HEADER_BYTES;
  const end = start + header.length;
  if (end > bytes.length) return undefined;
  const sealed = bytes.subarray(start, end);
  if (crc32c(sealed) !== header.crc) return undefined;
  const associated = bytes.subarray(offset, offset + ASSOCIATED_BYTES);
  const plain = cipher.open(header.number, associated, sealed);
  if (plain === undefined) return "damaged";
  try {
    return { frame: LogFrame.decode(plain), end, number: header.number };
  } catch {
    return "damaged";
  }
}

function hasFrameAfter(bytes: Buffer, from: number, numberMin: number): boolean {
  return nextFrame(bytes, from, numberMin) !== undefined;
}

/** Where the next frame begins whose header is whole. */
function nextFrame(bytes: Buffer, from: number, numberMin: number): number | undefined {
  for (
    let at = bytes.indexOf(FRAME_MAGIC, from);
    at >= 0;
    at = bytes.indexOf(FRAME_MAGIC, at + 1)
  ) {
    const header = decodeFrameHeader(bytes, at);
    if (header !== undefined && header.number >= numberMin) return at;
  }
  return undefined;
}

/** A run of frames without damage between them; `brokenAt`: what precedes it in the file, from there, is damaged. */
export interface Run {
  readonly frames: readonly LogFrame[];
  readonly brokenAt: number | undefined;
}

/**
 * Everything that can still be read, damage or not, in order. After the last run nothing follows that was ever
 * confirmed, in the newest segment; in any other that is for the caller to judge by `rest`.
 */
export function readableRuns(
  bytes: Buffer,
  dataKey: Uint8Array,
): { readonly runs: readonly Run[]; readonly soundBytes: number; readonly rest: "none" | "torn" } {
  const salt = decodeSegmentHeader(bytes);
  if (salt === undefined) {
    // Without the salt no frame opens.
    const runs = hasFrameAfter(bytes, 0, 0) ? [{ frames: [], brokenAt: 0 }] : [];
    return { runs, soundBytes: 0, rest: "torn" };
  }
  const cipher = new FileCipher(dataKey, salt, SEGMENT_PURPOSE);
  const runs: { frames: LogFrame[]; brokenAt: number | undefined }[] = [
    { frames: [], brokenAt: undefined },
  ];
  let offset = SEGMENT_HEADER_BYTES;
  let number = 0;
  while (offset < bytes.length) {
    const found = decodeFrame(bytes, offset, cipher, number);
    if (found !== undefined && found !== "damaged") {
      runs.at(-1)?.frames.push(found.frame);
      offset = found.end;
      number = found.number + 1;
      continue;
    }
    const next = nextFrame(bytes, offset + 1, number + 1);
    if (next === undefined) {
      if (found === "damaged") runs.push({ frames: [], brokenAt: offset });
      return { runs, soundBytes: offset, rest: found === "damaged" ? "none" : "torn" };
    }
    runs.push({ frames: [], brokenAt: offset });
    offset = next;
  }
  return { runs, soundBytes: offset, rest: "none" };
}
