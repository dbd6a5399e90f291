// What this node's kernel is to hold: the want side of reconcile, made from the assignments heard and
// from who owns each endpoint here. Knows nothing of what the kernel holds now.
import {
  formatIp,
  type Ip,
  type Prefix,
  parseIp,
  parsePrefix,
  sameIp,
} from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";

/** The network namespace that an endpoint's interface lives in. */
export type SandboxRef =
  /** Ours: made and removed by the steps, at `sandboxPath`. */
  | { readonly kind: "own"; readonly id: string }
  /** Somebody else's; it is entered, never made or removed. */
  | { readonly kind: "foreign"; readonly path: string }
  /** The namespace that the agent itself runs in. */
  | { readonly kind: "host" };

export interface LocalEndpoint {
  readonly endpointId: string;
  readonly mac: Mac;
  /** Interface addresses, at most one a family. */
  readonly prefixes: readonly Prefix[];
  /** Next hop of a default route inside; undefined: no default route through this network. */
  readonly gateway?: Ip;
  /** Inside the sandbox; at most 15 bytes (IFNAMSIZ). */
  readonly interfaceName: string;
  readonly sandbox: SandboxRef;
  readonly version: number;
}

export interface RemoteEndpoint {
  readonly endpointId: string;
  readonly mac: Mac;
  readonly ips: readonly Ip[];
  readonly vtep: Ip;
  readonly version: number;
}

export interface NetworkWant {
  readonly networkId: string;
  readonly name: string;
  readonly vni: Vni;
  /** Inner MTU; 0: derived from the underlay. */
  readonly mtuBytes: number;
  /** This node's own. */
  readonly vtep: Ip;
  readonly port: number;
  readonly subnets: readonly Prefix[];
  readonly locals: readonly LocalEndpoint[];
  readonly remotes: readonly RemoteEndpoint[];
  /** VTEPs that broadcast and multicast is copied to, each once. */
  readonly floodTo: readonly Ip[];
}

export interface SandboxWant {
  readonly id: string;
  readonly hostname?: string;
}

export interface HostWant {
  readonly sandboxes: readonly SandboxWant[];
  readonly networks: readonly NetworkWant[];
}

/** Who on this node an endpoint belongs to. */
export interface Owner {
  readonly sandbox: SandboxRef;
  readonly interfaceName: string;
}

export interface Self {
  readonly nodeId: string;
  readonly vtep: Ip;
  /** UDP port of the data path, the same on every node. */
  readonly port: number;
}

export const EMPTY_WANT: HostWant = { sandboxes: [], networks: [] };

/** The namespace file of one of our own sandboxes: what a process is started in. */
export function sandboxPath(runDir: string, id: string): string {
  return `${runDir}/netns/${sandboxFileName(id)}`;
}

// Choice: 12 digits are what Docker shows of an id, and collide once in 2^24 sandboxes on one node.
export function sandboxFileName(id: string): string {
  return `sb-${id.slice(0, 12)}`;
}

/**
 * The want of a whole node. `assignments` is all the node knows, not a delta. A network is wanted only
 * where one of its endpoints has an owner here: with none, nothing here could send on it. Whatever does
 * not parse is left out (a manager that wrote it is newer than this agent).
 */
export function wantOf(
  assignments: Assignments,
  self: Self,
  owners: ReadonlyMap<string, Owner>,
  sandboxes: readonly SandboxWant[],
): HostWant {
  const vteps = new Map<string, Ip>();
  for (const peer of assignments.peers) {
    const vtep = parseIp(peer.dataPathAddr);
    if (vtep !== undefined) vteps.set(peer.nodeId, vtep);
  }
  const endpoints = new Map<string, Endpoint[]>();
  for (const endpoint of assignments.endpoints) {
    const group = endpoints.get(endpoint.networkId);
    if (group === undefined) endpoints.set(endpoint.networkId, [endpoint]);
    else group.push(endpoint);
  }
  const networks: NetworkWant[] = [];
  for (const network of assignments.networks) {
    const want = networkWant(network, endpoints.get(network.id) ?? [], self, owners, vteps);
    if (want !== undefined) networks.push(want);
  }
  return { sandboxes, networks };
}

function networkWant(
  network: Network,
  endpoints: readonly Endpoint[],
  self: Self,
  owners: ReadonlyMap<string, Owner>,
  vteps: ReadonlyMap<string, Ip>,
): NetworkWant | undefined {
  const vni = parseVni(network.vni);
  if (vni === undefined) return undefined;
  const locals: LocalEndpoint[] = [];
  const remotes: RemoteEndpoint[] = [];
  const floodTo = new Map<string, Ip>();
  for (const endpoint of endpoints) {
    const mac = parseMac(endpoint.mac);
    if (mac === undefined) continue;
    const prefixes = [endpoint.ipv4, endpoint.ipv6].flatMap((text) => parsePrefix(text) ?? []);
    const version = endpoint.meta?.version ?? 0;
    const identity = { endpointId: endpoint.id, mac, version };
    if (endpoint.nodeId === self.nodeId) {
      const owner = owners.get(endpoint.id);
      if (owner !== undefined) locals.push({ ...identity, prefixes, ...owner });
      continue;
    }
    const vtep = vteps.get(endpoint.nodeId);
    // A peer that shares our VTEP would send our own frames back to us.
    if (vtep === undefined || sameIp(vtep, self.vtep)) continue;
    remotes.push({ ...identity, ips: prefixes.map((prefix) => prefix.ip), vtep });
    floodTo.set(formatIp(vtep), vtep);
  }
  if (locals.length === 0) return undefined;
  return {
    networkId: network.id,
    name: network.spec?.name ?? network.id,
    vni,
    mtuBytes: network.mtuBytes,
    vtep: self.vtep,
    port: self.port,
    subnets: network.subnets.flatMap((subnet) => parsePrefix(subnet.cidr) ?? []),
    locals,
    remotes,
    floodTo: [...floodTo.values()],
  };
}
