// IPv4 headers (RFC 791 section 3.1).
//
//   0      1      2         4         6              8     9       10        12      16       20
//   +------+------+---------+---------+--------------+-----+-------+---------+-------+--------+--------
//   |4| IHL| TOS  | length  | ident.  |0|DF|MF|offset| TTL |proto- |checksum |source | desti- |options…
//   +------+------+---------+---------+--------------+-----+-------+---------+-------+--------+--------
import { type Ip, ipFromBytes, ipToBytes } from "../../common/address.js";
import { checksumOf, isIntact } from "./internet-checksum.js";

export const IPV4_BYTES = 20;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

// linux/in.h
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ICMPV6 = 58;

export interface Ipv4 {
  readonly source: Ip;
  readonly destination: Ip;
  readonly protocol: number;
  readonly ttl: number;
  /** DSCP and ECN. */
  readonly trafficClass: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** Where a fragment's payload begins in that of the whole packet; 0 with no `moreFragments`: it is whole. */
  readonly fragmentOffsetBytes: number;
  readonly options: Buffer;
  readonly payload: Buffer;
}

/** What follows the packet in its frame is padding and left out. undefined: cut short, or the checksum is wrong. */
export function decodeIpv4(bytes: Buffer): Ipv4 | undefined {
  if (bytes.length < IPV4_BYTES || (bytes[0] ?? 0) >>> 4 !== 4) return undefined;
  const headerBytes = ((bytes[0] ?? 0) & 15) * 4;
  const totalBytes = bytes.readUInt16BE(2);
  if (headerBytes < IPV4_BYTES || totalBytes < headerBytes || bytes.length < totalBytes)
    return undefined;
  if (!isIntact(bytes.subarray(0, headerBytes))) return undefined;
  const fragment = bytes.readUInt16BE(6);
  const source = ipFromBytes(bytes.subarray(12, 16));
  const destination = ipFromBytes(bytes.subarray(16, 20));
  if (source === undefined || destination === undefined) return undefined;
  return {
    source,
    destination,
    protocol: bytes.readUInt8(9),
    ttl: bytes.readUInt8(8),
    trafficClass: bytes.readUInt8(1),
    identification: bytes.readUInt16BE(4),
    dontFragment: (fragment & DONT_FRAGMENT) !== 0,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    fragmentOffsetBytes: (fragment & OFFSET_MASK) * 8,
    options: bytes.subarray(IPV4_BYTES, headerBytes),
    payload: bytes.subarray(headerBytes, totalBytes),
  };
}

/** With its header checksum. `options` are a multiple of 4 bytes, 40 at most. */
export function encodeIpv4(packet: Ipv4): Buffer {
  const header = Buffer.alloc(IPV4_BYTES + packet.options.length);
  header[0] = 0x40 | (header.length / 4);
  header[1] = packet.trafficClass;
  header.writeUInt16BE(header.length + packet.payload.length, 2);
  header.writeUInt16BE(packet.identification, 4);
  const flags =
    (packet.dontFragment ? DONT_FRAGMENT : 0) | (packet.moreFragments ? MORE_FRAGMENTS : 0);
  header.writeUInt16BE(flags | (packet.fragmentOffsetBytes / 8), 6);
  header[8] = packet.ttl;
  header[9] = packet.protocol;
  header.set(ipToBytes(packet.source), 12);
  header.set(ipToBytes(packet.destination), 16);
  header.set(packet.options, IPV4_BYTES);
  header.writeUInt16BE(checksumOf(header), 10);
  return Buffer.concat([header, packet.payload]);
}
