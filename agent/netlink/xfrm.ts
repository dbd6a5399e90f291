// IPsec policies: what of a machine's packets has to be protected, or blocked. Only read, by a socket of NETLINK_XFRM.
//
// struct xfrm_userpolicy_info (linux/xfrm.h), 168 bytes, then attributes:
//
//   0        56                 120                 152        156     160   161
//   +--------+------------------+-------------------+----------+-------+-----+--------+----
//   | sel    | lifetime (cfg)   | lifetime (now)    | priority | index | dir | action | …
//   +--------+------------------+-------------------+----------+-------+-----+--------+----
//
// struct xfrm_selector: daddr 16, saddr 16, four ports and masks 8, family u16 at 40, prefix length of daddr u8 at 42 and
// of saddr at 43, protocol u8 at 44.
import { type Ip, ipFromBytes, type Prefix } from "../../common/address.js";
import type { IpsecPolicy } from "../overlay/ipsec.js";
import { eachAttribute, readU32 } from "./attribute.js";
import { AF_INET, AF_INET6, NLM_F_DUMP } from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

// linux/netlink.h, linux/xfrm.h.
export const NETLINK_XFRM = 6;
export const XFRMNLGRP_POLICY = 4;
const XFRM_MSG_NEWPOLICY = 0x13;
const XFRM_MSG_GETPOLICY = 0x15;
const XFRMA_IF_ID = 31;
const POLICY_BYTES = 168;
// struct xfrm_userpolicy_id, which a dump does not look at.
const POLICY_ID_BYTES = 64;
// XFRM_POLICY_IN and so on.
const DIRECTIONS = ["in", "out", "forward"] as const;

export function dumpPolicies(writer: NetlinkWriter): void {
  writer.message(XFRM_MSG_GETPOLICY, NLM_F_DUMP, () => {
    for (let i = 0; i < POLICY_ID_BYTES; i++) writer.u8(0);
  });
}

/** Undefined for those of a single socket, and of an interface that packets have to be sent to by a route (`if_id`). */
export function decodePolicy({ bytes, from, to, type }: NetlinkMessage): IpsecPolicy | undefined {
  if (type !== XFRM_MSG_NEWPOLICY || to - from < POLICY_BYTES) return undefined;
  const direction = DIRECTIONS[bytes.readUInt8(from + 160)];
  const destination = prefixAt(bytes, from, 0, 42);
  const source = prefixAt(bytes, from, 16, 43);
  if (direction === undefined || source === undefined || destination === undefined)
    return undefined;
  let interfaceId = 0;
  eachAttribute(bytes, from + POLICY_BYTES, to, (attribute, start, end) => {
    if (attribute === XFRMA_IF_ID && end - start === 4) interfaceId = readU32(bytes, start, end);
  });
  if (interfaceId !== 0) return undefined;
  return { direction, source, destination, protocol: bytes.readUInt8(from + 44) };
}

function prefixAt(bytes: Buffer, from: number, at: number, lengthAt: number): Prefix | undefined {
  const family = bytes.readUInt16LE(from + 40);
  const ip: Ip | undefined =
    family === AF_INET
      ? ipFromBytes(bytes.subarray(from + at, from + at + 4))
      : family === AF_INET6
        ? ipFromBytes(bytes.subarray(from + at, from + at + 16))
        : undefined;
  return ip && { ip, length: bytes.readUInt8(from + lengthAt) };
}
