// ICMP and ICMPv6 echo: what a ping is made of.
//
//   0      1      2         4            6            8
//   +------+------+---------+------------+------------+---------
//   | type | code |checksum | identifier | sequence   | data…       RFC 792, RFC 4443 section 4
//   +------+------+---------+------------+------------+---------
import type { Family } from "../../common/address.js";

const HEADER_BYTES = 8;
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;
const ECHO_REPLY = { 4: 0, 6: 129 } as const;
// RFC 792: unreachable, time exceeded. RFC 4443 section 3: unreachable, too big, time exceeded.
const ERRORS = { 4: [3, 11], 6: [1, 2, 3] } as const;
// RFC 1191 section 4: code 4 of "unreachable", the MTU in the last two bytes of the header. RFC 4443 section 3.2.
const UNREACHABLE = 3;
const FRAGMENTATION_NEEDED = 4;
const PACKET_TOO_BIG = 2;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;

/** The checksum of ICMPv6 is left zero: the kernel, which knows the source address, fills it in (RFC 3542 section 3.1). */
export function encodeEcho(
  family: Family,
  identifier: number,
  sequence: number,
  data: Uint8Array,
): Buffer {
  const packet = Buffer.alloc(HEADER_BYTES + data.length);
  packet.writeUInt8(ECHO_REQUEST[family], 0);
  packet.writeUInt16BE(identifier, 4);
  packet.writeUInt16BE(sequence & 0xffff, 6);
  packet.set(data, HEADER_BYTES);
  if (family === 4) packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

export type Icmp =
  | { readonly kind: "reply"; readonly identifier: number; readonly data: Buffer }
  /**
   * Somebody on the way says that our echo request cannot be delivered; with an MTU because it is larger than that
   * (0: than what, it does not say).
   */
  | {
      readonly kind: "error";
      readonly identifier: number;
      readonly to: Buffer;
      readonly mtuBytes: number | undefined;
    };

/** What a raw socket received: with the IP header for IPv4, without for IPv6. */
export function decodeIcmp(family: Family, bytes: Buffer): Icmp | undefined {
  const start = family === 4 ? ((bytes[0] ?? 0) & 15) * 4 : 0;
  const icmp = bytes.subarray(start);
  if (icmp.length < HEADER_BYTES) return undefined;
  const type = icmp.readUInt8(0);
  if (type === ECHO_REPLY[family]) {
    return { kind: "reply", identifier: icmp.readUInt16BE(4), data: icmp.subarray(HEADER_BYTES) };
  }
  if (!ERRORS[family].some((error) => error === type)) return undefined;
  return decodeError(family, icmp.subarray(HEADER_BYTES), saidMtu(family, icmp));
}

function saidMtu(family: Family, icmp: Buffer): number | undefined {
  if (family === 6) return icmp[0] === PACKET_TOO_BIG ? icmp.readUInt32BE(4) : undefined;
  const isTooBig = icmp[0] === UNREACHABLE && icmp[1] === FRAGMENTATION_NEEDED;
  return isTooBig ? icmp.readUInt16BE(6) : undefined;
}

/** `packet` is the start of the packet that the error is about. */
function decodeError(
  family: Family,
  packet: Buffer,
  mtuBytes: number | undefined,
): Icmp | undefined {
  const headerBytes = family === 4 ? ((packet[0] ?? 0) & 15) * 4 : IPV6_HEADER_BYTES;
  const icmp = packet.subarray(headerBytes);
  if (headerBytes < IPV4_HEADER_BYTES || icmp.length < HEADER_BYTES) return undefined;
  if (icmp.readUInt8(0) !== ECHO_REQUEST[family]) return undefined;
  const to = family === 4 ? packet.subarray(16, 20) : packet.subarray(24, 40);
  return { kind: "error", identifier: icmp.readUInt16BE(4), to, mtuBytes };
}

/** RFC 1071. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
