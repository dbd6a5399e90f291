// The default address pools, and which piece of them a new network gets.
import {
  bitsOf,
  formatPrefix,
  networkOf,
  type Prefix,
  parsePrefix,
  sizeOf,
} from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { StoreView } from "../store/view.js";

// Docker's own default.
const DEFAULT_POOL: Prefix = { ip: { family: 4, value: 0x0a00_0000n }, length: 8 };
// Choice: 4 addresses are the fewest that leave one for an endpoint (network, gateway, broadcast).
const SUBNET_SIZE_MAX = 30;
// RFC 4291 section 2.5.4: interface identifiers have 64 bits. The subnet size that is asked for is IPv4's.
const IPV6_SUBNET_SIZE = 64;

interface Pools {
  /** Never empty. */
  readonly ipv4: readonly Prefix[];
  /** Empty: unique local addresses by chance. */
  readonly ipv6: readonly Prefix[];
}

/** The pools as prefixes, or why they cannot be. Pools may overlap, as Docker allows: no subnet is given twice. */
export function checkPools(pools: readonly string[], subnetSize: number): Pools | Refusal {
  if (!Number.isInteger(subnetSize) || subnetSize < 1 || subnetSize > SUBNET_SIZE_MAX) {
    const rule = `it must be 1 to ${SUBNET_SIZE_MAX}`;
    return refuse("invalid-argument", `invalid default subnet size ${subnetSize}: ${rule}`);
  }
  const prefixes: Prefix[] = [];
  for (const text of pools) {
    const prefix = parsePrefix(text);
    if (prefix === undefined) {
      return refuse("invalid-argument", `invalid default address pool ${text}: not a CIDR`);
    }
    const size = prefix.ip.family === 4 ? subnetSize : IPV6_SUBNET_SIZE;
    if (prefix.length > size) {
      return refuse(
        "invalid-argument",
        `default address pool ${text} is smaller than one subnet of /${size}`,
      );
    }
    prefixes.push(networkOf(prefix));
  }
  const ipv4 = prefixes.filter(({ ip }) => ip.family === 4);
  const ipv6 = prefixes.filter(({ ip }) => ip.family === 6);
  return { ipv4: ipv4.length === 0 ? [DEFAULT_POOL] : ipv4, ipv6 };
}

export function chooseSubnet(
  view: StoreView,
  pools: readonly string[],
  subnetSize: number,
): Prefix | Refusal {
  const checked = checkPools(pools, subnetSize);
  return isRefusal(checked) ? checked : lowestFree(view, checked.ipv4, subnetSize);
}

/** Undefined: there are no pools of IPv6. */
export function chooseIpv6Subnet(
  view: StoreView,
  pools: readonly string[],
): Prefix | Refusal | undefined {
  const checked = checkPools(pools, SUBNET_SIZE_MAX);
  if (isRefusal(checked)) return checked;
  if (checked.ipv6.length === 0) return undefined;
  return lowestFree(view, checked.ipv6, IPV6_SUBNET_SIZE);
}

/**
 * The lowest piece of the first pool that overlaps no network and holds no node's underlay address:
 * a network over those would take the swarm's own traffic away from any machine attached to it.
 */
function lowestFree(
  view: StoreView,
  pools: readonly Prefix[],
  subnetSize: number,
): Prefix | Refusal {
  for (const pool of pools) {
    const { family } = pool.ip;
    const step = 1n << BigInt(bitsOf(family) - subnetSize);
    const end = pool.ip.value + sizeOf(pool);
    let value = pool.ip.value;
    while (value < end) {
      const candidate: Prefix = { ip: { family, value }, length: subnetSize };
      const use = view.overlappingSubnet(candidate);
      if (use === undefined && !view.hasUnderlayAddressIn(candidate)) return candidate;
      value += step;
      // Behind the end of what is in the way, if that is larger than one piece.
      const behind = use === undefined ? value : use.prefix.ip.value + sizeOf(use.prefix);
      if (behind > value) value = ((behind + step - 1n) / step) * step;
    }
  }
  const names = pools.map(formatPrefix).join(", ");
  const sentence = `no free subnet of /${subnetSize} is left in the default address pools (${names})`;
  return refuse("resource-exhausted", sentence);
}
