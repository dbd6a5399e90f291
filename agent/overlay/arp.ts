// ARP for IPv4 over Ethernet (RFC 826).
//
//   0       2       4     5     6        8           14         18          24         28
//   +-------+-------+-----+-----+--------+-----------+----------+-----------+----------+
//   | HTYPE | PTYPE |HLEN |PLEN | opcode |sender MAC |sender IP |target MAC |target IP |
//   +-------+-------+-----+-----+--------+-----------+----------+-----------+----------+
import { type Ip, ipFromBytes, ipToBytes } from "../../common/address.js";
import type { Mac } from "../../common/ids.js";
import { ETH_P_IP } from "./ethernet.js";
import { MAC_BYTES, macAt, macToBytes } from "./mac-bytes.js";

const ARP_BYTES = 28;
const HARDWARE_ETHERNET = 1;
const IPV4_BYTES = 4;
const OPERATIONS = { request: 1, reply: 2 } as const;

export interface Arp {
  readonly operation: keyof typeof OPERATIONS;
  readonly senderMac: Mac;
  readonly senderIp: Ip;
  /** All zeros in a request. */
  readonly targetMac: Mac;
  readonly targetIp: Ip;
}

/** undefined: cut short, of other hardware or protocol, or neither request nor reply. */
export function decodeArp(bytes: Buffer): Arp | undefined {
  if (bytes.length < ARP_BYTES) return undefined;
  if (bytes.readUInt16BE(0) !== HARDWARE_ETHERNET || bytes.readUInt16BE(2) !== ETH_P_IP)
    return undefined;
  if (bytes[4] !== MAC_BYTES || bytes[5] !== IPV4_BYTES) return undefined;
  const opcode = bytes.readUInt16BE(6);
  const operation = opcode === 1 ? "request" : opcode === 2 ? "reply" : undefined;
  const senderIp = ipFromBytes(bytes.subarray(14, 18));
  const targetIp = ipFromBytes(bytes.subarray(24, 28));
  if (operation === undefined || senderIp === undefined || targetIp === undefined) return undefined;
  return { operation, senderMac: macAt(bytes, 8), senderIp, targetMac: macAt(bytes, 18), targetIp };
}

export function encodeArp(arp: Arp): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(HARDWARE_ETHERNET, 0);
  head.writeUInt16BE(ETH_P_IP, 2);
  head[4] = MAC_BYTES;
  head[5] = IPV4_BYTES;
  head.writeUInt16BE(OPERATIONS[arp.operation], 6);
  const { senderMac, senderIp, targetMac, targetIp } = arp;
  const sender = [macToBytes(senderMac), ipToBytes(senderIp)];
  return Buffer.concat([head, ...sender, macToBytes(targetMac), ipToBytes(targetIp)]);
}
