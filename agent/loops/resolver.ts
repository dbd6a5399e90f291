// The resolver at 127.0.0.11 of every sandbox that is on a network with names: opens its sockets, answers
// names of the sandbox's networks from what the node was told, and has everything else asked outside.
// Everything is found out when somebody asks first, and kept until something changes.
import { parsePrefix } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Topic, Unsubscribe } from "../../common/watch.js";
import type { Network } from "../../proto/gen/types.js";
import type { NameDoor, NamePorts, NameServer, NameSockets } from "../dns/door.js";
import { NetworkNames } from "../dns/names.js";
import { readQuery } from "../dns/query.js";
import { reply, replyWrong, type Transport } from "../dns/reply.js";
import type { SandboxNetwork } from "../dns/sandboxes.js";
import { upstreamsOf } from "../dns/upstreams.js";
import { nameKey, SERVFAIL } from "../dns/wire.js";
import { answer, type Zone, type ZoneNetwork } from "../dns/zone.js";
import { GATEWAY_NETWORK, isPredefined } from "../localnet/networks.js";
import { localView, type Reach, type ReachNetwork } from "../reach/reach.js";
import { sandboxPath } from "../reconcile/want.js";
import type { LocalNetworks } from "../seams.js";
import { NameForwarding } from "./name-forwarding.js";
import type { ContainerNames } from "./placing.js";

// Choice: how often the machine's resolv.conf is looked at, at most, while there are questions.
const LOOK_EVERY_MS = 1_000;
const WARN_EVERY_MS = 60_000;

/** What `Places` knows of sandboxes. */
export interface NamePlaces {
  readonly changed: Topic<void>;
  sandboxNetworks(): ReadonlyMap<string, readonly SandboxNetwork[]>;
  /** Undefined: the node is in no swarm. */
  reach(): Reach | undefined;
  /** Where the sandbox's table leads port 53 of 127.0.0.11; undefined: nowhere. */
  setNames(containerId: string, ports: NamePorts | undefined): void;
}

export interface ResolverDeps {
  readonly door: NameDoor;
  readonly places: NamePlaces;
  readonly runDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Sandbox {
  readonly id: string;
  /** From the container's --dns; empty: the machine's. */
  servers: readonly string[];
  sockets: NameSockets | undefined;
  identity: string;
  /** What it sees as of `age`. */
  view: View;
  age: number;
}
interface View {
  readonly zone: Zone;
  readonly isOut: boolean;
}

const NOTHING: View = { zone: [], isOut: false };

export class Resolver implements ContainerNames {
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #names = new Map<string, NetworkNames>();
  readonly #forwarding: NameForwarding;
  #localNets: LocalNetworks | undefined;
  /** As of the last change. */
  readonly #localViews = new Map<string, ReachNetwork>();
  #networks: ReadonlyMap<string, readonly SandboxNetwork[]> = new Map();
  /** Grows with every change of what a sandbox could see. */
  #age = 1;
  #seenAge = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #machineServers: readonly string[] = [];
  #order: number;
  #warnedMs = Number.NEGATIVE_INFINITY;
  readonly #unsubscribe: Unsubscribe;
  #isClosed = false;

  constructor(private readonly deps: ResolverDeps) {
    const { door, clock, random, log } = deps;
    this.#order = random.below(0x1_0000_0000);
    this.#forwarding = new NameForwarding(door, clock, random, log);
    this.#unsubscribe = deps.places.changed.subscribe(() => {
      this.#age++;
    });
  }

  /** The node's own networks have names too. */
  setLocalNetworks(localNets: LocalNetworks): void {
    this.#localNets = localNets;
    this.#age++;
  }

  // ---- ContainerNames

  declare(containerId: string, servers: readonly string[]): void {
    const had = this.#sandboxes.get(containerId);
    if (had !== undefined) {
      had.servers = servers;
      return;
    }
    this.#sandboxes.set(containerId, {
      id: containerId,
      servers,
      sockets: undefined,
      identity: "",
      view: NOTHING,
      age: 0,
    });
  }

  open(containerId: string): boolean {
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined || this.#isClosed) return false;
    const path = sandboxPath(this.deps.runDir, containerId);
    const identity = this.deps.door.identity(path);
    const wanted = identity !== undefined && this.#viewOf(sandbox).zone.length > 0;
    if (sandbox.sockets !== undefined && wanted && sandbox.identity === identity) return true;
    this.#closeSockets(sandbox);
    if (!wanted) return false;
    try {
      sandbox.sockets = this.deps.door.listen(
        path,
        (question, transport, send) => this.#answer(sandbox, question, transport, send),
        (error) => {
          this.#warn(containerId, error);
          this.#closeSockets(sandbox);
        },
      );
      sandbox.identity = identity;
      this.deps.places.setNames(containerId, sandbox.sockets.ports);
      return true;
    } catch (error) {
      this.#warn(containerId, error);
      // It is tried again.
      return true;
    }
  }

  drop(containerId: string): void {
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) return;
    this.#sandboxes.delete(containerId);
    this.#closeSockets(sandbox);
  }

  /** Opens what is missing: a namespace that came back, a network that was joined since. Again is no error. */
  look(): void {
    for (const id of this.#sandboxes.keys()) this.open(id);
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    // The redirects stay: the next agent answers on the same ports.
    for (const sandbox of this.#sandboxes.values()) sandbox.sockets?.close();
    this.#sandboxes.clear();
    this.#forwarding.close();
  }

  // ---- Own

  #answer(
    sandbox: Sandbox,
    question: Buffer,
    transport: Transport,
    send: (bytes: Buffer) => void,
  ): void {
    const read = readQuery(question);
    if (read.kind === "drop") return;
    if (read.kind === "wrong") return void send(replyWrong(question, read.code, read.questionEnd));
    const { query } = read;
    const { zone, isOut } = this.#viewOf(sandbox);
    const own = answer(zone, query, transport, this.#nextOrder());
    if (own !== undefined) return void send(own);
    const servers = this.#serversOf(sandbox, isOut);
    if (servers.length === 0) return void send(reply(query, SERVFAIL, [], transport));
    this.#forwarding.ask({ id: sandbox.id, servers }, query, transport, send);
  }

  /** Only the order of addresses depends on it: it has to be even, not secret. */
  #nextOrder(): number {
    // Weyl's sequence by the golden ratio (Knuth, volume 3, section 6.4).
    this.#order = (this.#order + 0x9e3779b9) | 0;
    return this.#order;
  }

  /**
   * The machine's resolvers are asked from the machine, whose addresses they are; those that a container was
   * given, from the container, which may have them as neighbours and is to reach no more than it does by itself.
   * A sandbox that has no way out must not have one through names.
   */
  #serversOf(sandbox: Sandbox, isOut: boolean): readonly NameServer[] {
    if (sandbox.servers.length > 0) {
      const netns = sandboxPath(this.deps.runDir, sandbox.id);
      return sandbox.servers.map((address) => ({ address, netns }));
    }
    if (!isOut) return [];
    const nowMs = this.deps.clock.monotonicMs();
    if (nowMs - this.#lookedMs >= LOOK_EVERY_MS) {
      this.#lookedMs = nowMs;
      const { resolvConf, real } = this.deps.door.machine();
      const servers = upstreamsOf(resolvConf, real);
      if (servers.join() !== this.#machineServers.join()) this.#forwarding.forget();
      this.#machineServers = servers;
    }
    return this.#machineServers.map((address) => ({ address, netns: undefined }));
  }

  #viewOf(sandbox: Sandbox): View {
    if (this.#seenAge !== this.#age) this.#refresh();
    if (sandbox.age === this.#age) return sandbox.view;
    const networks = this.#networks.get(sandbox.id) ?? [];
    const zone: ZoneNetwork[] = [];
    let isOut = false;
    for (const { networkId, kind } of networks) {
      const view = kind === "swarm" ? this.#swarmView(networkId) : this.#localView(networkId);
      if (view?.network.spec?.internal === false) isOut = true;
      if (view === undefined || !hasNames(view.network)) continue;
      zone.push(this.#zoneNetwork(view));
    }
    sandbox.view = { zone, isOut };
    sandbox.age = this.#age;
    return sandbox.view;
  }

  #refresh(): void {
    this.#seenAge = this.#age;
    this.#networks = this.deps.places.sandboxNetworks();
    this.#localViews.clear();
    const used = new Set<string>();
    for (const networks of this.#networks.values()) {
      for (const { networkId } of networks) used.add(networkId);
    }
    for (const id of this.#names.keys()) if (!used.has(id)) this.#names.delete(id);
  }

  #swarmView(networkId: string): ReachNetwork | undefined {
    return this.deps.places.reach()?.networks.get(networkId);
  }

  #localView(networkId: string): ReachNetwork | undefined {
    const had = this.#localViews.get(networkId);
    if (had !== undefined) return had;
    const network = this.#localNets?.list().find(({ id }) => id === networkId);
    if (network === undefined) return undefined;
    const view = localView(network, this.#localNets?.endpointsOn(networkId) ?? []);
    this.#localViews.set(networkId, view);
    return view;
  }

  #zoneNetwork(view: ReachNetwork): ZoneNetwork {
    let names = this.#names.get(view.network.id);
    if (names === undefined) {
      names = new NetworkNames();
      this.#names.set(view.network.id, names);
    }
    names.update(view);
    return {
      key: nameKey(view.network.spec?.name ?? ""),
      names,
      subnets: view.network.subnets.flatMap(({ cidr }) => parsePrefix(cidr) ?? []),
    };
  }

  #closeSockets(sandbox: Sandbox): void {
    if (sandbox.sockets === undefined) return;
    sandbox.sockets.close();
    sandbox.sockets = undefined;
    this.deps.places.setNames(sandbox.id, undefined);
  }

  #warn(container: string, error: unknown): void {
    const nowMs = this.deps.clock.monotonicMs();
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return;
    this.#warnedMs = nowMs;
    this.deps.log.warn({ container, err: messageOf(error) }, "names are not answered in a sandbox");
  }
}

/** As in Docker: not the mesh's own network, not the way out, and not the bridge called "bridge". */
function hasNames(network: Network): boolean {
  return (
    network.spec?.ingress !== true &&
    !isPredefined(network) &&
    network.spec?.name !== GATEWAY_NETWORK
  );
}
