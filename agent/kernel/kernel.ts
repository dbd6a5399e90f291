// The kernel seam on the real kernel: dumps, steps (perform.ts) and events, by netlink and setns. It decides nothing. All
// of it is synchronous; turns are given to others between namespaces and between steps.

import { closeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Ip } from "../../common/address.js";
import { Fault, messageOf } from "../../common/fault.js";
import type { Vni } from "../../common/ids.js";
import { Topic, type Unsubscribe } from "../../common/watch.js";
import type { RuleDrops } from "../guard/drops.js";
import { eachOnce, type Stranger } from "../guard/strangers.js";
import type { DataPath } from "../overlay/data-path.js";
import {
  type HostHave,
  linkWith,
  type NamespaceHave,
  type NetworkHave,
  type Underlay,
} from "../reconcile/have.js";
import { Insides } from "../reconcile/insides.js";
import type { EncryptionKind, Kernel, News } from "../reconcile/kernel.js";
import { meshEndpoint } from "../reconcile/mesh-want.js";
import { agentTag, aliasOf, BRIDGE, sandboxKey } from "../reconcile/names.js";
import { describe, type PortRemoval, type Step } from "../reconcile/step.js";
import type { NamespaceTablesHave } from "../reconcile/table-have.js";
import { devicesToHearOf } from "../reconcile/underlay-news.js";
import { type SandboxRef, sandboxFileName, type TablePlace } from "../reconcile/want.js";
import type { WireguardHave } from "../reconcile/wireguard-plan.js";
import { Accelerator } from "./accelerator.js";
import { bridgedFilter, forwarding } from "./bridge-steps.js";
import { dataPathProblem } from "./data-paths.js";
import { removePorts } from "./endpoint-steps.js";
import { legacyDrops } from "./foreign-filters.js";
import { kernelHasIpv6 } from "./ipv6.js";
import { epollAdd, epollAny, epollCreate } from "./libc.js";
import { lookAtMesh, lookAtNamespace, lookAtNetwork } from "./look.js";
import { MountWatch } from "./mount-watch.js";
import { within } from "./namespace.js";
import type { NetlinkEvents, NetlinkSocket } from "./netlink-socket.js";
import { dataPortProblem, vxlanProblem } from "./network-steps.js";
import { PacketFilters } from "./packet-filter.js";
import { performStep, type StepTools } from "./perform.js";
import { Places } from "./places.js";
import type { HookKind } from "./program-probe.js";
import { SandboxWatch } from "./sandbox-watch.js";
import { SwitchThreads } from "./switch-threads.js";
import { isQuietNetwork } from "./sysctl.js";
import { withSwitch } from "./tap-steps.js";
import { isUdpPortFree } from "./udp-port.js";
import { Wireguard } from "./wireguard.js";

// Choice: how late we hear of somebody's meddling. Reading without waiting costs a microsecond, and a
// thread that waited instead would cost megabytes.
const EVENTS_EVERY_MS = 200;
// Choice: of what raises no event, so that it is put back within a second of the change. A microsecond or two a program.
const ASKED_EVERY_MS = 600;
// The last VNI there is: nobody's, unless somebody counts from the top.
const PROBE_VNI = 0xffffff as Vni;
const PROBE_MTU_BYTES = 1000;
const HOST: SandboxRef = { kind: "host" };

export interface LinuxKernelOptions {
  /** Namespace files live in its `netns` folder; two agents on one machine have two. */
  readonly runDir: string;
  /** Of the accelerated data path: not what this kernel has of newest, but this. */
  readonly hookKind?: HookKind;
}

export class LinuxKernel implements Kernel {
  readonly #places: Places;
  readonly #filters: PacketFilters;
  readonly accelerator: Accelerator;
  readonly #wireguard: Wireguard;
  readonly #tag: string;
  readonly #mesh: string;
  /** Of the userspace data path; it does nothing, and has no threads, until it is given a network. */
  readonly #switch = new SwitchThreads();
  readonly #epoll = epollCreate();
  readonly #changed = new Topic<News>();
  readonly #sandboxes: SandboxWatch;
  readonly #mounts = new MountWatch();
  /** Our namespaces, as of the last dump. */
  #standing = "";
  readonly #insides = new Insides();
  readonly #tools: StepTools;
  readonly #timers: readonly NodeJS.Timeout[];
  #closed = false;

  constructor({ runDir, hookKind }: LinuxKernelOptions) {
    const opened = (events: NetlinkEvents) => epollAdd(this.#epoll, events.fd);
    this.#places = new Places(runDir, opened);
    this.#sandboxes = new SandboxWatch(runDir, opened);
    this.#filters = new PacketFilters(runDir, this.#places, this.#sandboxes);
    this.#wireguard = new Wireguard(runDir, this.#places);
    epollAdd(this.#epoll, this.#filters.events.fd);
    this.accelerator = new Accelerator(runDir, this.#places, opened, hookKind);
    this.#tools = {
      places: this.#places,
      filters: this.#filters,
      accelerator: this.accelerator,
      wireguard: this.#wireguard,
      switching: this.#switch,
    };
    this.#tag = agentTag(runDir);
    this.#mesh = meshEndpoint(runDir);
    this.#timers = [
      setInterval(() => this.#readEvents(), EVENTS_EVERY_MS),
      setInterval(() => this.#ask(), ASKED_EVERY_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  async dump(insides: readonly SandboxRef[], trust = false): Promise<HostHave> {
    const places = this.#places;
    const { vnis, sandboxes } = places.list();
    const found = vnis.map((vni) => ({ vni, place: places.network(vni) }));
    this.#standing = places.standing();
    this.#drain();
    this.#watchSandboxes(insides, sandboxes);
    const underlay = lookAtNamespace(places.underlay.socket);
    const networks = new Map<number, NetworkHave>();
    const ofNetworks: TablePlace[] = [];
    for (const { vni, place } of found) {
      if (place !== undefined) {
        const have = this.#lookAtNetwork(place.socket, vni, trust);
        networks.set(vni, withSwitch(have, this.#switch));
      }
      ofNetworks.push({ kind: "network", vni });
      await setImmediate();
      this.#mustBeOpen();
    }
    const seen = new Map<string, NamespaceHave>();
    const tables = new Map<string, NamespaceTablesHave>();
    this.#insides.begin(trust);
    this.#lookAtTables(HOST, false, tables);
    for (const place of ofNetworks) this.#lookAtTables(place, trust, tables);
    for (const ref of insides) {
      const key = sandboxKey(ref);
      if (ref.kind === "host") seen.set(key, underlay);
      if (seen.has(key)) continue;
      const known = this.#insides.recall(key);
      this.#lookAtTables(ref, known !== undefined, tables);
      const have = known ?? this.#lookInside(ref);
      if (have !== undefined) seen.set(key, have);
      if (known !== undefined) continue;
      if (have !== undefined) this.#insides.note(key, have);
      await setImmediate();
      this.#mustBeOpen();
    }
    for (const ref of this.#filters.left(new Set(seen.keys())))
      this.#lookAtTables(ref, false, tables);
    const wireguard = await this.#wireguard.look(trust);
    this.#mustBeOpen();
    const machine = { forwarding: forwarding(), bridgedFilter: bridgedFilter() };
    const forwardDrops = [...this.#filters.forwardDrops, ...legacyDrops()];
    const local = { tag: this.#tag, ...machine, forwardDrops };
    const device = linkWith(underlay, aliasOf(this.#mesh));
    const mesh = lookAtMesh(places.underlay.socket, device?.ifindex);
    const acceleration = this.accelerator.look(networks, underlay, trust);
    const own = devicesToHearOf(underlay, networks);
    places.watched = new Set([...own, ...this.accelerator.underlayDevices()]);
    const told = { sandboxes, networks, insides: seen, underlay, local, mesh, tables };
    return { ...told, acceleration, wireguard };
  }

  #lookInside(ref: SandboxRef): NamespaceHave | undefined {
    const open = this.#sandboxes.of(sandboxKey(ref));
    if (open !== undefined) return lookAtNamespace(open.socket);
    return this.#places.inSandbox(ref, lookAtNamespace);
  }

  /** Settings tell nobody that they were changed. */
  #lookAtNetwork(socket: NetlinkSocket, vni: number, trust: boolean): NetworkHave {
    const have = lookAtNetwork(socket, vni);
    if (trust || !have.links.has(BRIDGE)) return have;
    const quiet = within(this.#places.networkPath(vni), () => isQuietNetwork(BRIDGE));
    return { ...have, quiet };
  }

  #lookAtTables(ref: TablePlace, trust: boolean, into: Map<string, NamespaceTablesHave>): void {
    const have = this.#filters.look(ref, trust);
    if (have !== undefined) into.set(sandboxKey(ref), have);
  }

  inside(ref: SandboxRef): NamespaceHave | undefined {
    this.#mustBeOpen();
    return ref.kind === "host" ? this.underlay() : this.#places.inSandbox(ref, lookAtNamespace);
  }

  async perform(step: Step): Promise<void> {
    this.#mustBeOpen();
    this.#forget(step);
    try {
      await performStep(this.#tools, step);
    } catch (error) {
      if (error instanceof Fault) throw error;
      const fault = new Fault("STEP_FAILED", { step: step.kind }, error);
      fault.message = `Could not ${describe(step)}: ${messageOf(error)}`;
      throw fault;
    }
    await setImmediate();
  }

  async sweep(steps: readonly PortRemoval[]): Promise<void> {
    this.#mustBeOpen();
    for (const step of steps) this.#forget(step);
    removePorts(this.#places, steps);
    await setImmediate();
  }

  /** What a step may change is not known any more. */
  #forget(step: Step): void {
    if (step.kind === "remove-sandbox") {
      for (const key of this.#insides.ofFile(step.file)) {
        this.#filters.forget(key);
        this.#sandboxes.forget(key);
      }
    }
    // Perhaps another namespace than the one whose tables are remembered.
    if (step.kind === "make-network" || step.kind === "remove-network")
      this.#filters.forget(sandboxKey({ kind: "network", vni: step.vni }));
    this.#insides.touchedBy(step);
  }

  follow(listener: (news: News) => void): Unsubscribe {
    return this.#changed.subscribe(listener);
  }

  hasIpv6(): boolean {
    return kernelHasIpv6();
  }

  underlay(): Underlay {
    return lookAtNamespace(this.#places.underlay.socket);
  }

  drops(): readonly RuleDrops[] {
    this.#mustBeOpen();
    const networks = this.#places.list().vnis.map((vni) => ({ kind: "network", vni }) as const);
    const ruled = [HOST, ...networks].flatMap((place) => this.#filters.drops(place));
    return [...ruled, ...this.#switch.drops()];
  }

  strangers(): readonly Stranger[] {
    this.#mustBeOpen();
    return eachOnce([...this.#filters.strangers(), ...this.#switch.strangers()]);
  }

  dataPortProblem(local: Ip, port: number): string | undefined {
    if (this.#switch.holds(local, port)) return undefined;
    // A machine without VXLAN has the userspace path.
    if (isUdpPortFree(local, port) && vxlanProblem(this.#places) !== undefined) return undefined;
    const probe = {
      vni: PROBE_VNI,
      local,
      port,
      mtuBytes: PROBE_MTU_BYTES,
      df: "unset",
      fresh: true,
    } as const;
    return dataPortProblem(this.#places, probe);
  }

  encryptionKind(): EncryptionKind {
    // What goes through WireGuard is VXLAN, by the kernel's own device, whatever way other networks' frames go.
    const impossible = this.dataPathProblem("kernel");
    return impossible === undefined ? this.#wireguard.kind() : { impossible };
  }

  wireguard(): Promise<WireguardHave | undefined> {
    return this.#wireguard.look(false);
  }

  /** The namespace file of a network; it need not be there. */
  networkPath(vni: number): string {
    return this.#places.networkPath(vni);
  }

  dataPathProblem(path: DataPath): string | undefined {
    return dataPathProblem(path, this.#places, this.accelerator);
  }

  /** What the userspace path's switch has counted: of the network, and of what belongs to none. */
  switchCounters(vni: number): Readonly<Record<string, number>> {
    return { ...this.#switch.counters(vni), ...this.#switch.stray() };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wireguard.close();
    for (const timer of this.#timers) clearInterval(timer);
    this.#switch.close();
    this.#sandboxes.close();
    this.#mounts.close();
    this.#places.close();
    this.#filters.close();
    this.accelerator.close();
    closeSync(this.#epoll);
  }

  #readEvents(): void {
    if (epollAny(this.#epoll)) this.#drain();
    // A namespace that goes while something holds it says nothing.
    if (this.#mounts.changed() && this.#places.standing() !== this.#standing)
      this.#changed.publish("anything");
  }

  #ask(): void {
    if (this.accelerator.changed()) this.#changed.publish("anything");
  }

  #drain(): void {
    const ofSandboxes = this.#sandboxes.drain();
    for (const key of ofSandboxes) this.#insides.forget(key);
    const news = [this.#filters.events.drain(), this.accelerator.drain(), this.#places.drain()];
    if (news.includes(true)) this.#changed.publish("anything");
    else if (ofSandboxes.length > 0) this.#changed.publish("sandboxes");
  }

  /** Those that are asked about and stand; the others' sockets would keep what somebody removed. */
  #watchSandboxes(insides: readonly SandboxRef[], files: ReadonlySet<string>): void {
    const wanted = new Set<string>();
    for (const ref of insides) {
      if (ref.kind !== "own" || !files.has(sandboxFileName(ref.id))) continue;
      const key = sandboxKey(ref);
      const path = this.#places.sandboxPath(ref);
      if (wanted.has(key) || path === undefined) continue;
      wanted.add(key);
      this.#sandboxes.follow(key, path);
    }
    for (const key of this.#sandboxes.keys()) if (!wanted.has(key)) this.#sandboxes.forget(key);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Fault("KERNEL_CLOSED");
  }
}
