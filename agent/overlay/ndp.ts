// Neighbour solicitations and advertisements: what ARP is to IPv4 (RFC 4861 sections 4.3 and 4.4).
//
//   0      1      2          4                  8                    24
//   +------+------+----------+------------------+--------------------+-----------------------------
//   | type | code | checksum | R S O flags …    | target address     | options: type, length / 8, …
//   +------+------+----------+------------------+--------------------+-----------------------------
import { type Ip, ipFromBytes, ipToBytes } from "../../common/address.js";
import type { Mac } from "../../common/ids.js";
import { MAC_BYTES, macAt, macToBytes } from "./mac-bytes.js";

const TYPES = { solicitation: 135, advertisement: 136 } as const;
const HEAD_BYTES = 24;
const OPTION_UNIT_BYTES = 8;
// RFC 4861 section 4.6.1: the source's address in a solicitation, the target's in an advertisement.
const SOURCE_LINK_LAYER = 1;
const TARGET_LINK_LAYER = 2;
const ROUTER = 0x80;
const SOLICITED = 0x40;
const OVERRIDE = 0x20;

export interface Neighbour {
  readonly message: keyof typeof TYPES;
  /** Whom the message is about. */
  readonly target: Ip;
  /** Of who asks, or of the target; some have none (RFC 4861 section 7.2.2: who has no address yet). */
  readonly mac: Mac | undefined;
  /** In an advertisement only. */
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
}

/** Of an ICMPv6 message, whose checksum is its reader's affair. undefined: cut short, malformed, or another message. */
export function decodeNeighbour(bytes: Buffer): Neighbour | undefined {
  if (bytes.length < HEAD_BYTES || bytes[1] !== 0) return undefined;
  const message =
    bytes[0] === TYPES.solicitation
      ? "solicitation"
      : bytes[0] === TYPES.advertisement
        ? "advertisement"
        : undefined;
  const target = ipFromBytes(bytes.subarray(8, HEAD_BYTES));
  if (message === undefined || target === undefined) return undefined;
  const wanted = message === "solicitation" ? SOURCE_LINK_LAYER : TARGET_LINK_LAYER;
  let mac: Mac | undefined;
  for (let at = HEAD_BYTES; at < bytes.length; ) {
    // RFC 4861 section 4.6: an option of no length makes the whole message void.
    const optionBytes = (bytes[at + 1] ?? 0) * OPTION_UNIT_BYTES;
    if (optionBytes === 0 || at + optionBytes > bytes.length) return undefined;
    if (bytes[at] === wanted && optionBytes >= 2 + MAC_BYTES) mac ??= macAt(bytes, at + 2);
    at += optionBytes;
  }
  const flags = message === "advertisement" ? (bytes[4] ?? 0) : 0;
  return {
    message,
    target,
    mac,
    router: (flags & ROUTER) !== 0,
    solicited: (flags & SOLICITED) !== 0,
    override: (flags & OVERRIDE) !== 0,
  };
}

/** The checksum is left zero: it covers addresses that only the IPv6 header has. */
export function encodeNeighbour(neighbour: Neighbour): Buffer {
  const { message, target, mac, router, solicited, override } = neighbour;
  const bytes = Buffer.alloc(HEAD_BYTES + (mac === undefined ? 0 : OPTION_UNIT_BYTES));
  bytes[0] = TYPES[message];
  if (message === "advertisement") {
    bytes[4] = (router ? ROUTER : 0) | (solicited ? SOLICITED : 0) | (override ? OVERRIDE : 0);
  }
  bytes.set(ipToBytes(target), 8);
  if (mac !== undefined) {
    bytes[HEAD_BYTES] = message === "solicitation" ? SOURCE_LINK_LAYER : TARGET_LINK_LAYER;
    bytes[HEAD_BYTES + 1] = 1;
    bytes.set(macToBytes(mac), HEAD_BYTES + 2);
  }
  return bytes;
}
