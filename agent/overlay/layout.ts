// Where in a frame its parts begin: what the switch must know of it, in one pass and with nothing built. The readable
// way through a frame is packet.ts.
import {
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_IP,
  ETH_P_IPV6,
  ETHERNET_BYTES,
  TAG_BYTES,
} from "./ethernet.js";
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_BYTES } from "./ipv4.js";
import { IPV6_BYTES } from "./ipv6.js";
import { TCP_BYTES } from "./tcp.js";
import { UDP_BYTES } from "./udp.js";

// RFC 791: the bits "more fragments" and the offset; with any of them set a packet is a part of one.
const IPV4_FRAGMENT = 0x3fff;

export class Layout {
  /** Of the IP header. */
  ipAt = 0;
  family: 4 | 6 = 4;
  /** IPPROTO_TCP or IPPROTO_UDP. */
  protocol = 0;
  transportAt = 0;
  payloadAt = 0;
  /** Where the IP packet ends; the frame may go on with padding. */
  end = 0;
  /** The sum of the pseudo header, once `checksumStateOf` has found it. */
  pseudo = 0;
}

/**
 * Of a whole TCP segment or UDP datagram over IP without IPv4 options and IPv6 extensions: what nearly all frames are.
 * False for any other, and for one that contradicts itself; `into` is then of no use.
 */
export function layOut(view: DataView, at: number, end: number, into: Layout): boolean {
  const ipAt = etherTypeEnd(view, at, end);
  if (ipAt + IPV4_BYTES > end) return false;
  const etherType = view.getUint16(ipAt - 2);
  into.ipAt = ipAt;
  if (etherType === ETH_P_IP) {
    // Version 4, five words of header.
    if (view.getUint8(ipAt) !== 0x45) return false;
    if ((view.getUint16(ipAt + 6) & IPV4_FRAGMENT) !== 0) return false;
    into.family = 4;
    into.protocol = view.getUint8(ipAt + 9);
    into.transportAt = ipAt + IPV4_BYTES;
    into.end = ipAt + view.getUint16(ipAt + 2);
  } else if (etherType === ETH_P_IPV6) {
    if (ipAt + IPV6_BYTES > end || view.getUint8(ipAt) >>> 4 !== 6) return false;
    into.family = 6;
    into.protocol = view.getUint8(ipAt + 6);
    into.transportAt = ipAt + IPV6_BYTES;
    into.end = into.transportAt + view.getUint16(ipAt + 4);
  } else {
    return false;
  }
  return into.end <= end && layOutTransport(view, into);
}

function layOutTransport(view: DataView, into: Layout): boolean {
  const { transportAt, end } = into;
  if (into.protocol === IPPROTO_TCP) {
    if (transportAt + TCP_BYTES > end) return false;
    const headerBytes = (view.getUint8(transportAt + 12) >>> 4) * 4;
    into.payloadAt = transportAt + headerBytes;
    return headerBytes >= TCP_BYTES && into.payloadAt <= end;
  }
  if (into.protocol !== IPPROTO_UDP || transportAt + UDP_BYTES > end) return false;
  into.payloadAt = transportAt + UDP_BYTES;
  return view.getUint16(transportAt + 4) === end - transportAt;
}

/** Where what a frame carries begins: behind its EtherType, and its tag if it has one. */
export function etherTypeEnd(view: DataView, at: number, end: number): number {
  const plain = at + ETHERNET_BYTES;
  if (plain + TAG_BYTES > end) return plain;
  const etherType = view.getUint16(plain - 2);
  return etherType === ETH_P_8021Q || etherType === ETH_P_8021AD ? plain + TAG_BYTES : plain;
}

/** Where the transport's checksum is. */
export function checksumAt({ protocol, transportAt }: Layout): number {
  return transportAt + (protocol === IPPROTO_TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET);
}
export const TCP_CHECKSUM_OFFSET = 16;
const UDP_CHECKSUM_OFFSET = 6;
