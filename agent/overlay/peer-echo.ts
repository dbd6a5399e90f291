// The echo requests by which nodes watch each other: ICMP (RFC 792, RFC 4443 section 4) with data of ours.
//
//   0                8           12              28              44
//   +----------------+-----------+---------------+---------------+
//   | token          | round     | sender's VTEP | target's VTEP |      an IPv4 address is followed by zeros
//   +----------------+-----------+---------------+---------------+
//
// The token is one of a running agent's: answers to others' requests, and to those of an agent before, are not ours.
// The addresses are in the data because a raw ICMPv6 socket does not show the IP header.
import { type Family, type Ip, ipFromBytes, ipToBytes } from "../../common/address.js";
import { encodeEcho } from "./icmp.js";

export const PEER_TOKEN_BYTES = 8;
const ROUND_AT = PEER_TOKEN_BYTES;
const SENDER_AT = ROUND_AT + 4;
const TARGET_AT = SENDER_AT + 16;
const DATA_BYTES = TARGET_AT + 16;
const ICMP_BYTES = 8;
/** What a raw socket reads at most of one: with the longest IPv4 header. */
export const PEER_ECHO_MAX_BYTES = 60 + ICMP_BYTES + DATA_BYTES;

const TYPES = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

export interface PeerEcho {
  readonly kind: "request" | "reply";
  readonly token: Buffer;
  readonly round: number;
  readonly sender: Ip;
  readonly target: Ip;
}

/** Sender and target are of one family. */
export function encodePeerEcho(token: Uint8Array, round: number, sender: Ip, target: Ip): Buffer {
  const data = Buffer.alloc(DATA_BYTES);
  data.set(token.subarray(0, PEER_TOKEN_BYTES));
  data.writeUInt32BE(round >>> 0, ROUND_AT);
  data.set(ipToBytes(sender), SENDER_AT);
  data.set(ipToBytes(target), TARGET_AT);
  return encodeEcho(sender.family, data.readUInt16BE(0), round, data);
}

/** What a raw socket received: with the IP header for IPv4, without for IPv6. Undefined: it is none of these. */
export function decodePeerEcho(family: Family, bytes: Buffer): PeerEcho | undefined {
  const start = family === 4 ? ((bytes[0] ?? 0) & 15) * 4 : 0;
  const icmp = bytes.subarray(start);
  if (icmp.length !== ICMP_BYTES + DATA_BYTES) return undefined;
  const type = icmp.readUInt8(0);
  const { request, reply } = TYPES[family];
  if (type !== request && type !== reply) return undefined;
  const data = icmp.subarray(ICMP_BYTES);
  const length = family === 4 ? 4 : 16;
  const sender = ipFromBytes(data.subarray(SENDER_AT, SENDER_AT + length));
  const target = ipFromBytes(data.subarray(TARGET_AT, TARGET_AT + length));
  if (sender === undefined || target === undefined) return undefined;
  return {
    kind: type === request ? "request" : "reply",
    token: data.subarray(0, PEER_TOKEN_BYTES),
    round: data.readUInt32BE(ROUND_AT),
    sender,
    target,
  };
}
