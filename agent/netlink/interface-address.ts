// RTM_NEWADDR and its kin: the addresses of interfaces.
//
//   0      1         2      3      4              8
//   +------+---------+------+------+--------------+-------------
//   |family|prefixlen|flags |scope | ifindex      | attributes…      struct ifaddrmsg
//   +------+---------+------+------+--------------+-------------
import { ipToBytes, type Prefix } from "../../common/address.js";
import { ipText } from "./addresses.js";
import { eachAttribute } from "./attribute.js";
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  IFA_ADDRESS,
  IFA_F_NODAD,
  IFA_LOCAL,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  RT_SCOPE_UNIVERSE,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const IFADDRMSG_BYTES = 8;

export interface InterfaceAddress {
  readonly ifindex: number;
  /** "10.0.1.3/24". */
  readonly prefix: string;
  /** RT_SCOPE_*; link-local addresses have RT_SCOPE_LINK. */
  readonly scope: number;
}

export function decodeAddress(message: NetlinkMessage): InterfaceAddress | undefined {
  const { bytes, from, to, type } = message;
  if ((type !== RTM_NEWADDR && type !== RTM_DELADDR) || to - from < IFADDRMSG_BYTES)
    return undefined;
  let address = "";
  let local = "";
  const whole = eachAttribute(bytes, from + IFADDRMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === IFA_ADDRESS) address = ipText(bytes, start, end);
    else if (attribute === IFA_LOCAL) local = ipText(bytes, start, end);
  });
  // On a point-to-point link IFA_ADDRESS is the other side's; IFA_LOCAL, if there, is always ours.
  const ip = local === "" ? address : local;
  if (!whole || ip === "") return undefined;
  return {
    ifindex: bytes.readUInt32LE(from + 4),
    prefix: `${ip}/${bytes.readUInt8(from + 1)}`,
    scope: bytes.readUInt8(from + 3),
  };
}

export function dumpAddresses(writer: NetlinkWriter): void {
  writer.message(RTM_GETADDR, NLM_F_DUMP, () => header(writer, AF_UNSPEC, 0, 0, 0));
}

export function putAddress(writer: NetlinkWriter, ifindex: number, prefix: Prefix): void {
  writer.message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, () => body(writer, ifindex, prefix));
}

export function deleteAddress(writer: NetlinkWriter, ifindex: number, prefix: Prefix): void {
  writer.message(RTM_DELADDR, 0, () => body(writer, ifindex, prefix));
}

function body(writer: NetlinkWriter, ifindex: number, prefix: Prefix): void {
  const family = prefix.ip.family === 4 ? AF_INET : AF_INET6;
  // The swarm gives an address once, so there is nothing to detect, and DAD would hold it back a second.
  header(writer, family, prefix.length, family === AF_INET6 ? IFA_F_NODAD : 0, ifindex);
  const bytes = ipToBytes(prefix.ip);
  writer.attribute(IFA_LOCAL, bytes);
  writer.attribute(IFA_ADDRESS, bytes);
}

function header(
  writer: NetlinkWriter,
  family: number,
  length: number,
  flags: number,
  ifindex: number,
): void {
  writer.u8(family);
  writer.u8(length);
  writer.u8(flags);
  writer.u8(RT_SCOPE_UNIVERSE);
  writer.u32(ifindex);
}
