// Words that rules are made of, shared by every table of ours: comparisons of addresses, interfaces, ports, marks and
// states, and the keys and types of maps. Tables are of the family inet, where a rule that looks at an
// address begins with the family that it is for (`familyIs`).
import { createHash } from "node:crypto";
import {
  bitsOf,
  type Family,
  type Ip,
  ipToBytes,
  networkOf,
  type Prefix,
} from "../../common/address.js";
import type { BaseChain } from "../netlink/nftables.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression, Register } from "../netlink/nftables-expression.js";
import type { ChainWant, RuleWant } from "./table-want.js";

export const ACCEPT: Expression = { kind: "verdict", verdict: "accept" };
export const DROP: Expression = { kind: "verdict", verdict: "drop" };
export const RETURN: Expression = { kind: "verdict", verdict: "return" };
export const MASQUERADE: Expression = { kind: "masquerade" };
export const REFUSE_TCP: Expression = { kind: "reject", with: "tcp-reset" };
export const REFUSE: Expression = { kind: "reject", with: "port-unreachable" };

// linux/in.h
export const IPPROTO = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

// `nft` prints keys by these (libnftables datatype.h); of several, six bits each. An integer in host byte order is
// shown as a mark.
const TYPES = { ipv4: 7, ipv6: 8, ether: 9, protocol: 12, port: 13, mark: 19, interface: 41 };
export type DataType = keyof typeof TYPES;

const INTERFACE_BYTES = 16;
// RFC 791 section 3.1 and RFC 8200 section 3.
const ADDRESS_AT = { 4: { source: 12, destination: 16 }, 6: { source: 8, destination: 24 } };
export const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;
export const NFPROTO = { 4: nft.NFPROTO_IPV4, 6: nft.NFPROTO_IPV6 } as const;

/** It is known again by its comment, which says what it is for and ends with a digest of what it does. */
export function rule(what: string, expressions: readonly Expression[]): RuleWant {
  const text = JSON.stringify(expressions, (_key, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
  );
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 12);
  return { expressions, comment: `${what} (${digest})` };
}

/** Where the kernel comes by, and when: tables of `inet`, priorities as `nft` names them. */
export const HOOKS = {
  /** Before connections are looked up: there is no `ct` yet. */
  rawPrerouting: base("filter", nft.NF_INET_PRE_ROUTING, nft.NF_IP_PRI_RAW),
  manglePrerouting: base("filter", nft.NF_INET_PRE_ROUTING, nft.NF_IP_PRI_MANGLE),
  natPrerouting: base("nat", nft.NF_INET_PRE_ROUTING, nft.NF_IP_PRI_NAT_DST),
  filterInput: base("filter", nft.NF_INET_LOCAL_IN, nft.NF_IP_PRI_FILTER),
  filterForward: base("filter", nft.NF_INET_FORWARD, nft.NF_IP_PRI_FILTER),
  /** A mark that is set here counts for the route. */
  routeOutput: base("route", nft.NF_INET_LOCAL_OUT, nft.NF_IP_PRI_MANGLE),
  natOutput: base("nat", nft.NF_INET_LOCAL_OUT, nft.NF_IP_PRI_NAT_DST),
  filterOutput: base("filter", nft.NF_INET_LOCAL_OUT, nft.NF_IP_PRI_FILTER),
  natPostrouting: base("nat", nft.NF_INET_POST_ROUTING, nft.NF_IP_PRI_NAT_SRC),
} as const;

function base(type: BaseChain["type"], hook: number, priority: number): Omit<BaseChain, "name"> {
  return { type, hook, priority, policy: "accept" };
}

export function baseChain(
  name: string,
  hook: Omit<BaseChain, "name">,
  rules: readonly RuleWant[],
): ChainWant {
  return { name, base: hook, rules };
}

/** What leaves by the interfaces; a table of `netdev`. */
export function egressChain(
  name: string,
  devices: readonly string[],
  rules: readonly RuleWant[],
): ChainWant {
  const hook = base("filter", nft.NF_NETDEV_EGRESS, nft.NF_IP_PRI_FILTER);
  return { name, base: { ...hook, devices }, rules };
}

export function goTo(chain: string): Expression {
  return { kind: "goto", chain };
}
export function jumpTo(chain: string): Expression {
  return { kind: "jump", chain };
}

// ---- Conditions. They use register 0, of addresses up to 3, and of interfaces' names up to 3.

export function familyIs(family: Family): readonly Expression[] {
  return [
    { kind: "meta", key: "nfproto", to: 0 },
    { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(NFPROTO[family]) },
  ];
}

export function from(
  key: "iifname" | "oifname",
  device: string,
  is: "equal" | "unequal" = "equal",
): readonly Expression[] {
  return [
    { kind: "meta", key, to: 0 },
    { kind: "cmp", from: 0, is, value: interfaceName(device) },
  ];
}

/** Any of the bits. */
export function ct(key: "state" | "status", bits: number): readonly Expression[] {
  return [{ kind: "ct", key, to: 0 }, ...anyBit(bits)];
}

export function markIs(
  of: "meta" | "ct",
  value: number,
  is: "equal" | "unequal" = "equal",
): readonly Expression[] {
  return [
    { kind: of, key: "mark", to: 0 },
    { kind: "cmp", from: 0, is, value: hostOrder(value) },
  ];
}

export function protocolIs(
  protocol: number,
  is: "equal" | "unequal" = "equal",
): readonly Expression[] {
  return [
    { kind: "meta", key: "l4proto", to: 0 },
    { kind: "cmp", from: 0, is, value: Uint8Array.of(protocol) },
  ];
}

/** Of a protocol that has ports (TCP, UDP, SCTP), which a rule asks first. */
export function portIs(which: "source" | "destination", port: number): readonly Expression[] {
  return [loadPort(which, 0), { kind: "cmp", from: 0, is: "equal", value: networkOrder16(port) }];
}

export function addressIn(
  which: "source" | "destination",
  prefix: Prefix,
  is: "equal" | "unequal" = "equal",
): readonly Expression[] {
  const value = ipToBytes(networkOf(prefix).ip);
  const masked: Expression = {
    kind: "bitwise",
    from: 0,
    to: 0,
    mask: ipToBytes(maskOf(prefix)),
    xor: new Uint8Array(value.length),
  };
  return [
    loadAddress(which, prefix.ip.family, 0),
    ...(prefix.length === bitsOf(prefix.ip.family) ? [] : [masked]),
    { kind: "cmp", from: 0, is, value },
  ];
}

// ---- Into registers

export function loadAddress(
  which: "source" | "destination",
  family: Family,
  to: Register,
): Expression {
  const offset = ADDRESS_AT[family][which];
  return { kind: "payload", header: "network", offset, bytes: ADDRESS_BYTES[family], to };
}

export function loadPort(which: "source" | "destination", to: Register): Expression {
  const offset = which === "source" ? 0 : 2;
  return { kind: "payload", header: "transport", offset, bytes: 2, to };
}

// ---- Keys and values of maps

/** `keyType` or `dataType` of a map. */
export function typeOf(...types: readonly DataType[]): number {
  return types.reduce((sum, type) => sum * 64 + TYPES[type], 0);
}

/** Each part in whole words of 32 bits, as registers hold them, in hexadecimal. */
export function hexOf(...parts: readonly Uint8Array[]): string {
  return parts
    .map((part) =>
      Buffer.from(part)
        .toString("hex")
        .padEnd(Math.ceil(part.length / 4) * 8, "0"),
    )
    .join("");
}

export function addressBytes(ip: Ip): Uint8Array {
  return ipToBytes(ip);
}

/** What a register of `meta`, `ct`, `random` or `hash` holds. */
export function hostOrder(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function networkOrder16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

export function interfaceName(device: string): Uint8Array {
  const value = Buffer.alloc(INTERFACE_BYTES);
  value.write(device);
  return value;
}

// ---- Own

function anyBit(bits: number): readonly Expression[] {
  const zero = new Uint8Array(4);
  return [
    { kind: "bitwise", from: 0, to: 0, mask: hostOrder(bits), xor: zero },
    { kind: "cmp", from: 0, is: "unequal", value: zero },
  ];
}

function maskOf({ ip, length }: Prefix): Ip {
  const bits = BigInt(bitsOf(ip.family));
  const all = (1n << bits) - 1n;
  return { ...ip, value: all & (all << (bits - BigInt(length))) };
}

/** Packets that go back to whoever began the connection. */
export const ANSWERS: readonly Expression[] = [
  { kind: "ct", key: "direction", to: 0 },
  { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(nft.IP_CT_DIR_REPLY) },
];
