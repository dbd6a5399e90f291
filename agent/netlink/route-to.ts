// RTM_GETROUTE for one destination: by which interface a packet would go, and how large it may be by what the kernel
// knows (a route's own MTU, or what a router on the way answered). The message's layout is in route.ts.
import { type Ip, ipToBytes } from "../../common/address.js";
import { ipText } from "./addresses.js";
import { eachAttribute, readU32 } from "./attribute.js";
import {
  AF_INET,
  AF_INET6,
  RTA_CACHEINFO,
  RTA_DST,
  RTA_GATEWAY,
  RTA_METRICS,
  RTA_OIF,
  RTA_SRC,
  RTAX_MTU,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from "./constants.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

const RTMSG_BYTES = 12;
// linux/rtnetlink.h struct rta_cacheinfo: clntref, lastuse, expires (of 32 bits), …
const EXPIRES_AT = 8;

export interface RouteTo {
  readonly ifindex: number;
  /** Next hop; empty: on the link itself. */
  readonly gateway: string;
  /** Undefined: what the interface carries. */
  readonly mtuBytes: number | undefined;
  /** It was learned from an answer ("fragmentation needed") and is forgotten some time; else a person wrote it. */
  readonly isLearned: boolean;
}

export function askRouteTo(writer: NetlinkWriter, to: Ip, from: Ip): void {
  const bytes = ipToBytes(to);
  writer.message(RTM_GETROUTE, 0, () => {
    writer.u8(to.family === 4 ? AF_INET : AF_INET6);
    writer.u8(8 * bytes.length);
    writer.u8(8 * bytes.length);
    writer.u8(0);
    for (let i = 0; i < 2; i++) writer.u32(0);
    writer.attribute(RTA_DST, bytes);
    writer.attribute(RTA_SRC, ipToBytes(from));
  });
}

/** `undefined` unless the message is a whole RTM_NEWROUTE. */
export function decodeRouteTo({ bytes, from, to, type }: NetlinkMessage): RouteTo | undefined {
  if (type !== RTM_NEWROUTE || to - from < RTMSG_BYTES) return undefined;
  let ifindex = 0;
  let gateway = "";
  let mtuBytes = 0;
  let expires = 0;
  let isWhole = true;
  const isRead = eachAttribute(bytes, from + RTMSG_BYTES, to, (attribute, start, end) => {
    if (attribute === RTA_GATEWAY) gateway = ipText(bytes, start, end);
    else if (attribute === RTA_OIF) ifindex = readU32(bytes, start, end);
    else if (attribute === RTA_CACHEINFO) expires = readU32(bytes, start + EXPIRES_AT, end);
    else if (attribute === RTA_METRICS) {
      isWhole = eachAttribute(bytes, start, end, (metric, at, until) => {
        if (metric === RTAX_MTU) mtuBytes = readU32(bytes, at, until);
      });
    }
  });
  if (!isRead || !isWhole) return undefined;
  return {
    ifindex,
    gateway,
    mtuBytes: mtuBytes > 0 ? mtuBytes : undefined,
    isLearned: expires !== 0,
  };
}
