// The subnets of a new network: those that a person named, checked, and those that were left to us.
import { formatPrefix, overlaps, type Prefix, parsePrefix } from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Cluster, NetworkSpec, Subnet } from "../../proto/gen/types.js";
import type { StoreView } from "../store/view.js";
import { chooseIpv6Subnet, chooseSubnet } from "./pools.js";
import { completedSubnet, isEmptyConfig } from "./subnet-config.js";

// Choice: far more than anybody asks for; each is walked when an address is sought.
const SUBNETS_MAX = 64;
// Two random /64 collide once in 2^55; trying again a few times is for networks that took much of fd00::/8.
const ULA_ATTEMPTS = 8;

/** All of them free and sound, IPv4 first as far as it was left to us; or the first thing wrong with them. */
export function planSubnets(
  view: StoreView,
  spec: NetworkSpec,
  cluster: Cluster,
  randomBytes: (length: number) => Uint8Array,
): readonly Subnet[] | Refusal {
  if (spec.ipam.length > SUBNETS_MAX) {
    const counts = `${spec.ipam.length} subnets are more than ${SUBNETS_MAX}`;
    return refuse("invalid-argument", counts);
  }
  const subnets: Subnet[] = [];
  const prefixes: Prefix[] = [];
  for (const config of spec.ipam.filter((each) => !isEmptyConfig(each))) {
    const subnet = completedSubnet(config);
    if (isRefusal(subnet)) return subnet;
    const prefix = parsePrefix(subnet.cidr);
    if (prefix === undefined) continue;
    if (spec.noIpv4 && prefix.ip.family === 4) {
      const sentence = `invalid subnet ${subnet.cidr}: IPv4 has been disabled for this network`;
      return refuse("invalid-argument", sentence);
    }
    if (prefixes.some((other) => overlaps(other, prefix))) {
      const sentence = `multiple overlapping subnet configuration is not supported: ${subnet.cidr}`;
      return refuse("invalid-argument", sentence);
    }
    const conflict = findConflict(view, prefix);
    if (conflict !== undefined) return conflict;
    prefixes.push(prefix);
    subnets.push(subnet);
  }
  if (!spec.noIpv4 && !prefixes.some((prefix) => prefix.ip.family === 4)) {
    const chosen = chooseSubnet(view, cluster.defaultAddrPools, cluster.subnetSize);
    if (isRefusal(chosen)) return chosen;
    const subnet = completedSubnet(bare(chosen));
    if (isRefusal(subnet)) return subnet;
    subnets.unshift(subnet);
  }
  if (spec.ipv6 && !prefixes.some((prefix) => prefix.ip.family === 6)) {
    const subnet = chooseIpv6(view, cluster.defaultAddrPools, randomBytes);
    if (isRefusal(subnet)) return subnet;
    subnets.push(subnet);
  }
  if (subnets.length === 0) {
    return refuse("invalid-argument", `IPv4 or IPv6 must be enabled for network ${spec.name}`);
  }
  return subnets;
}

function findConflict(view: StoreView, prefix: Prefix): Refusal | undefined {
  const use = view.overlappingSubnet(prefix);
  if (use === undefined) return undefined;
  const network = view.network(use.networkId);
  const name = network?.spec?.name ?? use.networkId;
  const until = network?.leaving ? ", which is removed when its last task has ended" : "";
  const other = `${formatPrefix(use.prefix)} of network ${name}${until}`;
  return refuse("failed-precondition", `subnet ${formatPrefix(prefix)} overlaps with ${other}`);
}

/** Of the swarm's IPv6 pools, if it has any. */
function chooseIpv6(
  view: StoreView,
  pools: readonly string[],
  randomBytes: (length: number) => Uint8Array,
): Subnet | Refusal {
  const chosen = chooseIpv6Subnet(view, pools);
  if (chosen === undefined) return chooseUla(view, randomBytes);
  return isRefusal(chosen) ? chosen : completedSubnet(bare(chosen));
}

// RFC 4193 section 3.1: fd, 40 random bits of global id, 16 bits of subnet id, a /64.
function chooseUla(view: StoreView, randomBytes: (length: number) => Uint8Array): Subnet | Refusal {
  for (let attempt = 0; attempt < ULA_ATTEMPTS; attempt++) {
    const bits = BigInt(`0xfd${Buffer.from(randomBytes(7)).toString("hex")}`);
    const prefix: Prefix = { ip: { family: 6, value: bits << 64n }, length: 64 };
    if (view.overlappingSubnet(prefix) !== undefined) continue;
    const subnet = completedSubnet(bare(prefix));
    if (!isRefusal(subnet)) return subnet;
  }
  return refuse("resource-exhausted", "no free unique local IPv6 /64 was found; name one");
}

function bare(prefix: Prefix) {
  return { subnet: formatPrefix(prefix), gateway: "", ipRange: "", auxAddresses: {} };
}
