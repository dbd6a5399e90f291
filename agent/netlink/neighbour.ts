// RTM_NEWNEIGH and its kin. One message type serves three tables: neighbours (AF_INET, AF_INET6), a
// bridge's forwarding table (AF_BRIDGE, NTF_MASTER) and a VXLAN device's (AF_BRIDGE, NTF_SELF).
//
//   0      1      2       4              8       10     11     12
//   +------+------+-------+--------------+-------+------+------+-------------
//   |family| pad  | pad   | ifindex      | state |flags | type | attributes…       struct ndmsg
//   +------+------+-------+--------------+-------+------+------+-------------
import { ipText, ipTextBytes, macBytes, macText } from "./addresses.js";
import { eachAttribute } from "./attribute.js";
import {
  AF_BRIDGE,
  AF_INET,
  AF_INET6,
  NDA_DST,
  NDA_LLADDR,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NTF_MASTER,
  NTF_SELF,
  NTF_USE,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_REACHABLE,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const NDMSG_BYTES = 12;
/** The row of a VXLAN device that broadcast, multicast and unknown unicast follow. */
export const ZERO_MAC = "00:00:00:00:00:00";

export interface NeighbourRow {
  readonly family: number;
  readonly ifindex: number;
  readonly state: number;
  readonly flags: number;
  readonly mac: string;
  /** The neighbour's address, or the VTEP of a VXLAN row; empty on a bridge's row. */
  readonly ip: string;
}

export function decodeNeighbour(message: NetlinkMessage): NeighbourRow | undefined {
  const { bytes, from, to, type } = message;
  if ((type !== RTM_NEWNEIGH && type !== RTM_DELNEIGH) || to - from < NDMSG_BYTES) return undefined;
  let mac = "";
  let ip = "";
  const whole = eachAttribute(bytes, from + NDMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === NDA_LLADDR) mac = macText(bytes, start, end);
    else if (attribute === NDA_DST) ip = ipText(bytes, start, end);
  });
  if (!whole) return undefined;
  return {
    family: bytes.readUInt8(from),
    ifindex: bytes.readInt32LE(from + 4),
    state: bytes.readUInt16LE(from + 8),
    flags: bytes.readUInt8(from + 10),
    mac,
    ip,
  };
}

export function dumpNeighbours(writer: NetlinkWriter, family: 2 | 7 | 10): void {
  writer.message(RTM_GETNEIGH, NLM_F_DUMP, () => header(writer, family, 0, 0, 0));
}

/**
 * A MAC behind a VXLAN device: where its frames go (VTEP), and that the bridge sends them to this port.
 * One message writes both tables. A bridge takes NUD_NOARP as "static" (NUD_PERMANENT would mean the
 * bridge's own address); a VXLAN device insists on REACHABLE or PERMANENT and never ages a NOARP row.
 */
export function putRemote(writer: NetlinkWriter, ifindex: number, mac: string, vtep: string): void {
  writer.message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, () => {
    header(writer, AF_BRIDGE, ifindex, NUD_NOARP | NUD_REACHABLE, NTF_SELF | NTF_MASTER);
    writer.attribute(NDA_LLADDR, macBytes(mac));
    writer.attribute(NDA_DST, ipTextBytes(vtep));
  });
}

/** From the VXLAN device's table only. */
export function deleteRemote(
  writer: NetlinkWriter,
  ifindex: number,
  mac: string,
  vtep: string,
): void {
  writer.message(RTM_DELNEIGH, 0, () => {
    header(writer, AF_BRIDGE, ifindex, 0, NTF_SELF);
    writer.attribute(NDA_LLADDR, macBytes(mac));
    writer.attribute(NDA_DST, ipTextBytes(vtep));
  });
}

/** A static row of the bridge: the MAC is behind this port, wherever it was before. */
export function putBridgeRow(writer: NetlinkWriter, ifindex: number, mac: string): void {
  writer.message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, () => {
    header(writer, AF_BRIDGE, ifindex, NUD_NOARP, NTF_MASTER);
    writer.attribute(NDA_LLADDR, macBytes(mac));
  });
}

/** ENOENT if the MAC is behind another port by now. */
export function deleteBridgeRow(writer: NetlinkWriter, ifindex: number, mac: string): void {
  writer.message(RTM_DELNEIGH, 0, () => {
    header(writer, AF_BRIDGE, ifindex, 0, NTF_MASTER);
    writer.attribute(NDA_LLADDR, macBytes(mac));
  });
}

/** One more VTEP for the all-zeros row: a list, so it cannot be replaced. Having it already is no error. */
export function appendFlood(writer: NetlinkWriter, ifindex: number, vtep: string): void {
  writer.message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND, () => {
    header(writer, AF_BRIDGE, ifindex, NUD_PERMANENT, NTF_SELF);
    writer.attribute(NDA_LLADDR, macBytes(ZERO_MAC));
    writer.attribute(NDA_DST, ipTextBytes(vtep));
  });
}

export function putNeighbour(
  writer: NetlinkWriter,
  ifindex: number,
  ip: string,
  mac: string,
): void {
  writer.message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, () => {
    header(writer, familyOf(ip), ifindex, NUD_PERMANENT, 0);
    writer.attribute(NDA_DST, ipTextBytes(ip));
    writer.attribute(NDA_LLADDR, macBytes(mac));
  });
}

/** As if a frame had just been sent to it: the kernel then makes sure soon that it is still there. */
export function useNeighbour(writer: NetlinkWriter, ifindex: number, ip: string): void {
  writer.message(RTM_NEWNEIGH, 0, () => {
    header(writer, familyOf(ip), ifindex, 0, NTF_USE);
    writer.attribute(NDA_DST, ipTextBytes(ip));
  });
}

export function deleteNeighbour(writer: NetlinkWriter, ifindex: number, ip: string): void {
  writer.message(RTM_DELNEIGH, 0, () => {
    header(writer, familyOf(ip), ifindex, 0, 0);
    writer.attribute(NDA_DST, ipTextBytes(ip));
  });
}

function familyOf(ip: string): number {
  return ip.includes(":") ? AF_INET6 : AF_INET;
}

function header(
  writer: NetlinkWriter,
  family: number,
  ifindex: number,
  state: number,
  flags: number,
): void {
  writer.u8(family);
  writer.u8(0);
  writer.u16(0);
  writer.u32(ifindex);
  writer.u16(state);
  writer.u8(flags);
  writer.u8(0);
}
