// The addresses of one endpoint on a bridge network: those that were asked for, or the lowest that are free.
import { type Family, formatIp, type Ip, parseIp, parsePrefix } from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import { freeAddress, isHost, macOf } from "./addresses.js";
import { isPredefined, subnetOf } from "./networks.js";
import { poolOf } from "./pools.js";

export interface Addresses {
  /** With prefix length; `ipv6` is empty where the network has none. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
}

/** `asked` without prefix lengths; empty: any. `others` are on the network already. */
export function addressesFor(
  asked: { readonly ipv4: string; readonly ipv6: string },
  network: Network,
  others: readonly Endpoint[],
): Addresses | Refusal {
  const ipv4 = addressOf(4, asked.ipv4, network, others);
  if (isRefusal(ipv4)) return ipv4;
  if (ipv4 === undefined) {
    return refuse("failed-precondition", `network ${network.spec?.name} has no subnet`);
  }
  const ipv6 = addressOf(6, asked.ipv6, network, others);
  if (isRefusal(ipv6)) return ipv6;
  return {
    ipv4: withLength(ipv4, network),
    ipv6: ipv6 === undefined ? "" : withLength(ipv6, network),
    mac: macOf(ipv4),
  };
}

function addressOf(
  family: Family,
  asked: string,
  network: Network,
  others: readonly Endpoint[],
): Ip | undefined | Refusal {
  const subnet = subnetOf(network, family);
  const prefix = parsePrefix(subnet?.cidr ?? "");
  const name = network.spec?.name ?? network.id;
  if (subnet === undefined || prefix === undefined) {
    if (asked === "") return undefined;
    return refuse("invalid-argument", `network ${name} has no IPv${family} addresses`);
  }
  const used = usedOn(network, family, others);
  if (asked === "") {
    const free = freeAddress(prefix, parsePrefix(subnet.ipRange), used);
    const none = `no available IPv${family} addresses on this network's address pools: ${name} (${network.id})`;
    return free ?? refuse("resource-exhausted", none);
  }
  const wanted = parseIp(asked);
  if (wanted?.family !== family) {
    return refuse("invalid-argument", `invalid IPv${family} address: ${asked}`);
  }
  if (isPredefined(network)) {
    return refuse(
      "invalid-argument",
      "user specified IP address is supported on user defined networks only",
    );
  }
  if (network.spec === undefined || !poolOf(network.spec, family)?.subnet) {
    return refuse(
      "invalid-argument",
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  }
  if (!isHost(prefix, wanted)) {
    return refuse(
      "invalid-argument",
      `invalid address ${asked}: It does not belong to any of this network's subnets`,
    );
  }
  return used.has(wanted.value) ? refuse("permission-denied", "Address already in use") : wanted;
}

function usedOn(
  network: Network,
  family: Family,
  others: readonly Endpoint[],
): ReadonlySet<bigint> {
  const texts = [
    ...network.subnets.map(({ gateway }) => gateway),
    ...(network.spec?.ipam ?? []).flatMap(({ auxAddresses }) => Object.values(auxAddresses)),
    ...others.map(({ ipv4, ipv6 }) => (family === 4 ? ipv4 : ipv6).split("/")[0] ?? ""),
  ];
  const used = new Set<bigint>();
  for (const text of texts) {
    const ip = parseIp(text);
    if (ip?.family === family) used.add(ip.value);
  }
  return used;
}

function withLength(ip: Ip, network: Network): string {
  return `${formatIp(ip)}/${subnetOf(network, ip.family)?.cidr.split("/")[1] ?? ""}`;
}
