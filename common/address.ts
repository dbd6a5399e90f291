// IPv4 and IPv6 addresses and prefixes as values. Text in canonical form only: dotted quad, RFC 5952.
import { isIPv4, isIPv6 } from "node:net";

export type Family = 4 | 6;

/** An address: its family and its bits as an unsigned integer (32 or 128 bits). */
export interface Ip {
  readonly family: Family;
  readonly value: bigint;
}

/** An address with a prefix length: a network if the host bits are zero, else an interface address. */
export interface Prefix {
  readonly ip: Ip;
  readonly length: number;
}

const BITS = { 4: 32, 6: 128 } as const;

export function bitsOf(family: Family): 32 | 128 {
  return BITS[family];
}

/** `undefined` for anything that is not one address; no zone, no port, no mapped IPv4. */
export function parseIp(text: string): Ip | undefined {
  if (isIPv4(text)) {
    const value = text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    return { family: 4, value: BigInt(value) };
  }
  if (!isIPv6(text) || text.includes("%") || text.includes(".")) return undefined;
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = Array<string>(8 - left.length - right.length).fill("0");
  const value = [...left, ...middle, ...right].reduce(
    (sum, group) => sum * 65536n + BigInt(`0x${group}`),
    0n,
  );
  return { family: 6, value };
}

export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const value = Number(ip.value);
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
  }
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number((ip.value >> BigInt(112 - 16 * i)) & 0xffffn),
  );
  return compress(groups);
}

// RFC 5952 section 4.2: the longest run of two or more zero groups, the first if several, becomes "::".
function compress(groups: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(":");
  const left = hex.slice(0, best.start).join(":");
  const right = hex.slice(best.start + best.length).join(":");
  return `${left}::${right}`;
}

/** "10.0.1.3/24". Leading zeros, signs and missing parts are refused. */
export function parsePrefix(text: string): Prefix | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  if (!match) return undefined;
  const ip = parseIp(match[1] ?? "");
  const length = Number(match[2]);
  if (ip === undefined || length > bitsOf(ip.family)) return undefined;
  return { ip, length };
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatIp(prefix.ip)}/${prefix.length}`;
}

/** The number of addresses in the prefix, network and broadcast included. */
export function sizeOf(prefix: Prefix): bigint {
  return 1n << hostBitsOf(prefix);
}

function hostBitsOf(prefix: Prefix): bigint {
  return BigInt(bitsOf(prefix.ip.family) - prefix.length);
}

/** The prefix with its host bits cleared. */
export function networkOf(prefix: Prefix): Prefix {
  const hostBits = hostBitsOf(prefix);
  const value = (prefix.ip.value >> hostBits) << hostBits;
  return { ip: { family: prefix.ip.family, value }, length: prefix.length };
}

export function contains(prefix: Prefix, ip: Ip): boolean {
  if (prefix.ip.family !== ip.family) return false;
  const hostBits = hostBitsOf(prefix);
  return ip.value >> hostBits === prefix.ip.value >> hostBits;
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return contains(a, networkOf(b).ip) || contains(b, networkOf(a).ip);
}

export function addressAt(prefix: Prefix, offset: bigint): Ip {
  return { family: prefix.ip.family, value: networkOf(prefix).ip.value + offset };
}

export function sameIp(a: Ip, b: Ip): boolean {
  return a.family === b.family && a.value === b.value;
}

/** Network byte order: 4 or 16 bytes. */
export function ipToBytes(ip: Ip): Uint8Array {
  const length = bitsOf(ip.family) / 8;
  const bytes = new Uint8Array(length);
  let rest = ip.value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return bytes;
}

/** The reverse of `ipToBytes`; `undefined` unless there are 4 or 16 bytes. */
export function ipFromBytes(bytes: Uint8Array): Ip | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  let value = 0n;
  for (const byte of bytes) value = value * 256n + BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/** "192.168.33.10:2377", "[2001:db8::1]:2377", "manager.example:2377"; the port may be left out. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

// No top-level domain is a number, so what ends in one is meant to be an address (RFC 3696 section 2).
const ENDS_IN_NUMBER = /(?:^|\.)\d+\.?$/;

export function parseHostPort(text: string, defaultPort: number): HostPort | undefined {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = /^([^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  const bare = isIPv6(text) ? [text, text, undefined] : undefined;
  const match = bracketed ?? plain ?? bare;
  if (!match?.[1]) return undefined;
  if (bracketed && !isIPv6(match[1])) return undefined;
  if (match === plain && ENDS_IN_NUMBER.test(match[1]) && !isIPv4(match[1])) return undefined;
  const port = match[2] === undefined ? defaultPort : Number(match[2]);
  return port >= 1 && port <= 65535 ? { host: match[1], port } : undefined;
}

export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

// The longest host name is 253 characters (RFC 1035 section 2.3.4); a port behind it.
const DIALABLE_CHARS_MAX = 260;

/** Whether it is a host and a port that somebody may be reached at. */
export function isDialable(addr: string): boolean {
  if (addr.length > DIALABLE_CHARS_MAX) return false;
  const target = parseHostPort(addr, 0);
  return target !== undefined && target.port > 0 && target.host !== "";
}
