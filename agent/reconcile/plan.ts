// Want and have → the steps between, in order. Pure: the same two always give the same plan, and a plan
// for what is already so is empty.
//
// Order. First go local endpoints that nobody wants (they may hold a name or an address that another is
// to get). Then everything new from the outside in: sandboxes, namespaces, devices, rows, and an endpoint
// last, so that its first frame finds all it needs. Then what is left over. Rows are replaced in place,
// and stale ones go after new ones are there: frames that flowed go on flowing.
import { contains, formatIp, formatPrefix, networkOf, type Prefix } from "../../common/address.js";
import { innerMtuBytes } from "../overlay/mtu.js";
import type { HostHave, LinkHave, NamespaceHave, NetworkHave, PortHave } from "./have.js";
import { linkWith } from "./have.js";
import { aliasOf, BRIDGE, isPort, portName, sandboxKey, VXLAN } from "./names.js";
import { rowsToDrop, rowsToPut, rowsWanted } from "./rows.js";
import type { Row, StaleRow, Step } from "./step.js";
import { type HostWant, type LocalEndpoint, type NetworkWant, sandboxFileName } from "./want.js";

export interface Plan {
  readonly steps: readonly Step[];
  /** Why something that is wanted cannot even be tried, by network or endpoint id. */
  readonly problems: ReadonlyMap<string, string>;
}

// Choice: a step is at most a few milliseconds of kernel work, and between steps other work gets its turn.
export const ROWS_A_STEP = 1000;

/** Frames leave the VXLAN device only for MACs that are known, and what is known is never learned. */
export const VXLAN_PORT: PortHave = { learning: false, unicastFlood: false, neighSuppress: true };
export const ENDPOINT_PORT: PortHave = {
  learning: false,
  unicastFlood: false,
  neighSuppress: false,
};

export function plan(want: HostWant, have: HostHave): Plan {
  const problems = new Map<string, string>();
  const wanted = new Map(want.networks.map((network) => [network.vni as number, network]));
  const before: Step[] = [];
  const make: Step[] = [];
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
    after.unshift(...steps.after);
  }
  for (const file of have.sandboxes) {
    if (!sandboxFiles.has(file)) after.push({ kind: "remove-sandbox", file });
  }
  return { steps: [...before, ...make, ...after], problems };
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
): { readonly before: Step[]; readonly make: Step[]; readonly after: Step[] } {
  const { networkId, vni } = want;
  const found = host.networks.get(vni) ?? { vni, ...NO_NETWORK };
  const mtuBytes = mtuOf(want, host.underlay) ?? found.links.get(BRIDGE)?.mtuBytes;
  if (mtuBytes === undefined) {
    const vtep = formatIp(want.vtep);
    problems.set(networkId, `The data path address ${vtep} is on no interface of this machine.`);
    return { before: [], make: [], after: [] };
  }
  const make: Step[] = [];
  const bridge = found.links.get(BRIDGE);
  const bridgeStands = bridge?.kind === "bridge";
  if (
    !bridgeStands ||
    !bridge.up ||
    bridge.mtuBytes !== mtuBytes ||
    bridge.alias !== aliasOf(networkId)
  ) {
    make.push({ kind: "make-network", networkId, vni, mtuBytes });
  }
  const vxlan = found.links.get(VXLAN);
  const vxlanFits = vxlan !== undefined && fits(vxlan, want);
  if (vxlan !== undefined && !vxlanFits) make.push({ kind: "remove-vxlan", vni });
  if (!vxlanFits || !isPortOf(vxlan, bridge, mtuBytes, VXLAN_PORT)) {
    const { vtep: local, port } = want;
    make.push({ kind: "make-vxlan", networkId, vni, local, port, mtuBytes, fresh: !vxlanFits });
  }

  const have = standing(found, bridgeStands, vxlanFits);
  const rows = rowsWanted(want);
  for (const part of inParts(rowsToPut(rows, have))) {
    make.push({ kind: "put-rows", networkId, vni, rows: part });
  }
  const before: Step[] = [];
  for (const endpoint of want.locals) {
    const inside = insideOf(endpoint, host, problems);
    if (inside === undefined || stands(endpoint, want, have, inside, mtuBytes)) continue;
    const port = portName(endpoint.endpointId);
    const there = have.links.has(port);
    // A pair that leads elsewhere or has another's name is in the way of others: it goes first.
    const astray = there && !isInPlace(endpoint, inside);
    if (astray) before.push({ kind: "remove-endpoint", vni, port });
    const fresh = !there || astray;
    const routes = farSubnets(endpoint, want);
    make.push({ kind: "make-endpoint", networkId, vni, endpoint, mtuBytes, routes, fresh });
  }
  const keep = new Set(rows.locals.values());
  const stale: StaleRow[] = rowsToDrop(rows, have).filter(
    // The rows of a port that is removed go with it.
    (row) => row.kind !== "bridge" || row.port === VXLAN || keep.has(row.port),
  );
  const after: Step[] = inParts(stale).map((part) => ({
    kind: "drop-rows",
    networkId,
    vni,
    rows: part,
  }));
  return { before, make, after };
}

/** What will be there of the tables once the devices are as wanted: a remade device starts empty. */
function standing(have: NetworkHave, bridgeStands: boolean, vxlanFits: boolean): NetworkHave {
  const { fdb, flood, bridgeFdb, neighbours } = NO_NETWORK;
  if (!bridgeStands)
    return { ...have, bridgeFdb, neighbours, ...(vxlanFits ? {} : { fdb, flood }) };
  if (vxlanFits) return have;
  const others = [...have.bridgeFdb].filter(([, port]) => port !== VXLAN);
  return { ...have, fdb, flood, bridgeFdb: new Map(others) };
}

/** Asked for, or what the VTEP's interface leaves; undefined if no interface has the VTEP. */
function mtuOf(want: NetworkWant, underlay: NamespaceHave): number | undefined {
  const vtep = formatIp(want.vtep);
  const address = underlay.addresses.find(({ prefix }) => prefix.startsWith(`${vtep}/`));
  const link = underlay.links.find(({ ifindex }) => ifindex === address?.ifindex);
  if (link === undefined) return undefined;
  return want.mtuBytes > 0 ? want.mtuBytes : innerMtuBytes(link.mtuBytes, want.vtep.family);
}

function fits(link: LinkHave, want: NetworkWant): boolean {
  const { vxlan } = link;
  if (vxlan === undefined) return false;
  const { vni, port, local, learning } = vxlan;
  return vni === want.vni && port === want.port && local === formatIp(want.vtep) && !learning;
}

function isPortOf(
  link: LinkHave,
  bridge: LinkHave | undefined,
  mtuBytes: number,
  port: PortHave,
): boolean {
  return (
    bridge !== undefined &&
    link.master === bridge.ifindex &&
    link.up &&
    link.mtuBytes === mtuBytes &&
    link.port?.learning === port.learning &&
    link.port.unicastFlood === port.unicastFlood &&
    link.port.neighSuppress === port.neighSuppress
  );
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
  const { gateway } = endpoint;
  if (gateway !== undefined && !routes.some((route) => route.gateway === formatIp(gateway)))
    return false;
  return farSubnets(endpoint, want).every((subnet) =>
    routes.some(({ prefix }) => prefix === formatPrefix(subnet)),
  );
}

/** The network's other subnets of a family that the endpoint has. */
function farSubnets(endpoint: LocalEndpoint, want: NetworkWant): Prefix[] {
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
