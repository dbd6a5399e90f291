// Want and have of the networks that only this node has → the steps between. Like plan.ts, whose order it
// follows: what is in the way goes first, then bridges, then the filter, then what is plugged in, so that
// nothing is reachable before the filter stands; what is left over goes last.
import { type Family, formatIp, formatPrefix } from "../../common/address.js";
import { localTable } from "./filter.js";
import {
  type HostHave,
  type LinkHave,
  type LocalHave,
  linkWith,
  type NamespaceHave,
  type PortHave,
} from "./have.js";
import type { BridgeWant, LocalWant } from "./local-want.js";
import { aliasOf, isNewborn, isPort, localAlias, portName, sandboxKey } from "./names.js";
import type { Step } from "./step.js";
import type { NamespaceTables } from "./table-want.js";
import type { LocalEndpoint } from "./want.js";

export interface LocalSteps {
  readonly before: readonly Step[];
  readonly make: readonly Step[];
  readonly tables: readonly NamespaceTables[];
  readonly plugs: readonly Step[];
  readonly after: readonly Step[];
}

const NOTHING: LocalSteps = { before: [], make: [], tables: [], plugs: [], after: [] };
const NOT_FILTERED = { 4: false, 6: false };

export function planLocal(
  want: LocalWant | undefined,
  have: HostHave,
  problems: Map<string, string>,
): LocalSteps {
  if (want === undefined || have.local === undefined) return NOTHING;
  const { tag } = have.local;
  const before: Step[] = [];
  const make: Step[] = [];
  const after: Step[] = [];
  const wantedPorts = new Set(
    want.bridges.flatMap(({ locals }) => locals.map(({ endpointId }) => portName(endpointId))),
  );
  const wantedBridges = new Set(want.bridges.map(({ device }) => device));
  for (const { name, kind, alias } of have.underlay.links) {
    // What a dead run left before it was marked: names are random enough to be ours alone.
    const newborn = alias === "" && ((kind === "bridge" && isNewborn(name)) || isPort(name));
    if (!newborn && !alias.startsWith(localAlias(tag, ""))) continue;
    if (kind === "bridge") {
      if (!wantedBridges.has(name)) after.push({ kind: "remove-bridge", device: name });
    } else if (isPort(name) && !wantedPorts.has(name)) before.push({ kind: "unplug", port: name });
  }
  for (const family of [4, 6] as const) {
    const leadsOut = want.bridges.some((each) => !each.internal && hasFamily(each, family));
    if (leadsOut && !have.local.forwarding[family]) {
      make.push({ kind: "allow-forwarding", family });
    }
  }
  const plugs: Step[] = [];
  for (const bridge of want.bridges) {
    const found = have.underlay.links.find(({ name }) => name === bridge.device);
    const alias = localAlias(tag, bridge.networkId);
    if (found !== undefined && found.alias !== alias) {
      const why = `This machine already has an interface named ${bridge.device} that is not Skein's.`;
      problems.set(bridge.networkId, why);
      continue;
    }
    if (found === undefined || !bridgeStands(bridge, found, have.underlay)) {
      make.push({ kind: "make-bridge", bridge, alias, fresh: found === undefined });
    }
    for (const endpoint of bridge.locals) {
      planPlug(bridge, endpoint, found, have, tag, { before, plugs });
    }
  }
  const tables: NamespaceTables[] =
    want.bridges.length === 0 ? [] : [{ sandbox: { kind: "host" }, tables: [localTable(want)] }];
  return { before, make, tables, plugs, after };
}

function planPlug(
  bridge: BridgeWant,
  endpoint: LocalEndpoint,
  device: LinkHave | undefined,
  have: HostHave,
  tag: string,
  into: { readonly before: Step[]; readonly plugs: Step[] },
): void {
  const name = portName(endpoint.endpointId);
  const port = have.underlay.links.find((link) => link.name === name);
  const inside = have.insides.get(sandboxKey(endpoint.sandbox));
  if (inside !== undefined && plugStands(bridge, endpoint, device, port, inside, have.local))
    return;
  const far = inside && linkWith(inside, aliasOf(endpoint.endpointId));
  const inPlace = far?.name === endpoint.interfaceName && far.mac === endpoint.mac;
  const astray = port !== undefined && !inPlace;
  if (astray) into.before.push({ kind: "unplug", port: name });
  const { networkId, device: master, mtuBytes } = bridge;
  into.plugs.push({
    kind: "plug",
    networkId,
    device: master,
    mtuBytes,
    port: portOf(bridge, have.local),
    alias: localAlias(tag, endpoint.endpointId),
    endpoint,
    fresh: port === undefined || astray,
  });
}

/**
 * Where the machine's filter sees what a bridge carries (br_netfilter), it keeps apart those who are not to
 * talk, and a packet to a published port is turned round on the bridge itself, if need be to where it came
 * from. Where it does not, the bridge keeps them apart, and the packet comes up to the machine and is routed.
 */
function portOf(bridge: BridgeWant, local: LocalHave | undefined): PortHave {
  const filtered: Readonly<Record<Family, boolean>> = local?.bridgedFilter ?? NOT_FILTERED;
  // What the filter sees of one family alone, it does not keep apart.
  const seesAll = filtered[4] && (filtered[6] || !hasFamily(bridge, 6));
  return {
    learning: true,
    unicastFlood: true,
    neighSuppress: false,
    isolated: !bridge.icc && !seesAll,
    hairpin: filtered[4] || (hasFamily(bridge, 6) && filtered[6]),
  };
}

function hasFamily({ addresses }: BridgeWant, family: Family): boolean {
  return addresses.some(({ ip }) => ip.family === family);
}

function bridgeStands(want: BridgeWant, found: LinkHave, host: NamespaceHave): boolean {
  if (found.kind !== "bridge" || !found.up || found.mtuBytes !== want.mtuBytes) return false;
  const addresses = new Set<string>();
  for (const { ifindex, prefix } of host.addresses)
    if (ifindex === found.ifindex) addresses.add(prefix);
  return want.addresses.every((prefix) => addresses.has(formatPrefix(prefix)));
}

function plugStands(
  bridge: BridgeWant,
  endpoint: LocalEndpoint,
  device: LinkHave | undefined,
  port: LinkHave | undefined,
  inside: NamespaceHave,
  local: LocalHave | undefined,
): boolean {
  const far = linkWith(inside, aliasOf(endpoint.endpointId));
  if (device === undefined || port === undefined || far === undefined) return false;
  if (port.master !== device.ifindex || !port.up || port.mtuBytes !== bridge.mtuBytes) return false;
  const { isolated, hairpin } = portOf(bridge, local);
  if ((port.port?.isolated ?? false) !== isolated) return false;
  if ((port.port?.hairpin ?? false) !== hairpin) return false;
  if (far.name !== endpoint.interfaceName || far.mac !== endpoint.mac) return false;
  if (!far.up || far.mtuBytes !== bridge.mtuBytes) return false;
  const addresses = new Set<string>();
  for (const { ifindex, prefix } of inside.addresses)
    if (ifindex === far.ifindex) addresses.add(prefix);
  if (!endpoint.prefixes.every((prefix) => addresses.has(formatPrefix(prefix)))) return false;
  const leadsTo = new Set(
    inside.routes.filter(({ ifindex }) => ifindex === far.ifindex).map(({ gateway }) => gateway),
  );
  return (endpoint.gateways ?? []).every((gateway) => leadsTo.has(formatIp(gateway)));
}
