// The subnets of a bridge network: what a person may ask for, and what is chosen where nothing was asked for.
import {
  contains,
  type Family,
  formatIp,
  formatPrefix,
  networkOf,
  overlaps,
  type Prefix,
  parseIp,
  parsePrefix,
} from "../../common/address.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { IpamConfig, NetworkSpec, Subnet } from "../../proto/gen/types.js";
import { defaultGateway, defaultSubnets, freeSubnet, isHost, ulaSubnets } from "./addresses.js";

export interface MachineRoute {
  readonly prefix: Prefix;
  /** Whether what it leads to is on the wire itself, behind no gateway. */
  readonly onLink: boolean;
}

/** What a new subnet has to keep clear of. */
export interface Neighbourhood {
  /** The other networks'. */
  readonly taken: readonly Prefix[];
  readonly routes: readonly MachineRoute[];
  /** Of this node alone: where its unique local addresses come from. */
  readonly seed: string;
}

// What is left for a gateway and a container.
const LENGTH_MAX = { 4: 30, 6: 126 } as const;

/** What prevents these pools, whatever else there is. */
export function refusedPools({ ipam, ipv6 }: NetworkSpec): Refusal | undefined {
  const families = ipam.map(familyOf);
  if (families.length !== new Set(families).size) {
    return wrong("bridge driver doesn't support multiple subnets");
  }
  for (const pool of ipam) {
    const refusal = refusedPool(pool, ipv6);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function refusedPool(pool: IpamConfig, ipv6: boolean): Refusal | undefined {
  const subnet = parsePrefix(pool.subnet);
  if (pool.subnet !== "" && subnet === undefined)
    return wrong(`Invalid subnet ${pool.subnet} : invalid CIDR address: ${pool.subnet}`);
  if (subnet === undefined) {
    const extra = pool.gateway || pool.ipRange || Object.keys(pool.auxAddresses)[0];
    return extra ? wrong("a gateway, range or auxiliary address needs a --subnet") : undefined;
  }
  if (subnet.ip.family === 6 && !ipv6)
    return wrong(`subnet ${pool.subnet} needs IPv6 to be enabled on the network (--ipv6)`);
  if (subnet.length > LENGTH_MAX[subnet.ip.family])
    return wrong(`subnet ${pool.subnet} has no room for a gateway and a container`);
  const range = parsePrefix(pool.ipRange);
  if (
    pool.ipRange !== "" &&
    (!range || !contains(subnet, range.ip) || range.length < subnet.length)
  )
    return wrong(`ip-range ${pool.ipRange} is not in subnet ${pool.subnet}`);
  for (const address of [pool.gateway, ...Object.values(pool.auxAddresses)]) {
    if (address === "") continue;
    const ip = parseIp(address);
    if (ip === undefined) return wrong(`invalid IP address: ${address}`);
    if (!isHost(subnet, ip)) return wrong(`no matching subnet for ${address}`);
  }
  return undefined;
}

/** What was asked for of this family; undefined: nothing. */
export function poolOf({ ipam }: NetworkSpec, family: Family): IpamConfig | undefined {
  return ipam.find((pool) => familyOf(pool) === family);
}

/** One of IPv4, and one of IPv6 if the network is to have it. */
export function subnetsFor(spec: NetworkSpec, around: Neighbourhood): Subnet[] | Refusal {
  const subnets: Subnet[] = [];
  for (const family of spec.ipv6 ? ([4, 6] as const) : ([4] as const)) {
    const subnet = subnetFor(poolOf(spec, family), family, around);
    if (isRefusal(subnet)) return subnet;
    subnets.push(subnet);
  }
  return subnets;
}

/**
 * What we choose keeps clear of every route; what a person asks for may be a part of what lies behind a gateway.
 */
function subnetFor(
  pool: IpamConfig | undefined,
  family: Family,
  { taken, routes, seed }: Neighbourhood,
): Subnet | Refusal {
  const asked = parsePrefix(pool?.subnet ?? "");
  const pools = family === 4 ? defaultSubnets() : ulaSubnets(seed);
  const subnet = asked
    ? networkOf(asked)
    : freeSubnet(pools, [...taken, ...routes.map(({ prefix }) => prefix)]);
  if (subnet === undefined) {
    return refuse(
      "failed-precondition",
      `could not find an available, non-overlapping IPv${family} address pool among the defaults to assign to the network`,
    );
  }
  if (asked !== undefined && taken.some((other) => overlaps(subnet, other))) {
    return refuse("permission-denied", "Pool overlaps with other one on this address space");
  }
  const cutOff = routes.find(
    ({ prefix, onLink }) => overlaps(subnet, prefix) && (onLink || prefix.length >= subnet.length),
  );
  if (asked !== undefined && cutOff !== undefined) {
    const [ours, theirs] = [formatPrefix(subnet), formatPrefix(cutOff.prefix)];
    return refuse(
      "permission-denied",
      `subnet ${ours} overlaps the route ${theirs} of this machine: what is there would be cut off`,
    );
  }
  const range = parsePrefix(pool?.ipRange ?? "");
  return {
    cidr: formatPrefix(subnet),
    gateway: pool?.gateway || formatIp(defaultGateway(subnet, range)),
    ipRange: pool?.ipRange ?? "",
  };
}

/** The routes because of which the subnets that we chose are not the first that the other networks leave. */
export function routesAvoided(
  spec: NetworkSpec,
  chosen: readonly Subnet[],
  { taken, routes }: Neighbourhood,
): readonly Prefix[] {
  const [subnet] = chosen;
  if (subnet === undefined || poolOf(spec, 4)?.subnet) return [];
  const avoided: Prefix[] = [];
  for (const pool of defaultSubnets()) {
    if (formatPrefix(pool) === subnet.cidr) break;
    if (taken.some((other) => overlaps(pool, other))) continue;
    avoided.push(...routes.map(({ prefix }) => prefix).filter((route) => overlaps(pool, route)));
  }
  return [...new Map(avoided.map((route) => [formatPrefix(route), route])).values()];
}

/** A pool without a subnet asks for nothing in particular, and is IPv4's. */
function familyOf({ subnet }: IpamConfig): Family {
  return parsePrefix(subnet)?.ip.family ?? 4;
}

function wrong(message: string): Refusal {
  return refuse("invalid-argument", message);
}
