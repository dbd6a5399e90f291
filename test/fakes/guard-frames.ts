// Frames as an endpoint may send them or may not, for the guard's tests on the model and on the kernel.
import { DROPS, type DropReason } from "../../agent/guard/drops.js";
import { type Ip, ipToBytes, parseIp } from "../../common/address.js";
import type { Packet } from "./nft-rules.js";

export interface Station {
  readonly mac: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** What `me` sends to `peer`, with what is to become of it: let through, or dropped for a reason. */
export function framesOf(
  me: Station,
  peer: Station,
): readonly { readonly name: string; readonly frame: Buffer; readonly drop?: DropReason }[] {
  const own = { from: me.mac, to: peer.mac };
  const toAll = { from: me.mac, to: BROADCAST };
  const group = { from: me.mac, to: "33:33:00:00:00:fb" };
  const mine = linkLocalOf(me.mac);
  const address = DROPS.spoofedAddress;
  return [
    { name: "UDP of its own", frame: ethernet(own, ipv4(me.ipv4, peer.ipv4)) },
    {
      name: "UDP with another's address",
      frame: ethernet(own, ipv4(peer.ipv4, me.ipv4)),
      drop: address,
    },
    {
      name: "UDP with an address of nobody",
      frame: ethernet(own, ipv4("203.0.113.9", peer.ipv4)),
      drop: address,
    },
    {
      name: "UDP without an address",
      frame: ethernet(own, ipv4("0.0.0.0", peer.ipv4)),
      drop: address,
    },
    {
      name: "UDP with another's MAC",
      frame: ethernet({ ...own, from: peer.mac }, ipv4(me.ipv4, peer.ipv4)),
      drop: DROPS.spoofedMac,
    },
    {
      name: "mDNS",
      frame: ethernet({ ...own, to: "01:00:5e:00:00:fb" }, ipv4(me.ipv4, "224.0.0.251")),
    },
    {
      name: "IGMP without an address",
      frame: ethernet({ ...own, to: "01:00:5e:00:00:16" }, ipv4("0.0.0.0", "224.0.0.22", 2)),
    },
    {
      name: "VRRP",
      frame: ethernet({ ...own, to: "01:00:5e:00:00:12" }, ipv4(me.ipv4, "224.0.0.18", 112)),
    },
    { name: "ARP of its own", frame: ethernet(toAll, arp(me.mac, me.ipv4, peer.ipv4)) },
    { name: "an ARP probe", frame: ethernet(toAll, arp(me.mac, "0.0.0.0", me.ipv4)) },
    {
      name: "ARP that says it were another",
      frame: ethernet(toAll, arp(me.mac, peer.ipv4, peer.ipv4)),
      drop: address,
    },
    {
      name: "ARP that says another had its address",
      frame: ethernet(toAll, arp(peer.mac, me.ipv4, me.ipv4)),
      drop: address,
    },
    { name: "IPv6 of its own", frame: ethernet(own, ipv6(me.ipv6, peer.ipv6)) },
    { name: "IPv6 with its link-local address", frame: ethernet(group, ipv6(mine, "ff02::fb")) },
    {
      name: "IPv6 with another's address",
      frame: ethernet(own, ipv6(peer.ipv6, me.ipv6)),
      drop: address,
    },
    {
      name: "IPv6 with another's link-local address",
      frame: ethernet(own, ipv6(linkLocalOf(peer.mac), me.ipv6)),
      drop: address,
    },
    {
      name: "a neighbour solicitation without an address",
      frame: ethernet(group, neighbour(135, "::", "ff02::1:ff00:2", me.ipv6)),
    },
    {
      name: "UDP over IPv6 without an address",
      frame: ethernet(own, ipv6("::", peer.ipv6)),
      drop: address,
    },
    {
      name: "a neighbour advertisement of its own",
      frame: ethernet(group, neighbour(136, me.ipv6, "ff02::1", me.ipv6)),
    },
    {
      name: "a neighbour advertisement of another's address",
      frame: ethernet(group, neighbour(136, me.ipv6, "ff02::1", peer.ipv6)),
      drop: address,
    },
    {
      name: "a router advertisement",
      frame: ethernet(group, neighbour(134, mine, "ff02::1", "::")),
      drop: DROPS.router,
    },
    {
      name: "a redirect",
      frame: ethernet(group, neighbour(137, mine, "ff02::1", "::")),
      drop: DROPS.router,
    },
    { name: "another protocol", frame: ethernet(own, { type: 0x88b5, bytes: Buffer.alloc(46) }) },
  ];
}

// ---- Headers, as far as rules look

interface Payload {
  readonly type: number;
  readonly bytes: Buffer;
}

export function ethernet(
  { from, to }: { readonly from: string; readonly to: string },
  { type, bytes }: Payload,
): Buffer {
  const header = Buffer.alloc(14);
  header.write(to.replaceAll(":", ""), 0, "hex");
  header.write(from.replaceAll(":", ""), 6, "hex");
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, bytes]);
}

/** RFC 791, with the checksum that bridges look at; by default UDP from 40000 to 9. */
export function ipv4(source: string, destination: string, protocol = 17): Payload {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt16BE(0x4500, 0);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt8(protocol === 2 ? 1 : 64, 8);
  bytes.writeUInt8(protocol, 9);
  bytes.set(bytesOf(source), 12);
  bytes.set(bytesOf(destination), 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += bytes.readUInt16BE(at);
  bytes.writeUInt16BE(~((sum & 0xffff) + (sum >> 16)) & 0xffff, 10);
  if (protocol === 17) udpHeader(bytes, 20, 12);
  return { type: 0x0800, bytes };
}

/** RFC 8200; UDP from 40000 to 9. */
export function ipv6(source: string, destination: string): Payload {
  const bytes = Buffer.alloc(52);
  ipv6Header(bytes, source, destination, 17);
  udpHeader(bytes, 40, 12);
  return { type: 0x86dd, bytes };
}

/** RFC 826: an answer, or what is said unasked. */
function arp(mac: string, sender: string, target: string): Payload {
  const bytes = Buffer.alloc(46);
  bytes.write("0001080006040002", 0, "hex");
  bytes.write(mac.replaceAll(":", ""), 8, "hex");
  bytes.set(bytesOf(sender), 14);
  bytes.set(bytesOf(target), 24);
  return { type: 0x0806, bytes };
}

/** RFC 4861 section 4. */
function neighbour(type: number, source: string, destination: string, target: string): Payload {
  const bytes = Buffer.alloc(40 + 24);
  ipv6Header(bytes, source, destination, 58);
  bytes.writeUInt8(255, 7);
  bytes.writeUInt8(type, 40);
  bytes.set(bytesOf(target), 48);
  return { type: 0x86dd, bytes };
}

function ipv6Header(bytes: Buffer, source: string, destination: string, next: number): void {
  bytes.writeUInt8(0x60, 0);
  bytes.writeUInt16BE(bytes.length - 40, 4);
  bytes.writeUInt8(next, 6);
  bytes.writeUInt8(64, 7);
  bytes.set(bytesOf(source), 8);
  bytes.set(bytesOf(destination), 24);
}

function udpHeader(bytes: Buffer, at: number, length: number): void {
  bytes.writeUInt16BE(40_000, at);
  bytes.writeUInt16BE(9, at + 2);
  bytes.writeUInt16BE(length, at + 4);
}

function bytesOf(text: string): Uint8Array {
  return ipToBytes(ipOf(text));
}

export function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`no address: ${text}`);
  return ip;
}

/** RFC 4291 appendix A. */
function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = Buffer.from(mac.replaceAll(":", ""), "hex");
  const words = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  return `fe80::${words.map((word) => word.toString(16)).join(":")}`;
}

/** For the model: what rules read beside the bytes. */
export function packetOfFrame(frame: Buffer, iif: string): Packet {
  const type = frame.readUInt16BE(12);
  const isV6 = type === 0x86dd;
  const nobody = ipOf(isV6 ? "::" : "0.0.0.0");
  const protocol = isV6 ? frame.readUInt8(20) : type === 0x0800 ? frame.readUInt8(23) : 0;
  return {
    ...{ source: nobody, destination: nobody, sourcePort: 0, destinationPort: 0 },
    ...{ protocol, iif, oif: "", mark: 0, sourceMac: undefined, destinationMac: undefined, frame },
  };
}
