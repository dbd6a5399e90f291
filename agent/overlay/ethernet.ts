// Ethernet frames, with the tags of VLANs (IEEE 802.3, 802.1Q).
//
//   0             6        12                 12 + 4n     14 + 4n
//   +-------------+--------+------------------+-----------+---------
//   | destination | source | tags, 4 each …   | EtherType | payload…
//   +-------------+--------+------------------+-----------+---------
//                           TPID 2, then priority 3 bits, drop eligible 1, VLAN 12
import type { Mac } from "../../common/ids.js";
import { MAC_BYTES, macAt, macToBytes } from "./mac-bytes.js";

export const ETHERNET_BYTES = 14;
export const TAG_BYTES = 4;
// Choice: a tag in a tag is as far as anybody goes (802.1ad); a frame with more is not looked into.
const TAGS_MAX = 4;

// if_ether.h
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_8021AD = 0x88a8;

export interface VlanTag {
  /** 0x8100, or 0x88a8 for the outer one of two. */
  readonly protocol: number;
  /** 0 to 7. */
  readonly priority: number;
  readonly dropEligible: boolean;
  /** 0 to 4095; 0: the tag has a priority only. */
  readonly vlanId: number;
}

export interface Ethernet {
  readonly destination: Mac;
  readonly source: Mac;
  /** Outermost first. */
  readonly tags: readonly VlanTag[];
  /** Below 1536 it is the length of an 802.3 payload. */
  readonly etherType: number;
  /** With whatever padding a short frame has. */
  readonly payload: Buffer;
}

/** undefined: cut short, or tagged beyond reason. */
export function decodeEthernet(frame: Buffer): Ethernet | undefined {
  if (frame.length < ETHERNET_BYTES) return undefined;
  const tags: VlanTag[] = [];
  let at = 2 * MAC_BYTES;
  let etherType = frame.readUInt16BE(at);
  while (etherType === ETH_P_8021Q || etherType === ETH_P_8021AD) {
    if (frame.length < at + TAG_BYTES + 2 || tags.length === TAGS_MAX) return undefined;
    const control = frame.readUInt16BE(at + 2);
    tags.push({
      protocol: etherType,
      priority: control >>> 13,
      dropEligible: (control & 0x1000) !== 0,
      vlanId: control & 0xfff,
    });
    at += TAG_BYTES;
    etherType = frame.readUInt16BE(at);
  }
  return {
    destination: macAt(frame, 0),
    source: macAt(frame, MAC_BYTES),
    tags,
    etherType,
    payload: frame.subarray(at + 2),
  };
}

export function encodeEthernet(frame: Ethernet): Buffer {
  const tags = frame.tags.map((tag) => {
    const bytes = Buffer.alloc(TAG_BYTES);
    bytes.writeUInt16BE(tag.protocol);
    bytes.writeUInt16BE((tag.priority << 13) | (Number(tag.dropEligible) << 12) | tag.vlanId, 2);
    return bytes;
  });
  const etherType = Buffer.alloc(2);
  etherType.writeUInt16BE(frame.etherType);
  const macs = [macToBytes(frame.destination), macToBytes(frame.source)];
  return Buffer.concat([...macs, ...tags, etherType, frame.payload]);
}
