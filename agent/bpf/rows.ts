// The rows of the programs' maps as bytes: agent/kernel/bpf/tables.h has the same as C. A byte is a character of a
// string (latin1) here, so that rows can be compared and looked up.
import { type Ip, ipToBytes } from "../../common/address.js";

export const TABLES = ["networks", "locals", "remotes", "counts"] as const;
export type TableName = (typeof TABLES)[number];
/** Key → value. */
export type Table = ReadonlyMap<string, string>;
export type Tables = Readonly<Record<TableName, Table>>;

export const NO_TABLES: Tables = {
  networks: new Map(),
  locals: new Map(),
  remotes: new Map(),
  counts: new Map(),
};

/** Addresses of a family that an endpoint may send from and the programs check themselves. */
export const ADDRESSES_MAX = 2;

const MAY_SEND_AS_ANYBODY = 1;
const FORWARDS = 2;

/** struct mac_key. */
export function macKey(vni: number, mac: string): string {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(vni, 0);
  macInto(bytes, 4, mac);
  return bytes.toString("latin1");
}

/** Of `networks` and `counts`. */
export function vniKey(vni: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(vni, 0);
  return bytes.toString("latin1");
}
export function vniOfKey(key: string): number {
  return Buffer.from(key, "latin1").readUInt32LE(0);
}

/** struct address: IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
export function addressBytes(ip: Ip): string {
  const bytes = Buffer.alloc(16);
  if (ip.family === 4) bytes.writeUInt16BE(0xffff, 10);
  bytes.set(ipToBytes(ip), ip.family === 4 ? 12 : 0);
  return bytes.toString("latin1");
}

/** struct network. */
export function networkValue({ port }: { readonly port: number }): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(port, 0);
  return bytes.toString("latin1");
}

/** What the frames of an endpoint need to know of its network. */
export interface Around {
  readonly vtep: Ip;
  /** ifindex of the pair's end in the network's namespace, and of the one in the underlay's. */
  readonly near: number;
  readonly far: number;
  /** The outer UDP port that is sent to. */
  readonly port: number;
  /** First and last of those that are sent from. */
  readonly sourcePorts: readonly [number, number];
}

/** struct local. */
export function localValue(local: {
  /** ifindex of the endpoint's port in the network's namespace. */
  readonly port: number;
  readonly maySendAsAnybody: boolean;
  /** What it receives may leave the machine again. */
  readonly forwards: boolean;
  /** At most ADDRESSES_MAX a family. */
  readonly ips: readonly Ip[];
  readonly network: Around;
}): string {
  const { port, maySendAsAnybody, forwards, ips, network } = local;
  const [first, last] = network.sourcePorts;
  const bytes = Buffer.alloc(80);
  bytes.writeUInt32LE(port, 0);
  bytes.writeUInt32LE((maySendAsAnybody ? MAY_SEND_AS_ANYBODY : 0) | (forwards ? FORWARDS : 0), 4);
  bytes.writeUInt32LE(network.near, 8);
  bytes.writeUInt32LE(network.far, 12);
  bytes.write(addressBytes(network.vtep), 16, "latin1");
  bytes.writeUInt16BE(network.port, 32);
  bytes.writeUInt16LE(first, 34);
  bytes.writeUInt32LE(last - first + 1, 36);
  const of = (family: 4 | 6) => ips.filter((ip) => ip.family === family).slice(0, ADDRESSES_MAX);
  for (const [i, ip] of of(4).entries()) bytes.set(ipToBytes(ip), 40 + 4 * i);
  for (const [i, ip] of of(6).entries()) bytes.set(ipToBytes(ip), 48 + 16 * i);
  return bytes.toString("latin1");
}

/** How another node is reached. */
export interface Hop {
  /** Of the device to send by. */
  readonly ifindex: number;
  readonly mtuBytes: number;
  readonly nextHopMac: string;
  readonly sourceMac: string;
}

/** struct remote. `hop` undefined: its frames are left to the kernel path. */
export function remoteValue(vtep: Ip, hop: Hop | undefined): string {
  const bytes = Buffer.alloc(36);
  bytes.write(addressBytes(vtep), 0, "latin1");
  if (hop !== undefined) {
    bytes.writeUInt32LE(hop.ifindex, 16);
    bytes.writeUInt32LE(hop.mtuBytes, 20);
    macInto(bytes, 24, hop.nextHopMac);
    macInto(bytes, 30, hop.sourceMac);
  }
  return bytes.toString("latin1");
}

function macInto(bytes: Buffer, at: number, mac: string): void {
  bytes.set(Buffer.from(mac.replaceAll(":", ""), "hex"), at);
}
