// What is on the networks that only this node has: endpoints with their addresses, and the ports of the machine
// that lead there. Everything is decided here at once, in memory; the kernel follows by the reconcile, and the
// disk by a file that is replaced whole, so that an agent that starts again gives what it gave.
import type { Clock } from "../../common/clock.js";
import { isRefusal, type Refusal } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import { Endpoint, EndpointKind, type Network, type NetworkSpec } from "../../proto/gen/types.js";
import { addressesFor } from "../localnet/endpoint-addresses.js";
import type {
  HeldPort,
  LocalEndpointRecord,
  LocalNetDisk,
  LocalPlacing,
  PortHolder,
} from "../localnet/keeping.js";
import { localWant } from "../localnet/want.js";
import type { LocalNetworks } from "../seams.js";
import { KeptNetworks } from "./local-networks.js";
import { LocalPorts } from "./local-ports.js";
import type { EventPublisher, LocalJoin, LocalJoins } from "./placing.js";

const NANOSECONDS_PER_MS = 1_000_000n;

export interface LocalNetDeps {
  readonly placing: LocalPlacing;
  readonly ports: PortHolder;
  readonly disk: LocalNetDisk;
  readonly events: EventPublisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
}

/** An endpoint that was joined since this agent started; its ports are held. */
interface Joined {
  record: LocalEndpointRecord;
  held: readonly HeldPort[];
}

export class LocalNets implements LocalNetworks, LocalJoins {
  readonly #networks: KeptNetworks;
  readonly #ports: LocalPorts;
  /** What an earlier agent had; each leaves when it is joined again, and all do when `restored`. */
  readonly #earlier = new Map<string, LocalEndpointRecord>();
  readonly #joined = new Map<string, Joined>();
  #isRestored = false;
  #saving: Promise<void> = Promise.resolve();
  #unsaved = false;

  constructor(private readonly deps: LocalNetDeps) {
    this.#networks = new KeptNetworks(deps, (id) => this.endpointsOn(id).length > 0);
    this.#ports = new LocalPorts(deps.ports, deps.log);
  }

  /** Reads what an earlier agent had, and chooses again what has become impossible. Throws if it is damaged. */
  async load(): Promise<void> {
    const records = await this.deps.disk.load();
    for (const record of records?.endpoints ?? []) this.#earlier.set(record.endpoint.id, record);
    if (this.#networks.load(records?.networks ?? [])) await this.#save();
    this.#declare();
  }

  // ---- LocalNetworks

  list(): readonly Network[] {
    return this.#networks.list();
  }

  find(ref: string): Network | undefined {
    return this.#networks.find(ref);
  }

  endpointsOn(networkId: string): readonly Endpoint[] {
    return this.#records()
      .map(({ endpoint }) => endpoint)
      .filter((endpoint) => endpoint.networkId === networkId);
  }

  async create(spec: NetworkSpec): Promise<Network | Refusal> {
    const network = this.#networks.create(spec);
    if (isRefusal(network)) return network;
    await this.#save();
    this.#declare();
    this.#publish("create", network);
    return network;
  }

  async remove(ref: string): Promise<Refusal | undefined> {
    const network = this.#networks.remove(ref);
    if (isRefusal(network)) return network;
    this.#declare();
    await this.#save();
    await this.deps.placing.localSettled();
    this.#publish("destroy", network);
    return undefined;
  }

  /** Docker makes it when a node enters a swarm, and keeps it. */
  async ensureGateway(): Promise<void> {
    const added = this.#networks.addGateway();
    if (isRefusal(added)) this.deps.log.warn({ err: added.message }, "no docker_gwbridge");
    else if (added !== undefined) await this.#save();
  }

  // ---- LocalJoins

  async join(request: LocalJoin): ReturnType<LocalJoins["join"]> {
    const network = this.#networks.toJoin(request.network);
    if (isRefusal(network)) return network;
    const known = this.#joined.get(request.endpointId);
    const joined = known ?? this.#take(request, network);
    if (isRefusal(joined)) return joined;
    joined.record = {
      ...joined.record,
      containerId: request.containerId,
      interfaceName: request.interfaceName,
      gateway: request.gateway,
    };
    this.#joined.set(request.endpointId, joined);
    this.#earlier.delete(request.endpointId);
    this.#declare();
    try {
      const saved = this.#save();
      // Before all is declared again nothing is done to the kernel, and what runs has its interface.
      if (this.#isRestored) {
        const inTime = AbortSignal.timeout(this.deps.timing.requestMs);
        await this.deps.placing.localReady(request.endpointId, inTime);
      }
      await saved;
    } catch (error) {
      if (known === undefined) await this.leave(request.endpointId);
      throw error;
    }
    const { endpoint, ports } = joined.record;
    return { endpoint, network, ports };
  }

  async leave(endpointId: string): Promise<void> {
    const joined = this.#joined.get(endpointId);
    const was = this.#joined.delete(endpointId) || this.#earlier.delete(endpointId);
    if (!was) return;
    this.#declare();
    const saved = this.#save();
    await this.deps.placing.localSettled(endpointId);
    // Not before: whoever takes the port would not hear what still leads inside.
    for (const port of joined?.held ?? []) port.release();
    await saved;
  }

  restored(): void {
    this.#isRestored = true;
    if (this.#earlier.size > 0) {
      this.#earlier.clear();
      this.#saveSoon();
    }
    this.#declare();
  }

  async close(): Promise<void> {
    await this.#saving.catch(() => {});
    for (const { held } of this.#joined.values()) for (const port of held) port.release();
  }

  /** Addresses and ports, the ones it had if it had any. */
  #take(request: LocalJoin, network: Network): Joined | Refusal {
    const earlier = this.#earlier.get(request.endpointId);
    if (earlier !== undefined && earlier.endpoint.networkId === network.id) {
      return { record: earlier, held: this.#ports.takeAgain(earlier) };
    }
    const addresses = addressesFor(request, network, this.endpointsOn(network.id));
    if (isRefusal(addresses)) return addresses;
    const taken = this.#ports.take(request, network);
    if (isRefusal(taken)) return taken;
    const nowMs = this.deps.clock.nowMs();
    const endpoint = Endpoint.fromPartial({
      id: request.endpointId,
      meta: { createdAtMs: nowMs, updatedAtMs: nowMs },
      networkId: network.id,
      kind: EndpointKind.ATTACHMENT,
      name: request.name,
      aliases: [...request.aliases],
      ownerId: request.containerId,
      hostname: request.hostname,
      ...addresses,
    });
    const { containerId, interfaceName, gateway } = request;
    const record = { endpoint, containerId, interfaceName, gateway, ports: taken.ports };
    return { record, held: taken.held };
  }

  // ---- Kernel and disk

  #records(): LocalEndpointRecord[] {
    return [...this.#earlier.values(), ...[...this.#joined.values()].map(({ record }) => record)];
  }

  #declare(): void {
    this.deps.placing.setLocal(localWant(this.list(), this.#records()));
  }

  async #save(): Promise<void> {
    this.#unsaved = true;
    const saved = this.#saving.then(
      () => this.#saveOnce(),
      () => this.#saveOnce(),
    );
    this.#saving = saved;
    saved.catch(() => {});
    return saved;
  }

  /** Whoever comes while one writes is served by one more write together. */
  async #saveOnce(): Promise<void> {
    if (!this.#unsaved) return;
    this.#unsaved = false;
    try {
      await this.deps.disk.save({
        networks: this.#networks.records(),
        endpoints: this.#records(),
      });
    } catch (error) {
      this.#unsaved = true;
      throw error;
    }
  }

  #saveSoon(): void {
    this.#save().catch((error: unknown) =>
      this.deps.log.warn({ err: String(error) }, "local networks not saved"),
    );
  }

  #publish(action: string, network: Network): void {
    const attributes = { name: network.spec?.name ?? "", type: network.spec?.driver ?? "" };
    const timeNs = BigInt(this.deps.clock.nowMs()) * NANOSECONDS_PER_MS;
    const event = { type: "network", action, id: network.id, attributes, timeNs } as const;
    this.deps.events.publish({ ...event, scope: "local" });
  }
}
