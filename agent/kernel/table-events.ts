// Hears of changes to our tables of nf_tables, in the namespace that it is opened in.
import { eachAttribute, readText } from "../netlink/attribute.js";
import type { NetlinkMessage } from "../netlink/message.js";
import {
  NETLINK_NETFILTER,
  NFNL_SUBSYS_NFTABLES,
  NFNLGRP_NFTABLES,
  NFTA_TABLE_NAME,
} from "../netlink/nftables-constants.js";
import { tableOfKernel } from "../reconcile/names.js";
import { NetlinkEvents } from "./netlink-socket.js";

export function tableEvents(runDir: string): NetlinkEvents {
  const concerns = (message: NetlinkMessage) => isAboutOurs(runDir, message);
  return new NetlinkEvents([NFNLGRP_NFTABLES], concerns, NETLINK_NETFILTER);
}

/** Every message about a table, a chain, a rule or an element names its table first. */
function isAboutOurs(runDir: string, { type, bytes, from, to }: NetlinkMessage): boolean {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || to - from < 4) return false;
  let ours = false;
  eachAttribute(bytes, from + 4, to, (attribute, start, end) => {
    if (attribute === NFTA_TABLE_NAME) {
      ours = tableOfKernel(runDir, readText(bytes, start, end)) !== undefined;
    }
  });
  return ours;
}
