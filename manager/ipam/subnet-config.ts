// One subnet by itself: is what a person wrote sound, and what follows from it.
import {
  addressAt,
  contains,
  formatIp,
  formatPrefix,
  type Ip,
  networkOf,
  overlaps,
  type Prefix,
  parseIp,
  parsePrefix,
  sameIp,
  sizeOf,
} from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { IpamConfig, Subnet } from "../../proto/gen/types.js";

/** Says nothing: the choice is left to us. */
export function isEmptyConfig(config: IpamConfig): boolean {
  const { subnet, gateway, ipRange, auxAddresses } = config;
  return subnet + gateway + ipRange === "" && Object.keys(auxAddresses).length === 0;
}

/** The subnet in canonical text, host bits cleared as Docker does, gateway filled in. */
export function completedSubnet(config: IpamConfig): Subnet | Refusal {
  if (config.subnet === "") return withoutSubnet(config);
  const written = parsePrefix(config.subnet);
  if (written === undefined) {
    const sentence = `Invalid subnet ${config.subnet} : invalid CIDR address: ${config.subnet}`;
    return refuse("invalid-argument", sentence);
  }
  const prefix = networkOf(written);
  const unfit = UNFIT.find((each) => overlaps(each.prefix, prefix));
  if (unfit !== undefined) {
    return refuse("invalid-argument", `subnet ${config.subnet} overlaps with ${unfit.what}`);
  }
  if (usableCount(prefix, prefix, reservedIn(prefix, addressAt(prefix, 1n), [])) <= 0n) {
    return tooSmall(formatPrefix(prefix));
  }
  const gateway = parseGateway(prefix, config.gateway);
  if (isRefusal(gateway)) return gateway;
  const range = parseRange(prefix, config.ipRange);
  if (isRefusal(range)) return range;
  const aux = parseAux(prefix, config.auxAddresses);
  if (isRefusal(aux)) return aux;
  const window = range ?? prefix;
  if (usableCount(prefix, window, reservedIn(prefix, gateway, aux)) <= 0n) {
    return tooSmall(formatPrefix(window));
  }
  return {
    cidr: formatPrefix(prefix),
    gateway: formatIp(gateway),
    ipRange: range === undefined ? "" : formatPrefix(range),
  };
}

function withoutSubnet(config: IpamConfig): Refusal {
  const [aux] = Object.values(config.auxAddresses);
  const what = config.gateway
    ? `gateway ${config.gateway}`
    : config.ipRange
      ? `ip-range ${config.ipRange}`
      : `aux-address ${aux}`;
  return refuse("invalid-argument", `no matching subnet for ${what}`);
}

// Addresses that no endpoint can have: RFC 6890 tables 1, 3, 4, 17, 18, 20 and RFC 5771, RFC 4291 section 2.7.
const UNFIT = [
  ["0.0.0.0/8", "0.0.0.0/8, which means this host"],
  ["127.0.0.0/8", "127.0.0.0/8, which is loopback"],
  ["169.254.0.0/16", "169.254.0.0/16, which is link-local"],
  ["224.0.0.0/4", "224.0.0.0/4, which is multicast"],
  ["240.0.0.0/4", "240.0.0.0/4, which is reserved"],
  // agent/reconcile/mesh-want.ts: twins of ingress addresses, and the nodes' own.
  ["fd73:6b65:696e::/48", "fd73:6b65:696e::/48, which the routing mesh uses"],
  ["::/127", "::/127, which is unspecified and loopback"],
  ["fe80::/10", "fe80::/10, which is link-local"],
  ["ff00::/8", "ff00::/8, which is multicast"],
].map(([text = "", what = ""]) => ({ prefix: parsePrefix(text) as Prefix, what }));

function parseGateway(prefix: Prefix, text: string): Ip | Refusal {
  if (text === "") return addressAt(prefix, 1n);
  const gateway = parseIp(text);
  if (gateway === undefined) return refuse("invalid-argument", `invalid gateway ${text}`);
  if (!contains(prefix, gateway)) {
    return refuse("invalid-argument", `no matching subnet for gateway ${text}`);
  }
  if (edgesOf(prefix).some((edge) => sameIp(edge, gateway))) {
    const sentence = `gateway ${text} is the network or broadcast address of ${formatPrefix(prefix)}`;
    return refuse("invalid-argument", sentence);
  }
  return gateway;
}

function parseRange(prefix: Prefix, text: string): Prefix | Refusal | undefined {
  if (text === "") return undefined;
  const written = parsePrefix(text);
  if (written === undefined) {
    const sentence = `Invalid ip-range ${text} : invalid CIDR address: ${text}`;
    return refuse("invalid-argument", sentence);
  }
  const range = networkOf(written);
  if (range.length < prefix.length || !contains(prefix, range.ip)) {
    return refuse("invalid-argument", `no matching subnet for ip-range ${text}`);
  }
  return range;
}

function parseAux(prefix: Prefix, aux: Readonly<Record<string, string>>): readonly Ip[] | Refusal {
  const addresses: Ip[] = [];
  for (const [name, text] of Object.entries(aux)) {
    const ip = parseIp(text);
    if (ip === undefined) return refuse("invalid-argument", `invalid aux-address ${name}=${text}`);
    if (!contains(prefix, ip)) {
      return refuse("invalid-argument", `no matching subnet for aux-address ${text}`);
    }
    addresses.push(ip);
  }
  return addresses;
}

function edgesOf(prefix: Prefix): readonly Ip[] {
  if (prefix.ip.family === 6) return [prefix.ip];
  return [prefix.ip, addressAt(prefix, sizeOf(prefix) - 1n)];
}

function reservedIn(prefix: Prefix, gateway: Ip, aux: readonly Ip[]): readonly Ip[] {
  return [...edgesOf(prefix), gateway, ...aux];
}

/** How many addresses of `window` are left for endpoints. */
function usableCount(prefix: Prefix, window: Prefix, reserved: readonly Ip[]): bigint {
  const values = new Set(reserved.filter((ip) => contains(window, ip)).map((ip) => ip.value));
  // The first address of a large enough range is not chosen (store/network-index.ts).
  const isRange = window.length > prefix.length;
  if (isRange && sizeOf(window) >= 4n) values.add(window.ip.value);
  return sizeOf(window) - BigInt(values.size);
}

function tooSmall(cidr: string): Refusal {
  const sentence = `subnet ${cidr} is too small: no address in it is left for an endpoint`;
  return refuse("invalid-argument", sentence);
}
