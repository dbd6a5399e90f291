// What the paths to a network's nodes leave of a frame: how large its devices are here, and whether the underlay may
// cut what is too large in pieces.
//
// VXLAN marks its packets as the packet inside is marked ("don't fragment", DF): who has marked his own is told when
// it is too large for a path (the kernel answers him from inside the bridge), and who has not gets it through in
// pieces.
import { formatIp, type Ip } from "../../common/address.js";
import type { Peer } from "../../proto/gen/dispatcher.js";
import { encryptedMtuBytes, innerMtuBytes } from "../overlay/mtu.js";
import type { PeerPath } from "../overlay/path-table.js";
import type { NetworkWant } from "./want.js";

// RFC 8200 section 5. Linux takes IPv6 off an interface that carries less.
const IPV6_SMALLEST_BYTES = 1280;

/**
 * What this node has measured to the network's other nodes (`paths`, by VTEP), and what each of those says that it has
 * measured itself: all of a network's nodes are to come out at one MTU, for a bridge drops without a word what its
 * ports do not carry.
 */
export function smallestPath(
  networkId: string,
  remotes: readonly { readonly vtep: Ip }[],
  peers: readonly Peer[],
  paths: ReadonlyMap<string, number> = new Map(),
): { readonly pathMtuBytes?: number } {
  const vteps = new Set(remotes.map(({ vtep }) => formatIp(vtep)));
  const sizes = peers
    .filter(({ dataPathAddr }) => vteps.has(dataPathAddr))
    .map(({ pathMtus }) => pathMtus?.bytes[networkId]);
  for (const vtep of vteps) sizes.push(paths.get(vtep));
  const known = sizes.filter((size): size is number => size !== undefined && size > 0);
  return known.length > 0 ? { pathMtuBytes: Math.min(...known) } : {};
}

/**
 * What a node tells the others, by network: of the paths to the network's nodes the smallest, where that is less than
 * what the interface here carries.
 */
export function measuredPaths(facts: {
  readonly networks: readonly { readonly id: string }[];
  readonly endpoints: readonly { readonly networkId: string; readonly nodeId: string }[];
  readonly peers: readonly Peer[];
  readonly paths: ReadonlyMap<string, PeerPath>;
}): Readonly<Record<string, number>> {
  const vteps = new Map(facts.peers.map(({ nodeId, dataPathAddr }) => [nodeId, dataPathAddr]));
  const smallest = new Map<string, number>();
  for (const { networkId, nodeId } of facts.endpoints) {
    const path = facts.paths.get(vteps.get(nodeId) ?? "");
    if (path === undefined || path.mtuBytes >= path.interfaceBytes) continue;
    smallest.set(networkId, Math.min(path.mtuBytes, smallest.get(networkId) ?? path.mtuBytes));
  }
  const ids = facts.networks.map(({ id }) => id).sort();
  return Object.fromEntries(
    ids.flatMap((id) => {
      const bytes = smallest.get(id);
      return bytes === undefined ? [] : [[id, bytes]];
    }),
  );
}

export interface NetworkSize {
  readonly mtuBytes: number;
  /** VXLAN_DF_*: as the packet inside, or never. */
  readonly df: "inherit" | "unset";
}

/** `interfaceBytes`: what the VTEP's interface carries. */
export function sizeOf(want: NetworkWant, interfaceBytes: number): NetworkSize {
  if (want.mtuBytes > 0) return { mtuBytes: want.mtuBytes, df: "inherit" };
  const outerBytes = Math.min(interfaceBytes, want.pathMtuBytes ?? interfaceBytes);
  const { vtep, underlay = vtep } = want;
  const mtuBytes = want.encrypted
    ? encryptedMtuBytes(outerBytes, underlay.family)
    : innerMtuBytes(outerBytes, underlay.family);
  const hasIpv6 =
    want.subnets.some(({ ip }) => ip.family === 6) ||
    want.locals.some(({ prefixes }) => prefixes.some(({ ip }) => ip.family === 6));
  // Better in pieces than not at all: nothing inside could send less.
  if (hasIpv6 && mtuBytes < IPV6_SMALLEST_BYTES)
    return { mtuBytes: IPV6_SMALLEST_BYTES, df: "unset" };
  return { mtuBytes, df: "inherit" };
}
