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
const DEFAULT_POOLS = ["10.0.0.0/8"];
// Choice: 4 addresses are the fewest that leave one for an endpoint (network, gateway, broadcast).
const SUBNET_SIZE_MAX = 30;

/** The pools as prefixes, or why they cannot be. Pools may overlap, as Docker allows: no subnet is given twice. */
export function checkPools(
  pools: readonly string[],
  subnetSize: number,
): readonly Prefix[] | Refusal {
  if (!Number.isInteger(subnetSize) || subnetSize < 1 || subnetSize > SUBNET_SIZE_MAX) {
    const rule = `it must be 1 to ${SUBNET_SIZE_MAX}`;
    return refuse("invalid-argument", `invalid default subnet size ${subnetSize}: ${rule}`);
  }
  const prefixes: Prefix[] = [];
  for (const text of pools.length === 0 ? DEFAULT_POOLS : pools) {
    const prefix = parsePrefix(text);
    if (prefix === undefined || prefix.ip.family !== 4) {
      return refuse("invalid-argument", `invalid default address pool ${text}: not an IPv4 CIDR`);
    }
    if (prefix.length > subnetSize) {
      return refuse(
        "invalid-argument",
        `default address pool ${text} is smaller than one subnet of /${subnetSize}`,
      );
    }
    prefixes.push(networkOf(prefix));
  }
  return prefixes;
}

/**
 * The lowest piece of the first pool that overlaps no network and holds no node's underlay address:
 * a network over those would take the swarm's own traffic away from any machine attached to it.
 */
export function chooseSubnet(
  view: StoreView,
  pools: readonly string[],
  subnetSize: number,
): Prefix | Refusal {
  const prefixes = checkPools(pools, subnetSize);
  if (isRefusal(prefixes)) return prefixes;
  for (const pool of prefixes) {
    const step = 1n << BigInt(bitsOf(4) - subnetSize);
    const end = pool.ip.value + sizeOf(pool);
    let value = pool.ip.value;
    while (value < end) {
      const candidate: Prefix = { ip: { family: 4, value }, length: subnetSize };
      const use = view.overlappingSubnet(candidate);
      if (use === undefined && !view.hasUnderlayAddressIn(candidate)) return candidate;
      value += step;
      // Behind the end of what is in the way, if that is larger than one piece.
      const behind = use === undefined ? value : use.prefix.ip.value + sizeOf(use.prefix);
      if (behind > value) value = ((behind + step - 1n) / step) * step;
    }
  }
  const names = prefixes.map(formatPrefix).join(", ");
  const sentence = `no free subnet of /${subnetSize} is left in the default address pools (${names})`;
  return refuse("resource-exhausted", sentence);
}
