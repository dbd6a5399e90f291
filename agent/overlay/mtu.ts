// How much of an underlay packet is left for what is inside. Bytes of a tunnelled frame:
//
//   | outer IPv4 20 or IPv6 40 | UDP 8 | VXLAN 8 | inner Ethernet 14 | inner packet: the MTU |
import type { Family } from "../../common/address.js";

// RFC 791 section 3.1 without options; RFC 8200 section 3; RFC 768; RFC 7348 section 5; IEEE 802.3 untagged.
const OUTER_IP_BYTES = { 4: 20, 6: 40 } as const;
const UDP_BYTES = 8;
const VXLAN_BYTES = 8;
const INNER_ETHERNET_BYTES = 14;

/** 50 over IPv4, 70 over IPv6. */
export function overheadBytes(underlay: Family): number {
  return OUTER_IP_BYTES[underlay] + UDP_BYTES + VXLAN_BYTES + INNER_ETHERNET_BYTES;
}

// RFC 791: every IPv4 host takes 576; Linux makes no Ethernet device below 68.
const SMALLEST_MTU_BYTES = 68;
// if_ether.h ETH_MAX_MTU.
const LARGEST_MTU_BYTES = 65535;

/** The MTU inside, when the underlay's interface has `underlayMtuBytes`. */
export function innerMtuBytes(underlayMtuBytes: number, underlay: Family): number {
  const inner = underlayMtuBytes - overheadBytes(underlay);
  return Math.min(Math.max(inner, SMALLEST_MTU_BYTES), LARGEST_MTU_BYTES - overheadBytes(underlay));
}
