// Want and have → the steps between, in order. Pure: the same two always give the same plan, and a plan
// for what is already so is empty.
//
// Order. First go local endpoints that nobody wants (they may hold a name or an address that another is
// to get). Then everything new from the outside in: sandboxes, namespaces, devices, rows, tables of the packet filter,
// and endpoints last, so that an endpoint's first frame finds all it needs and nothing is reachable before its filter. Then what is left over. Rows are replaced in place,
// and stale ones go after new ones are there: frames that flowed go on flowing.
import {
  bitsOf,
  contains,
  formatIp,
  formatPrefix,
  networkOf,
  type Prefix,
} from "../../common/address.js";
import { planAcceleration } from "./acceleration.js";
import { BRIDGE_GROUPS, ENDPOINT_PORT, isPortOf, mayAskGroups } from "./bridge-port.js";
import type { HostHave, LinkHave, NamespaceHave, NetworkHave } from "./have.js";
import { linkWith } from "./have.js";
import { planLocal } from "./local-plan.js";
import { returns } from "./mesh-want.js";
import {
  ASIDE,
  aliasOf,
  BRIDGE,
  isPort,
  LISTENER,
  portName,
  sandboxKey,
  TABLE,
  VXLAN,
} from "./names.js";
import { type NetworkSize, sizeOf } from "./path-want.js";
import { rowsToDrop, rowsToPut, rowsWanted } from "./rows.js";
import type { Row, StaleRow, Step } from "./step.js";
import { planTables } from "./table-plan.js";
import { planTap, TAP_KIND } from "./tap-plan.js";
import { planVxlan } from "./vxlan-plan.js";
import { type HostWant, type LocalEndpoint, type NetworkWant, sandboxFileName } from "./want.js";
import { planWireguard, WIREGUARD } from "./wireguard-plan.js";

export interface Plan {
  readonly steps: readonly Step[];
  /** Why something that is wanted cannot even be tried, by network or endpoint id. */
  readonly problems: ReadonlyMap<string, string>;
}

// Choice: a step is at most a few milliseconds of kernel work, and between steps other work gets its turn.
const ROWS_A_STEP = 1000;

export function plan(want: HostWant, have: HostHave): Plan {
  const problems = new Map<string, string>();
  const wanted = new Map(want.networks.map((network) => [network.vni as number, network]));
  const before: Step[] = [];
  const make: Step[] = [];
  const endpoints: Step[] = [];
  const after: Step[] = [];

  for (const [vni, network] of have.networks) {
    const keep = new Set(wanted.get(vni)?.locals.map((local) => portName(local.endpointId)));
    for (const name of network.links.keys()) {
      if (isPort(name) && !keep.has(name))
        before.push({ kind: "remove-endpoint", vni, port: name });
    }
    if (!wanted.has(vni)) after.push({ kind: "remove-network", vni });
  }
  const sandboxFiles = new Set<string>();
  for (const { id } of want.sandboxes) {
    sandboxFiles.add(sandboxFileName(id));
    if (!have.sandboxes.has(sandboxFileName(id))) make.push({ kind: "make-sandbox", id });
  }
  for (const network of want.networks) {
    const steps = planNetwork(network, have, problems);
    before.push(...steps.before);
    make.push(...steps.make);
    endpoints.push(...steps.endpoints);
    after.unshift(...steps.after);
  }
  for (const file of have.sandboxes) {
    if (!sandboxFiles.has(file)) after.push({ kind: "remove-sandbox", file });
  }
  const wireguard = planWireguard(want.wireguard, have.wireguard, have.underlay);
  if (wireguard.problem !== undefined) problems.set(WIREGUARD, wireguard.problem);
  make.unshift(...wireguard.make);
  after.push(...wireguard.after);
  const local = planLocal(want.local, have, problems);
  // What comes in by the mesh is forwarded, whether or not there are bridges.
  for (const family of [4, 6] as const) {
    const forwards = want.networks.some(({ locals }) =>
      locals.some(({ mesh }) => mesh?.subnets.some(({ ip }) => ip.family === family)),
    );
    const isAllowed = have.local?.forwarding[family] !== false;
    const isPlanned = local.make.some(
      (step) => step.kind === "allow-forwarding" && step.family === family,
    );
    if (forwards && !isAllowed && !isPlanned) make.push({ kind: "allow-forwarding", family });
  }
  // Of a network that cannot be made there is no place for them.
  const hopeless = new Set(
    want.networks
      .filter(({ networkId }) => problems.has(networkId))
      .map(({ vni }) => vni as number),
  );
  const wantedTables = [...local.tables, ...(want.tables ?? [])].filter(
    ({ sandbox }) => sandbox.kind !== "network" || !hopeless.has(sandbox.vni),
  );
  const tables = planTables(wantedTables, sandboxFiles, have, (sandbox, name) =>
    sandbox.kind === "host" && name === TABLE
      ? want.local !== undefined
      : want.tables !== undefined,
  );
  const acceleration = planAcceleration(want, have);
  for (const [subject, why] of acceleration.problems) problems.set(subject, why);
  return {
    steps: [
      ...[...acceleration.before, ...before, ...local.before],
      ...[...make, ...local.make, ...tables.before, ...endpoints, ...local.plugs, ...tables.hooks],
      ...acceleration.after,
      ...[...tables.after, ...local.after, ...after],
    ],
    problems,
  };
}

const NO_NETWORK: Omit<NetworkHave, "vni"> = {
  links: new Map(),
  fdb: new Map(),
  flood: new Set(),
  bridgeFdb: new Map(),
  neighbours: new Map(),
};

function planNetwork(
  want: NetworkWant,
  host: HostHave,
  problems: Map<string, string>,
): Record<"before" | "make" | "endpoints" | "after", Step[]> {
  const { networkId, vni } = want;
  const found = host.networks.get(vni) ?? { vni, ...NO_NETWORK };
  if (typeof want.encrypted === "object") {
    problems.set(networkId, want.encrypted.impossible);
    return withoutEncryption(want, found);
  }
  const size = networkSize(want, host.underlay, found);
  if (size === undefined) {
    const vtep = formatIp(want.underlay ?? want.vtep);
    problems.set(networkId, `The data path address ${vtep} is on no interface of this machine.`);
    return { before: [], make: [], endpoints: [], after: [] };
  }
  const { mtuBytes } = size;
  const make: Step[] = [];
  const bridge = found.links.get(BRIDGE);
  const bridgeStands = bridge?.kind === "bridge";
  if (
    !bridgeStands ||
    !bridge.up ||
    bridge.mtuBytes !== mtuBytes ||
    bridge.alias !== aliasOf(networkId) ||
    !isOwn(want, bridge, found) ||
    bridge.groups?.snooping !== BRIDGE_GROUPS.snooping ||
    bridge.groups.querier !== BRIDGE_GROUPS.querier ||
    (found.asks === false && want.own === undefined && mayAskGroups(mtuBytes)) ||
    found.quiet === false
  ) {
    const { own } = want;
    make.push({ kind: "make-network", networkId, vni, mtuBytes, ...(own && { own }) });
  }
  const outlet =
    want.path === "userspace" && !want.encrypted
      ? planTap(found, want, bridge, mtuBytes)
      : planVxlan(found, want, bridge, size);
  make.push(...outlet.make);

  const { bridgeFdb, neighbours: none } = NO_NETWORK;
  const have = bridgeStands ? outlet.standing : { ...outlet.standing, bridgeFdb, neighbours: none };
  const rows = rowsWanted(want);
  for (const part of inParts(rowsToPut(rows, have))) {
    make.push({ kind: "put-rows", networkId, vni, rows: part });
  }
  make.push(...outlet.listen);
  const before: Step[] = [...outlet.before];
  const after: Step[] = [...outlet.after];
  const endpoints: Step[] = [];
  for (const endpoint of want.locals) {
    const inside = insideOf(endpoint, host, problems);
    if (inside === undefined || stands(endpoint, want, have, inside, mtuBytes)) continue;
    const port = portName(endpoint.endpointId);
    const there = have.links.has(port);
    // A pair that leads elsewhere or has another's name is in the way of others: it goes first.
    const astray = there && !isInPlace(endpoint, inside);
    if (astray) before.push({ kind: "remove-endpoint", vni, port });
    const fresh = !there || astray;
    const routes = [...farSubnets(endpoint, want), ...lostSubnets(endpoint, inside)];
    endpoints.push({ kind: "make-endpoint", networkId, vni, endpoint, mtuBytes, routes, fresh });
  }
  const mesh = want.locals.find((local) => local.mesh !== undefined);
  const neighbours = mesh && neighbourSteps(want.networkId, mesh, host);
  endpoints.push(...(neighbours?.make ?? []));
  const keep = new Set(rows.locals.values());
  const stale: StaleRow[] = rowsToDrop(rows, have).filter(
    // The rows of a port that is removed go with it.
    (row) => row.kind !== "bridge" || row.port === VXLAN || keep.has(row.port),
  );
  for (const part of inParts(stale)) after.push({ kind: "drop-rows", networkId, vni, rows: part });
  after.push(...(neighbours?.after ?? []));
  return { before, make, endpoints, after };
}

/** What is bound to WireGuard's address goes on waiting for it; what is not would send in clear. */
function withoutEncryption(
  { networkId, vni, vtep, underlay = vtep }: NetworkWant,
  { links }: NetworkHave,
): Record<"before" | "make" | "endpoints" | "after", Step[]> {
  const isClear = (name: string) => {
    const link = links.get(name);
    return link?.kind === TAP_KIND || link?.vxlan?.local === formatIp(underlay);
  };
  const before: Step[] = isClear(VXLAN) ? [{ kind: "remove-vxlan", vni }] : [];
  if ([LISTENER, ASIDE].some(isClear)) before.push({ kind: "remove-listener", networkId, vni });
  return { before, make: [], endpoints: [], after: [] };
}

function isOwn({ own }: NetworkWant, bridge: LinkHave, have: Omit<NetworkHave, "vni">): boolean {
  if (own === undefined) return true;
  return bridge.mac === own.mac && have.own?.has(formatPrefix(own.prefix)) === true;
}

function neighbourSteps(
  networkId: string,
  { mesh, interfaceName: device }: LocalEndpoint,
  { mesh: have }: HostHave,
): { readonly make: readonly Step[]; readonly after: readonly Step[] } {
  const want = mesh?.neighbours;
  const rows = [...(want ?? [])].filter(([ip, mac]) => have?.get(ip) !== mac);
  const ips = [...(have?.keys() ?? [])].filter((ip) => !want?.has(ip));
  return {
    make: rows.length === 0 ? [] : [{ kind: "put-neighbours", networkId, device, rows }],
    after: ips.length === 0 ? [] : [{ kind: "drop-neighbours", networkId, device, ips }],
  };
}

/** Undefined if no interface has the VTEP, and there is no bridge to keep as it is. */
function networkSize(
  want: NetworkWant,
  underlay: NamespaceHave,
  found: NetworkHave,
): NetworkSize | undefined {
  const vtep = formatIp(want.underlay ?? want.vtep);
  const address = underlay.addresses.find(({ prefix }) => prefix.startsWith(`${vtep}/`));
  const link = underlay.links.find(({ ifindex }) => ifindex === address?.ifindex);
  if (link !== undefined) return sizeOf(want, link.mtuBytes);
  const bridge = found.links.get(BRIDGE);
  return bridge && { mtuBytes: bridge.mtuBytes, df: "inherit" };
}

/** The endpoint's namespace as found; empty for one that an earlier step makes; a problem if it is gone. */
function insideOf(
  endpoint: LocalEndpoint,
  host: HostHave,
  problems: Map<string, string>,
): NamespaceHave | undefined {
  const { sandbox, endpointId } = endpoint;
  const found = host.insides.get(sandboxKey(sandbox));
  if (found !== undefined) return found;
  if (sandbox.kind === "own") return { links: [], addresses: [], routes: [] };
  const what = sandbox.kind === "foreign" ? sandbox.path : "of this machine";
  problems.set(endpointId, `The network namespace ${what} is gone or is no network namespace.`);
  return undefined;
}

function isInPlace(endpoint: LocalEndpoint, inside: NamespaceHave): boolean {
  const link = linkWith(inside, aliasOf(endpoint.endpointId));
  return link?.name === endpoint.interfaceName && link.mac === endpoint.mac;
}

function stands(
  endpoint: LocalEndpoint,
  want: NetworkWant,
  have: NetworkHave,
  inside: NamespaceHave,
  mtuBytes: number,
): boolean {
  const name = portName(endpoint.endpointId);
  const port = have.links.get(name);
  const link = linkWith(inside, aliasOf(endpoint.endpointId));
  if (port === undefined || link === undefined) return false;
  if (!isPortOf(port, have.links.get(BRIDGE), mtuBytes, ENDPOINT_PORT)) return false;
  if (have.bridgeFdb.get(endpoint.mac) !== name) return false;
  if (!isInPlace(endpoint, inside) || !link.up || link.mtuBytes !== mtuBytes) return false;
  const addresses = new Set<string>();
  for (const { ifindex, prefix } of inside.addresses)
    if (ifindex === link.ifindex) addresses.add(prefix);
  if (!endpoint.prefixes.every((prefix) => addresses.has(formatPrefix(prefix)))) return false;
  const routes = inside.routes.filter(({ ifindex }) => ifindex === link.ifindex);
  const leadsTo = new Set(routes.map(({ gateway }) => gateway));
  const { gateways, returning } = endpoint;
  if (lostSubnets(endpoint, inside).length > 0) return false;
  if (!(gateways ?? []).every((gateway) => leadsTo.has(formatIp(gateway)))) return false;
  if (returning !== undefined && !returns(returning, inside.returning, link.ifindex)) return false;
  return farSubnets(endpoint, want).every((subnet) =>
    routes.some(({ prefix }) => prefix === formatPrefix(subnet)),
  );
}

/** Those of its own that the kernel made routes for with the address, and that somebody took away since. */
function lostSubnets({ endpointId, prefixes }: LocalEndpoint, inside: NamespaceHave): Prefix[] {
  const link = linkWith(inside, aliasOf(endpointId));
  if (link === undefined || !link.up) return [];
  const on = <T extends { readonly ifindex: number }>(all: readonly T[]) =>
    all.filter(({ ifindex }) => ifindex === link.ifindex);
  const addresses = new Set(on(inside.addresses).map(({ prefix }) => prefix));
  const routes = new Set(on(inside.routes).map(({ prefix }) => prefix));
  return prefixes
    .filter(({ ip, length }) => length < bitsOf(ip.family))
    .filter((prefix) => addresses.has(formatPrefix(prefix)))
    .map(networkOf)
    .filter((subnet) => !routes.has(formatPrefix(subnet)));
}

/** The network's other subnets of a family that the endpoint has; of the mesh's end all that is behind it. */
function farSubnets(endpoint: LocalEndpoint, want: NetworkWant): Prefix[] {
  if (endpoint.mesh !== undefined) return endpoint.mesh.subnets.map(networkOf);
  return want.subnets
    .filter((subnet) => endpoint.prefixes.some(({ ip }) => ip.family === subnet.ip.family))
    .filter((subnet) => !endpoint.prefixes.some(({ ip }) => contains(subnet, ip)))
    .map(networkOf);
}

function inParts<T extends Row | StaleRow>(rows: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < rows.length; at += ROWS_A_STEP)
    parts.push(rows.slice(at, at + ROWS_A_STEP));
  return parts;
}
