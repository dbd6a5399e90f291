// Want and have of the WireGuard device → the steps between. It stands in a namespace of its own, where there is
// nothing else: without it, what the VXLAN devices of encrypted networks send has nowhere to go.
import {
  bitsOf,
  formatHostPort,
  formatIp,
  formatPrefix,
  type Ip,
  networkOf,
  type Prefix,
} from "../../common/address.js";
import { wireguardMtuBytes } from "../overlay/mtu.js";
import type { PeerChange, WireguardDevice, WireguardPeer } from "../overlay/wireguard.js";
import type { WireguardKey } from "../overlay/wireguard-key.js";
import type { LinkHave, NamespaceHave } from "./have.js";
import type { WireguardPeerWant, WireguardWant } from "./wireguard-want.js";

/** Of the namespace that it stands in; there is none: no have at all. */
export interface WireguardHave {
  readonly link: LinkHave | undefined;
  /** Of the device, with prefix length; what the kernel gives itself (fe80::) is left out. */
  readonly addresses: readonly string[];
  /** What leads to the device, with prefix length. */
  readonly routes: readonly string[];
  /** Undefined: it does not answer. */
  readonly device: WireguardDevice | undefined;
  /** "kernel" or "wireguard-go"; empty: there is no device. */
  readonly kind: string;
  /** By public key, what this process last told the device of a peer's endpoint: it may have moved since. */
  readonly told: ReadonlyMap<string, string>;
  /** Unix milliseconds at which a process of ours was found to have ended unasked, in this agent's life. */
  readonly deaths: readonly number[];
}

/** What steps about it are about. */
export const WIREGUARD = "wireguard";

export interface MakeWireguard {
  readonly kind: "make-wireguard";
  readonly key: WireguardKey;
  readonly port: number;
  readonly address: Prefix;
  readonly underlay: Ip;
  readonly mtuBytes: number;
}
export interface PutWireguardPeers {
  readonly kind: "put-wireguard-peers";
  /** Those that go first. */
  readonly changes: readonly PeerChange[];
}
export type WireguardStep =
  | MakeWireguard
  | PutWireguardPeers
  | { readonly kind: "remove-wireguard" };

export interface WireguardPlan {
  readonly make: readonly WireguardStep[];
  readonly after: readonly WireguardStep[];
  readonly problem: string | undefined;
}

export function planWireguard(
  want: WireguardWant | undefined,
  have: WireguardHave | undefined,
  underlay: NamespaceHave,
): WireguardPlan {
  if (want === undefined) {
    const after = have === undefined ? [] : [{ kind: "remove-wireguard" } as const];
    return { make: [], after, problem: undefined };
  }
  const mtuBytes = mtuOf(want, underlay) ?? have?.link?.mtuBytes;
  if (mtuBytes === undefined) {
    const problem = `The data path address ${formatIp(want.underlay)} is on no interface of this machine.`;
    return { make: [], after: [], problem };
  }
  const make: WireguardStep[] = [];
  if (have === undefined || !stands(want, have, mtuBytes)) {
    const { key, port, address, underlay: ip } = want;
    make.push({ kind: "make-wireguard", key, port, address, underlay: ip, mtuBytes });
  }
  const changes = peerChanges(
    want.peers,
    have?.device?.peers ?? new Map(),
    have?.told ?? new Map(),
  );
  if (changes.length > 0) make.push({ kind: "put-wireguard-peers", changes });
  return { make, after: [], problem: undefined };
}

function mtuOf({ underlay: ip }: WireguardWant, underlay: NamespaceHave): number | undefined {
  const text = formatIp(ip);
  const address = underlay.addresses.find(({ prefix }) => prefix.startsWith(`${text}/`));
  const link = underlay.links.find(({ ifindex }) => ifindex === address?.ifindex);
  return link && wireguardMtuBytes(link.mtuBytes, ip.family);
}

function stands(want: WireguardWant, have: WireguardHave, mtuBytes: number): boolean {
  const { link, device, addresses, routes } = have;
  return (
    link?.up === true &&
    link.mtuBytes === mtuBytes &&
    device?.publicKey === want.key.publicKey &&
    device.port === want.port &&
    addresses.length === 1 &&
    addresses[0] === formatPrefix(want.address) &&
    routes.includes(formatPrefix(networkOf(want.address)))
  );
}

/**
 * Who is not wanted goes first: a node that left the swarm is to hear and say nothing more. A peer's endpoint is set
 * when it is new, or another than it was: in between it is where the peer's last packet came from, and that is its own.
 */
export function peerChanges(
  want: readonly WireguardPeerWant[],
  have: ReadonlyMap<string, WireguardPeer>,
  told: ReadonlyMap<string, string>,
): readonly PeerChange[] {
  const keys = new Set(want.map(({ publicKey }) => publicKey));
  const changes: PeerChange[] = [];
  for (const publicKey of have.keys()) {
    if (!keys.has(publicKey)) changes.push({ kind: "remove", publicKey });
  }
  for (const peer of want) {
    const { publicKey, address } = peer;
    const allowed = have.get(publicKey)?.allowed;
    const isAllowed = allowed?.length === 1 && allowed[0] === formatPrefix(hostPrefix(address));
    if (isAllowed && told.get(publicKey) === endpointOf(peer)) continue;
    // What it is allowed is not taken away for a moment to be given again: frames that flow go on flowing.
    changes.push({ kind: "put", ...peer, address: isAllowed ? undefined : address });
  }
  return changes;
}

function hostPrefix(ip: Ip): Prefix {
  return { ip, length: bitsOf(ip.family) };
}

export function endpointOf({ endpoint, port }: { endpoint: Ip; port: number }): string {
  return formatHostPort({ host: formatIp(endpoint), port });
}

export function describeWireguard(step: WireguardStep): string {
  switch (step.kind) {
    case "make-wireguard":
      return `make the WireGuard device at ${formatPrefix(step.address)} on UDP ${step.port}, MTU ${step.mtuBytes}`;
    case "put-wireguard-peers":
      return `change ${step.changes.length} peers of the WireGuard device`;
    case "remove-wireguard":
      return "remove the WireGuard device";
  }
}
