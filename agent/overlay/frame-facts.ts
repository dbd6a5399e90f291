// What a person wants to know of a frame, from its first bytes: who, to whom, what. Looks at no more than it was
// given, and takes nothing on trust: lengths may lie, and the frame may be cut anywhere.
//
//   0           6           12    14
//   +-----------+-----------+-----+----------------     IEEE 802.3; 802.1Q puts tags of 4 bytes
//   | target    | source    |type | payload…            (0x8100 or 0x88a8, then the tag) before the type
//   +-----------+-----------+-----+----------------
import { formatIp, ipFromBytes } from "../../common/address.js";

export interface FrameFacts {
  readonly target: string;
  readonly source: string;
  /** 802.1Q VIDs, outermost first. */
  readonly vlans: readonly number[];
  /** EtherType of what is inside. */
  readonly type: number;
  readonly arp?: ArpFacts;
  readonly ip?: IpFacts;
}

export interface ArpFacts {
  readonly asks: boolean;
  readonly fromIp: string;
  readonly fromMac: string;
  readonly toIp: string;
}

export interface IpFacts {
  readonly family: 4 | 6;
  readonly from: string;
  readonly to: string;
  /** IANA's number, after IPv6's extension headers. */
  readonly protocol: number;
  readonly ttl: number;
  /** Of all that the header speaks of. */
  readonly payloadBytes: number;
  /** Not the first piece of a datagram: what follows is no header. */
  readonly isLaterFragment: boolean;
  readonly fromPort?: number;
  readonly toPort?: number;
  /** TCP's flags byte. */
  readonly flags?: number;
  readonly sequence?: number;
  readonly acknowledged?: number;
  readonly icmp?: { readonly type: number; readonly code: number; readonly id: number };
  /** Bytes that TCP or UDP carries. */
  readonly dataBytes?: number;
}

// IEEE 802 numbers (IANA).
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, qinq: 0x88a8, ipv6: 0x86dd };
// IANA protocol numbers.
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;
// TCP, RFC 9293 section 3.1.
export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

const ETHERNET_BYTES = 14;
const VLANS_MAX = 4;

export function factsOf(frame: Buffer): FrameFacts | undefined {
  if (frame.length < ETHERNET_BYTES) return undefined;
  const vlans: number[] = [];
  let at = 12;
  let type = frame.readUInt16BE(at);
  while (
    (type === ETHERTYPE.vlan || type === ETHERTYPE.qinq) &&
    vlans.length < VLANS_MAX &&
    frame.length >= at + 6
  ) {
    vlans.push(frame.readUInt16BE(at + 2) & 0xfff);
    at += 4;
    type = frame.readUInt16BE(at);
  }
  const facts = { target: macAt(frame, 0), source: macAt(frame, 6), vlans, type };
  const inside = frame.subarray(at + 2);
  if (type === ETHERTYPE.arp) return { ...facts, ...some("arp", arpOf(inside)) };
  if (type === ETHERTYPE.ipv4) return { ...facts, ...some("ip", ipv4Of(inside)) };
  if (type === ETHERTYPE.ipv6) return { ...facts, ...some("ip", ipv6Of(inside)) };
  return facts;
}

function some<Key extends string, T>(key: Key, value: T | undefined): { [K in Key]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: T };
}

function macAt(bytes: Buffer, at: number): string {
  return bytes.toString("hex", at, at + 6).replace(/..(?=.)/g, "$&:");
}

function ipAt(bytes: Buffer, at: number, length: 4 | 16): string {
  const ip = ipFromBytes(bytes.subarray(at, at + length));
  return ip === undefined ? "" : formatIp(ip);
}

// RFC 826: hardware and protocol types, their lengths, the operation, then the four addresses.
const ARP_BYTES = 28;

function arpOf(bytes: Buffer): ArpFacts | undefined {
  if (bytes.length < ARP_BYTES || bytes.readUInt32BE(0) !== 0x0001_0800) return undefined;
  if (bytes.readUInt16BE(4) !== 0x0604) return undefined;
  return {
    asks: bytes.readUInt16BE(6) === 1,
    fromMac: macAt(bytes, 8),
    fromIp: ipAt(bytes, 14, 4),
    toIp: ipAt(bytes, 24, 4),
  };
}

// RFC 791 section 3.1.
const IPV4_BYTES = 20;

function ipv4Of(bytes: Buffer): IpFacts | undefined {
  const headerBytes = ((bytes[0] ?? 0) & 15) * 4;
  if (bytes.length < headerBytes || headerBytes < IPV4_BYTES || (bytes[0] ?? 0) >> 4 !== 4) {
    return undefined;
  }
  const payloadBytes = Math.max(0, bytes.readUInt16BE(2) - headerBytes);
  const facts = {
    family: 4,
    from: ipAt(bytes, 12, 4),
    to: ipAt(bytes, 16, 4),
    protocol: bytes.readUInt8(9),
    ttl: bytes.readUInt8(8),
    payloadBytes,
    isLaterFragment: (bytes.readUInt16BE(6) & 0x1fff) !== 0,
  } as const;
  return withTransport(facts, bytes.subarray(headerBytes));
}

// RFC 8200 sections 3 and 4.
const IPV6_BYTES = 40;
const EXTENSIONS = new Set([0, 43, 60]);
const FRAGMENT = 44;
const EXTENSIONS_MAX = 8;

function ipv6Of(bytes: Buffer): IpFacts | undefined {
  if (bytes.length < IPV6_BYTES || (bytes[0] ?? 0) >> 4 !== 6) return undefined;
  let protocol = bytes.readUInt8(6);
  let at = IPV6_BYTES;
  let isLaterFragment = false;
  for (let count = 0; count < EXTENSIONS_MAX && bytes.length >= at + 8; count++) {
    if (protocol === FRAGMENT) {
      isLaterFragment ||= (bytes.readUInt16BE(at + 2) & 0xfff8) !== 0;
      protocol = bytes.readUInt8(at);
      at += 8;
    } else if (EXTENSIONS.has(protocol)) {
      protocol = bytes.readUInt8(at);
      at += 8 * (bytes.readUInt8(at + 1) + 1);
    } else break;
  }
  const payloadBytes = Math.max(0, bytes.readUInt16BE(4) - (at - IPV6_BYTES));
  const facts = {
    family: 6,
    from: ipAt(bytes, 8, 16),
    to: ipAt(bytes, 24, 16),
    protocol,
    ttl: bytes.readUInt8(7),
    payloadBytes,
    isLaterFragment,
  } as const;
  return withTransport(facts, bytes.subarray(at));
}

function withTransport(facts: IpFacts, bytes: Buffer): IpFacts {
  if (facts.isLaterFragment) return facts;
  const { protocol, payloadBytes } = facts;
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) {
    if (bytes.length < 8) return facts;
    const icmp = {
      type: bytes.readUInt8(0),
      code: bytes.readUInt8(1),
      id: bytes.readUInt16BE(4),
    };
    return { ...facts, icmp };
  }
  const hasPorts = ([PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp] as number[]).includes(protocol);
  if (!hasPorts || bytes.length < 4) return facts;
  const ports = { fromPort: bytes.readUInt16BE(0), toPort: bytes.readUInt16BE(2) };
  // RFC 768: the header is 8 bytes.
  if (protocol === PROTOCOL.udp) {
    return { ...facts, ...ports, dataBytes: Math.max(0, payloadBytes - 8) };
  }
  if (protocol !== PROTOCOL.tcp || bytes.length < 14) return { ...facts, ...ports };
  return {
    ...facts,
    ...ports,
    sequence: bytes.readUInt32BE(4),
    acknowledged: bytes.readUInt32BE(8),
    flags: bytes.readUInt8(13),
    dataBytes: Math.max(0, payloadBytes - ((bytes[12] ?? 0) >> 4) * 4),
  };
}
