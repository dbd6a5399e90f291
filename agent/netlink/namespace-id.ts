// RTM_GETNSID: the number by which one network namespace knows another (net_namespace.h). The payload
// is struct rtgenmsg: one byte of address family, padded to four.
import { eachAttribute, readU32 } from "./attribute.js";
import { NETNSA_FD, NETNSA_NSID, RTM_GETNSID, RTM_NEWNSID } from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const RTGENMSG_BYTES = 4;

export function getNamespaceId(writer: NetlinkWriter, netnsFd: number): void {
  writer.message(RTM_GETNSID, 0, () => {
    writer.u32(0);
    writer.attributeU32(NETNSA_FD, netnsFd);
  });
}

/** -1 (NETNSA_NSID_NOT_ASSIGNED): the two have nothing to do with each other. */
export function decodeNamespaceId(message: NetlinkMessage): number | undefined {
  const { bytes, from, to, type } = message;
  if (type !== RTM_NEWNSID || to - from < RTGENMSG_BYTES) return undefined;
  let id = -1;
  eachAttribute(bytes, from + RTGENMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === NETNSA_NSID) id = readU32(bytes, start, end) | 0;
  });
  return id;
}
