// IPv6 headers and the extension headers between them and what they carry (RFC 8200 sections 3 and 4).
//
//   0                     4          6       7       8                24               40
//   +---------------------+----------+-------+-------+----------------+----------------+------------
//   |6|class 8|flow label |  length  | next  | hops  |     source     |  destination   |extensions…
//   +---------------------+----------+-------+-------+----------------+----------------+------------
import { type Ip, ipFromBytes, ipToBytes } from "../../common/address.js";

export const IPV6_BYTES = 40;
// RFC 8200 section 4.1: hop-by-hop, routing, fragment, destination options.
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
// The shortest; a fragment header's only length.
const EXTENSION_BYTES = 8;
// Choice: honest packets have one or two; beyond this a packet is not looked into.
const EXTENSIONS_MAX = 8;

export interface Ipv6 {
  readonly source: Ip;
  readonly destination: Ip;
  /** Of what is in `payload`: past the extension headers. */
  readonly protocol: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  /** undefined: the packet is whole. */
  readonly fragment:
    | {
        readonly offsetBytes: number;
        readonly moreFragments: boolean;
        readonly identification: number;
      }
    | undefined;
  /** The header's own "next header": the first extension's, or `protocol`. */
  readonly firstHeader: number;
  /** As they stand in the packet. */
  readonly extensions: Buffer;
  readonly payload: Buffer;
}

/** What follows the packet in its frame is padding and left out. undefined: cut short. */
export function decodeIpv6(bytes: Buffer): Ipv6 | undefined {
  if (bytes.length < IPV6_BYTES || (bytes[0] ?? 0) >>> 4 !== 6) return undefined;
  const end = IPV6_BYTES + bytes.readUInt16BE(4);
  const source = ipFromBytes(bytes.subarray(8, 24));
  const destination = ipFromBytes(bytes.subarray(24, 40));
  if (bytes.length < end || source === undefined || destination === undefined) return undefined;
  const past = pastExtensions(bytes.subarray(0, end));
  if (past === undefined) return undefined;
  const first = bytes.readUInt32BE(0);
  return {
    source,
    destination,
    protocol: past.protocol,
    hopLimit: bytes.readUInt8(7),
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    fragment: past.fragment,
    firstHeader: bytes.readUInt8(6),
    extensions: bytes.subarray(IPV6_BYTES, past.at),
    payload: bytes.subarray(past.at, end),
  };
}

function pastExtensions(
  bytes: Buffer,
): { protocol: number; at: number; fragment: Ipv6["fragment"] } | undefined {
  let protocol = bytes.readUInt8(6);
  let at = IPV6_BYTES;
  let fragment: Ipv6["fragment"];
  // What a later fragment carries is the middle of something.
  for (let count = 0; isExtension(protocol) && (fragment?.offsetBytes ?? 0) === 0; count++) {
    if (count === EXTENSIONS_MAX || at + EXTENSION_BYTES > bytes.length) return undefined;
    const isFragment = protocol === FRAGMENT;
    if (isFragment) {
      const word = bytes.readUInt16BE(at + 2);
      const identification = bytes.readUInt32BE(at + 4);
      fragment = { offsetBytes: word & 0xfff8, moreFragments: (word & 1) !== 0, identification };
    }
    protocol = bytes.readUInt8(at);
    // RFC 8200 section 4.3: in units of 8 bytes, the first not counted; a fragment header has no length.
    at += isFragment ? EXTENSION_BYTES : (bytes.readUInt8(at + 1) + 1) * EXTENSION_BYTES;
    if (at > bytes.length) return undefined;
  }
  return { protocol, at, fragment };
}

function isExtension(protocol: number): boolean {
  return (
    protocol === HOP_BY_HOP ||
    protocol === ROUTING ||
    protocol === FRAGMENT ||
    protocol === DESTINATION_OPTIONS
  );
}

export function encodeIpv6(packet: Ipv6): Buffer {
  const header = Buffer.alloc(IPV6_BYTES);
  header.writeUInt32BE(0x60000000 + packet.trafficClass * 0x100000 + packet.flowLabel);
  header.writeUInt16BE(packet.extensions.length + packet.payload.length, 4);
  header[6] = packet.firstHeader;
  header[7] = packet.hopLimit;
  header.set(ipToBytes(packet.source), 8);
  header.set(ipToBytes(packet.destination), 24);
  return Buffer.concat([header, packet.extensions, packet.payload]);
}
