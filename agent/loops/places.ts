// Where endpoints of this node live, as the loops of containers and attachments declare it; together
// with what the node was told, that is what the kernel is to hold. Also asks the swarm for addresses.
import { contains, overlaps, parseIp, parsePrefix } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, type Refusal, refuse, unreachable } from "../../common/fault.js";
import type { Timing } from "../../common/timing.js";
import type { AttachRequest, AttachResponse } from "../../proto/gen/dispatcher.js";
import type { Network } from "../../proto/gen/types.js";
import type { Kernel } from "../reconcile/kernel.js";
import {
  EMPTY_WANT,
  type HostWant,
  type SandboxRef,
  sandboxPath,
  wantOf,
} from "../reconcile/want.js";
import type { Applier } from "./apply.js";
import type { Member } from "./member.js";
import type { Endpoints, Place, Placing } from "./placing.js";

// Choice: an endpoint that was given to this node and that nothing here has declared for this many
// request times is nobody's, and goes back.
const ORPHAN_REQUESTS = 3;

export class Places implements Placing, Endpoints {
  readonly #places = new Map<string, Place>();
  readonly #sandboxes = new Set<string>();
  /** When each endpoint was last asked for, in monotonic ms: who asks will declare it in a moment. */
  readonly #askedMs = new Map<string, number>();
  #member: Member | undefined;
  #restored = false;
  #unfollow = () => {};

  constructor(
    private readonly applier: Applier,
    private readonly kernel: Kernel,
    private readonly runDir: string,
    private readonly clock: Clock,
    private readonly timing: Timing,
  ) {}

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
    return member.held.current.endpoints
      .filter((endpoint) => endpoint.nodeId === member.record.nodeId)
      .map((endpoint) => endpoint.id)
      .filter((id) => !this.#places.has(id) && !this.#askedMs.has(id));
  }

  // ---- Placing

  sandbox(containerId: string): string {
    this.#sandboxes.add(containerId);
    this.#refresh();
    return sandboxPath(this.runDir, containerId);
  }

  async sandboxReady(containerId: string, signal: AbortSignal): Promise<void> {
    await this.applier.settled(signal);
    const problem = this.applier.problems().get(containerId);
    if (problem !== undefined) throw new Fault("SANDBOX", {}, new Error(problem));
  }

  async dropSandbox(containerId: string): Promise<void> {
    this.#sandboxes.delete(containerId);
    this.#refresh();
    await this.#settledSoon();
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
    await this.#settledSoon();
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
    const ours = this.#interfacesOn(network.id, sandbox);
    for (const { cidr } of network.subnets) {
      const subnet = parsePrefix(cidr);
      if (subnet === undefined) continue;
      for (const route of inside.routes) {
        const prefix = parsePrefix(route.prefix);
        if (prefix === undefined || prefix.length === 0 || !overlaps(prefix, subnet)) continue;
        // A wider route through a gateway goes on working for all but this subnet, as routes do.
        const wider = prefix.length < subnet.length && contains(prefix, subnet.ip);
        if (wider && route.gateway !== undefined) continue;
        const link = inside.links.find(({ ifindex }) => ifindex === route.ifindex);
        if (link !== undefined && ours.has(link.name)) continue;
        const via = link === undefined ? "" : ` of interface ${link.name}`;
        return `subnet ${cidr} of network ${network.spec?.name ?? network.id} overlaps the route ${route.prefix}${via}`;
      }
    }
    return undefined;
  }

  async interfaceNames(sandbox: SandboxRef): Promise<readonly string[] | undefined> {
    return this.kernel.inside(sandbox)?.links.map((link) => link.name);
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

  // ---- Own

  #refresh(): void {
    if (this.#restored) this.applier.set(this.#want());
  }

  #want(): HostWant {
    const sandboxes = [...this.#sandboxes].map((id) => ({ id }));
    const record = this.#member?.record;
    const vtep = record && parseIp(record.dataPathAddr);
    if (this.#member === undefined || record === undefined || vtep === undefined) {
      return { ...EMPTY_WANT, sandboxes };
    }
    const self = { nodeId: record.nodeId, vtep, port: record.dataPathPort };
    return wantOf(this.#member.held.current, self, this.#places, sandboxes);
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

  async #settledSoon(): Promise<void> {
    if (!this.#restored) return;
    await this.applier.settled(AbortSignal.timeout(this.timing.requestMs)).catch(() => {});
  }

  #interfacesOn(networkId: string, sandbox: SandboxRef): ReadonlySet<string> {
    const names = new Set<string>();
    for (const endpoint of this.#member?.held.current.endpoints ?? []) {
      const place = this.#places.get(endpoint.id);
      if (endpoint.networkId === networkId && place && sameSandbox(place.sandbox, sandbox)) {
        names.add(place.interfaceName);
      }
    }
    return names;
  }
}

function sameSandbox(a: SandboxRef, b: SandboxRef): boolean {
  switch (a.kind) {
    case "host":
      return b.kind === "host";
    case "own":
      return b.kind === "own" && b.id === a.id;
    case "foreign":
      return b.kind === "foreign" && b.path === a.path;
    default:
      return unreachable(a);
  }
}

function samePlace(a: Place, b: Place): boolean {
  return a.interfaceName === b.interfaceName && sameSandbox(a.sandbox, b.sandbox);
}
