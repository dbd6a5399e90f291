// Splits what a netlink socket received into messages, and reads acknowledgements.
import { align, eachAttribute, readText } from "./attribute.js";
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGERR_ATTR_MSG,
} from "./constants.js";
import { NLMSG_HEADER_BYTES } from "./writer.js";

/** One message; `from` and `to` bound its payload in `bytes`, which the receiver owns. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Calls `visit` for each whole message of a datagram; false if it ends inside one. */
export function eachMessage(
  bytes: Buffer,
  length: number,
  visit: (message: NetlinkMessage) => void,
): boolean {
  let at = 0;
  while (at + NLMSG_HEADER_BYTES <= length) {
    const size = bytes.readUInt32LE(at);
    if (size < NLMSG_HEADER_BYTES || at + size > length) return false;
    visit({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      bytes,
      from: at + NLMSG_HEADER_BYTES,
      to: at + size,
    });
    at += align(size);
  }
  return at >= length;
}

/** How a request or a dump ended. `errno` 0: well. `text` is the kernel's own words, often empty. */
export interface Ending {
  readonly errno: number;
  readonly text: string;
}

/** The ending that a message carries, or undefined if it is something else. */
export function endingOf(message: NetlinkMessage): Ending | undefined {
  if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) return undefined;
  const { bytes, from, to, flags } = message;
  // struct nlmsgerr: the errno, negated. An NLMSG_DONE of old kernels may carry nothing.
  const errno = to - from >= 4 ? -bytes.readInt32LE(from) : 0;
  let text = "";
  if (flags & NLM_F_ACK_TLVS) {
    let at = from + 4;
    if (message.type === NLMSG_ERROR) {
      // Then the request: only its header when capped or when there was no error.
      const capped = flags & NLM_F_CAPPED || errno === 0;
      const echoed = capped || at + 4 > to ? NLMSG_HEADER_BYTES : align(bytes.readUInt32LE(at));
      at += echoed;
    }
    eachAttribute(bytes, at, to, (type, start, end) => {
      if (type === NLMSGERR_ATTR_MSG) text = readText(bytes, start, end);
    });
  }
  return { errno, text };
}

/** The dump was overtaken by a change and must be asked for again (NLM_F_DUMP_INTR). */
export function isInterrupted(message: NetlinkMessage): boolean {
  return (message.flags & NLM_F_DUMP_INTR) !== 0;
}
