// Subnets and addresses of the node's own networks.
import { createHash } from "node:crypto";
import {
  addressAt,
  contains,
  type Ip,
  networkOf,
  overlaps,
  type Prefix,
  parsePrefix,
  sameIp,
  sizeOf,
} from "../../common/address.js";

/** Docker's default pools of one machine, in its order: 172.17-31.0.0/16, then 192.168.0.0/16 in parts of /20. */
export function* defaultSubnets(): Generator<Prefix> {
  for (let second = 17; second <= 31; second++) yield prefix(`172.${second}.0.0/16`);
  for (let third = 0; third < 256; third += 16) yield prefix(`192.168.${third}.0/20`);
}

// Choice: more than one machine has networks; RFC 4193 has 2^16 subnets in a site's prefix.
const ULA_SUBNETS = 4096;

/**
 * Unique local subnets of /64 (RFC 4193), of a prefix that is this node's own: its global id is the last 40 of
 * the first 64 bits of a digest of `seed`, as Docker makes it of its engine's id.
 */
export function* ulaSubnets(seed: string): Generator<Prefix> {
  const digest = createHash("sha256").update(seed).digest();
  const globalId = digest.readBigUInt64BE() & 0xff_ffff_ffffn;
  for (let number = 0n; number < ULA_SUBNETS; number++) {
    const value = (0xfdn << 120n) | (globalId << 80n) | (number << 64n);
    yield { ip: { family: 6, value }, length: 64 };
  }
}

/** The first of these that overlaps nothing; undefined: all are taken. */
export function freeSubnet(pools: Iterable<Prefix>, taken: readonly Prefix[]): Prefix | undefined {
  for (const subnet of pools) {
    if (!taken.some((other) => overlaps(subnet, other))) return subnet;
  }
  return undefined;
}

/** The lowest address that is free: never the network's own, its broadcast, or one of `used`. */
export function freeAddress(
  subnet: Prefix,
  range: Prefix | undefined,
  used: ReadonlySet<bigint>,
): Ip | undefined {
  const within = range ?? subnet;
  const first = networkOf(within).ip.value;
  const end = first + sizeOf(within);
  const { lowest, highest } = hostsOf(subnet);
  // As many steps as addresses are used, and one.
  for (let value = first; value < end; value++) {
    if (value < lowest || value > highest || used.has(value)) continue;
    return { family: subnet.ip.family, value };
  }
  return undefined;
}

export function isHost(subnet: Prefix, ip: Ip): boolean {
  const { lowest, highest } = hostsOf(subnet);
  return contains(subnet, ip) && ip.value >= lowest && ip.value <= highest;
}

/** Docker's choice when none is asked for: the first of the range. */
export function defaultGateway(subnet: Prefix, range: Prefix | undefined): Ip {
  const from = networkOf(range ?? subnet);
  return sameIp(from.ip, networkOf(subnet).ip) ? addressAt(subnet, 1n) : from.ip;
}

/** "02:42:" and the address (docs/design of addresses: what Docker shows). */
export function macOf(ip: Ip): string {
  const hex = (ip.value & 0xffffffffn).toString(16).padStart(8, "0");
  return `02:42:${hex.replace(/..(?=.)/g, "$&:")}`;
}

function hostsOf(subnet: Prefix): { readonly lowest: bigint; readonly highest: bigint } {
  const first = networkOf(subnet).ip.value;
  const last = first + sizeOf(subnet) - 1n;
  // RFC 4291 section 2.6.1: the first is the routers' anycast address; there is no broadcast.
  if (subnet.ip.family === 6) return { lowest: first + 1n, highest: last };
  // RFC 3021: both addresses of a /31 are hosts'.
  return subnet.length >= 31
    ? { lowest: first, highest: last }
    : { lowest: first + 1n, highest: last - 1n };
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}
