// The kernel seam's twin: namespaces, links and tables in memory, with the real one's habits that the
// plan relies on (a pair dies with either end, a bridge's rows with their port, a name is taken once).

import type { RuleDrops } from "../../agent/guard/drops.js";
import type { Stranger } from "../../agent/guard/strangers.js";
import {
  BRIDGE_GROUPS,
  ENDPOINT_PORT,
  LISTENER_PORT,
  VXLAN_PORT,
} from "../../agent/reconcile/bridge-port.js";
import type {
  HostHave,
  LinkHave,
  LocalHave,
  NamespaceHave,
  NetworkHave,
  PortHave,
  SwitchedHave,
  Underlay,
} from "../../agent/reconcile/have.js";
import type { EncryptionKind, Kernel, News } from "../../agent/reconcile/kernel.js";
import {
  RETURN_MAC,
  type ReturnHave,
  returnGateway,
  returnRules,
} from "../../agent/reconcile/mesh-want.js";
import {
  aliasOf,
  BRIDGE,
  bridgeMac,
  LISTENER,
  portName,
  sandboxKey,
  VXLAN,
} from "../../agent/reconcile/names.js";
import type {
  DropRows,
  MakeEndpoint,
  MakeListener,
  MakeNetwork,
  MakeTap,
  MakeVxlan,
  Plug,
  PutRows,
  Step,
} from "../../agent/reconcile/step.js";
import { type NamespaceTablesHave, tableHaveOf } from "../../agent/reconcile/table-have.js";
import type { ChangeTables } from "../../agent/reconcile/table-plan.js";
import { type SandboxRef, sandboxFileName, type TablePlace } from "../../agent/reconcile/want.js";
import {
  endpointOf,
  type MakeWireguard,
  type PutWireguardPeers,
  type WireguardHave,
} from "../../agent/reconcile/wireguard-plan.js";
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
  own?: Set<string>;
  /** Of the userspace path; rows other than `locals` are the network's own. */
  switched?: FakeSwitched | undefined;
}
export interface FakeSwitched extends Pick<SwitchedHave, "local" | "port" | "also"> {
  readonly fdb: Map<string, string>;
  readonly flood: Set<string>;
  readonly locals: Set<string>;
}
export interface FakeInside {
  links: LinkHave[];
  addresses: { ifindex: number; prefix: string }[];
  routes: { prefix: string; gateway: string | undefined; ifindex: number }[];
  returning?: ReturnHave;
}

const SHUT: PortHave = { learning: true, unicastFlood: true, neighSuppress: false };

export class FakeKernel implements Kernel {
  /** Own sandboxes by file name, then "host" and foreign ones by `sandboxKey`. */
  readonly insides = new Map<string, FakeInside>();
  readonly networks = new Map<number, FakeNetwork>();
  /** By `sandboxKey`. */
  readonly tables = new Map<string, NamespaceTablesHave>();
  readonly performed: Step[] = [];
  local: LocalHave = {
    tag: "aaaaaaaa",
    forwarding: { 4: false, 6: false },
    bridgedFilter: { 4: false, 6: false },
    forwardDrops: [],
  };
  /** Why a step is refused; asked before each. */
  refuse: (step: Step) => string | undefined = () => undefined;
  /** As it is now; a test may change it. */
  wireguardHave: WireguardHave | undefined;
  encryption: EncryptionKind = "kernel";
  dumps = 0;
  /** For each dump, whether what had been seen inside sandboxes could be told from memory. */
  readonly trusted: boolean[] = [];
  readonly #changed = new Topic<News>();
  readonly #meshNeighbours = new Map<number, Map<string, string>>();
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
    if (this.#newsWaits) this.#changed.publish("anything");
    this.#newsWaits = false;
    const sandboxes = new Set([...this.insides.keys()].filter((key) => key.startsWith("sb-")));
    const insides = new Map<string, NamespaceHave>();
    for (const ref of refs) {
      const inside = this.insides.get(keyOf(ref));
      if (inside !== undefined) insides.set(sandboxKey(ref), structuredClone(inside));
    }
    const networks = new Map<number, NetworkHave>(structuredClone(this.networks));
    const [underlay, mesh] = [this.underlay(), this.#meshRows()];
    const tables = new Map(this.tables);
    const wireguard = this.wireguardHave;
    return { sandboxes, networks, insides, underlay, local: this.local, mesh, tables, wireguard };
  }

  inside(ref: SandboxRef): NamespaceHave | undefined {
    return structuredClone(this.insides.get(keyOf(ref)));
  }

  /** As a kernel that cannot: all is left to the steps. */
  async sweep(): Promise<void> {}

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
    this.#changed.publish("anything");
  }

  follow(listener: (news: News) => void): Unsubscribe {
    return this.#changed.subscribe(listener);
  }
  hasIpv6(): boolean {
    return true;
  }

  underlay(): Underlay {
    return structuredClone(this.insides.get("host") ?? { links: [], addresses: [], routes: [] });
  }
  /** As the guard's rules would have counted. */
  dropped: readonly RuleDrops[] = [];
  drops(): readonly RuleDrops[] {
    return this.dropped;
  }
  strangers(): readonly Stranger[] {
    return [];
  }
  encryptionKind(): EncryptionKind {
    return this.encryption;
  }
  async wireguard(): Promise<WireguardHave | undefined> {
    return this.wireguardHave;
  }
  dataPathProblem(): string | undefined {
    return undefined;
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
        this.#makeNetwork(step);
        break;
      case "make-vxlan":
      case "make-listener":
        this.#makeVxlan(step);
        break;
      case "make-tap":
        this.#makeTap(step);
        break;
      case "remove-listener": {
        const network = this.networks.get(step.vni);
        if (network !== undefined) this.removeLink(network, LISTENER);
        break;
      }
      case "swap-vxlan":
        this.#swapVxlan(step.vni);
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
        this.tables.delete(sandboxKey({ kind: "network", vni: step.vni }));
        break;
      }
      case "make-bridge": {
        const { bridge, alias } = step;
        const host = this.#host();
        const found = host.links.find(({ name }) => name === bridge.device);
        const link = this.newLink(bridge.device, "bridge", bridge.mtuBytes, { alias });
        host.links = [
          ...host.links.filter((each) => each !== found),
          found ? { ...link, ifindex: found.ifindex } : link,
        ];
        const { ifindex } = found ?? link;
        host.addresses = host.addresses.filter((each) => each.ifindex !== ifindex);
        for (const prefix of bridge.addresses) {
          host.addresses.push({ ifindex, prefix: formatPrefix(prefix) });
        }
        break;
      }
      case "remove-bridge":
      case "unplug": {
        const name = step.kind === "unplug" ? step.port : step.device;
        const host = this.#host();
        const link = host.links.find((each) => each.name === name);
        host.links = host.links.filter((each) => each !== link);
        host.addresses = host.addresses.filter(({ ifindex }) => ifindex !== link?.ifindex);
        if (step.kind === "unplug") this.#removeFar(aliasOf(link?.alias.split(":").at(-1) ?? ""));
        break;
      }
      case "plug":
        this.#plug(step);
        break;
      case "put-neighbours":
        for (const [ip, mac] of step.rows) this.#neighbours(step.device).set(ip, mac);
        break;
      case "drop-neighbours":
        for (const ip of step.ips) this.#neighbours(step.device).delete(ip);
        break;
      case "allow-forwarding":
        this.local = {
          ...this.local,
          forwarding: { ...this.local.forwarding, [step.family]: true },
        };
        break;
      case "change-tables":
        this.#changeTables(step);
        break;
      case "make-wireguard":
        this.#makeWireguard(step);
        break;
      case "put-wireguard-peers":
        this.#putPeers(step);
        break;
      case "remove-wireguard":
        this.wireguardHave = undefined;
        break;
      // Its dumps do not speak of the accelerated path, so no such step is planned.
      case "accelerate":
        break;
      default:
        unreachable(step);
    }
  }

  #makeWireguard({ key, port, address, mtuBytes }: MakeWireguard): void {
    const { device, told } = this.wireguardHave ?? {};
    this.wireguardHave = {
      link: this.newLink("skwg", "wireguard", mtuBytes),
      addresses: [formatPrefix(address)],
      routes: [formatPrefix(networkOf(address))],
      device: { publicKey: key.publicKey, port, peers: device?.peers ?? new Map() },
      kind: "kernel",
      told: told ?? new Map(),
      deaths: [],
    };
  }

  #putPeers({ changes }: PutWireguardPeers): void {
    const have = this.wireguardHave;
    if (have?.device === undefined) throw new Fault("WIREGUARD_GONE");
    const peers = new Map(have.device.peers);
    const told = new Map(have.told);
    for (const change of changes) {
      if (change.kind === "remove") {
        peers.delete(change.publicKey);
        told.delete(change.publicKey);
        continue;
      }
      const silent = { handshakeMs: 0, sentBytes: 0, receivedBytes: 0 };
      const { address, publicKey } = change;
      const allowed = address
        ? [`${formatIp(address)}/${address.family === 4 ? 32 : 128}`]
        : (peers.get(publicKey)?.allowed ?? []);
      peers.set(publicKey, { ...silent, endpoint: endpointOf(change), allowed });
      told.set(publicKey, endpointOf(change));
    }
    this.wireguardHave = { ...have, device: { ...have.device, peers }, told };
  }

  #changeTables({ sandbox, changes }: ChangeTables): void {
    const stands =
      sandbox.kind === "network"
        ? this.networks.has(sandbox.vni)
        : this.insides.has(keyOf(sandbox));
    if (!stands) throw new Fault("SANDBOX_GONE");
    let tables = [...(this.tables.get(sandboxKey(sandbox))?.tables ?? [])];
    for (const change of changes) {
      const { family, name } = change.kind === "remove" ? change : change.table;
      tables = tables.filter((table) => table.family !== family || table.name !== name);
      if (change.kind !== "remove") tables.push(tableHaveOf(change.table));
    }
    if (tables.length === 0) this.tables.delete(sandboxKey(sandbox));
    else this.tables.set(sandboxKey(sandbox), { sandbox, tables });
  }

  #host(): FakeInside {
    const host = this.insides.get("host") ?? { links: [], addresses: [], routes: [] };
    this.insides.set("host", host);
    return host;
  }

  #plug(step: Plug): void {
    const { endpoint, mtuBytes, alias } = step;
    const inside = this.insides.get(keyOf(endpoint.sandbox));
    if (inside === undefined) throw new Fault("SANDBOX_GONE");
    const host = this.#host();
    const name = portName(endpoint.endpointId);
    host.links = host.links.filter((link) => link.name !== name);
    this.#removeFar(aliasOf(endpoint.endpointId));
    const master = host.links.find((link) => link.name === step.device)?.ifindex;
    if (master === undefined) throw new Fault("LINK_GONE", { name: step.device });
    const { port } = step;
    host.links.push(this.newLink(name, "veth", mtuBytes, { alias, master, port }));
    const far = this.newLink(endpoint.interfaceName, "veth", mtuBytes, {
      alias: aliasOf(endpoint.endpointId),
      mac: endpoint.mac,
    });
    inside.links.push(far);
    for (const prefix of endpoint.prefixes) {
      inside.addresses.push({ ifindex: far.ifindex, prefix: formatPrefix(prefix) });
    }
    for (const each of endpoint.gateways ?? []) {
      const prefix = each.family === 4 ? "0.0.0.0/0" : "::/0";
      inside.routes.push({ ifindex: far.ifindex, gateway: formatIp(each), prefix });
    }
  }

  #makeNetwork({ vni, mtuBytes, networkId, own }: MakeNetwork): void {
    const alias = aliasOf(networkId);
    const network: FakeNetwork = this.networks.get(vni) ?? {
      vni,
      links: new Map(),
      fdb: new Map(),
      flood: new Set(),
      bridgeFdb: new Map(),
      neighbours: new Map(),
    };
    this.networks.set(vni, network);
    const found = network.links.get(BRIDGE);
    const mac = own?.mac ?? bridgeMac(vni);
    const bridge = found ?? this.newLink(BRIDGE, "bridge", mtuBytes, { mac });
    network.links.set(BRIDGE, {
      ...bridge,
      mac: own?.mac ?? bridge.mac,
      mtuBytes,
      alias,
      up: true,
      groups: BRIDGE_GROUPS,
    });
    if (own !== undefined) network.own = new Set([formatPrefix(own.prefix)]);
  }

  #makeVxlan({ kind, vni, local, port, mtuBytes, networkId }: MakeVxlan | MakeListener): void {
    const network = this.#must(vni);
    const name = kind === "make-vxlan" ? VXLAN : LISTENER;
    const settings = kind === "make-vxlan" ? VXLAN_PORT : LISTENER_PORT;
    const vxlan = { vni, local: formatIp(local), port, learning: false };
    const found = network.links.get(name) ?? this.newLink(name, "vxlan", mtuBytes, { vxlan });
    const master = this.#mustLink(network, BRIDGE).ifindex;
    const alias = aliasOf(networkId);
    network.links.set(name, { ...found, mtuBytes, master, alias, up: true, port: settings });
  }

  /** The switch's other end is in `switched`; as the real one, it keeps its rows when it is given the device again. */
  #makeTap({ vni, local, port, also, mtuBytes, networkId }: MakeTap): void {
    const network = this.#must(vni);
    const found = network.links.get(VXLAN) ?? this.newLink(VXLAN, "tun", mtuBytes);
    const master = this.#mustLink(network, BRIDGE).ifindex;
    const alias = aliasOf(networkId);
    network.links.set(VXLAN, { ...found, mtuBytes, master, alias, up: true, port: VXLAN_PORT });
    const locals = network.switched?.locals ?? new Set<string>();
    const { fdb, flood } = network;
    network.switched = { local: formatIp(local), port, also, fdb, flood, locals };
  }

  /** What is told of a VXLAN device's rows is told of the one that has its name. */
  #swapVxlan(vni: number): void {
    const network = this.#must(vni);
    const vxlan = network.links.get(VXLAN);
    const listener = this.#mustLink(network, LISTENER);
    network.links.delete(LISTENER);
    if (vxlan !== undefined) network.links.set(LISTENER, { ...vxlan, name: LISTENER });
    network.links.set(VXLAN, { ...listener, name: VXLAN });
    this.#emptyVxlan(network);
    for (const [mac, port] of network.bridgeFdb) {
      if (port === VXLAN) network.bridgeFdb.set(mac, LISTENER);
    }
  }

  #putRows({ vni, rows }: PutRows): void {
    const network = this.#must(vni);
    this.#mustLink(network, VXLAN);
    this.#mustLink(network, BRIDGE);
    for (const row of rows) {
      if (row.kind === "flood") network.flood.add(row.vtep);
      else if (row.kind === "neighbour") network.neighbours.set(row.ip, row.mac);
      else if (row.kind === "local") network.switched?.locals.add(row.mac);
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
      else if (row.kind === "local") network.switched?.locals.delete(row.mac);
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
    const { returning } = endpoint;
    if (returning === undefined) return;
    inside.returning = {
      rules: returnRules(returning),
      routes: returning.families.map((family) => ({ family, ifindex })),
      neighbours: returning.families.map((family) => ({
        ifindex,
        ip: formatIp(returnGateway(family)),
        mac: RETURN_MAC,
      })),
    };
  }

  /** Of the machine's device; they go with it. */
  #neighbours(device: string): Map<string, string> {
    const link = this.#host().links.find(({ name }) => name === device);
    if (link === undefined) throw new Fault("LINK_GONE", { device });
    const known = this.#meshNeighbours.get(link.ifindex);
    if (known !== undefined) return known;
    const made = new Map<string, string>();
    this.#meshNeighbours.set(link.ifindex, made);
    return made;
  }

  #meshRows(): ReadonlyMap<string, string> | undefined {
    const link = this.#host().links.find(({ ifindex }) => this.#meshNeighbours.has(ifindex));
    return link && structuredClone(this.#meshNeighbours.get(link.ifindex));
  }

  #removeSandbox(file: string): void {
    const inside = this.insides.get(file);
    this.insides.delete(file);
    for (const [key, { sandbox }] of this.tables) {
      if (keyOf(sandbox) === file) this.tables.delete(key);
    }
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
    network.switched = undefined;
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

function keyOf(ref: TablePlace): string {
  return ref.kind === "own" ? sandboxFileName(ref.id) : sandboxKey(ref);
}
