// Merging: TCP segments of one flow that follow each other become one frame of up to 64 KiB, as the kernel's GRO would
// make it, so that a TAP device takes them in one write. Only the first one's headers are changed; the payload stays
// where it is. What the kernel is then told to take as verified, was verified here.
import { addSums, checksumFrom, fold, pseudoHeaderSum, sumOf } from "./internet-checksum.js";
import { IPPROTO_TCP, IPV4_BYTES } from "./ipv4.js";
import { IPV6_BYTES } from "./ipv6.js";
import { checksumAt, type Layout } from "./layout.js";
import type { Memory } from "./memory.js";
import { TCP_ACK, TCP_PSH } from "./tcp.js";

// linux/skbuff.h: a GSO frame of ours has as many parts at most.
const RUN_MAX = 64;
// RFC 791: 16 bits say how long a packet is.
const IP_MAX_BYTES = 65_535;

/** How far a frame's transport checksum is done. */
export type ChecksumState =
  /** As on a wire; whether it holds is to be found out. */
  | "whole"
  /** The sum of the pseudo header alone: the sender's kernel left the rest to a device, and there was none. */
  | "partial";

export class Run {
  /** Frames in it; 0: none has begun. */
  count = 0;
  /** Of the first frame. */
  at = 0;
  family: 4 | 6 = 4;
  ipAt = 0;
  transportAt = 0;
  payloadAt = 0;
  end = 0;
  /** Of each frame but the last. */
  gsoBytes = 0;
  /** Of all. */
  payloadBytes = 0;
  readonly pieceAt = new Int32Array(RUN_MAX);
  readonly pieceBytes = new Int32Array(RUN_MAX);
  #sequence = 0;
  /** The sum of the first frame's pseudo header. */
  #pseudo = 0;
  #state: ChecksumState = "whole";
  #verified = false;
  /** A short or a pushed segment is the last. */
  #closed = false;

  /** False: it cannot be merged with what comes, and goes alone. */
  begin(view: DataView, at: number, layout: Layout, state: ChecksumState): boolean {
    const { transportAt, payloadAt, end } = layout;
    if (layout.protocol !== IPPROTO_TCP || payloadAt === end) return false;
    const flags = view.getUint8(transportAt + 13);
    if ((flags & ~TCP_PSH) !== TCP_ACK) return false;
    this.count = 1;
    this.at = at;
    this.family = layout.family;
    this.ipAt = layout.ipAt;
    this.transportAt = transportAt;
    this.payloadAt = payloadAt;
    this.end = end;
    this.gsoBytes = end - payloadAt;
    this.payloadBytes = this.gsoBytes;
    this.pieceAt[0] = payloadAt;
    this.pieceBytes[0] = this.gsoBytes;
    this.#sequence = (view.getUint32(transportAt + 4) + this.gsoBytes) >>> 0;
    this.#pseudo = layout.pseudo;
    this.#state = state;
    this.#verified = state === "partial";
    this.#closed = (flags & TCP_PSH) !== 0;
    return true;
  }

  /** Whether the frame goes on where the run ends, and is now part of it. */
  join(memory: Memory, at: number, layout: Layout, state: ChecksumState): boolean {
    const { view } = memory;
    const { transportAt, payloadAt, end, ipAt } = layout;
    const length = end - payloadAt;
    if (this.count === 0 || this.#closed || this.count === RUN_MAX) return false;
    if (layout.protocol !== IPPROTO_TCP || length === 0 || length > this.gsoBytes) return false;
    if (view.getUint32(transportAt + 4) !== this.#sequence || layout.family !== this.family)
      return false;
    if (payloadAt - at !== this.payloadAt - this.at || ipAt - at !== this.ipAt - this.at)
      return false;
    if (this.payloadAt - this.ipAt + this.payloadBytes + length > IP_MAX_BYTES) return false;
    const flags = view.getUint8(transportAt + 13);
    if ((flags & ~TCP_PSH) !== TCP_ACK || !this.#sameHeaders(view, at, layout)) return false;
    if (state !== this.#state) return false;
    if (!this.#verified) {
      if (!isWhole(memory, this.transportAt, this.end, this.#pseudo)) return false;
      this.#verified = true;
    }
    if (state === "whole" && !isWhole(memory, transportAt, end, layout.pseudo)) return false;
    this.pieceAt[this.count] = payloadAt;
    this.pieceBytes[this.count] = length;
    this.count++;
    this.payloadBytes += length;
    this.#sequence = (this.#sequence + length) >>> 0;
    this.#closed = length < this.gsoBytes || (flags & TCP_PSH) !== 0;
    if ((flags & TCP_PSH) !== 0) view.setUint8(this.transportAt + 13, flags);
    return true;
  }

  get isPartial(): boolean {
    return this.#state === "partial";
  }

  /** Where the payload of the frame ends that is `index` in the run. */
  pieceEnd(index: number): number {
    return (this.pieceAt[index] ?? 0) + (this.pieceBytes[index] ?? 0);
  }

  /** Of more than one frame: gives the first one's headers the length of all, and the sum of the pseudo header. */
  finish(view: DataView): void {
    const { ipAt, transportAt, payloadAt, family } = this;
    const transportBytes = payloadAt - transportAt + this.payloadBytes;
    if (family === 4) {
      view.setUint16(ipAt + 2, transportAt - ipAt + transportBytes);
      view.setUint16(ipAt + 10, 0);
      view.setUint16(ipAt + 10, checksumFrom(sumOf(view, ipAt, transportAt)));
    } else {
      view.setUint16(ipAt + 4, transportBytes);
    }
    const pseudo = pseudoOf(view, ipAt, family, IPPROTO_TCP, transportBytes);
    view.setUint16(transportAt + 16, pseudo);
  }

  /** All but lengths, IPv4's identification and checksums, and the sequence. Both frames' headers are as long. */
  #sameHeaders(view: DataView, at: number, layout: Layout): boolean {
    if (!same(view, this.at, at, this.ipAt - this.at)) return false;
    const a = this.ipAt;
    const b = layout.ipAt;
    if (this.family === 4) {
      // Type of service; time to live and protocol; both addresses.
      if (view.getUint16(a) !== view.getUint16(b)) return false;
      if (view.getUint16(a + 6) !== view.getUint16(b + 6)) return false;
      if (view.getUint16(a + 8) !== view.getUint16(b + 8)) return false;
      if (!same(view, a + 12, b + 12, 8)) return false;
    } else {
      if (view.getUint32(a) !== view.getUint32(b)) return false;
      if (!same(view, a + 6, b + 6, 34)) return false;
    }
    const c = this.transportAt;
    const d = layout.transportAt;
    // Ports; acknowledgement; window; then the options.
    if (view.getUint32(c) !== view.getUint32(d)) return false;
    if (view.getUint32(c + 8) !== view.getUint32(d + 8)) return false;
    if (view.getUint16(c + 14) !== view.getUint16(d + 14)) return false;
    return same(view, c + 18, d + 18, layout.payloadAt - d - 18);
  }
}

/** An even number of bytes. */
function same(view: DataView, a: number, b: number, lengthBytes: number): boolean {
  let i = 0;
  for (; i + 4 <= lengthBytes; i += 4) {
    if (view.getUint32(a + i, true) !== view.getUint32(b + i, true)) return false;
  }
  return i >= lengthBytes || view.getUint16(a + i, true) === view.getUint16(b + i, true);
}

/**
 * Notes the sum of the pseudo header in the layout, which `begin` and `join` take from there. A frame whose checksum happens to
 * be this sum is taken for partial, once in 65,536: it is then not verified.
 */
export function checksumStateOf(view: DataView, layout: Layout): ChecksumState {
  const { ipAt, family, protocol, transportAt, end } = layout;
  layout.pseudo = pseudoOf(view, ipAt, family, protocol, end - transportAt);
  return view.getUint16(checksumAt(layout)) === layout.pseudo ? "partial" : "whole";
}

function isWhole(memory: Memory, from: number, to: number, pseudo: number): boolean {
  return addSums(pseudo, memory.sum(from, to)) === 0xffff;
}

function pseudoOf(
  view: DataView,
  ipAt: number,
  family: 4 | 6,
  protocol: number,
  lengthBytes: number,
): number {
  // The addresses are the end of either header.
  return family === 4
    ? pseudoHeaderSum(view, ipAt + IPV4_BYTES - 8, 4, protocol, fold(lengthBytes))
    : pseudoHeaderSum(view, ipAt + IPV6_BYTES - 32, 16, protocol, fold(lengthBytes));
}
