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
import { isEncrypted } from "../../common/encrypted.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import type { Assignments, ServiceRow } from "../../proto/gen/dispatcher.js";
import { PortProtocol, PublishMode } from "../../proto/gen/service.js";
import { type Endpoint, EndpointKind, type Network } from "../../proto/gen/types.js";
import type { DataPath } from "../overlay/data-path.js";
import type { LocalWant } from "./local-want.js";
import { MESH_IPV6, type MeshEnd, meshIpv6, meshMac, type ReturnPath } from "./mesh-want.js";
import { smallestPath } from "./path-want.js";
import type { NamespaceTables } from "./table-want.js";
import {
  InsideAddresses,
  type SelfEncryption,
  type WireguardWant,
  wireguardPeers,
} from "./wireguard-want.js";

/** The network namespace that an endpoint's interface lives in. */
export type SandboxRef =
  /** Ours: made and removed by the steps, at `sandboxPath`. */
  | { readonly kind: "own"; readonly id: string }
  /** Somebody else's; it is entered, never made or removed. */
  | { readonly kind: "foreign"; readonly path: string }
  /** The namespace that the agent itself runs in. */
  | { readonly kind: "host" };

/** A namespace that may have tables of ours. */
export type TablePlace =
  | SandboxRef
  /** The one of a network: its bridge, and the ports of it. */
  | { readonly kind: "network"; readonly vni: number };

export interface LocalEndpoint {
  readonly endpointId: string;
  readonly mac: Mac;
  /** Interface addresses; of a family one, and the one that the mesh derives. */
  readonly prefixes: readonly Prefix[];
  /** Next hops of default routes inside, at most one a family; undefined: none through this network. */
  readonly gateways?: readonly Ip[];
  /** Inside the sandbox; at most 15 bytes (IFNAMSIZ). */
  readonly interfaceName: string;
  readonly sandbox: SandboxRef;
  readonly version: number;
  /** It is this node's way into the ingress network, and has no address. */
  readonly mesh?: MeshEnd;
  readonly returning?: ReturnPath;
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
  /** The largest packet that reaches every node of it, as far as is known. */
  readonly pathMtuBytes?: number;
  /** This node's own. */
  readonly vtep: Ip;
  readonly port: number;
  /** Frames are taken there too, while the port is being changed; 0: there is no such. */
  readonly also?: number;
  readonly path: DataPath;
  /** What endpoints here may have as source; undefined: their own MAC and addresses. `mac`: their own MAC. */
  readonly sources?: "mac";
  /** `vtep` and those of the remotes are inside WireGuard; a sentence: it cannot be had here, and why. */
  readonly encrypted?: "wireguard" | { readonly impossible: string };
  /** Of an encrypted one, the data path address; of others that is `vtep`. */
  readonly underlay?: Ip;
  /** The bridge itself is an end, with this MAC and address; undefined: it only switches. */
  readonly own?: { readonly mac: Mac; readonly prefix: Prefix };
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
  /** For encrypted networks; undefined: none is here. */
  readonly wireguard?: WireguardWant | undefined;
  /** Of the node's own networks; undefined: none are looked after. */
  readonly local?: LocalWant | undefined;
  /** Beside the table of `local`; undefined: no others are looked after. */
  readonly tables?: readonly NamespaceTables[];
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
  /** The other port of a change that is under way; 0: none is. */
  readonly also?: number;
  readonly path: DataPath;
  /** Undefined: this node has no part in the routing mesh. */
  readonly mesh?: { readonly endpointId: string; readonly device: string };
  /** Undefined: nothing is known of it, and no encrypted network is made. */
  readonly encryption?: SelfEncryption | undefined;
  /** Whether this machine's kernel has IPv6. */
  readonly hasIpv6?: boolean;
  /** Whether its sandboxes have it, which are namespaces of their own; undefined: as the machine. */
  readonly sandboxesHaveIpv6?: boolean;
  /** The largest packet that reaches a VTEP, by its text; of those of which it is known. */
  readonly paths?: ReadonlyMap<string, number>;
}

/** Of a network: `mac` where endpoints may route for others. */
const SOURCES_OPTION = "skein.sources";

export const EMPTY_WANT: HostWant = { sandboxes: [], networks: [] };

/** The namespace file of one of our own sandboxes: what a process is started in. */
export function sandboxPath(runDir: string, id: string): string {
  return `${runDir}/netns/${sandboxFileName(id)}`;
}

// Choice: 12 digits are what Docker shows of an id, and collide once in 2^24 sandboxes on one node.
export function sandboxFileName(id: string): string {
  return `sb-${id.slice(0, 12)}`;
}

interface Told {
  readonly self: Self;
  readonly owners: ReadonlyMap<string, Owner>;
  readonly vteps: ReadonlyMap<string, Ip>;
  readonly services: ReadonlyMap<string, ServiceRow>;
  readonly peers: Assignments["peers"];
  /** Undefined: this node cannot encrypt. */
  readonly inside: InsideAddresses | undefined;
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
  const services = new Map(assignments.services.map((row) => [row.id, row]));
  const networks: NetworkWant[] = [];
  const { encryption } = self;
  const inside =
    encryption?.kind === "ready"
      ? new InsideAddresses(encryption.clusterId, self.nodeId, assignments.peers)
      : undefined;
  for (const network of assignments.networks) {
    const told = { self, owners, vteps, services, peers: assignments.peers, inside };
    const want = networkWant(network, endpoints.get(network.id) ?? [], told);
    if (want !== undefined) networks.push(want);
  }
  return { sandboxes, networks, wireguard: wireguardOf(networks, assignments, self, inside) };
}

function wireguardOf(
  networks: readonly NetworkWant[],
  { peers }: Assignments,
  { encryption, vtep: underlay }: Self,
  inside: InsideAddresses | undefined,
): WireguardWant | undefined {
  const encrypted = networks.filter((network) => network.encrypted === "wireguard");
  if (encryption?.kind !== "ready" || inside === undefined || encrypted.length === 0)
    return undefined;
  const { key, port } = encryption;
  const reached = encrypted.flatMap(({ remotes }) => remotes.map(({ vtep }) => vtep));
  const known = wireguardPeers(peers, inside, key.publicKey, reached);
  return { key, port, address: inside.own, underlay, peers: known };
}

function networkWant(
  network: Network,
  endpoints: readonly Endpoint[],
  told: Told,
): NetworkWant | undefined {
  const { self, owners } = told;
  const encrypted = encryptionOf(network, told);
  const vni = parseVni(network.vni);
  if (vni === undefined) return undefined;
  const locals: LocalEndpoint[] = [];
  const remotes: RemoteEndpoint[] = [];
  const floodTo = new Map<string, Ip>();
  for (const endpoint of endpoints) {
    // A service's address is on no interface and behind no VTEP.
    if (endpoint.kind === EndpointKind.VIP) continue;
    const mac = parseMac(endpoint.mac);
    if (mac === undefined) continue;
    const prefixes = [endpoint.ipv4, endpoint.ipv6].flatMap((text) => parsePrefix(text) ?? []);
    const version = endpoint.meta?.version ?? 0;
    const identity = { endpointId: endpoint.id, mac, version };
    if (endpoint.nodeId === self.nodeId) {
      const owner = owners.get(endpoint.id);
      if (owner === undefined) continue;
      const local = { ...identity, prefixes, ...owner };
      locals.push(network.spec?.ingress ? backendOf(local, endpoint, told) : local);
      continue;
    }
    const vtep = vtepOf(endpoint.nodeId, encrypted !== undefined, told);
    if (vtep === undefined) continue;
    remotes.push({ ...identity, ips: prefixes.map((prefix) => prefix.ip), vtep });
    floodTo.set(formatIp(vtep), vtep);
  }
  const mesh = meshOf(network, endpoints, told, encrypted !== undefined);
  if (mesh !== undefined) {
    locals.push(mesh.local);
    remotes.push(...mesh.remotes);
  }
  if (locals.length === 0) return undefined;
  return {
    networkId: network.id,
    name: network.spec?.name ?? network.id,
    vni,
    mtuBytes: network.mtuBytes,
    ...smallestPath(
      network.id,
      encrypted ? onTheWire(endpoints, told) : remotes,
      told.peers,
      self.paths,
    ),
    vtep: encrypted === "wireguard" && told.inside ? told.inside.own.ip : self.vtep,
    ...(encrypted && { encrypted, underlay: self.vtep }),
    port: self.port,
    ...(self.also && { also: self.also }),
    // The kernel's device is the one that can be bound to where WireGuard's is, and to nothing else.
    path: encrypted ? "kernel" : self.path,
    ...(network.spec?.driverOpts[SOURCES_OPTION] === "mac" ? { sources: "mac" as const } : {}),
    subnets: network.subnets.flatMap((subnet) => parsePrefix(subnet.cidr) ?? []),
    locals,
    remotes,
    floodTo: [...floodTo.values()],
  };
}

const UNKNOWN = "This node does not know yet whether it can encrypt.";

/** Undefined: it is not to be encrypted. */
function encryptionOf(
  network: Network,
  { self: { encryption }, inside }: Told,
): NetworkWant["encrypted"] {
  if (!isEncrypted(network)) return undefined;
  if (inside !== undefined) return "wireguard";
  return { impossible: encryption?.kind === "impossible" ? encryption.why : UNKNOWN };
}

/** Where the packets that hide an encrypted network's frames go. */
function onTheWire(endpoints: readonly Endpoint[], { vteps }: Told): { readonly vtep: Ip }[] {
  return endpoints.flatMap(({ nodeId }) => {
    const vtep = vteps.get(nodeId);
    return vtep === undefined ? [] : [{ vtep }];
  });
}

/** Where a node's frames go; undefined: nowhere. A peer that shares our VTEP would send our own frames back to us. */
function vtepOf(nodeId: string, isEncrypted: boolean, { self, vteps, inside }: Told) {
  const vtep = vteps.get(nodeId);
  if (vtep === undefined || sameIp(vtep, self.vtep)) return undefined;
  if (isEncrypted) return inside?.of(nodeId);
  // A device takes only rows of its own family, and one of another would hold up all the rest.
  return vtep.family === self.vtep.family ? vtep : undefined;
}

// ---- The ingress network

// linux/in.h
const PROTOCOLS: Readonly<Record<number, number>> = {
  [PortProtocol.TCP]: 6,
  [PortProtocol.UDP]: 17,
  [PortProtocol.SCTP]: 132,
};

/** A task that the mesh leads to: with the address that is derived for IPv6, and the way back. */
function backendOf(local: LocalEndpoint, { serviceId }: Endpoint, told: Told): LocalEndpoint {
  const hasIpv6 = told.self.sandboxesHaveIpv6 ?? told.self.hasIpv6;
  const derived = local.prefixes
    .filter(({ ip }) => hasIpv6 && ip.family === 4)
    .map(({ ip }): Prefix => ({ ip: meshIpv6(ip), length: 128 }));
  const ports = (told.services.get(serviceId)?.ports ?? [])
    .filter(({ publishMode }) => publishMode === PublishMode.INGRESS)
    .map(({ protocol, targetPort }) => ({ protocol: PROTOCOLS[protocol] ?? 0, port: targetPort }));
  const each = new Map(ports.map((port) => [`${port.protocol} ${port.port}`, port]));
  const families = hasIpv6 ? ([4, 6] as const) : ([4] as const);
  return {
    ...local,
    prefixes: [...local.prefixes, ...derived],
    returning: { ports: [...each.values()], families },
  };
}

/** This node's own end, while any service has a published port, and the rows that lead to the other nodes' ones. */
function meshOf(
  network: Network,
  endpoints: readonly Endpoint[],
  told: Told,
  encrypted: boolean,
): { readonly local: LocalEndpoint; readonly remotes: readonly RemoteEndpoint[] } | undefined {
  const { self, vteps } = told;
  const isUsed = network.spec?.ingress && endpoints.some(({ kind }) => kind === EndpointKind.VIP);
  if (!isUsed || self.mesh === undefined) return undefined;
  const neighbours = new Map<string, string>();
  for (const { kind, ipv4, mac } of endpoints) {
    const ip = parsePrefix(ipv4)?.ip;
    if (kind !== EndpointKind.TASK || ip === undefined || parseMac(mac) === undefined) continue;
    neighbours.set(formatIp(ip), mac);
    if (self.hasIpv6) neighbours.set(formatIp(meshIpv6(ip)), mac);
  }
  const subnets = network.subnets.flatMap((subnet) => parsePrefix(subnet.cidr) ?? []);
  const local: LocalEndpoint = {
    endpointId: self.mesh.endpointId,
    mac: meshMac(self.vtep),
    prefixes: [],
    interfaceName: self.mesh.device,
    sandbox: { kind: "host" },
    version: 0,
    mesh: { subnets: [...subnets, ...(self.hasIpv6 ? [MESH_IPV6] : [])], neighbours },
  };
  const remotes = [...vteps].flatMap(([nodeId, known]) => {
    const vtep = vtepOf(nodeId, encrypted, told);
    if (vtep === undefined) return [];
    return [{ endpointId: `mesh-${nodeId}`, mac: meshMac(known), ips: [], vtep, version: 0 }];
  });
  return { local, remotes };
}
