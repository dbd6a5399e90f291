// RTM_NEWLINK and RTM_DELLINK as the kernel sends them, in answers and of its own accord. link.ts draws the layout.
import { ipText, macText } from "./addresses.js";
import { eachAttribute, readText, readU8, readU16be, readU32 } from "./attribute.js";
import {
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_BR_MCAST_QUERIER,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BRPORT_BCAST_FLOOD,
  IFLA_BRPORT_ISOLATED,
  IFLA_BRPORT_LEARNING,
  IFLA_BRPORT_MCAST_FLOOD,
  IFLA_BRPORT_MODE,
  IFLA_BRPORT_MULTICAST_ROUTER,
  IFLA_BRPORT_NEIGH_SUPPRESS,
  IFLA_BRPORT_UNICAST_FLOOD,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_VXLAN_DF,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  MDB_RTR_TYPE_PERM,
  RTM_DELLINK,
  RTM_NEWLINK,
  VXLAN_DF_INHERIT,
  VXLAN_DF_UNSET,
} from "./constants.js";
import type { BridgeGroups, BridgePort, Link, Vxlan, VxlanDf } from "./link.js";
import type { NetlinkMessage } from "./message.js";

/** struct ifinfomsg (linux/rtnetlink.h). */
export const IFINFOMSG_BYTES = 16;

/** `undefined` unless the message is a whole RTM_NEWLINK or RTM_DELLINK. */
export function decodeLink(message: NetlinkMessage): Link | undefined {
  const { bytes, from, to, type } = message;
  if ((type !== RTM_NEWLINK && type !== RTM_DELLINK) || to - from < IFINFOMSG_BYTES)
    return undefined;
  const ifindex = bytes.readInt32LE(from + 4);
  const up = (bytes.readUInt32LE(from + 8) & IFF_UP) !== 0;
  let name = "";
  let mac = "";
  let mtuBytes = 0;
  let alias = "";
  let master = 0;
  let peer = 0;
  let linkNetnsid: number | undefined;
  let info: LinkInfo = NO_INFO;
  const whole = eachAttribute(bytes, from + IFINFOMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === IFLA_IFNAME) name = readText(bytes, start, end);
    else if (attribute === IFLA_ADDRESS) mac = macText(bytes, start, end);
    else if (attribute === IFLA_MTU) mtuBytes = readU32(bytes, start, end);
    else if (attribute === IFLA_IFALIAS) alias = readText(bytes, start, end);
    else if (attribute === IFLA_MASTER) master = readU32(bytes, start, end);
    else if (attribute === IFLA_LINK) peer = readU32(bytes, start, end);
    else if (attribute === IFLA_LINK_NETNSID) linkNetnsid = readU32(bytes, start, end) | 0;
    else if (attribute === IFLA_LINKINFO) info = decodeInfo(bytes, start, end);
  });
  if (!whole) return undefined;
  return { ifindex, name, mac, mtuBytes, up, alias, master, peer, linkNetnsid, ...info };
}

interface LinkInfo {
  readonly kind: string;
  readonly groups?: BridgeGroups;
  readonly port: BridgePort | undefined;
  readonly vxlan: Vxlan | undefined;
}
const NO_INFO: LinkInfo = { kind: "", port: undefined, vxlan: undefined };

function decodeInfo(bytes: Buffer, from: number, to: number): LinkInfo {
  let kind = "";
  let slaveKind = "";
  let data: [number, number] = [0, 0];
  let slaveData: [number, number] = [0, 0];
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === IFLA_INFO_KIND) kind = readText(bytes, start, end);
    else if (attribute === IFLA_INFO_SLAVE_KIND) slaveKind = readText(bytes, start, end);
    else if (attribute === IFLA_INFO_DATA) data = [start, end];
    else if (attribute === IFLA_INFO_SLAVE_DATA) slaveData = [start, end];
  });
  return {
    kind,
    port: slaveKind === "bridge" ? decodePort(bytes, ...slaveData) : undefined,
    vxlan: kind === "vxlan" ? decodeVxlan(bytes, ...data) : undefined,
    ...(kind === "bridge" ? { groups: decodeGroups(bytes, ...data) } : {}),
  };
}

function decodeGroups(bytes: Buffer, from: number, to: number): BridgeGroups {
  let snooping = false;
  let querier = false;
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === IFLA_BR_MCAST_SNOOPING) snooping = readU8(bytes, start, end) !== 0;
    else if (attribute === IFLA_BR_MCAST_QUERIER) querier = readU8(bytes, start, end) !== 0;
  });
  return { snooping, querier };
}

function decodePort(bytes: Buffer, from: number, to: number): BridgePort {
  let learning = false;
  let unicastFlood = false;
  let neighSuppress = false;
  let isolated = false;
  let hairpin = false;
  let allGroups = false;
  let flood = true;
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === IFLA_BRPORT_LEARNING) learning = readU8(bytes, start, end) !== 0;
    else if (attribute === IFLA_BRPORT_UNICAST_FLOOD)
      unicastFlood = readU8(bytes, start, end) !== 0;
    else if (attribute === IFLA_BRPORT_NEIGH_SUPPRESS)
      neighSuppress = readU8(bytes, start, end) !== 0;
    else if (attribute === IFLA_BRPORT_MULTICAST_ROUTER)
      allGroups = readU8(bytes, start, end) === MDB_RTR_TYPE_PERM;
    else if (attribute === IFLA_BRPORT_ISOLATED) isolated = readU8(bytes, start, end) !== 0;
    else if (attribute === IFLA_BRPORT_MCAST_FLOOD || attribute === IFLA_BRPORT_BCAST_FLOOD) {
      flood &&= readU8(bytes, start, end) !== 0;
    } else if (attribute === IFLA_BRPORT_MODE) hairpin = readU8(bytes, start, end) !== 0;
  });
  return {
    learning,
    unicastFlood,
    neighSuppress,
    ...(isolated ? { isolated } : {}),
    ...(hairpin ? { hairpin } : {}),
    ...(allGroups ? { allGroups } : {}),
    ...(flood ? {} : { flood }),
  };
}

function decodeVxlan(bytes: Buffer, from: number, to: number): Vxlan {
  let vni = 0;
  let local = "";
  let port = 0;
  let learning = false;
  let df: VxlanDf | undefined;
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === IFLA_VXLAN_DF) df = dfOf(readU8(bytes, start, end));
    else if (attribute === IFLA_VXLAN_ID) vni = readU32(bytes, start, end);
    else if (attribute === IFLA_VXLAN_LOCAL || attribute === IFLA_VXLAN_LOCAL6) {
      local = ipText(bytes, start, end);
    } else if (attribute === IFLA_VXLAN_PORT) port = readU16be(bytes, start, end);
    else if (attribute === IFLA_VXLAN_LEARNING) learning = readU8(bytes, start, end) !== 0;
  });
  return { vni, local, port, learning, ...(df && { df }) };
}

function dfOf(value: number): VxlanDf | undefined {
  if (value === VXLAN_DF_INHERIT) return "inherit";
  return value === VXLAN_DF_UNSET ? "unset" : undefined;
}
