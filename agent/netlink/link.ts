// RTM_NEWLINK and its kin: network devices. Only what an overlay needs of IFLA_LINKINFO is typed:
// bridge, VXLAN, veth, and a bridge port's settings. Here is what the kernel is asked; link-decode.ts reads
// what it answers.
//
//   0      1      2       4              8              12             16
//   +------+------+-------+--------------+--------------+--------------+-------------
//   |family| pad  | type  | index        | flags        | change mask  | attributes…   struct ifinfomsg
//   +------+------+-------+--------------+--------------+--------------+-------------
import { type Ip, ipToBytes } from "../../common/address.js";
import { macBytes } from "./addresses.js";
import {
  AF_UNSPEC,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_BR_FORWARD_DELAY,
  IFLA_BR_MCAST_IGMP_VERSION,
  IFLA_BR_MCAST_MLD_VERSION,
  IFLA_BR_MCAST_QUERIER,
  IFLA_BR_MCAST_QUERY_RESPONSE_INTVL,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BR_STP_STATE,
  IFLA_BRPORT_BCAST_FLOOD,
  IFLA_BRPORT_ISOLATED,
  IFLA_BRPORT_LEARNING,
  IFLA_BRPORT_MCAST_FLOOD,
  IFLA_BRPORT_MODE,
  IFLA_BRPORT_MULTICAST_ROUTER,
  IFLA_BRPORT_NEIGH_SUPPRESS,
  IFLA_BRPORT_UNICAST_FLOOD,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_TARGET_NETNSID,
  IFLA_VXLAN_DF,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  IFLA_VXLAN_TTL,
  IFLA_VXLAN_UDP_CSUM,
  MDB_RTR_TYPE_PERM,
  MDB_RTR_TYPE_TEMP_QUERY,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  VETH_INFO_PEER,
  VXLAN_DF_INHERIT,
  VXLAN_DF_UNSET,
} from "./constants.js";
import type { NetlinkWriter } from "./writer.js";

// Choice: as far as an IPv4 packet may travel by default (RFC 1700), so that the underlay may be routed.
const OUTER_TTL = 64;

// RFC 3376 and RFC 3810: what hosts speak unless they hear an older one asked.
const IGMP_VERSION = 3;
const MLD_VERSION = 2;
// Choice, in hundredths of a second: how long hosts may take to answer (RFC 3376 section 8.3 has ten seconds, for large
// links). So long an endpoint that was there before the bridge began to ask may miss a group's frames.
const RESPONSE_INTERVAL_CS = 100;

export interface BridgePort {
  readonly learning: boolean;
  readonly unicastFlood: boolean;
  readonly neighSuppress: boolean;
  readonly isolated?: boolean;
  readonly hairpin?: boolean;
  readonly flood?: boolean;
  /** Every group's frames go there. */
  readonly allGroups?: boolean;
}

/** Whether the outer packet says "don't fragment": never, or as the one inside does. */
export type VxlanDf = "inherit" | "unset";
const DF_NUMBERS = { inherit: VXLAN_DF_INHERIT, unset: VXLAN_DF_UNSET } as const;

/** Of a bridge: to whom multicast goes. */
export interface BridgeGroups {
  /** Only to ports where somebody has asked for it (IGMP, MLD), as far as that can be known. */
  readonly snooping: boolean;
  /** The bridge itself asks who listens; without it, what was asked for once is forgotten. */
  readonly querier: boolean;
}

export interface Vxlan {
  readonly vni: number;
  readonly local: string;
  readonly port: number;
  readonly learning: boolean;
  /** undefined: the kernel does not say, or says always. */
  readonly df?: VxlanDf;
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
  /** Of a bridge. */
  readonly groups?: BridgeGroups;
}

export function dumpLinks(writer: NetlinkWriter): void {
  writer.message(RTM_GETLINK, NLM_F_DUMP, () => header(writer, 0, false));
}

/** One of another namespace, which this one knows by a number; ENODEV, or EINVAL if that is gone. */
export function getLinkIn(writer: NetlinkWriter, netnsid: number, ifindex: number): void {
  writer.message(RTM_GETLINK, 0, () => {
    header(writer, ifindex, undefined);
    writer.attributeU32(IFLA_TARGET_NETNSID, netnsid);
  });
}

/** Answered with the link, or ENODEV. */
export function getLink(writer: NetlinkWriter, name: string): void {
  writer.message(RTM_GETLINK, 0, () => {
    header(writer, 0, undefined);
    writer.attributeText(IFLA_IFNAME, name);
  });
}

export function getLinkAt(writer: NetlinkWriter, ifindex: number): void {
  writer.message(RTM_GETLINK, 0, () => header(writer, ifindex, undefined));
}

/** Fails with EEXIST if the name is taken. */
export function newBridge(
  writer: NetlinkWriter,
  bridge: {
    readonly name: string;
    readonly mac: string;
    readonly mtuBytes: number;
    readonly groups: BridgeGroups;
  },
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
        writeGroups(writer, bridge.groups);
      });
    });
  });
}

/** To whom multicast goes, of a bridge that is there. */
export function changeBridge(writer: NetlinkWriter, ifindex: number, groups: BridgeGroups): void {
  writer.message(RTM_NEWLINK, 0, () => {
    header(writer, ifindex, undefined);
    writer.nest(IFLA_LINKINFO, () => {
      writer.attributeText(IFLA_INFO_KIND, "bridge");
      writer.nest(IFLA_INFO_DATA, () => writeGroups(writer, groups));
    });
  });
}

function writeGroups(writer: NetlinkWriter, { snooping, querier }: BridgeGroups): void {
  writer.attributeU8(IFLA_BR_MCAST_SNOOPING, Number(snooping));
  if (!snooping) return;
  writer.attributeU8(IFLA_BR_MCAST_IGMP_VERSION, IGMP_VERSION);
  writer.attributeU8(IFLA_BR_MCAST_MLD_VERSION, MLD_VERSION);
  writer.attributeU64(IFLA_BR_MCAST_QUERY_RESPONSE_INTVL, BigInt(RESPONSE_INTERVAL_CS));
  writer.attributeU8(IFLA_BR_MCAST_QUERIER, Number(querier));
}

export interface NewVxlan {
  readonly name: string;
  readonly vni: number;
  readonly local: Ip;
  readonly port: number;
  readonly mtuBytes: number;
  readonly df: VxlanDf;
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
        writer.attributeU8(IFLA_VXLAN_DF, DF_NUMBERS[vxlan.df]);
        // RFC 7348 section 5: the outer checksum SHOULD be zero over IPv4. Over IPv6 it may be zero only
        // by agreement (RFC 6935), so there the kernel's default, a checksum, stays.
        if (!underlay6) writer.attributeU8(IFLA_VXLAN_UDP_CSUM, 0);
      });
    });
  });
}

/** Of a device that stands: frames go on. */
export function changeVxlanDf(writer: NetlinkWriter, ifindex: number, df: VxlanDf): void {
  writer.message(RTM_NEWLINK, 0, () => {
    header(writer, ifindex, undefined);
    writer.nest(IFLA_LINKINFO, () => {
      writer.attributeText(IFLA_INFO_KIND, "vxlan");
      writer.nest(IFLA_INFO_DATA, () => writer.attributeU8(IFLA_VXLAN_DF, DF_NUMBERS[df]));
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

/** Put into the namespace `netnsFd`; its UDP socket is, and stays, in the requester's. */
export function newWireguard(
  writer: NetlinkWriter,
  device: { readonly name: string; readonly mtuBytes: number; readonly netnsFd: number },
): void {
  writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    header(writer, 0, false);
    writer.attributeText(IFLA_IFNAME, device.name);
    writer.attributeU32(IFLA_MTU, device.mtuBytes);
    writer.attributeU32(IFLA_NET_NS_FD, device.netnsFd);
    writer.nest(IFLA_LINKINFO, () => writer.attributeText(IFLA_INFO_KIND, "wireguard"));
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
  /** A number that several devices may have, to be spoken of as one. */
  readonly group?: number;
  /** Into another namespace; it is down there, and without addresses. */
  readonly netnsFd?: number;
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
    if (change.group !== undefined) writer.attributeU32(IFLA_GROUP, change.group);
    if (change.netnsFd !== undefined) writer.attributeU32(IFLA_NET_NS_FD, change.netnsFd);
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
        if (port.isolated !== undefined)
          writer.attributeU8(IFLA_BRPORT_ISOLATED, Number(port.isolated));
        if (port.flood !== undefined) {
          writer.attributeU8(IFLA_BRPORT_MCAST_FLOOD, Number(port.flood));
          writer.attributeU8(IFLA_BRPORT_BCAST_FLOOD, Number(port.flood));
        }
        if (port.allGroups !== undefined) {
          const type = port.allGroups ? MDB_RTR_TYPE_PERM : MDB_RTR_TYPE_TEMP_QUERY;
          writer.attributeU8(IFLA_BRPORT_MULTICAST_ROUTER, type);
        }
        if (port.hairpin !== undefined) writer.attributeU8(IFLA_BRPORT_MODE, Number(port.hairpin));
      });
    });
  });
}

export function deleteLink(writer: NetlinkWriter, ifindex: number): void {
  writer.message(RTM_DELLINK, 0, () => header(writer, ifindex, undefined));
}

/** All of the group at once: for one alone and for hundreds the kernel waits for its readers once. */
export function deleteGroup(writer: NetlinkWriter, group: number): void {
  writer.message(RTM_DELLINK, 0, () => {
    header(writer, 0, undefined);
    writer.attributeU32(IFLA_GROUP, group);
  });
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
