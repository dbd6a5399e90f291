// Which addresses and MAC a new endpoint gets: the one asked for, else the lowest that is free, else the
// one that has rested longest.
import {
  contains,
  type Family,
  formatIp,
  type Ip,
  ipToBytes,
  parseIp,
  parsePrefix,
} from "../../common/address.js";
import { crc32c } from "../../common/crc32c.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Network, Subnet } from "../../proto/gen/types.js";
import type { Draft, StoreView } from "../store/view.js";
import { longestResting, releaseAddress } from "./quarantine.js";

/** Without prefix length; empty: any. */
export interface WantedAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** With prefix length; empty if the network lacks the family. */
export interface GivenAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
}

/** Ends the rest of what it takes; the caller makes the endpoint in the same transaction. */
export function takeAddresses(
  draft: Draft,
  network: Network,
  wanted: WantedAddresses,
): GivenAddresses | Refusal {
  const ipv4 = takeOne(draft, network, 4, wanted.ipv4);
  if (isRefusal(ipv4)) return ipv4;
  const ipv6 = takeOne(draft, network, 6, wanted.ipv6);
  if (isRefusal(ipv6)) return ipv6;
  const source = ipv4 ?? ipv6;
  if (source === undefined) {
    return refuse("failed-precondition", `network ${nameOf(network)} has no subnet`);
  }
  return { ipv4: textOf(ipv4), ipv6: textOf(ipv6), mac: freeMac(draft, network, source.ip) };
}

interface Given {
  readonly ip: Ip;
  readonly length: number;
}

function takeOne(
  draft: Draft,
  network: Network,
  family: Family,
  wanted: string,
): Given | Refusal | undefined {
  const subnets = network.subnets.filter((subnet) => familyOf(subnet) === family);
  const address =
    wanted === ""
      ? chooseAddress(draft, network, subnets)
      : checkWanted(draft, network, subnets, family, wanted);
  if (isRefusal(address) || address === undefined) return address;
  releaseAddress(draft, network.id, address);
  const ip = parseIp(address);
  const prefix = subnets
    .map((subnet) => parsePrefix(subnet.cidr))
    .find((each) => each && ip && contains(each, ip));
  return ip && prefix ? { ip, length: prefix.length } : undefined;
}

/** `undefined` if the network has no such subnets. */
function chooseAddress(
  view: StoreView,
  network: Network,
  subnets: readonly Subnet[],
): string | Refusal | undefined {
  for (const subnet of subnets) {
    const address = view.lowestFreeAddress(network.id, subnet.cidr);
    if (address !== undefined) return address;
  }
  if (subnets.length === 0) return undefined;
  const windows = subnets.map((subnet) => parsePrefix(subnet.ipRange || subnet.cidr));
  const rested = longestResting(view, network.id, ({ address }) => {
    const ip = parseIp(address);
    return windows.some((window) => window && ip && contains(window, ip));
  });
  if (rested !== undefined) return rested.address;
  const names = subnets.map((subnet) => subnet.ipRange || subnet.cidr).join(", ");
  const sentence = `no address is left on network ${nameOf(network)} (${names})`;
  return refuse("resource-exhausted", sentence);
}

function checkWanted(
  view: StoreView,
  network: Network,
  subnets: readonly Subnet[],
  family: Family,
  wanted: string,
): string | Refusal {
  const ip = parseIp(wanted);
  if (ip?.family !== family) {
    return refuse("invalid-argument", `invalid IPv${family} address ${wanted}`);
  }
  const subnet = subnets.find((each) => {
    const prefix = parsePrefix(each.cidr);
    return prefix && contains(prefix, ip);
  });
  if (subnet === undefined) {
    const names = subnets.map((each) => each.cidr).join(", ") || `no IPv${family} subnet`;
    const sentence = `address ${wanted} is outside network ${nameOf(network)} (${names})`;
    return refuse("invalid-argument", sentence);
  }
  const address = formatIp(ip);
  if (address === subnet.gateway) {
    const sentence = `address ${wanted} is the gateway of network ${nameOf(network)}`;
    return refuse("already-exists", sentence);
  }
  if (view.isReserved(network.id, address)) {
    const sentence = `address ${wanted} is reserved on network ${nameOf(network)} (${subnet.cidr})`;
    return refuse("invalid-argument", sentence);
  }
  const holder = view.addressHolder(network.id, address);
  if (holder === undefined) return address;
  const node = view.node(holder.nodeId);
  const where = node?.description?.hostname || holder.nodeId;
  const what = holder.name || holder.id;
  return refuse(
    "already-exists",
    `address ${wanted} is already in use by ${what} on node ${where}`,
  );
}

/**
 * Unique on the network, as rows are by MAC. Those of IPv4 addresses are by themselves; IPv6 addresses that end
 * alike are told apart by what is before.
 */
function freeMac(view: StoreView, { id }: Network, ip: Ip): string {
  let mac = macOf(ipToBytes(ip).slice(-4));
  for (let attempt = 0; view.macHolder(id, mac) !== undefined; attempt++) {
    const digest = new Uint8Array(4);
    const seed = Uint8Array.of(...ipToBytes(ip), attempt);
    new DataView(digest.buffer).setUint32(0, crc32c(seed));
    mac = macOf(digest);
  }
  return mac;
}

// Docker's: 02:42 (locally administered, unicast) and the four bytes of the IPv4 address.
function macOf(bytes: Uint8Array): string {
  return [0x02, 0x42, ...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function textOf(given: Given | undefined): string {
  return given === undefined ? "" : `${formatIp(given.ip)}/${given.length}`;
}

function familyOf(subnet: Subnet): Family {
  return subnet.cidr.includes(":") ? 6 : 4;
}

function nameOf(network: Network): string {
  return network.spec?.name ?? network.id;
}
