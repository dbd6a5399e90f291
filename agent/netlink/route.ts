// RTM_NEWROUTE and its kin, as far as an overlay needs them: unicast routes of the main table.
//
//   0      1       2       3     4      5        6      7      8              12
//   +------+-------+-------+-----+------+--------+------+------+--------------+-------------
//   |family|dst len|src len| tos |table |protocol|scope | type | flags        | attributes…   struct rtmsg
//   +------+-------+-------+-----+------+--------+------+------+--------------+-------------
import { type Ip, ipToBytes, type Prefix } from "../../common/address.js";
import { ipText } from "./addresses.js";
import { eachAttribute, readU32 } from "./attribute.js";
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_COMPAT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_PRIORITY,
  RTA_SRC,
  RTA_TABLE,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_LOCAL,
  RTN_UNICAST,
  RTNH_F_ONLINK,
  RTPROT_STATIC,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const RTMSG_BYTES = 12;

export interface Route {
  readonly table: number;
  /** RTN_*. */
  readonly type: number;
  /** "0.0.0.0/0" and "::/0" are default routes. */
  readonly prefix: string;
  readonly gateway: string | undefined;
  readonly ifindex: number;
}

export function decodeRoute(message: NetlinkMessage): Route | undefined {
  const { bytes, from, to, type } = message;
  if ((type !== RTM_NEWROUTE && type !== RTM_DELROUTE) || to - from < RTMSG_BYTES) return undefined;
  let table = bytes.readUInt8(from + 4);
  let destination = bytes.readUInt8(from) === AF_INET6 ? "::" : "0.0.0.0";
  let gateway: string | undefined;
  let ifindex = 0;
  const whole = eachAttribute(bytes, from + RTMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === RTA_DST) destination = ipText(bytes, start, end);
    else if (attribute === RTA_GATEWAY) gateway = ipText(bytes, start, end);
    else if (attribute === RTA_OIF) ifindex = readU32(bytes, start, end);
    else if (attribute === RTA_TABLE) table = readU32(bytes, start, end);
  });
  if (!whole) return undefined;
  const prefix = `${destination}/${bytes.readUInt8(from + 1)}`;
  return { table, type: bytes.readUInt8(from + 7), prefix, gateway, ifindex };
}

export function dumpRoutes(writer: NetlinkWriter): void {
  writer.message(RTM_GETROUTE, NLM_F_DUMP, () => {
    for (let i = 0; i < 2; i++) writer.u32(AF_UNSPEC);
    writer.u32(0);
  });
}

/** Asks which way the machine would send from one of its addresses; answered with one route. */
export function getRoute(writer: NetlinkWriter, to: Ip, from: Ip): void {
  const bytes = ipToBytes(to);
  const source = ipToBytes(from);
  writer.message(RTM_GETROUTE, 0, () => {
    writer.u8(to.family === 4 ? AF_INET : AF_INET6);
    writer.u8(8 * bytes.length);
    writer.u8(8 * source.length);
    writer.u8(0);
    for (let i = 0; i < 2; i++) writer.u32(0);
    writer.attribute(RTA_DST, bytes);
    writer.attribute(RTA_SRC, source);
  });
}

/**
 * On-link without a gateway. Of the main table unless it says another; a gateway of another table need not be
 * reachable by a route.
 */
export function putRoute(
  writer: NetlinkWriter,
  route: {
    readonly prefix: Prefix;
    readonly gateway: Ip | undefined;
    readonly ifindex: number;
    readonly table?: number;
  },
): void {
  const { prefix, gateway, ifindex, table } = route;
  writer.message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, () => {
    writer.u8(prefix.ip.family === 4 ? AF_INET : AF_INET6);
    writer.u8(prefix.length);
    writer.u8(0);
    writer.u8(0);
    writer.u8(table === undefined ? RT_TABLE_MAIN : RT_TABLE_COMPAT);
    writer.u8(RTPROT_STATIC);
    writer.u8(gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
    writer.u8(RTN_UNICAST);
    writer.u32(table === undefined ? 0 : RTNH_F_ONLINK);
    if (prefix.length > 0) writer.attribute(RTA_DST, ipToBytes(prefix.ip));
    if (gateway !== undefined) writer.attribute(RTA_GATEWAY, ipToBytes(gateway));
    writer.attributeU32(RTA_OIF, ifindex);
    if (table !== undefined) writer.attributeU32(RTA_TABLE, table);
  });
}

// Choice: after the kernel's own, which have 0.
const LOCAL_METRIC = 4096;

/** An address of this machine may also be reached by this interface. */
export function putLocalRoute(writer: NetlinkWriter, ip: Ip, ifindex: number): void {
  const bytes = ipToBytes(ip);
  writer.message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, () => {
    writer.u8(ip.family === 4 ? AF_INET : AF_INET6);
    writer.u8(8 * bytes.length);
    writer.u8(0);
    writer.u8(0);
    writer.u8(RT_TABLE_LOCAL);
    writer.u8(RTPROT_STATIC);
    writer.u8(RT_SCOPE_HOST);
    writer.u8(RTN_LOCAL);
    writer.u32(0);
    writer.attribute(RTA_DST, bytes);
    writer.attributeU32(RTA_OIF, ifindex);
    writer.attributeU32(RTA_PRIORITY, LOCAL_METRIC);
  });
}
