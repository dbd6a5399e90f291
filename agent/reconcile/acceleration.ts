// The accelerated data path (docs/data-paths.md): what the eBPF programs are to know and where they are to sit, against
// what they know and where they sit. All of it is beside the kernel path, which carries whatever is missing here: so
// rows are taken away before anything else changes, and come back after all else stands.
import { formatIp, parseIp } from "../../common/address.js";
import {
  ADDRESSES_MAX,
  type Around,
  type Hop,
  localValue,
  macKey,
  networkValue,
  remoteValue,
  TABLES,
  type TableName,
  type Tables,
  vniKey,
} from "../bpf/rows.js";
import type { HostHave, LinkHave, NetworkHave } from "./have.js";
import { ALIAS, portName } from "./names.js";
import { rowsWanted } from "./rows.js";
import type { HostWant, LocalEndpoint, NetworkWant } from "./want.js";

/** The end of the pair that is in the network's namespace. */
export const FAST = "fast0";
/** What steps and problems of this are about. */
export const ACCELERATION = "the accelerated data path";
// Choice: as many rows as one call of the kernel takes without anybody having to wait.
const ROWS_A_STEP = 2000;

/** Where a program sits: at the ingress of this device. */
export interface ProgramPlace {
  /** `endpoint`, `enter`, `leave` or `underlay`: the program. */
  readonly program: ProgramName;
  /** 0 for what all networks share. */
  readonly vni: number;
  readonly device: string;
  readonly ifindex: number;
}
export type ProgramName = "endpoint" | "enter" | "leave" | "underlay";

/** How a peer is reached, or why its frames are left to the kernel path. */
export type HopHave =
  | ({ readonly kind: "hop"; readonly device: string } & Hop)
  /** `lasting`: it will not pass by itself. */
  | {
      readonly kind: "none";
      readonly why: string;
      readonly lasting: boolean;
      /** Nor may the programs take what comes from it. */
      readonly isKernelsAlone?: true;
    };

export interface AttachedHave {
  /** 0: its device is gone, or somebody detached it. */
  readonly ifindex: number;
  /** It is the program of this build, on the tables that are written now. */
  readonly isCurrent: boolean;
}

export interface AccelerationHave {
  /** Tables stand and can be written. */
  readonly isOpen: boolean;
  /** Anything is there, be it of an earlier build. */
  readonly isThere: boolean;
  /** Why nothing can be said of it now, as a sentence. */
  readonly problem?: string | undefined;
  /** Of `counts` only the keys. */
  readonly tables: Tables;
  /** By `placeKey`. */
  readonly attached: ReadonlyMap<string, AttachedHave>;
  /** By VTEP, of all that are in the kernel's rows. */
  readonly hops: ReadonlyMap<string, HopHave>;
  /** First and last that the kernel chooses from by itself. */
  readonly sourcePorts: readonly [number, number];
}

export type AccelerationChange =
  | { readonly kind: "open" }
  /** All of it: programs, tables, pairs. */
  | { readonly kind: "close" }
  | {
      readonly kind: "make-pair";
      readonly networkId: string;
      readonly vni: number;
      readonly mtuBytes: number;
    }
  | {
      readonly kind: "put";
      readonly table: TableName;
      readonly rows: readonly (readonly [key: string, value: string])[];
    }
  | { readonly kind: "drop"; readonly table: TableName; readonly keys: readonly string[] }
  | { readonly kind: "attach"; readonly place: ProgramPlace }
  | { readonly kind: "detach"; readonly key: string };

export interface AccelerateStep {
  readonly kind: "accelerate";
  readonly change: AccelerationChange;
}

/** The end in the underlay's namespace: its alias says whose it is, where several agents are. */
export function farAlias(tag: string, vni: number): string {
  return `${ALIAS}fast-${tag}:${vni}`;
}
/** At most 15 bytes. Two agents of one namespace have different tags; an ordinary one is alone. */
export function farName(tag: string, vni: number, isOrdinary: boolean): string {
  return isOrdinary ? `sk-x-${vni}` : `sk-${tag.slice(0, 3)}-${vni}`;
}

/** Also a file's name. */
export function placeKey({ program, vni, device, ifindex }: ProgramPlace): string {
  switch (program) {
    case "endpoint":
      return `${vni}-${device}`;
    case "enter":
    case "leave":
      return `${vni}-${program}`;
    case "underlay":
      return `underlay-${ifindex}`;
  }
}

const KEY = /^(?:(\d+)-(enter|leave|v-[0-9a-f]{8})|underlay-\d+)$/;

/** What belongs at the place with this key; undefined: it is no key of ours. */
export function programOfKey(key: string): Pick<ProgramPlace, "program" | "vni"> | undefined {
  const match = KEY.exec(key);
  if (match === null) return undefined;
  const [, vni, what] = match;
  if (what === undefined) return { program: "underlay", vni: 0 };
  const program = what === "enter" || what === "leave" ? what : "endpoint";
  return { program, vni: Number(vni) };
}

export function subjectOfAcceleration(change: AccelerationChange): string {
  switch (change.kind) {
    case "open":
    case "close":
      return ACCELERATION;
    case "make-pair":
      return `${ACCELERATION} of VNI ${change.vni}`;
    case "put":
    case "drop":
      return `${ACCELERATION}'s table ${change.table}`;
    case "attach":
      return `${ACCELERATION} at ${placeKey(change.place)}`;
    case "detach":
      return `${ACCELERATION} at ${change.key}`;
  }
}

export function describeAcceleration(change: AccelerationChange): string {
  switch (change.kind) {
    case "open":
      return "make the tables of the eBPF programs";
    case "close":
      return "take away the eBPF programs and their tables";
    case "make-pair":
      return `make the pair of VNI ${change.vni} that frames skip the bridge by`;
    case "put":
      return `write ${change.rows.length} rows of the programs' table ${change.table}`;
    case "drop":
      return `take ${change.keys.length} rows from the programs' table ${change.table}`;
    case "attach":
      return `attach the program ${change.place.program} to ${change.place.device}`;
    case "detach":
      return `detach the program at ${change.key}`;
  }
}

export interface AccelerationPlan {
  /** Before anything else is done. */
  readonly before: readonly AccelerateStep[];
  /** When all else that is wanted stands. */
  readonly after: readonly AccelerateStep[];
  readonly problems: ReadonlyMap<string, string>;
}

export function planAcceleration(want: HostWant, have: HostHave): AccelerationPlan {
  const before: AccelerateStep[] = [];
  const after: AccelerateStep[] = [];
  const problems = new Map<string, string>();
  const found = have.acceleration;
  const networks = want.networks.filter(isAccelerated);
  if (found === undefined) return { before, after, problems };
  if (found.problem !== undefined) {
    if (networks.length > 0) problems.set(ACCELERATION, found.problem);
    return { before, after, problems };
  }
  const step = (change: AccelerationChange): AccelerateStep => ({ kind: "accelerate", change });
  if (networks.length === 0) {
    if (found.isThere) before.push(step({ kind: "close" }));
    return { before, after, problems };
  }
  if (!found.isOpen) after.push(step({ kind: "open" }));
  const wanted = accelerationWanted(networks, have, found);
  for (const { networkId, vni, mtuBytes } of wanted.pairless)
    after.push(step({ kind: "make-pair", networkId, vni, mtuBytes }));
  const missing = [...wanted.places].filter(([key, { ifindex }]) => {
    const at = found.attached.get(key);
    return at?.isCurrent !== true || at.ifindex !== ifindex;
  });
  // What takes frames from the pair comes before what puts them on it, and goes after it.
  for (const [, place] of missing)
    if (isOfPair(place.program)) after.push(step({ kind: "attach", place }));
  for (const table of TABLES) {
    const rows = [...wanted.tables[table]].filter(
      ([key, value]) => found.tables[table].get(key) !== value,
    );
    const keys = [...found.tables[table].keys()].filter((key) => !wanted.tables[table].has(key));
    for (const part of inParts(keys)) before.push(step({ kind: "drop", table, keys: part }));
    for (const part of inParts(rows)) after.push(step({ kind: "put", table, rows: part }));
  }
  for (const [, place] of missing)
    if (!isOfPair(place.program)) after.push(step({ kind: "attach", place }));
  for (const key of found.attached.keys())
    if (!wanted.places.has(key)) after.push(step({ kind: "detach", key }));
  for (const vtep of wanted.vteps) {
    const hop = found.hops.get(vtep);
    if (hop?.kind === "none" && hop.lasting)
      problems.set(`${ACCELERATION} to ${vtep}`, `${hop.why} Frames to it take the kernel path.`);
  }
  return { before, after, problems };
}

/** An encrypted one never: its frames are WireGuard's to send, and nothing here may find them another way. */
function isAccelerated({ path, encrypted }: NetworkWant): boolean {
  return path === "accelerated" && encrypted === undefined;
}

/** Whether it takes frames from the pair; else it puts them on it. */
export function isOfPair(program: ProgramName): boolean {
  return program === "enter" || program === "leave";
}

interface AccelerationWant {
  readonly tables: Record<TableName, Map<string, string>>;
  readonly places: Map<string, ProgramPlace>;
  /** All that are sent to. */
  readonly vteps: Set<string>;
  /** Networks whose pair is still to be made. */
  readonly pairless: { networkId: string; vni: number; mtuBytes: number }[];
}

function accelerationWanted(
  networks: readonly NetworkWant[],
  have: HostHave,
  { hops, sourcePorts }: AccelerationHave,
): AccelerationWant {
  const tables = {
    networks: new Map<string, string>(),
    locals: new Map<string, string>(),
    remotes: new Map<string, string>(),
    counts: new Map<string, string>(),
  };
  const want: AccelerationWant = { tables, places: new Map(), vteps: new Set(), pairless: [] };
  const put = (place: ProgramPlace) => want.places.set(placeKey(place), place);
  const rowsOfPeers = new Map<string, string>();
  for (const network of networks) {
    const { networkId, vni, vtep, port } = network;
    const found = have.networks.get(vni);
    const bridge = found?.links.get("br0");
    // Until the kernel path stands there is nothing to shortcut.
    if (found === undefined || bridge === undefined) continue;
    const near = found.links.get(FAST);
    const alias = farAlias(have.local?.tag ?? "", vni);
    const far = have.underlay.links.find((link) => link.alias === alias);
    if (near?.up !== true || far?.up !== true) {
      want.pairless.push({ networkId, vni, mtuBytes: bridge.mtuBytes });
      continue;
    }
    tables.counts.set(vniKey(vni), "");
    tables.networks.set(vniKey(vni), networkValue({ port }));
    const around = { vtep, near: near.ifindex, far: far.ifindex, port, sourcePorts };
    put({ program: "enter", vni, device: FAST, ifindex: near.ifindex });
    put({ program: "leave", vni, device: far.name, ifindex: far.ifindex });
    for (const local of network.locals) {
      const at = portOf(local, found);
      if (at === undefined || !isSimple(local)) continue;
      tables.locals.set(macKey(vni, local.mac), rowOf(local, at, around));
      put({ program: "endpoint", vni, device: at.name, ifindex: at.ifindex });
    }
    for (const [mac, to] of rowsWanted(network).remotes) {
      const row = rowsOfPeers.get(to) ?? rowOfPeer(to, hops.get(to));
      rowsOfPeers.set(to, row);
      want.vteps.add(to);
      if (mayReceiveFrom(hops.get(to))) tables.remotes.set(macKey(vni, mac), row);
    }
    for (const device of underlayDevices(network, have)) {
      put({ program: "underlay", vni: 0, device: device.name, ifindex: device.ifindex });
    }
  }
  for (const vtep of want.vteps) {
    const hop = hops.get(vtep);
    if (hop?.kind !== "hop") continue;
    put({ program: "underlay", vni: 0, device: hop.device, ifindex: hop.ifindex });
  }
  return want;
}

/** A peer whose way is not known yet is the kernel's. */
function mayReceiveFrom(hop: HopHave | undefined): boolean {
  return hop !== undefined && !(hop.kind === "none" && hop.isKernelsAlone);
}

function portOf({ endpointId }: LocalEndpoint, found: NetworkHave): LinkHave | undefined {
  const port = found.links.get(portName(endpointId));
  return port?.up === true ? port : undefined;
}

/** One with more addresses than a row has room for is left to the kernel path. */
function isSimple({ prefixes }: LocalEndpoint): boolean {
  return ([4, 6] as const).every(
    (family) => prefixes.filter(({ ip }) => ip.family === family).length <= ADDRESSES_MAX,
  );
}

/** The mesh's end brings the clients' own addresses, and passes on what comes for them. */
function rowOf({ prefixes, mesh }: LocalEndpoint, port: LinkHave, network: Around): string {
  const isMesh = mesh !== undefined;
  return localValue({
    port: port.ifindex,
    maySendAsAnybody: isMesh,
    forwards: isMesh,
    ips: prefixes.map(({ ip }) => ip),
    network,
  });
}

function rowOfPeer(vtep: string, hop: HopHave | undefined): string {
  const ip = parseIp(vtep);
  return ip === undefined ? "" : remoteValue(ip, hop?.kind === "hop" ? hop : undefined);
}

/** The device that has the VTEP: where peers' frames come in, if it is one that the programs can read. */
function underlayDevices({ vtep }: NetworkWant, { underlay }: HostHave): LinkHave[] {
  const text = formatIp(vtep);
  const address = underlay.addresses.find(({ prefix }) => prefix.startsWith(`${text}/`));
  const link = underlay.links.find(({ ifindex }) => ifindex === address?.ifindex);
  return link !== undefined && isEthernet(link) ? [link] : [];
}

// "": hardware, which says for itself what it is by its address.
const ETHERNET_KINDS: ReadonlySet<string> = new Set([
  "",
  "veth",
  "vlan",
  "bridge",
  "bond",
  "team",
  "macvlan",
]);

/** Whether the programs may read its frames and send by it: a plain Ethernet device, or one made of such. */
export function isEthernet({ kind, mac }: Pick<LinkHave, "kind" | "mac">): boolean {
  return ETHERNET_KINDS.has(kind) && /^..(?::..){5}$/.test(mac) && mac !== "00:00:00:00:00:00";
}

function inParts<T>(rows: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < rows.length; at += ROWS_A_STEP)
    parts.push(rows.slice(at, at + ROWS_A_STEP));
  return parts;
}
