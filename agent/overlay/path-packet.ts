// An echo request as the data path carries it, of an exact size: on the nodes' own network (probe-address.ts), where
// the peer's kernel answers. What is returned is the payload of the outer UDP datagram:
//
//   | outer IP | UDP 8 | VXLAN 8 | Ethernet 14 | inner IP 20 or 40 | ICMP 8 | data… |
//
// Where a filter lets ICMP through on no path, these pass as the networks' own frames do.
import type { Ip } from "../../common/address.js";
import { WATCH_VNI } from "../../common/ids.js";
import { ETH_P_IP, ETH_P_IPV6, ETHERNET_BYTES, encodeEthernet } from "./ethernet.js";
import { encodeEcho } from "./icmp.js";
import { checksumFrom, pseudoHeaderSum, sumOf, viewOf } from "./internet-checksum.js";
import { encodeIpv4, IPPROTO_ICMP, IPPROTO_ICMPV6, IPV4_BYTES } from "./ipv4.js";
import { encodeIpv6, IPV6_BYTES } from "./ipv6.js";
import { probeIp, probeMac } from "./probe-address.js";
import { UDP_BYTES } from "./udp.js";
import { encodeVxlan, VXLAN_BYTES } from "./vxlan.js";

const ICMP_BYTES = 8;
const ICMP_CHECKSUM_AT = 2;
const HOPS = 64;

/** Between the outer packet's size and that of the echo's data; inside and outside are of one family. */
export const TUNNEL_ECHO_BYTES = {
  4: 2 * IPV4_BYTES + UDP_BYTES + VXLAN_BYTES + ETHERNET_BYTES + ICMP_BYTES,
  6: 2 * IPV6_BYTES + UDP_BYTES + VXLAN_BYTES + ETHERNET_BYTES + ICMP_BYTES,
} as const;

/** Two nodes, by their VTEPs. */
export function encodeTunnelEcho(
  from: Ip,
  to: Ip,
  echo: { readonly identifier: number; readonly sequence: number; readonly data: Uint8Array },
): Buffer {
  const [source, destination] = [probeIp(from), probeIp(to)];
  const { family } = source;
  const icmp = encodeEcho(family, echo.identifier, echo.sequence, echo.data);
  const packet =
    family === 4 ? overIpv4(source, destination, icmp) : overIpv6(source, destination, icmp);
  const frame = encodeEthernet({
    destination: probeMac(to),
    source: probeMac(from),
    tags: [],
    etherType: family === 4 ? ETH_P_IP : ETH_P_IPV6,
    payload: packet,
  });
  return Buffer.concat([encodeVxlan(WATCH_VNI), frame]);
}

function overIpv4(source: Ip, destination: Ip, payload: Buffer): Buffer {
  return encodeIpv4({
    source,
    destination,
    protocol: IPPROTO_ICMP,
    ttl: HOPS,
    trafficClass: 0,
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffsetBytes: 0,
    options: Buffer.alloc(0),
    payload,
  });
}

function overIpv6(source: Ip, destination: Ip, payload: Buffer): Buffer {
  const packet = encodeIpv6({
    source,
    destination,
    protocol: IPPROTO_ICMPV6,
    firstHeader: IPPROTO_ICMPV6,
    hopLimit: HOPS,
    trafficClass: 0,
    flowLabel: 0,
    fragment: undefined,
    extensions: Buffer.alloc(0),
    payload,
  });
  const view = viewOf(packet);
  const pseudo = pseudoHeaderSum(view, 8, 16, IPPROTO_ICMPV6, payload.length);
  const sum = sumOf(view, IPV6_BYTES, packet.length);
  packet.writeUInt16BE(checksumFrom(pseudo + sum), IPV6_BYTES + ICMP_CHECKSUM_AT);
  return packet;
}
