// Which networks only this node has: Docker's own, and those that people make; with their subnets and the names of
// their bridges, which keep clear of what else the machine has.
import { formatPrefix, overlaps, parsePrefix } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { newLocalId } from "../../common/ids.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { Network, type NetworkSpec } from "../../proto/gen/types.js";
import type { LocalNetworkRecord, LocalPlacing } from "../localnet/keeping.js";
import {
  deviceOf,
  GATEWAY_NETWORK,
  gatewaySpec,
  isBridge,
  isOurs,
  isPredefined,
  onDevice,
  PREDEFINED,
  predefinedSpec,
  refusedSpec,
} from "../localnet/networks.js";
import {
  type MachineRoute,
  type Neighbourhood,
  routesAvoided,
  subnetsFor,
} from "../localnet/pools.js";
import { ALIAS } from "../reconcile/names.js";

// skein_gwbridge has 14 bytes, so one digit is what IFNAMSIZ leaves.
const DEVICES_TRIED = 10;

export interface NetworkKeeping {
  readonly placing: LocalPlacing;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class KeptNetworks {
  readonly #records = new Map<string, LocalNetworkRecord>();

  constructor(
    private readonly deps: NetworkKeeping,
    private readonly isUsed: (networkId: string) => boolean,
  ) {}

  /**
   * Takes what an earlier agent had, adds what is always there, and chooses again what has become impossible. True
   * if anything is not as it was.
   */
  load(records: readonly LocalNetworkRecord[]): boolean {
    for (const record of records) this.#records.set(record.network.id, record);
    let changed = false;
    for (const name of PREDEFINED) {
      if (this.find(name) !== undefined) continue;
      this.#addOurs(predefinedSpec(name));
      changed = true;
    }
    for (const { network } of this.#records.values()) if (this.#rename(network)) changed = true;
    for (const record of this.#records.values()) {
      if (record.chosen && this.#chooseAgain(record)) changed = true;
    }
    return changed;
  }

  records(): readonly LocalNetworkRecord[] {
    return [...this.#records.values()];
  }

  list(): readonly Network[] {
    return [...this.#records.values()].map(({ network }) => network);
  }

  find(ref: string): Network | undefined {
    const all = this.list();
    const exact = all.find(({ id }) => id === ref) ?? all.find(({ spec }) => spec?.name === ref);
    if (exact !== undefined || ref === "") return exact;
    const begun = all.filter(({ id }) => id.startsWith(ref));
    return begun.length === 1 ? begun[0] : undefined;
  }

  create(spec: NetworkSpec): Network | Refusal {
    const wrong = refusedSpec(spec);
    if (wrong !== undefined) return wrong;
    if (this.list().some((network) => network.spec?.name === spec.name)) {
      return refuse("already-exists", `network with name ${spec.name} already exists`);
    }
    return this.#add(spec);
  }

  /** It is gone when this answers it. */
  remove(ref: string): Network | Refusal {
    const network = this.find(ref);
    if (network === undefined) return refuse("not-found", `network ${ref} not found`);
    const name = network.spec?.name ?? "";
    if (isPredefined(network)) {
      return refuse("permission-denied", `${name} is a pre-defined network and cannot be removed`);
    }
    if (this.isUsed(network.id)) {
      return refuse(
        "permission-denied",
        `error while removing network: network ${name} id ${network.id} has active endpoints`,
      );
    }
    this.#records.delete(network.id);
    return network;
  }

  /** Docker makes it when a node enters a swarm, and keeps it. Undefined: it is there. */
  addGateway(): Network | Refusal | undefined {
    return this.find(GATEWAY_NETWORK) === undefined ? this.#addOurs(this.#gateway()) : undefined;
  }

  /** A bridge to be joined; docker_gwbridge is made when it is first needed. */
  toJoin(ref: string): Network | Refusal {
    const found = this.find(ref);
    if (found === undefined && ref === GATEWAY_NETWORK) return this.#addOurs(this.#gateway());
    if (found === undefined) return refuse("not-found", `network ${ref} not found`);
    if (!isBridge(found)) {
      return refuse("invalid-argument", `network ${ref} is no bridge: nothing is joined to it`);
    }
    const record = this.#records.get(found.id);
    // Its bridge is not there yet, so that a route that has come meanwhile is in nobody's way.
    if (record?.chosen && isOurs(found)) this.#chooseAgain(record);
    return this.#records.get(found.id)?.network ?? found;
  }

  /** By IPv4 alone nothing would get out of a machine that has no default route of it. */
  #gateway(): NetworkSpec {
    const ways = new Set(this.deps.placing.machine().routes.map(({ prefix }) => prefix));
    return gatewaySpec(ways.has("::/0") && !ways.has("0.0.0.0/0"));
  }

  /** One that is Docker's own. */
  #addOurs(spec: NetworkSpec): Network | Refusal {
    return this.#add(spec.driver === "bridge" ? this.#freeDevice(spec) : spec);
  }

  #add(spec: NetworkSpec): Network | Refusal {
    const id = newLocalId(this.deps.random);
    const hasBridge = spec.driver === "bridge";
    const subnets = hasBridge ? this.#subnetsFor(spec, undefined) : [];
    if (isRefusal(subnets)) return subnets;
    const nowMs = this.deps.clock.nowMs();
    const meta = { createdAtMs: nowMs, updatedAtMs: nowMs };
    const network = Network.fromPartial({ id, meta, spec, subnets });
    const taken = hasBridge ? this.#takenDevice(network) : undefined;
    if (taken !== undefined) return taken;
    this.#records.set(id, { network, chosen: hasBridge && !spec.ipam.some((pool) => pool.subnet) });
    const avoided = routesAvoided(spec, subnets, this.#around(id));
    if (avoided.length > 0) {
      this.deps.log.info(
        {
          network: spec.name,
          subnet: cidrsOf(network),
          routes: avoided.map(formatPrefix).join(", "),
        },
        "routes of this machine overlap default subnets: the next was chosen for a bridge",
      );
    }
    return network;
  }

  #takenDevice(network: Network): Refusal | undefined {
    const device = deviceOf(network);
    const name = network.spec?.name ?? "";
    if (this.deps.placing.isTaken(device)) {
      const why = `this machine already has an interface named ${device}`;
      return refuse("permission-denied", `cannot create network ${name}: ${why}`);
    }
    const twin = this.list().find((other) => isBridge(other) && deviceOf(other) === device);
    if (twin === undefined) return undefined;
    const conflict = `conflicts with network ${twin.id} (${deviceOf(twin)}): networks have same bridge name`;
    return refuse(
      "permission-denied",
      `cannot create network ${network.id} (${device}): ${conflict}`,
    );
  }

  /** A name for Docker's bridges that nothing else on the machine has: another agent may run there too. */
  #freeDevice(spec: NetworkSpec): NetworkSpec {
    const wanted = deviceOf({ id: "", spec });
    for (let n = 1; n < DEVICES_TRIED; n++) {
      const device = n === 1 ? wanted : `${wanted.replace(/\d+$/, "")}${n}`;
      if (!this.deps.placing.isTaken(device)) return onDevice(spec, device);
    }
    return spec;
  }

  /** Whether one of Docker's bridges got another name, because its own was taken meanwhile. */
  #rename(network: Network): boolean {
    const { spec } = network;
    if (!spec || !isBridge(network) || !isOurs(network)) return false;
    const renamed = this.#freeDevice(spec);
    if (deviceOf({ id: "", spec: renamed }) === deviceOf(network)) return false;
    this.#records.set(network.id, { network: { ...network, spec: renamed }, chosen: true });
    return true;
  }

  /** Other subnets, if something on the machine has come to overlap one and nothing is on it. */
  #chooseAgain({ network }: LocalNetworkRecord): boolean {
    const { spec } = network;
    if (!spec || !this.#isOverlapped(network) || this.isUsed(network.id)) return false;
    const chosen = this.#subnetsFor(spec, network.id);
    if (isRefusal(chosen)) return false;
    const changed = { ...network, subnets: chosen };
    this.deps.log.info(
      { network: spec.name, was: cidrsOf(network), subnet: cidrsOf(changed) },
      "a route of this machine overlaps a bridge's subnet: another was chosen",
    );
    this.#records.set(network.id, { network: changed, chosen: true });
    return true;
  }

  #isOverlapped({ subnets }: Network): boolean {
    const routes = this.#routes();
    return subnets.some(({ cidr }) => {
      const subnet = parsePrefix(cidr);
      return subnet !== undefined && routes.some(({ prefix }) => overlaps(prefix, subnet));
    });
  }

  #subnetsFor(spec: NetworkSpec, except: string | undefined) {
    return subnetsFor(spec, this.#around(except));
  }

  #around(except: string | undefined): Neighbourhood {
    const taken = this.list()
      .filter(({ id }) => id !== except)
      .flatMap(({ subnets }) => subnets.flatMap(({ cidr }) => parsePrefix(cidr) ?? []));
    // Random, and this agent's for good.
    return { taken, routes: this.#routes(), seed: this.find("none")?.id ?? "" };
  }

  /** Of the machine, without default routes and those of our own bridges. */
  #routes(): MachineRoute[] {
    const { routes, links } = this.deps.placing.machine();
    const devices = new Set(this.list().filter(isBridge).map(deviceOf));
    const ours = new Set(
      links
        .filter(({ name, alias }) => devices.has(name) && alias.startsWith(ALIAS))
        .map(({ ifindex }) => ifindex),
    );
    return routes
      .filter(({ ifindex }) => !ours.has(ifindex))
      .flatMap((route) => {
        const prefix = parsePrefix(route.prefix);
        if (prefix === undefined || prefix.length === 0) return [];
        return [{ prefix, onLink: route.gateway === undefined }];
      });
  }
}

function cidrsOf({ subnets }: Network): string {
  return subnets.map(({ cidr }) => cidr).join(", ");
}
