// How much of an underlay packet is left for what is inside. Bytes of a tunnelled frame:
//
//   | outer IPv4 20 or IPv6 40 | UDP 8 | VXLAN 8 | inner Ethernet 14 | inner packet: the MTU |
import type { Family } from "../../common/address.js";

// RFC 791 section 3.1 without options; RFC 8200 section 3; RFC 768; RFC 7348 section 5; IEEE 802.3 untagged.
const OUTER_IP_BYTES = { 4: 20, 6: 40 } as const;
const UDP_BYTES = 8;
const VXLAN_BYTES = 8;
const INNER_ETHERNET_BYTES = 14;

/** RFC 791 section 3.2 and RFC 8200 section 5: every path carries so much; a smaller one is none. */
export const SMALLEST_PATH_BYTES = { 4: 576, 6: 1280 } as const;

/** 50 over IPv4, 70 over IPv6. */
function overheadBytes(underlay: Family): number {
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

// ---- Inside WireGuard
//
//   | outer IP 20 or 40 | UDP 8 | type, receiver, counter 16 | IPv6 40 | UDP 8 | VXLAN 8 | Ethernet 14 | MTU | pad | tag 16 |

// The WireGuard paper, section 5.4.6: a data message's header and its authentication tag.
const WIREGUARD_BYTES = 32;
// The same section: what is inside is padded to a multiple of this, as far as the implementation knows of the MTU to
// keep to. In a device of a multiple of it there is never more padding than room.
const WIREGUARD_PAD_BYTES = 16;
// RFC 8200 section 5: on a device with less Linux has no IPv6. What is larger than the underlay then, nothing sends.
const IPV6_SMALLEST_MTU_BYTES = 1280;

function insideWireguardBytes(underlayMtuBytes: number, underlay: Family): number {
  const inside = underlayMtuBytes - OUTER_IP_BYTES[underlay] - UDP_BYTES - WIREGUARD_BYTES;
  return inside - (inside % WIREGUARD_PAD_BYTES);
}

/** Of the WireGuard device itself. */
export function wireguardMtuBytes(underlayMtuBytes: number, underlay: Family): number {
  return Math.min(
    Math.max(insideWireguardBytes(underlayMtuBytes, underlay), IPV6_SMALLEST_MTU_BYTES),
    LARGEST_MTU_BYTES,
  );
}

/** The MTU inside an encrypted network; 130 to 160 bytes less than the underlay's. */
export function encryptedMtuBytes(underlayMtuBytes: number, underlay: Family): number {
  return innerMtuBytes(insideWireguardBytes(underlayMtuBytes, underlay), 6);
}
