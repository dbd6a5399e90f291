// The accelerated data path on the real kernel: the eBPF programs where they sit, pinned so that frames go on while no
// agent runs, and the pairs that join networks to the underlay. It does the steps of agent/reconcile/acceleration.ts
// and looks for them; it decides nothing. The tables are program-tables.ts, the programs themselves loaded-programs.ts.
import { messageOf, unreachable } from "../../common/fault.js";
import type { Counts } from "../bpf/reasons.js";
import { NO_TABLES } from "../bpf/rows.js";
import { deleteLink } from "../netlink/link.js";
import {
  type AccelerationChange,
  type AccelerationHave,
  type AttachedHave,
  FAST,
  farAlias,
  farName,
  type HopHave,
  isOfPair,
  type ProgramName,
  type ProgramPlace,
  placeKey,
  programOfKey,
} from "../reconcile/acceleration.js";
import type { NamespaceHave, NetworkHave } from "../reconcile/have.js";
import { ALIAS, agentTag, BRIDGE, VXLAN } from "../reconcile/names.js";
import type { DataPathCounters } from "../seams.js";
import { makePair } from "./fast-pair.js";
import { LoadedPrograms } from "./loaded-programs.js";
import { within } from "./namespace.js";
import type { NetlinkEvents } from "./netlink-socket.js";
import { findLink } from "./network-steps.js";
import { NextHops } from "./next-hops.js";
import type { Places } from "./places.js";
import {
  type BuiltObject,
  hasLinks,
  isAnythingThere,
  linksFolder,
  makeLinks,
  removeAll,
} from "./program-files.js";
import { ClsactHooks, type HookDevice, type Hooks, isHooked, TcxHooks } from "./program-hooks.js";
import { type HookKind, type Probed, probe } from "./program-probe.js";
import { ProgramTables } from "./program-tables.js";
import { sentenceFault } from "./sentence.js";
import { readSysctl } from "./sysctl.js";

// ip-sysctl: what ip_local_port_range is by default.
const SOURCE_PORTS = [32768, 60999] as const;

const NOTHING: AccelerationHave = {
  isOpen: false,
  isThere: false,
  tables: NO_TABLES,
  attached: new Map(),
  hops: new Map(),
  sourcePorts: SOURCE_PORTS,
};

export class Accelerator {
  readonly #folder: string;
  readonly #tag: string;
  readonly #isOrdinary: boolean;
  readonly #tables: ProgramTables;
  readonly #programs: LoadedPrograms;
  #probed: Probed | undefined;
  /** Opened when first something is to be reached. */
  #hops: NextHops | undefined;
  /** What sits where, as last looked at, and as our own steps have made it since. */
  #attached: Map<string, AttachedHave> | undefined;
  #attaching: Hooks | undefined;
  /** Where programs may sit, as last looked at. */
  #devices = new Map<string, HookDevice>();
  /** By VNI, as the bridges' aliases say. */
  readonly #networkIds = new Map<number, string>();

  /** `hookKind`: not what the kernel has of newest, but this. */
  constructor(
    runDir: string,
    private readonly places: Places,
    private readonly opened: (events: NetlinkEvents) => void,
    private readonly hookKind?: HookKind,
  ) {
    this.#folder = `${runDir}/bpf`;
    this.#tables = new ProgramTables(this.#folder);
    this.#programs = new LoadedPrograms(this.#tables);
    this.#tag = agentTag(runDir);
    this.#isOrdinary = runDir === "/run/skein";
  }

  /** Why it cannot work here, as a sentence. Tried once. */
  problem(): string | undefined {
    const object = this.#programs.built();
    if (typeof object === "string") return object;
    const probed = this.#probe(object);
    return "problem" in probed ? probed.problem : undefined;
  }

  /** `trust`: nobody but us has changed anything since. */
  look(
    networks: ReadonlyMap<number, NetworkHave>,
    underlay: NamespaceHave,
    trust: boolean,
  ): AccelerationHave {
    try {
      return this.#look(networks, underlay, trust);
    } catch (error) {
      // The kernel path is looked after all the same.
      return { ...NOTHING, problem: messageOf(error) };
    }
  }

  perform(change: AccelerationChange): void {
    switch (change.kind) {
      case "open":
        this.#open();
        break;
      case "close":
        this.#removeAll();
        break;
      case "make-pair":
        makePair(this.places, {
          ...change,
          name: this.#farName(change.vni),
          alias: farAlias(this.#tag, change.vni),
        });
        break;
      case "put":
        this.#tables.put(change.table, change.rows);
        break;
      case "drop":
        this.#tables.drop(change.table, change.keys);
        break;
      case "attach":
        this.#attach(change.place);
        break;
      case "detach":
        this.#detach(change.key);
        break;
      default:
        unreachable(change);
    }
  }

  /** Forgets every event so far; whether a peer is reached otherwise now. */
  drain(): boolean {
    return this.#hops?.drain() ?? false;
  }

  /** Whether somebody has detached or replaced a program, and no event told of it. */
  changed(): boolean {
    return this.#attaching?.changed() ?? false;
  }

  /** ifindexes on the underlay where programs sit. */
  *underlayDevices(): Iterable<number> {
    for (const [key, { ifindex }] of this.#attached ?? [])
      if (!isInside(programOfKey(key)?.program)) yield ifindex;
  }

  /** What the programs have counted, by VNI; empty where they are not in use. */
  counts(): ReadonlyMap<number, Counts> {
    return this.#tables.counts();
  }

  /** Frames that the programs carried themselves. What they pass on is counted by whoever carries it then. */
  readonly counters: DataPathCounters = {
    source: "accelerated",
    read: () => {
      const traffic = [...this.counts()].map(([vni, { sent, received }]) => ({
        networkId: this.#networkIds.get(vni) ?? "",
        peer: "",
        frames: { in: received.frames, out: sent.frames },
        bytes: { in: received.bytes, out: sent.bytes },
      }));
      return { traffic, drops: [] };
    },
  };

  close(): void {
    this.#hops?.close();
    this.#forget();
  }

  #look(
    networks: ReadonlyMap<number, NetworkHave>,
    underlay: NamespaceHave,
    trust: boolean,
  ): AccelerationHave {
    const isThere = isAnythingThere(this.#folder);
    if (!isThere) {
      this.#forget();
      return NOTHING;
    }
    const object = this.#programs.built();
    if (typeof object !== "string") this.#tables.find(object);
    this.#devices = this.#devicesOf(networks, underlay);
    const tables = this.#tables.look(trust);
    const attached = (trust ? this.#attached : undefined) ?? this.#lookAtHooks();
    this.#attached = attached;
    if (!this.#tables.isOpen) return { ...NOTHING, tables, attached, isThere };
    const hops = this.#lookAtHops(networks);
    return { isOpen: true, isThere, tables, attached, hops, sourcePorts: sourcePorts() };
  }

  #lookAtHooks(): Map<string, AttachedHave> {
    const attached = new Map<string, AttachedHave>();
    for (const [key, { ifindex, programId }] of this.#hooks().look([...this.#devices.values()]))
      attached.set(key, { ifindex, isCurrent: this.#programs.isCurrent(key, programId) });
    return attached;
  }

  #devicesOf(
    networks: ReadonlyMap<number, NetworkHave>,
    underlay: NamespaceHave,
  ): Map<string, HookDevice> {
    const devices = new Map<string, HookDevice>();
    const add = (place: ProgramPlace, socket: HookDevice["socket"]) => {
      const key = placeKey(place);
      devices.set(key, { key, ifindex: place.ifindex, socket });
    };
    const { socket } = this.places.underlay;
    for (const [vni, { links }] of networks) {
      const near = this.places.network(vni)?.socket;
      if (near === undefined) continue;
      this.#networkIds.set(vni, links.get(BRIDGE)?.alias.slice(ALIAS.length) ?? "");
      for (const { name: device, ifindex } of links.values()) {
        if (!isHooked(device)) continue;
        const program = device === FAST ? "enter" : "endpoint";
        add({ program, vni, device, ifindex }, near);
      }
      const far = underlay.links.find(({ alias }) => alias === farAlias(this.#tag, vni));
      if (far) add({ program: "leave", vni, device: far.name, ifindex: far.ifindex }, socket);
    }
    for (const { name: device, ifindex, alias } of underlay.links)
      if (!alias.startsWith(ALIAS)) add({ program: "underlay", vni: 0, device, ifindex }, socket);
    return devices;
  }

  #lookAtHops(networks: ReadonlyMap<number, NetworkHave>): ReadonlyMap<string, HopHave> {
    const vteps = new Map<string, string>();
    for (const { links, fdb } of networks.values()) {
      const own = links.get(VXLAN)?.vxlan?.local;
      if (own !== undefined) for (const vtep of fdb.values()) vteps.set(vtep, own);
    }
    this.#hops ??= new NextHops(this.places.underlay.socket, this.opened);
    return this.#hops.look(vteps);
  }

  #open(): void {
    const object = this.#programs.mustBuilt();
    this.#forget();
    const probed = this.#probe(object);
    if ("problem" in probed) throw sentenceFault("BPF_UNFIT", probed.problem, {});
    this.#tables.make(object);
    if (probed.hooks === "tcx") makeLinks(this.#folder);
  }

  #removeAll(): void {
    const hooks = this.#hooks();
    const keys = [...hooks.look([...this.#devices.values()]).keys()];
    // First those that put frames on a pair, then those that take them from it.
    const takes = (key: string) => isOfPair(programOfKey(key)?.program ?? "endpoint");
    for (const key of [...keys.filter((each) => !takes(each)), ...keys.filter(takes)])
      hooks.detach(key, this.#devices.get(key));
    const { socket } = this.places.underlay;
    for (const vni of this.places.list().vnis) {
      const far = findLink(socket, this.#farName(vni));
      if (far?.alias === farAlias(this.#tag, vni))
        socket.request((writer) => deleteLink(writer, far.ifindex));
    }
    this.#forget();
    removeAll(this.#folder);
  }

  #attach(place: ProgramPlace): void {
    const key = placeKey(place);
    const { vni, ifindex, program } = place;
    const programFd = this.#programs.load(place);
    const inNetwork = isInside(program);
    const { socket } = inNetwork ? this.places.mustNetwork(vni) : this.places.underlay;
    const attach = () => this.#hooks().attach({ key, ifindex, socket }, programFd);
    if (inNetwork) within(this.places.networkPath(vni), attach);
    else attach();
    this.#attached?.set(key, { ifindex, isCurrent: true });
  }

  #detach(key: string): void {
    this.#hooks().detach(key, this.#devices.get(key));
    this.#attached?.delete(key);
  }

  #farName(vni: number): string {
    return farName(this.#tag, vni, this.#isOrdinary);
  }

  #probe(object: BuiltObject): Probed {
    this.#probed ??= probe(this.#folder, object, this.places.underlay.socket);
    if (this.hookKind !== undefined && "hooks" in this.#probed)
      this.#probed = { hooks: this.hookKind };
    return this.#probed;
  }

  /** Those that what stands was attached by. */
  #hooks(): Hooks {
    const byLinks = hasLinks(this.#folder);
    if (this.#attaching === undefined || this.#attaching instanceof TcxHooks !== byLinks) {
      this.#attaching?.close();
      this.#attaching = byLinks
        ? new TcxHooks(linksFolder(this.#folder))
        : new ClsactHooks(this.#tag);
    }
    return this.#attaching;
  }

  #forget(): void {
    this.#tables.close();
    this.#programs.close();
    this.#attaching?.close();
    this.#attaching = undefined;
    this.#attached = undefined;
  }
}

/** Whether it sits in the network's namespace; else in the underlay's. */
function isInside(program: ProgramName | undefined): boolean {
  return program === "endpoint" || program === "enter";
}

function sourcePorts(): readonly [number, number] {
  const [first, last] = (readSysctl("ipv4/ip_local_port_range") ?? "").split(/\s+/).map(Number);
  if (!first || !last || last < first) return SOURCE_PORTS;
  return [first, last];
}
