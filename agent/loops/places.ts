// Where endpoints of this node live, as the loops of containers and attachments declare it; together
// with what the node was told, that is what the kernel is to hold. Also asks the swarm for addresses.
import { networkOf, parseIp } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { Timing } from "../../common/timing.js";
import { Topic } from "../../common/watch.js";
import type { AttachRequest, AttachResponse } from "../../proto/gen/dispatcher.js";
import { EndpointKind, type Network } from "../../proto/gen/types.js";
import { meshTables } from "../balance/mesh-tables.js";
import { meshPorts } from "../balance/published.js";
import type { NamePorts } from "../dns/door.js";
import { networksOfSandboxes } from "../dns/sandboxes.js";
import { guardTables } from "../guard/tables.js";
import type { LocalPlacing } from "../localnet/keeping.js";
import { dataPathPorts } from "../member/data-path-port.js";
import type { DataPath } from "../overlay/data-path.js";
import type { Reach } from "../reach/reach.js";
import type { NamespaceHave } from "../reconcile/have.js";
import type { Kernel } from "../reconcile/kernel.js";
import type { LocalWant } from "../reconcile/local-want.js";
import { meshDevice, meshEndpoint } from "../reconcile/mesh-want.js";
import { agentTag, isSameSandbox, localAlias, portName, TABLE } from "../reconcile/names.js";
import { routeConflict } from "../reconcile/route-conflict.js";
import { FILTER } from "../reconcile/step.js";
import type { NamespaceTables } from "../reconcile/table-want.js";
import {
  EMPTY_WANT,
  type HostWant,
  type NetworkWant,
  type SandboxRef,
  type Self,
  sandboxFileName,
  sandboxPath,
  wantOf,
} from "../reconcile/want.js";
import { watchNetwork } from "../reconcile/watch-want.js";
import type { SelfEncryption } from "../reconcile/wireguard-want.js";
import type { Way } from "./applied.js";
import type { Applier } from "./apply.js";
import type { Member } from "./member.js";
import type { MeshPorts } from "./mesh-ports.js";
import type { Endpoints, Place, Placing } from "./placing.js";
import { SandboxTables } from "./sandbox-tables.js";

// Choice: an endpoint that was given to this node and that nothing here has declared for this many
// request times is nobody's, and goes back.
const ORPHAN_REQUESTS = 3;

export class Places implements Placing, Endpoints, LocalPlacing {
  readonly #places = new Map<string, Place>();
  readonly #sandboxes = new Set<string>();
  /** When each endpoint was last asked for, in monotonic ms: who asks will declare it in a moment. */
  readonly #askedMs = new Map<string, number>();
  /** Where the resolver answers in each sandbox: its table leads 127.0.0.11:53 there. */
  readonly #names = new Map<string, NamePorts>();
  /** Who is on which networks has changed, or what the node was told. */
  readonly changed = new Topic<void>();
  #member: Member | undefined;
  #local: LocalWant | undefined;
  readonly #tables = new SandboxTables();
  #restored = false;
  #ipv6: boolean | undefined;
  #paths: ReadonlyMap<string, number> = new Map();
  #unfollow = () => {};

  constructor(
    private readonly applier: Applier,
    private readonly kernel: Kernel,
    private readonly runDir: string,
    private readonly clock: Clock,
    private readonly timing: Timing,
    private readonly path: () => DataPath,
    private readonly ports?: MeshPorts,
    private readonly encryption: () => SelfEncryption | undefined = () => undefined,
  ) {
    ports?.watch(() => this.#refresh());
  }

  /** The swarm that addresses come from; undefined: this node is in none, and no network is wanted. */
  setMember(member: Member | undefined): void {
    this.#unfollow();
    this.#member = member;
    this.#unfollow = member?.held.changed.subscribe(() => this.#refresh()) ?? (() => {});
    this.#refresh();
  }

  /** All that lives here is declared again: from now on what is not declared is taken down. */
  restored(): void {
    this.#restored = true;
    this.#refresh();
  }

  /** The node's own address is another. */
  moved(): void {
    this.#refresh();
  }

  /** Whether this node can encrypt, or which data path it can use, is another answer than it was. */
  abilityChanged(): void {
    this.#tell();
  }

  placeOf(endpointId: string): Place | undefined {
    return this.#places.get(endpointId);
  }

  netnsOf(endpointId: string): string | undefined | "absent" {
    const place = this.#places.get(endpointId);
    if (place === undefined) return "absent";
    const { sandbox } = place;
    if (sandbox.kind === "host") return undefined;
    return sandbox.kind === "own" ? sandboxPath(this.runDir, sandbox.id) : sandbox.path;
  }

  /** Endpoints that the swarm believes to be here and that nothing here has. */
  orphans(): readonly string[] {
    const member = this.#member;
    if (member === undefined || !this.#restored) return [];
    const graceMs = ORPHAN_REQUESTS * this.timing.requestMs;
    const nowMs = this.clock.monotonicMs();
    for (const [id, askedMs] of this.#askedMs) {
      if (nowMs - askedMs > graceMs) this.#askedMs.delete(id);
    }
    return (
      member.held.current.endpoints
        .filter((endpoint) => endpoint.nodeId === member.record.nodeId)
        // A task's address comes before its container and is the managers' to take back.
        .filter((endpoint) => endpoint.kind === EndpointKind.ATTACHMENT)
        .map((endpoint) => endpoint.id)
        .filter((id) => !this.#places.has(id) && !this.#askedMs.has(id))
    );
  }

  // ---- Placing

  sandbox(containerId: string): string {
    this.#sandboxes.add(containerId);
    this.#refresh();
    return sandboxPath(this.runDir, containerId);
  }

  async sandboxReady(containerId: string, signal: AbortSignal): Promise<void> {
    await this.applier.settled(signal, [containerId]);
    const problem = this.applier.problems().get(containerId);
    if (problem !== undefined) throw new Fault("SANDBOX", {}, new Error(problem));
  }

  async dropSandbox(containerId: string): Promise<void> {
    this.#sandboxes.delete(containerId);
    this.#names.delete(containerId);
    this.#refresh();
    await this.#settledSoon([sandboxFileName(containerId)]);
  }

  own(endpointId: string, place: Place): void {
    const had = this.#places.get(endpointId);
    this.#places.set(endpointId, place);
    if (had !== undefined && samePlace(had, place)) this.applier.look();
    else this.#refresh();
  }

  async disown(endpointId: string): Promise<void> {
    if (!this.#places.delete(endpointId)) return;
    this.#refresh();
    await this.#settledSoon([portName(endpointId)]);
  }

  async ready(endpointId: string, signal: AbortSignal): Promise<void> {
    await this.#told(endpointId, signal);
    await this.applier.ready(endpointId, signal);
  }

  problem(endpointId: string): string | undefined {
    const problems = this.applier.problems();
    const network = this.#member?.held.current.endpoints.find(({ id }) => id === endpointId);
    return problems.get(endpointId) ?? (network && problems.get(network.networkId));
  }

  async conflict(network: Network, sandbox: SandboxRef): Promise<string | undefined> {
    const inside = this.kernel.inside(sandbox);
    if (inside === undefined) return undefined;
    return routeConflict(network, inside, this.#interfacesOn(network.id, sandbox));
  }

  async interfaceNames(sandbox: SandboxRef): Promise<readonly string[] | undefined> {
    return this.kernel.inside(sandbox)?.links.map((link) => link.name);
  }

  /** The largest packet that reaches each VTEP of which that is known. */
  setPaths(paths: ReadonlyMap<string, number>): void {
    this.#paths = paths;
    this.#tell();
  }

  // ---- LocalPlacing

  setLocal(want: LocalWant): void {
    this.#local = want;
    this.#refresh();
  }

  async localReady(endpointId: string, signal: AbortSignal): Promise<void> {
    await this.applier.ready(endpointId, signal);
  }

  async localSettled(endpointId?: string): Promise<void> {
    await this.#settledSoon(endpointId === undefined ? undefined : [portName(endpointId), FILTER]);
  }

  machine(): NamespaceHave {
    return this.kernel.underlay();
  }

  isTaken(device: string): boolean {
    const link = this.kernel.underlay().links.find(({ name }) => name === device);
    return link !== undefined && !link.alias.startsWith(localAlias(agentTag(this.runDir), ""));
  }

  // ---- NamePlaces

  sandboxNetworks() {
    const endpoints = this.#member?.held.current.endpoints ?? [];
    return networksOfSandboxes(this.#places, endpoints, this.#local);
  }

  reach(): Reach | undefined {
    const member = this.#member;
    if (member === undefined) return undefined;
    return this.#tables.reach(member.held.current, member.record.nodeId);
  }

  setNames(containerId: string, ports: NamePorts | undefined): void {
    const had = this.#names.get(containerId);
    if (had?.udp === ports?.udp && had?.tcp === ports?.tcp) return;
    if (ports === undefined) this.#names.delete(containerId);
    else this.#names.set(containerId, ports);
    this.#tell();
  }

  // ---- Endpoints

  async attach(request: AttachRequest): Promise<AttachResponse | Refusal> {
    const member = this.#member;
    if (member === undefined) return refuse("not-found", `network ${request.network} not found`);
    this.#askedMs.set(request.endpointId, this.clock.monotonicMs());
    const answer = await member.link.attach(request);
    if (isRefusal(answer)) return answer;
    const { endpoint, network } = answer;
    if (endpoint === undefined || network === undefined) {
      throw new Fault("ATTACH_ANSWER", { endpoint: request.endpointId });
    }
    this.#askedMs.set(endpoint.id, this.clock.monotonicMs());
    if (this.#member === member) member.held.addOwn(endpoint, network);
    return answer;
  }

  assigned(endpointId: string) {
    const held = this.#member?.held.current;
    const endpoint = held?.endpoints.find(({ id }) => id === endpointId);
    const network = held?.networks.find(({ id }) => id === endpoint?.networkId);
    return endpoint && network ? { endpoint, network } : undefined;
  }

  async detach(endpointId: string): Promise<Refusal | undefined> {
    const member = this.#member;
    if (member === undefined) return undefined;
    this.#askedMs.delete(endpointId);
    // Whoever asks has it written down and asks again: no use in looking for managers that are gone.
    if (member.session.kind !== "open") throw new Fault("NO_SESSION", { endpoint: endpointId });
    const refusal = await member.link.detach(endpointId);
    if (refusal === undefined) member.held.removeOwn(endpointId);
    return refusal;
  }

  /** Resolves when what this node was told up to now is in the kernel's tables. */
  async reached(signal: AbortSignal): Promise<Way> {
    while (!this.#restored) await this.clock.sleep(this.timing.retryMinMs, signal);
    await this.applier.reached(signal);
    const { port, also } = this.#member ? dataPathPorts(this.#member) : { port: 0, also: 0 };
    const problem = also === 0 ? undefined : this.#listenProblem(also);
    if (problem !== undefined) return { dataPathPorts: [port], dataPathProblem: problem };
    return { dataPathPorts: also === 0 ? [port] : [port, also], dataPathProblem: "" };
  }

  // ---- Own

  /** Where no network is yet, the port is tried as at a join. */
  #listenProblem(port: number): string | undefined {
    const { networks } = this.#want();
    const problems = this.applier.problems();
    for (const { networkId } of networks) {
      const problem = problems.get(networkId);
      if (problem !== undefined) return problem;
    }
    const vtep = parseIp(this.#member?.record.dataPathAddr ?? "");
    if (networks.length > 0 || vtep === undefined) return undefined;
    return this.kernel.dataPortProblem(vtep, port);
  }

  /** Asked once: a kernel that has IPv6 has ::1, unless a person has taken it away. */
  #hasIpv6(): boolean {
    this.#ipv6 ??= this.kernel.underlay().addresses.some(({ prefix }) => prefix.includes(":"));
    return this.#ipv6;
  }

  #refresh(): void {
    this.changed.publish();
    this.#tell();
  }

  #tell(): void {
    if (this.#restored) this.applier.set(this.#want());
  }

  #want(): HostWant {
    const sandboxes = [...this.#sandboxes].map((id) => ({ id }));
    const record = this.#member?.record;
    const vtep = record && parseIp(record.dataPathAddr);
    if (this.#member === undefined || record === undefined || vtep === undefined) {
      this.ports?.keep([]);
      const tables = this.#tables.tables(undefined, this.#places, this.#names);
      return { ...EMPTY_WANT, sandboxes, local: this.#local, tables };
    }
    const { port, also } = dataPathPorts(this.#member);
    const self = {
      nodeId: record.nodeId,
      vtep,
      port,
      also,
      path: this.path(),
      mesh: { endpointId: meshEndpoint(this.runDir), device: meshDevice(this.runDir) },
      hasIpv6: this.#hasIpv6(),
      sandboxesHaveIpv6: this.kernel.hasIpv6(),
      paths: this.#paths,
      encryption: this.encryption(),
    };
    const held = this.#member.held.current;
    const want = wantOf(held, self, this.#places, sandboxes);
    const watch = watchNetwork(held, self);
    const networks = watch === undefined ? want.networks : [...want.networks, watch];
    const reach = this.#tables.reach(held, self.nodeId);
    const tables = [
      ...this.#tables.tables(reach, this.#places, this.#names),
      ...this.#meshTables(reach, want.networks, self),
      ...guardTables(networks),
    ];
    return { ...want, networks, local: this.#local, tables };
  }

  /** The ports that it sends into the mesh are those that could be kept from others. */
  #meshTables(
    reach: Reach,
    networks: readonly NetworkWant[],
    self: Self,
  ): readonly NamespaceTables[] {
    const { ports } = this;
    ports?.keep(meshPorts(reach));
    const node = {
      ...self,
      hasIpv6: self.hasIpv6 ?? false,
      device: meshDevice(this.runDir),
      table: `${TABLE}_mesh`,
      bridges: (this.#local?.bridges ?? []).flatMap(({ addresses }) => addresses.map(networkOf)),
    };
    return meshTables(reach, networks, node, this.#local, (port) => ports?.has(port) ?? true);
  }

  /** The rest of a network's rows come by the session, a moment after the answer to an attach. */
  async #told(endpointId: string, signal: AbortSignal): Promise<void> {
    const member = this.#member;
    if (member === undefined || member.session.kind !== "open") return;
    const endpoint = member.held.current.endpoints.find(({ id }) => id === endpointId);
    const enough = AbortSignal.any([signal, AbortSignal.timeout(this.timing.dialMs)]);
    await member.held.reached(endpoint?.meta?.createdVersion ?? 0, enough).catch(() => {});
    signal.throwIfAborted();
  }

  async #settledSoon(subjects?: readonly string[]): Promise<void> {
    if (!this.#restored) return;
    const inTime = AbortSignal.timeout(this.timing.requestMs);
    await this.applier.settled(inTime, subjects).catch(() => {});
  }

  #interfacesOn(networkId: string, sandbox: SandboxRef): ReadonlySet<string> {
    const names = new Set<string>();
    for (const endpoint of this.#member?.held.current.endpoints ?? []) {
      const place = this.#places.get(endpoint.id);
      if (endpoint.networkId === networkId && place && isSameSandbox(place.sandbox, sandbox)) {
        names.add(place.interfaceName);
      }
    }
    return names;
  }
}

function samePlace(a: Place, b: Place): boolean {
  return a.interfaceName === b.interfaceName && isSameSandbox(a.sandbox, b.sandbox);
}
