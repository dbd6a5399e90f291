// The kernel's WireGuard over generic netlink: linux/wireguard.h, whose numbers these are. A device with many peers
// comes in several messages, and a peer with many addresses may go on in the next.
import { bitsOf, formatHostPort, formatIp, ipFromBytes, ipToBytes } from "../../common/address.js";
import type {
  DeviceChange,
  PeerChange,
  WireguardDevice,
  WireguardPeer,
} from "../overlay/wireguard.js";
import { keyBytes } from "../overlay/wireguard-key.js";
import { eachAttribute, readU8 } from "./attribute.js";
import { AF_INET, AF_INET6, NLM_F_DUMP } from "./constants.js";
import { GENL_HEADER_BYTES, genericHeader } from "./generic.js";
import type { NetlinkMessage } from "./message.js";
import type { NetlinkWriter } from "./writer.js";

export const WG_GENL_NAME = "wireguard";
const WG_GENL_VERSION = 1;
const WG_CMD_GET_DEVICE = 0;
const WG_CMD_SET_DEVICE = 1;
const WG_KEY_LEN = 32;

const WGDEVICE_A_IFNAME = 2;
const WGDEVICE_A_PRIVATE_KEY = 3;
const WGDEVICE_A_PUBLIC_KEY = 4;
const WGDEVICE_A_LISTEN_PORT = 6;
const WGDEVICE_A_PEERS = 8;

const WGPEER_F_REMOVE_ME = 1;
const WGPEER_F_REPLACE_ALLOWEDIPS = 2;
const WGPEER_A_PUBLIC_KEY = 1;
const WGPEER_A_FLAGS = 3;
const WGPEER_A_ENDPOINT = 4;
const WGPEER_A_LAST_HANDSHAKE_TIME = 6;
const WGPEER_A_RX_BYTES = 7;
const WGPEER_A_TX_BYTES = 8;
const WGPEER_A_ALLOWEDIPS = 9;

const WGALLOWEDIP_A_FAMILY = 1;
const WGALLOWEDIP_A_IPADDR = 2;
const WGALLOWEDIP_A_CIDR_MASK = 3;

// Choice: of some 130 bytes each; a request then stays far below the 64 KiB that an attribute may have.
const PEERS_A_MESSAGE = 200;

export function getDevice(writer: NetlinkWriter, family: number, name: string): void {
  writer.message(family, NLM_F_DUMP, () => {
    genericHeader(writer, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
    writer.attributeText(WGDEVICE_A_IFNAME, name);
  });
}

export function setDevice(
  writer: NetlinkWriter,
  family: number,
  name: string,
  { privateKey, port, peers }: DeviceChange,
): void {
  let rest = peers;
  for (let first = true; first || rest.length > 0; first = false) {
    const part = rest.slice(0, PEERS_A_MESSAGE);
    rest = rest.slice(PEERS_A_MESSAGE);
    writer.message(family, 0, () => {
      genericHeader(writer, WG_CMD_SET_DEVICE, WG_GENL_VERSION);
      writer.attributeText(WGDEVICE_A_IFNAME, name);
      if (first && privateKey !== undefined) writer.attribute(WGDEVICE_A_PRIVATE_KEY, privateKey);
      if (first && port !== undefined) writer.attribute(WGDEVICE_A_LISTEN_PORT, u16(port));
      writer.nest(WGDEVICE_A_PEERS, () => {
        // Lists have no types: each element is a nest of type 0.
        for (const peer of part) writer.nest(0, () => writePeer(writer, peer));
      });
    });
  }
}

function writePeer(writer: NetlinkWriter, peer: PeerChange): void {
  writer.attribute(WGPEER_A_PUBLIC_KEY, keyBytes(peer.publicKey) ?? Buffer.alloc(WG_KEY_LEN));
  if (peer.kind === "remove") {
    writer.attributeU32(WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
    return;
  }
  const { endpoint, port, address } = peer;
  if (address !== undefined) writer.attributeU32(WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS);
  // struct sockaddr_in and sockaddr_in6, as agent/kernel/socket-address.ts draws them.
  const socket = Buffer.alloc(endpoint.family === 4 ? 16 : 28);
  socket.writeUInt16LE(endpoint.family === 4 ? AF_INET : AF_INET6);
  socket.writeUInt16BE(port, 2);
  socket.set(ipToBytes(endpoint), endpoint.family === 4 ? 4 : 8);
  writer.attribute(WGPEER_A_ENDPOINT, socket);
  if (address === undefined) return;
  writer.nest(WGPEER_A_ALLOWEDIPS, () => {
    writer.nest(0, () => {
      writer.attribute(WGALLOWEDIP_A_FAMILY, u16(address.family === 4 ? AF_INET : AF_INET6));
      writer.attribute(WGALLOWEDIP_A_IPADDR, ipToBytes(address));
      writer.attributeU8(WGALLOWEDIP_A_CIDR_MASK, bitsOf(address.family));
    });
  });
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}

/** One message of a device's; undefined: it is none, or cut. */
export function decodeDevice(message: NetlinkMessage, family: number): WireguardDevice | undefined {
  const { bytes, from, to, type } = message;
  if (type !== family || to - from < GENL_HEADER_BYTES) return undefined;
  let publicKey = "";
  let port = 0;
  const peers = new Map<string, WireguardPeer>();
  const whole = eachAttribute(bytes, from + GENL_HEADER_BYTES, to, (attribute, start, end) => {
    if (attribute === WGDEVICE_A_PUBLIC_KEY) publicKey = keyText(bytes, start, end);
    else if (attribute === WGDEVICE_A_LISTEN_PORT) port = readU16(bytes, start, end);
    else if (attribute === WGDEVICE_A_PEERS) {
      eachAttribute(bytes, start, end, (_, at, until) => readPeer(bytes, at, until, peers));
    }
  });
  return whole ? { publicKey, port, peers } : undefined;
}

/** The messages of one device, in order, together. */
export function joinDevice(parts: readonly WireguardDevice[]): WireguardDevice | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const peers = new Map<string, WireguardPeer>();
  for (const part of parts) {
    for (const [key, peer] of part.peers) {
      const known = peers.get(key);
      // What goes on in a later message has its key and its further addresses alone.
      peers.set(key, known ? { ...known, allowed: [...known.allowed, ...peer.allowed] } : peer);
    }
  }
  return { ...first, peers };
}

function readPeer(
  bytes: Buffer,
  from: number,
  to: number,
  peers: Map<string, WireguardPeer>,
): void {
  let key = "";
  let endpoint = "";
  let handshakeMs = 0;
  let sentBytes = 0;
  let receivedBytes = 0;
  const allowed: string[] = [];
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === WGPEER_A_PUBLIC_KEY) key = keyText(bytes, start, end);
    else if (attribute === WGPEER_A_ENDPOINT) endpoint = endpointOf(bytes, start, end);
    else if (attribute === WGPEER_A_LAST_HANDSHAKE_TIME) {
      // struct __kernel_timespec: seconds and nanoseconds.
      handshakeMs =
        readU64(bytes, start, end) * 1_000 + Math.floor(readU64(bytes, start + 8, end) / 1e6);
    } else if (attribute === WGPEER_A_RX_BYTES) receivedBytes = readU64(bytes, start, end);
    else if (attribute === WGPEER_A_TX_BYTES) sentBytes = readU64(bytes, start, end);
    else if (attribute === WGPEER_A_ALLOWEDIPS) {
      eachAttribute(bytes, start, end, (_, at, until) => {
        const prefix = allowedOf(bytes, at, until);
        if (prefix !== undefined) allowed.push(prefix);
      });
    }
  });
  if (key !== "") peers.set(key, { endpoint, allowed, handshakeMs, sentBytes, receivedBytes });
}

function allowedOf(bytes: Buffer, from: number, to: number): string | undefined {
  let address = "";
  let length = 0;
  eachAttribute(bytes, from, to, (attribute, start, end) => {
    if (attribute === WGALLOWEDIP_A_IPADDR) {
      const ip = ipFromBytes(bytes.subarray(start, end));
      address = ip === undefined ? "" : formatIp(ip);
    } else if (attribute === WGALLOWEDIP_A_CIDR_MASK) length = readU8(bytes, start, end);
  });
  return address === "" ? undefined : `${address}/${length}`;
}

function endpointOf(bytes: Buffer, from: number, to: number): string {
  const family = readU16(bytes, from, to);
  const [at, length] = family === AF_INET ? [4, 4] : [8, 16];
  if (to - from < at + length) return "";
  const ip = ipFromBytes(bytes.subarray(from + at, from + at + length));
  const port = bytes.readUInt16BE(from + 2);
  return ip === undefined ? "" : formatHostPort({ host: formatIp(ip), port });
}

function keyText(bytes: Buffer, from: number, to: number): string {
  const key = bytes.subarray(from, to);
  return key.length === WG_KEY_LEN && key.some((byte) => byte !== 0) ? key.toString("base64") : "";
}

function readU16(bytes: Buffer, from: number, to: number): number {
  return to - from >= 2 ? bytes.readUInt16LE(from) : 0;
}

function readU64(bytes: Buffer, from: number, to: number): number {
  return to - from >= 8 ? Number(bytes.readBigUInt64LE(from)) : 0;
}
