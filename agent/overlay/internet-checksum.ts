// The internet checksum (RFC 1071): the ones' complement of the ones' complement sum of all 16-bit words. What is summed
// may be summed in any byte order, and in wider words, as long as the sum is folded to 16 bits and turned at the end
// (RFC 1071 section 2): here 32 bits at a time, little-endian, as processors read. Of all bytes
// that pass the switch the sum is made elsewhere (vector-sum.ts).

const WORD = 0x10000;

/**
 * The sum of `bytes[from..to)`, folded to 16 bits and not complemented. `from` is even as the checksum's owner counts.
 * Sums of neighbouring ranges may be added (`addSums`) if all but the last have an even length.
 */
export function sumOf(view: DataView, from: number, to: number): number {
  // Doubles: 2^21 words of 32 bits fit into the 53 bits that are exact. Four of them, so that no addition waits for
  // the one before.
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let at = from;
  for (; at + 16 <= to; at += 16) {
    a += view.getUint32(at, true);
    b += view.getUint32(at + 4, true);
    c += view.getUint32(at + 8, true);
    d += view.getUint32(at + 12, true);
  }
  for (; at + 2 <= to; at += 2) a += view.getUint16(at, true);
  // An odd last byte is followed by a zero in thought.
  if (at < to) a += view.getUint8(at);
  return swap(foldWide(a + b + c + d));
}

/** Of two folded sums. */
export function addSums(a: number, b: number): number {
  return fold(a + b);
}

/** A sum of up to 32 bits as one of 16. */
export function fold(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** What is written into a header's checksum field: the complement of the sum of all else. */
export function checksumFrom(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Of a whole header whose checksum field is zero. */
export function checksumOf(bytes: Uint8Array): number {
  return checksumFrom(sumOf(viewOf(bytes), 0, bytes.length));
}

/** Whether a header or message that carries its checksum is whole: then all of it sums up to ones (RFC 1071 section 1). */
export function isIntact(bytes: Uint8Array, seed = 0): boolean {
  return addSums(sumOf(viewOf(bytes), 0, bytes.length), seed) === 0xffff;
}

/**
 * What TCP, UDP and ICMPv6 cover besides themselves: both addresses (4 or 16 bytes each, in a row at `addressesAt`),
 * protocol and length (RFC 9293 section 3.1, RFC 8200 section 8.1).
 */
export function pseudoHeaderSum(
  view: DataView,
  addressesAt: number,
  addressBytes: 4 | 16,
  protocol: number,
  lengthBytes: number,
): number {
  const addresses = sumOf(view, addressesAt, addressesAt + 2 * addressBytes);
  return fold(addresses + protocol + fold(lengthBytes));
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function foldWide(sum: number): number {
  // 2^32 is 1 more than a multiple of 65535, so what is above 32 bits counts as it is.
  const high = Math.floor(sum / (WORD * WORD));
  const low = sum % (WORD * WORD);
  return fold((low >>> 16) + (low & 0xffff) + high);
}

function swap(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
