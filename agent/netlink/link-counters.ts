// RTM_NEWLINK's IFLA_STATS64: struct rtnl_link_stats64 (linux/if_link.h), 64-bit numbers in host byte order:
// rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped, …
import { eachAttribute, readText, readU32 } from "./attribute.js";
import { IFLA_IFNAME, IFLA_LINK, IFLA_LINK_NETNSID, RTM_NEWLINK } from "./constants.js";
import { IFINFOMSG_BYTES } from "./link-decode.js";
import type { NetlinkMessage } from "./message.js";

const IFLA_STATS64 = 23;
const READ_BYTES = 8 * 8;

export interface LinkStats {
  readonly name: string;
  /** Of a veth, its other end: its ifindex, and what this namespace calls the other's; undefined: it has none there. */
  readonly peer: { readonly ifindex: number; readonly netnsid: number } | undefined;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxDropped: number;
  readonly txDropped: number;
}

export function decodeLinkStats(message: NetlinkMessage): LinkStats | undefined {
  const { bytes, from, to, type } = message;
  if (type !== RTM_NEWLINK || to - from < IFINFOMSG_BYTES) return undefined;
  let name = "";
  let ifindex = 0;
  let netnsid: number | undefined;
  let numbers: readonly number[] | undefined;
  const whole = eachAttribute(bytes, from + IFINFOMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === IFLA_IFNAME) name = readText(bytes, start, end);
    if (attribute === IFLA_LINK) ifindex = readU32(bytes, start, end);
    if (attribute === IFLA_LINK_NETNSID) netnsid = readU32(bytes, start, end) | 0;
    if (attribute !== IFLA_STATS64 || end - start < READ_BYTES) return;
    numbers = Array.from({ length: 8 }, (_, i) => Number(bytes.readBigUInt64LE(start + 8 * i)));
  });
  if (!whole || numbers === undefined) return undefined;
  const [rxPackets = 0, txPackets = 0, rxBytes = 0, txBytes = 0, , , rxDropped = 0, txDropped = 0] =
    numbers;
  // -1 (NETNSA_NSID_NOT_ASSIGNED): it has no number.
  const peer = netnsid === undefined || netnsid < 0 ? undefined : { ifindex, netnsid };
  return { name, peer, rxPackets, txPackets, rxBytes, txBytes, rxDropped, txDropped };
}
