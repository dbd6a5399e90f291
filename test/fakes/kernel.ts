// The kernel seam's twin: namespaces, links and tables in memory, with the real one's habits that the
// plan relies on (a pair dies with either end, a bridge's rows with their port, a name is taken once).

import type {
  HostHave,
  LinkHave,
  NamespaceHave,
  NetworkHave,
  PortHave,
  Underlay,
} from "../../agent/reconcile/have.js";
import type { Kernel } from "../../agent/reconcile/kernel.js";
import {
  aliasOf,
  BRIDGE,
  bridgeMac,
  portName,
  sandboxKey,
  VXLAN,
} from "../../agent/reconcile/names.js";
import { ENDPOINT_PORT, VXLAN_PORT } from "../../agent/reconcile/plan.js";
import type {
  DropRows,
  MakeEndpoint,
  MakeVxlan,
  PutRows,
  Step,
} from "../../agent/reconcile/step.js";
import { type SandboxRef, sandboxFileName } from "../../agent/reconcile/want.js";
import type { Ip } from "../../common/address.js";
import { formatIp, formatPrefix, networkOf } from "../../common/address.js";
import { Fault, unreachable } from "../../common/fault.js";
import { Topic, type Unsubscribe } from "../../common/watch.js";

export interface FakeNetwork {
  readonly vni: number;
  readonly links: Map<string, LinkHave>;
  readonly fdb: Map<string, string>;
  readonly flood: Set<string>;
  readonly bridgeFdb: Map<string, string>;
  readonly neighbours: Map<string, string>;
}
export interface FakeInside {
  links: LinkHave[];
  addresses: { ifindex: number; prefix: string }[];
  routes: { prefix: string; gateway: string | undefined; ifindex: number }[];
}

const SHUT: PortHave = { learning: true, unicastFlood: true, neighSuppress: false };

export class FakeKernel implements Kernel {
  /** Own sandboxes by file name, then "host" and foreign ones by `sandboxKey`. */
  readonly insides = new Map<string, FakeInside>();
  readonly networks = new Map<number, FakeNetwork>();
  readonly performed: Step[] = [];
  /** Why a step is refused; asked before each. */
  refuse: (step: Step) => string | undefined = () => undefined;
  dumps = 0;
  /** For each dump, whether what had been seen inside sandboxes could be told from memory. */
  readonly trusted: boolean[] = [];
  readonly #changed = new Topic<void>();
  #nextIndex = 100;
  #newsWaits = false;

  /** `vtep` with prefix length, on an interface of 1500 bytes. */
  constructor(vtep: string) {
    const link = this.newLink("ul0", "veth", 1500);
    const address = { ifindex: link.ifindex, prefix: vtep };
    this.insides.set("host", { links: [link], addresses: [address], routes: [] });
  }

  async dump(refs: readonly SandboxRef[], trust = false): Promise<HostHave> {
    this.dumps++;
    this.trusted.push(trust);
    if (this.#newsWaits) this.#changed.publish();
    this.#newsWaits = false;
    const sandboxes = new Set([...this.insides.keys()].filter((key) => key.startsWith("sb-")));
    const insides = new Map<string, NamespaceHave>();
    for (const ref of refs) {
      const inside = this.insides.get(keyOf(ref));
      if (inside !== undefined) insides.set(sandboxKey(ref), structuredClone(inside));
    }
    const networks = new Map<number, NetworkHave>(structuredClone(this.networks));
    return { sandboxes, networks, insides, underlay: this.underlay() };
  }

  inside(ref: SandboxRef): NamespaceHave | undefined {
    return structuredClone(this.insides.get(keyOf(ref)));
  }

  async perform(step: Step): Promise<void> {
    const why = this.refuse(step);
    if (why !== undefined) {
      const fault = new Fault("STEP_FAILED");
      fault.message = why;
      throw fault;
    }
    this.performed.push(step);
    this.#newsWaits = true;
    this.#do(step);
  }

  /** Somebody changed something by hand. */
  meddled(): void {
    this.#changed.publish();
  }

  follow(listener: () => void): Unsubscribe {
    return this.#changed.subscribe(listener);
  }
  underlay(): Underlay {
    return structuredClone(this.insides.get("host") ?? { links: [], addresses: [], routes: [] });
  }
  dataPortProblem(_local: Ip, _port: number): string | undefined {
    return undefined;
  }
  close(): void {}

  newLink(name: string, kind: string, mtuBytes: number, more: Partial<LinkHave> = {}): LinkHave {
    const ifindex = this.#nextIndex++;
    const plain = { mac: "02:00:00:00:00:01", up: true, alias: "", master: 0 };
    return { ifindex, name, kind, mtuBytes, ...plain, port: undefined, vxlan: undefined, ...more };
  }

  /** With the far end, if it has one: a pair is found again by its alias. */
  removeLink(network: FakeNetwork, name: string): void {
    const link = network.links.get(name);
    if (link === undefined) return;
    network.links.delete(name);
    for (const [mac, port] of network.bridgeFdb) if (port === name) network.bridgeFdb.delete(mac);
    if (name === VXLAN) this.#emptyVxlan(network);
    if (name === BRIDGE) this.#freePorts(network);
    if (link.kind === "veth" && link.alias !== "") this.#removeFar(link.alias);
  }

  #do(step: Step): void {
    switch (step.kind) {
      case "make-sandbox":
        if (!this.insides.has(sandboxFileName(step.id))) {
          this.insides.set(sandboxFileName(step.id), { links: [], addresses: [], routes: [] });
        }
        break;
      case "remove-sandbox":
        this.#removeSandbox(step.file);
        break;
      case "make-network":
        this.#makeNetwork(step.vni, step.mtuBytes, aliasOf(step.networkId));
        break;
      case "make-vxlan":
        this.#makeVxlan(step);
        break;
      case "put-rows":
        this.#putRows(step);
        break;
      case "drop-rows":
        this.#dropRows(step);
        break;
      case "make-endpoint":
        this.#makeEndpoint(step);
        break;
      case "remove-endpoint": {
        const network = this.networks.get(step.vni);
        if (network !== undefined) this.removeLink(network, step.port);
        break;
      }
      case "remove-vxlan": {
        const network = this.networks.get(step.vni);
        if (network !== undefined) this.removeLink(network, VXLAN);
        break;
      }
      case "remove-network": {
        const network = this.networks.get(step.vni);
        for (const name of [...(network?.links.keys() ?? [])]) {
          if (network !== undefined) this.removeLink(network, name);
        }
        this.networks.delete(step.vni);
        break;
      }
      default:
        unreachable(step);
    }
  }

  #makeNetwork(vni: number, mtuBytes: number, alias: string): void {
    const network = this.networks.get(vni) ?? {
      vni,
      links: new Map(),
      fdb: new Map(),
      flood: new Set(),
      bridgeFdb: new Map(),
      neighbours: new Map(),
    };
    this.networks.set(vni, network);
    const found = network.links.get(BRIDGE);
    const bridge = found ?? this.newLink(BRIDGE, "bridge", mtuBytes, { mac: bridgeMac(vni) });
    network.links.set(BRIDGE, { ...bridge, mtuBytes, alias, up: true });
  }

  #makeVxlan({ vni, local, port, mtuBytes, networkId }: MakeVxlan): void {
    const network = this.#must(vni);
    const vxlan = { vni, local: formatIp(local), port, learning: false };
    const found = network.links.get(VXLAN) ?? this.newLink(VXLAN, "vxlan", mtuBytes, { vxlan });
    const master = this.#mustLink(network, BRIDGE).ifindex;
    const alias = aliasOf(networkId);
    network.links.set(VXLAN, { ...found, mtuBytes, master, alias, up: true, port: VXLAN_PORT });
  }

  #putRows({ vni, rows }: PutRows): void {
    const network = this.#must(vni);
    this.#mustLink(network, VXLAN);
    this.#mustLink(network, BRIDGE);
    for (const row of rows) {
      if (row.kind === "flood") network.flood.add(row.vtep);
      else if (row.kind === "neighbour") network.neighbours.set(row.ip, row.mac);
      else {
        network.fdb.set(row.mac, row.vtep);
        network.bridgeFdb.set(row.mac, VXLAN);
      }
    }
  }

  #dropRows({ vni, rows }: DropRows): void {
    const network = this.#must(vni);
    for (const row of rows) {
      if (row.kind === "flood") network.flood.delete(row.vtep);
      else if (row.kind === "neighbour") network.neighbours.delete(row.ip);
      else if (row.kind === "remote") network.fdb.delete(row.mac);
      else if (network.bridgeFdb.get(row.mac) === row.port) network.bridgeFdb.delete(row.mac);
    }
  }

  #makeEndpoint(step: MakeEndpoint): void {
    const { endpoint, mtuBytes } = step;
    const network = this.#must(step.vni);
    const inside = this.insides.get(keyOf(endpoint.sandbox));
    if (inside === undefined) throw new Fault("SANDBOX_GONE");
    const name = portName(endpoint.endpointId);
    const alias = aliasOf(endpoint.endpointId);
    this.removeLink(network, name);
    this.#removeFar(alias);
    if (inside.links.some((link) => link.name === endpoint.interfaceName)) {
      throw new Fault("INTERFACE_TAKEN", { name: endpoint.interfaceName });
    }
    const master = this.#mustLink(network, BRIDGE).ifindex;
    const near = this.newLink(name, "veth", mtuBytes, { alias, master, port: ENDPOINT_PORT });
    network.links.set(name, near);
    network.bridgeFdb.set(endpoint.mac, name);
    const far = this.newLink(endpoint.interfaceName, "veth", mtuBytes, {
      alias,
      mac: endpoint.mac,
    });
    inside.links.push(far);
    const { ifindex } = far;
    for (const prefix of endpoint.prefixes) {
      inside.addresses.push({ ifindex, prefix: formatPrefix(prefix) });
      inside.routes.push({ ifindex, gateway: undefined, prefix: formatPrefix(networkOf(prefix)) });
    }
    for (const prefix of step.routes) {
      inside.routes.push({ ifindex, gateway: undefined, prefix: formatPrefix(prefix) });
    }
  }

  #removeSandbox(file: string): void {
    const inside = this.insides.get(file);
    this.insides.delete(file);
    for (const { alias } of inside?.links ?? []) {
      for (const network of this.networks.values()) {
        for (const link of [...network.links.values()]) {
          if (link.kind === "veth" && link.alias === alias) this.removeLink(network, link.name);
        }
      }
    }
  }

  #removeFar(alias: string): void {
    for (const inside of this.insides.values()) {
      const gone = new Set(
        inside.links.filter((link) => link.alias === alias).map((link) => link.ifindex),
      );
      if (gone.size === 0) continue;
      inside.links = inside.links.filter(({ ifindex }) => !gone.has(ifindex));
      inside.addresses = inside.addresses.filter(({ ifindex }) => !gone.has(ifindex));
      inside.routes = inside.routes.filter(({ ifindex }) => !gone.has(ifindex));
    }
  }

  #emptyVxlan(network: FakeNetwork): void {
    network.fdb.clear();
    network.flood.clear();
  }

  #freePorts(network: FakeNetwork): void {
    network.bridgeFdb.clear();
    network.neighbours.clear();
    for (const [name, link] of network.links) {
      network.links.set(name, { ...link, master: 0, port: link.port && SHUT });
    }
  }

  #must(vni: number): FakeNetwork {
    const network = this.networks.get(vni);
    if (network === undefined) throw new Fault("NETWORK_GONE", { vni });
    return network;
  }
  #mustLink(network: FakeNetwork, name: string): LinkHave {
    const link = network.links.get(name);
    if (link === undefined) throw new Fault("LINK_GONE", { name });
    return link;
  }
}

function keyOf(ref: SandboxRef): string {
  return ref.kind === "own" ? sandboxFileName(ref.id) : sandboxKey(ref);
}
