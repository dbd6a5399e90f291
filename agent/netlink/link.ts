// RTM_NEWLINK and its kin: network devices. Only what an overlay needs of IFLA_LINKINFO is typed:
// bridge, VXLAN, veth, and a bridge port's settings.
//
//   0      1      2       4              8              12             16
//   +------+------+-------+--------------+--------------+--------------+-------------
//   |family| pad  | type  | index        | flags        | change mask  | attributes…   struct ifinfomsg
//   +------+------+-------+--------------+--------------+--------------+-------------
import { type Ip, ipToBytes } from "../../common/address.js";
import { ipText, macBytes, macText } from "./addresses.js";
import { eachAttribute, readText, readU8, readU16be, readU32 } from "./attribute.js";
import {
  AF_UNSPEC,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_BR_FORWARD_DELAY,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BR_STP_STATE,
  IFLA_BRPORT_LEARNING,
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
  IFLA_NET_NS_FD,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  IFLA_VXLAN_TTL,
  IFLA_VXLAN_UDP_CSUM,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  VETH_INFO_PEER,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const IFINFOMSG_BYTES = 16;
// Choice: as far as an IPv4 packet may travel by default (RFC 1700), so that the underlay may be routed.
const OUTER_TTL = 64;

export interface BridgePort {
  readonly learning: boolean;
  readonly unicastFlood: boolean;
  readonly neighSuppress: boolean;
}

export interface Vxlan {
  readonly vni: number;
  readonly local: string;
  readonly port: number;
  readonly learning: boolean;
}

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly kind: string;
  readonly mac: string;
  readonly mtuBytes: number;
  readonly up: boolean;
  readonly alias: string;
  readonly master: number;
  /** ifindex of a veth's other end or of a lower device, in that one's namespace; 0: none. */
  readonly peer: number;
  /** The other namespace that the device has to do with, by this one's number for it (RTM_GETNSID). */
  readonly linkNetnsid: number | undefined;
  readonly port: BridgePort | undefined;
  readonly vxlan: Vxlan | undefined;
}

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
  };
}

function decodePort(bytes: Buffer, from: number, to: number): BridgePort {
  let learning = false;
  let unicastFlood = false;
  let neighSuppress = false;
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === IFLA_BRPORT_LEARNING) learning = readU8(bytes, start, end) !== 0;
    else if (attribute === IFLA_BRPORT_UNICAST_FLOOD)
      unicastFlood = readU8(bytes, start, end) !== 0;
    else if (attribute === IFLA_BRPORT_NEIGH_SUPPRESS)
      neighSuppress = readU8(bytes, start, end) !== 0;
  });
  return { learning, unicastFlood, neighSuppress };
}

function decodeVxlan(bytes: Buffer, from: number, to: number): Vxlan {
  let vni = 0;
  let local = "";
  let port = 0;
  let learning = false;
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === IFLA_VXLAN_ID) vni = readU32(bytes, start, end);
    else if (attribute === IFLA_VXLAN_LOCAL || attribute === IFLA_VXLAN_LOCAL6) {
      local = ipText(bytes, start, end);
    } else if (attribute === IFLA_VXLAN_PORT) port = readU16be(bytes, start, end);
    else if (attribute === IFLA_VXLAN_LEARNING) learning = readU8(bytes, start, end) !== 0;
  });
  return { vni, local, port, learning };
}

// ---- Requests ----------------------------------------------------------------------------------

export function dumpLinks(writer: NetlinkWriter): void {
  writer.message(RTM_GETLINK, NLM_F_DUMP, () => header(writer, 0, false));
}

/** Answered with the link, or ENODEV. */
export function getLink(writer: NetlinkWriter, name: string): void {
  writer.message(RTM_GETLINK, 0, () => {
    header(writer, 0, undefined);
    writer.attributeText(IFLA_IFNAME, name);
  });
}

/** Fails with EEXIST if the name is taken. */
export function newBridge(
  writer: NetlinkWriter,
  bridge: { readonly name: string; readonly mac: string; readonly mtuBytes: number },
): void {
  writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    header(writer, 0, true);
    writer.attributeText(IFLA_IFNAME, bridge.name);
    writer.attribute(IFLA_ADDRESS, macBytes(bridge.mac));
    writer.attributeU32(IFLA_MTU, bridge.mtuBytes);
    writer.nest(IFLA_LINKINFO, () => {
      writer.attributeText(IFLA_INFO_KIND, "bridge");
      writer.nest(IFLA_INFO_DATA, () => {
        writer.attributeU32(IFLA_BR_FORWARD_DELAY, 0);
        writer.attributeU32(IFLA_BR_STP_STATE, 0);
        // Multicast goes to every port: snooping would need a querier on every network.
        writer.attributeU8(IFLA_BR_MCAST_SNOOPING, 0);
      });
    });
  });
}

export interface NewVxlan {
  readonly name: string;
  readonly vni: number;
  readonly local: Ip;
  readonly port: number;
  readonly mtuBytes: number;
  /** The namespace that the device is put into; its UDP socket stays in the requester's. */
  readonly netnsFd: number;
}

export function newVxlan(writer: NetlinkWriter, vxlan: NewVxlan): void {
  const underlay6 = vxlan.local.family === 6;
  writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    header(writer, 0, false);
    writer.attributeText(IFLA_IFNAME, vxlan.name);
    writer.attributeU32(IFLA_MTU, vxlan.mtuBytes);
    writer.attributeU32(IFLA_NET_NS_FD, vxlan.netnsFd);
    writer.nest(IFLA_LINKINFO, () => {
      writer.attributeText(IFLA_INFO_KIND, "vxlan");
      writer.nest(IFLA_INFO_DATA, () => {
        writer.attributeU32(IFLA_VXLAN_ID, vxlan.vni);
        writer.attribute(underlay6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, ipToBytes(vxlan.local));
        writer.attributeU16be(IFLA_VXLAN_PORT, vxlan.port);
        writer.attributeU8(IFLA_VXLAN_TTL, OUTER_TTL);
        writer.attributeU8(IFLA_VXLAN_LEARNING, 0);
        // RFC 7348 section 5: the outer checksum SHOULD be zero over IPv4. Over IPv6 it may be zero only
        // by agreement (RFC 6935), so there the kernel's default, a checksum, stays.
        if (!underlay6) writer.attributeU8(IFLA_VXLAN_UDP_CSUM, 0);
      });
    });
  });
}

export interface NewVeth {
  readonly name: string;
  readonly mtuBytes: number;
  readonly peer: { readonly name: string; readonly mac: string; readonly netnsFd: number };
}

/** The near end is made here, the far end in `peer.netnsFd`, in one request. */
export function newVeth(writer: NetlinkWriter, veth: NewVeth): void {
  writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    header(writer, 0, false);
    writer.attributeText(IFLA_IFNAME, veth.name);
    writer.attributeU32(IFLA_MTU, veth.mtuBytes);
    writer.nest(IFLA_LINKINFO, () => {
      writer.attributeText(IFLA_INFO_KIND, "veth");
      writer.nest(IFLA_INFO_DATA, () => {
        writer.nest(VETH_INFO_PEER, () => {
          header(writer, 0, false);
          writer.attributeText(IFLA_IFNAME, veth.peer.name);
          writer.attribute(IFLA_ADDRESS, macBytes(veth.peer.mac));
          writer.attributeU32(IFLA_MTU, veth.mtuBytes);
          writer.attributeU32(IFLA_NET_NS_FD, veth.peer.netnsFd);
        });
      });
    });
  });
}

export interface LinkChange {
  readonly rename?: string;
  readonly mac?: string;
  readonly mtuBytes?: number;
  readonly alias?: string;
  /** 0: out of its bridge. */
  readonly master?: number;
  readonly up?: boolean;
}

/** All of it in one request. A device that is up cannot be renamed by kernels before 6.2. */
export function changeLink(writer: NetlinkWriter, ifindex: number, change: LinkChange): void {
  writer.message(RTM_NEWLINK, 0, () => {
    header(writer, ifindex, change.up);
    if (change.rename !== undefined) writer.attributeText(IFLA_IFNAME, change.rename);
    if (change.mac !== undefined) writer.attribute(IFLA_ADDRESS, macBytes(change.mac));
    if (change.mtuBytes !== undefined) writer.attributeU32(IFLA_MTU, change.mtuBytes);
    if (change.alias !== undefined) writer.attributeText(IFLA_IFALIAS, change.alias);
    if (change.master !== undefined) writer.attributeU32(IFLA_MASTER, change.master);
  });
}

/** The device must be a bridge's port already: the kernel looks its master up before it reads the rest. */
export function changePort(writer: NetlinkWriter, ifindex: number, port: BridgePort): void {
  writer.message(RTM_NEWLINK, 0, () => {
    header(writer, ifindex, undefined);
    writer.nest(IFLA_LINKINFO, () => {
      writer.attributeText(IFLA_INFO_SLAVE_KIND, "bridge");
      writer.nest(IFLA_INFO_SLAVE_DATA, () => {
        writer.attributeU8(IFLA_BRPORT_LEARNING, Number(port.learning));
        writer.attributeU8(IFLA_BRPORT_UNICAST_FLOOD, Number(port.unicastFlood));
        writer.attributeU8(IFLA_BRPORT_NEIGH_SUPPRESS, Number(port.neighSuppress));
      });
    });
  });
}

export function deleteLink(writer: NetlinkWriter, ifindex: number): void {
  writer.message(RTM_DELLINK, 0, () => header(writer, ifindex, undefined));
}

/** `up` undefined: left as it is. */
function header(writer: NetlinkWriter, ifindex: number, up: boolean | undefined): void {
  writer.u8(AF_UNSPEC);
  writer.u8(0);
  writer.u16(0);
  writer.u32(ifindex);
  writer.u32(up === true ? IFF_UP : 0);
  writer.u32(up === undefined ? 0 : IFF_UP);
}
