// RTM_GETROUTE for one destination: what the kernel would do with a packet to it (linux/rtnetlink.h, struct rtmsg;
// drawn in route.ts).
import { type Ip, ipToBytes } from "../../common/address.js";
import { ipText } from "./addresses.js";
import { eachAttribute, readU32 } from "./attribute.js";
import {
  AF_INET,
  AF_INET6,
  NLM_F_REQUEST,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const RTMSG_BYTES = 12;
const RTA_PREFSRC = 7;

export interface ChosenRoute {
  /** RTN_*. */
  readonly type: number;
  readonly ifindex: number;
  readonly gateway: string | undefined;
  /** The address of this machine's that a packet leaves with, unless it has one already. */
  readonly source: string | undefined;
}

export function askRoute(writer: NetlinkWriter, to: Ip): void {
  const bytes = ipToBytes(to);
  writer.message(RTM_GETROUTE, NLM_F_REQUEST, () => {
    writer.u8(to.family === 4 ? AF_INET : AF_INET6);
    writer.u8(8 * bytes.length);
    writer.u8(0);
    writer.u8(0);
    for (let i = 0; i < 4; i++) writer.u8(0);
    writer.u32(0);
    writer.attribute(RTA_DST, bytes);
  });
}

export function decodeChosenRoute(message: NetlinkMessage): ChosenRoute | undefined {
  const { bytes, from, to, type } = message;
  if (type !== RTM_NEWROUTE || to - from < RTMSG_BYTES) return undefined;
  let ifindex = 0;
  let gateway: string | undefined;
  let source: string | undefined;
  const whole = eachAttribute(bytes, from + RTMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === RTA_OIF) ifindex = readU32(bytes, start, end);
    else if (attribute === RTA_GATEWAY) gateway = ipText(bytes, start, end);
    else if (attribute === RTA_PREFSRC) source = ipText(bytes, start, end);
  });
  return whole ? { type: bytes.readUInt8(from + 7), ifindex, gateway, source } : undefined;
}
