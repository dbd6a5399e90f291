// Cutting: a TCP segment of up to 64 KiB, as a TAP device hands it over, becomes segments that fit the network's MTU, as
// a network card with TSO would do it. Only headers are written; the payload stays where it is.
//
//   in    | Ethernet IP TCP | payload …………………………………………………… |
//   out   | prefix Ethernet IP TCP' |  with the first gsoBytes of the payload
//         | prefix Ethernet IP TCP" |  with the next …
import { addSums, checksumFrom, fold, sumOf } from "./internet-checksum.js";
import { copyWords, type Memory } from "./memory.js";
import { TCP_BYTES, TCP_CWR, TCP_FIN, TCP_PSH } from "./tcp.js";

// A packet of 64 KiB in the smallest pieces that a kernel makes (tcp_min_snd_mss is 48): beyond this a frame is refused.
const SEGMENTS_MAX = 1366;
/** All of a frame's headers: Ethernet with a tag, IPv6 with extensions, TCP with options. Choice: more is refused. */
const HEADERS_MAX_BYTES = 256;

export class Segments {
  count = 0;
  /** Prefix included. */
  headerBytes = 0;
  readonly headerAt = new Int32Array(SEGMENTS_MAX);
  readonly payloadAt = new Int32Array(SEGMENTS_MAX);
  readonly payloadBytes = new Int32Array(SEGMENTS_MAX);
}

export interface Superframe {
  /** Ethernet header; before it stands a prefix of `prefixBytes`, which every segment gets a copy of. */
  at: number;
  end: number;
  prefixBytes: number;
  ipAt: number;
  family: 4 | 6;
  transportAt: number;
  /** Payload bytes of each segment but the last. */
  gsoBytes: number;
}

/** Bytes that `cut` writes for a frame, at most. */
export function headerSpace(frame: Superframe): number {
  const count = Math.ceil((frame.end - frame.transportAt) / Math.max(frame.gsoBytes, 1));
  return count * (HEADERS_MAX_BYTES + 16);
}

/**
 * False if the frame contradicts itself. TCP's checksum field holds the sum of the pseudo header, as virtio has it;
 * the segments' are complete. Headers are written from `spaceAt` on, which has room for `headerSpace`; the first
 * segment's are changed where they are.
 */
export function cut(memory: Memory, frame: Superframe, spaceAt: number, into: Segments): boolean {
  const { view } = memory;
  const { at, end, ipAt, transportAt, prefixBytes, gsoBytes } = frame;
  if (transportAt + TCP_BYTES > end || gsoBytes < 1) return false;
  const payloadAt = transportAt + (view.getUint8(transportAt + 12) >>> 4) * 4;
  const headerBytes = payloadAt - at;
  const payloadBytes = end - payloadAt;
  const count = Math.ceil(payloadBytes / gsoBytes);
  if (payloadAt > end || payloadAt < transportAt + TCP_BYTES || headerBytes > HEADERS_MAX_BYTES)
    return false;
  if (count < 1 || count > SEGMENTS_MAX) return false;

  const tcpBytes = payloadAt - transportAt;
  const sequence = view.getUint32(transportAt + 4);
  const flags = view.getUint8(transportAt + 13);
  const identification = frame.family === 4 ? view.getUint16(ipAt + 4) : 0;
  const base = tcpBase(view, transportAt, tcpBytes, payloadBytes);
  const ipBase = frame.family === 4 ? ipv4Base(view, ipAt, transportAt) : 0;

  into.count = count;
  into.headerBytes = prefixBytes + headerBytes;
  const stride = (into.headerBytes + 7) & ~3;
  for (let i = 0; i < count; i++) {
    const from = payloadAt + i * gsoBytes;
    const length = i === count - 1 ? end - from : gsoBytes;
    const headerAt = i === 0 ? at - prefixBytes : spaceAt + (i - 1) * stride;
    into.headerAt[i] = headerAt;
    into.payloadAt[i] = from;
    into.payloadBytes[i] = length;
  }
  // Last to first: the first one's headers are what the others are copied from.
  for (let i = count - 1; i >= 0; i--) {
    const headerAt = into.headerAt[i] ?? 0;
    const from = into.payloadAt[i] ?? 0;
    const length = into.payloadBytes[i] ?? 0;
    if (i > 0) copyWords(view, headerAt, at - prefixBytes, into.headerBytes);
    const move = headerAt + prefixBytes - at;
    writeLengths(view, frame, ipAt + move, tcpBytes + length, identification + i, ipBase);
    let own = flags;
    if (i > 0) own &= ~TCP_CWR;
    if (i < count - 1) own &= ~(TCP_FIN | TCP_PSH);
    const tcpAt = transportAt + move;
    const next = (sequence + i * gsoBytes) >>> 0;
    view.setUint32(tcpAt + 4, next);
    view.setUint8(tcpAt + 13, own);
    const header = base + (next >>> 16) + (next & 0xffff) + own + tcpBytes + length;
    const sum = addSums(fold(header), memory.sum(from, from + length));
    view.setUint16(tcpAt + 16, checksumFrom(sum));
  }
  return true;
}

/** The sum of what is the same in all segments' TCP headers, with the pseudo header's addresses and protocol. */
function tcpBase(
  view: DataView,
  transportAt: number,
  tcpBytes: number,
  payloadBytes: number,
): number {
  // The pseudo header's sum stands where the checksum will, and is of the whole length (RFC 1071: subtracting is adding
  // the complement).
  const pseudo = view.getUint16(transportAt + 16);
  const whole = ~fold(tcpBytes + payloadBytes) & 0xffff;
  const flags = view.getUint8(transportAt + 13);
  const head =
    sumOf(view, transportAt, transportAt + 4) +
    sumOf(view, transportAt + 8, transportAt + 16) +
    (~flags & 0xffff) +
    sumOf(view, transportAt + 18, transportAt + tcpBytes);
  return fold(fold(head) + pseudo + whole);
}

/** The same of IPv4's headers. */
function ipv4Base(view: DataView, ipAt: number, endAt: number): number {
  const head =
    sumOf(view, ipAt, ipAt + 2) + sumOf(view, ipAt + 6, ipAt + 10) + sumOf(view, ipAt + 12, endAt);
  return fold(head);
}

function writeLengths(
  view: DataView,
  { family, ipAt, transportAt }: Superframe,
  at: number,
  transportBytes: number,
  identification: number,
  base: number,
): void {
  const ipBytes = transportAt - ipAt;
  if (family === 6) {
    view.setUint16(at + 4, ipBytes - 40 + transportBytes);
    return;
  }
  const total = ipBytes + transportBytes;
  const number = identification & 0xffff;
  view.setUint16(at + 2, total);
  view.setUint16(at + 4, number);
  view.setUint16(at + 10, checksumFrom(base + total + number));
}
