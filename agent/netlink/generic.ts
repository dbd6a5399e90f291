// Generic netlink: kernel families that are found by name. Only the controller's question for one of them is here.
//
//   0      1         2         4
//   +------+---------+---------+-------------
//   | cmd  | version | zero    | attributes…      struct genlmsghdr (linux/genetlink.h)
//   +------+---------+---------+-------------
import { eachAttribute } from "./attribute.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

// linux/netlink.h, linux/genetlink.h.
export const NETLINK_GENERIC = 16;
const GENL_ID_CTRL = 0x10;
const CTRL_CMD_NEWFAMILY = 1;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const CTRL_VERSION = 2;
export const GENL_HEADER_BYTES = 4;

export function genericHeader(writer: NetlinkWriter, command: number, version: number): void {
  writer.u8(command);
  writer.u8(version);
  writer.u16(0);
}

/** Answered with the family, or ENOENT. */
export function getFamily(writer: NetlinkWriter, name: string): void {
  writer.message(GENL_ID_CTRL, 0, () => {
    genericHeader(writer, CTRL_CMD_GETFAMILY, CTRL_VERSION);
    writer.attributeText(CTRL_ATTR_FAMILY_NAME, name);
  });
}

/** The number that the family's messages have as type. */
export function decodeFamily(message: NetlinkMessage): number | undefined {
  const { bytes, from, to, type } = message;
  if (type !== GENL_ID_CTRL || to - from < GENL_HEADER_BYTES) return undefined;
  if (bytes.readUInt8(from) !== CTRL_CMD_NEWFAMILY) return undefined;
  let id: number | undefined;
  eachAttribute(bytes, from + GENL_HEADER_BYTES, to, (attribute, start, end) => {
    if (attribute === CTRL_ATTR_FAMILY_ID && end - start >= 2) id = bytes.readUInt16LE(start);
  });
  return id;
}
