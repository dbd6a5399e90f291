// Decisions of a trace that the kernel's tables of one node hold: what its own bridge and VXLAN device do with a
// destination, and what a sandbox's rules do. Each table is compared with what this node was told.
import { type Family, formatIp, type Ip, ipFromBytes, parseIp } from "../../common/address.js";
import type { TraceStep } from "../../proto/gen/control.js";
import { TraceProtocol } from "../../proto/gen/control.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import { named } from "../balance/chains.js";
import type { NetworkHave } from "../reconcile/have.js";
import { BRIDGE, portName, VXLAN } from "../reconcile/names.js";
import {
  addressBytes,
  hexOf,
  hostOrder,
  IPPROTO,
  interfaceName,
  networkOrder16,
} from "../reconcile/rule-words.js";
import type { TableHave } from "../reconcile/table-have.js";
import { doubt, networkName, pass, stop } from "./trace-steps.js";

/** The bridge's port of an endpoint of this node's. */
export function portSteps(have: NetworkHave, network: Network, endpoint: Endpoint): TraceStep[] {
  const port = portName(endpoint.id);
  const link = have.links.get(port);
  const bridge = have.links.get(BRIDGE);
  const facts = { device: port, mac: endpoint.mac };
  const name = networkName(network);
  if (link === undefined) {
    return [
      stop("port", `The port ${port} of ${endpoint.name} is missing in network ${name}.`, facts),
    ];
  }
  if (!link.up) return [stop("port", `The port ${port} of ${endpoint.name} is down.`, facts)];
  if (bridge === undefined || link.master !== bridge.ifindex) {
    return [
      stop("port", `The port ${port} of ${endpoint.name} is not on bridge ${BRIDGE}.`, facts),
    ];
  }
  if (!bridge.up) return [stop("port", `The bridge ${BRIDGE} of network ${name} is down.`, facts)];
  return [pass("port", `${endpoint.name} is on bridge ${BRIDGE} by port ${port}.`, facts)];
}

/** How the bridge finds an endpoint of this node's. */
export function localRowSteps(have: NetworkHave, endpoint: Endpoint): TraceStep[] {
  const port = portName(endpoint.id);
  const row = have.bridgeFdb.get(endpoint.mac);
  const facts = { mac: endpoint.mac, port: row ?? "" };
  if (row === port) {
    const what = `The bridge has ${endpoint.mac} behind ${port}: the frame goes to ${endpoint.name}.`;
    return [pass("rows", what, facts)];
  }
  if (row === undefined) {
    const what = `The bridge has no row for ${endpoint.mac}: the frame goes nowhere, or to all.`;
    return [stop("rows", what, facts)];
  }
  const what = `The bridge sends ${endpoint.mac} to ${row} and not to ${port} of ${endpoint.name}.`;
  return [stop("rows", what, facts)];
}

/** How a frame finds an endpoint of another node's: address → MAC → port → VTEP. */
export function remoteRowSteps(
  have: NetworkHave,
  endpoint: Endpoint,
  address: string,
  vtep: string,
  node: string,
): TraceStep[] {
  const steps: TraceStep[] = [];
  const mac = have.neighbours.get(address);
  if (mac === undefined) {
    const what = `The bridge has no row for ${address}: it cannot answer for it, and asks the other nodes.`;
    steps.push(doubt("neighbour", what, { address }));
  } else if (mac !== endpoint.mac) {
    const what = `The bridge tells ${mac} for ${address}; ${endpoint.name} has ${endpoint.mac}.`;
    steps.push(stop("neighbour", what, { address, mac }));
  } else {
    const what = `Who asks for ${address} is told ${mac} by the bridge itself.`;
    steps.push(pass("neighbour", what, { address, mac }));
  }
  const port = have.bridgeFdb.get(endpoint.mac);
  const device = have.links.get(VXLAN);
  if (device === undefined) {
    steps.push(stop("rows", `The device ${VXLAN} is missing: no frame leaves this node.`));
    return steps;
  }
  if (!device.up)
    steps.push(stop("rows", `The device ${VXLAN} is down: no frame leaves this node.`));
  if (port !== VXLAN) {
    const where = port === undefined ? "nowhere" : `to ${port}`;
    const what = `The bridge sends ${endpoint.mac} ${where}; it belongs to ${VXLAN}, to ${node}.`;
    steps.push(stop("rows", what, { mac: endpoint.mac, port: port ?? "" }));
    return steps;
  }
  if (device.vxlan === undefined) {
    // On the userspace path the switch has the rows; it is a TAP device.
    const what = `The bridge sends ${endpoint.mac} to ${VXLAN}, where this node's own switch has it at ${vtep} (${node}).`;
    steps.push(pass("rows", what, { mac: endpoint.mac, vtep }));
    return steps;
  }
  const row = have.fdb.get(endpoint.mac);
  const facts = { mac: endpoint.mac, vtep: row ?? "", vni: String(device.vxlan.vni) };
  if (row === vtep) {
    const what = `${VXLAN} has ${endpoint.mac} at VTEP ${vtep} (${node}), VNI ${device.vxlan.vni}, UDP port ${device.vxlan.port}.`;
    steps.push(pass("rows", what, { ...facts, port: String(device.vxlan.port) }));
  } else if (row === undefined) {
    steps.push(
      stop(
        "rows",
        `${VXLAN} has no row for ${endpoint.mac}: it belongs to ${vtep} (${node}).`,
        facts,
      ),
    );
  } else {
    const what = `${VXLAN} sends ${endpoint.mac} to ${row}; ${endpoint.name} is at ${vtep} (${node}).`;
    steps.push(stop("rows", what, facts));
  }
  return steps;
}

export type Balanced =
  /** Not an address of a service's. */
  | { readonly kind: "direct" }
  | { readonly kind: "backends"; readonly addresses: readonly string[]; readonly keeps: boolean }
  /** The service has no usable task. */
  | { readonly kind: "refused" };

/** What the rules of a sandbox do with a new flow to the address, as the kernel holds them. */
export function balanceOf(tables: readonly TableHave[], to: Ip): Balanced {
  const vip = hexOf(addressBytes(to));
  for (const { maps } of tables) {
    const of = (name: string) => maps.get(named(name, to.family))?.elements;
    if (of("refused")?.has(vip)) return { kind: "refused" };
    const kept = of("sticky")?.get(vip);
    if (kept !== undefined) {
      return { kind: "backends", addresses: addressOf(kept, to.family), keeps: true };
    }
    if (!of("vips")?.has(vip)) continue;
    const backends = of("backends");
    const addresses: string[] = [];
    for (let number = 0; ; number++) {
      const found = backends?.get(vip + hexOf(hostOrder(number)));
      if (found === undefined) return { kind: "backends", addresses, keeps: false };
      addresses.push(...addressOf(found, to.family));
    }
  }
  return { kind: "direct" };
}

function addressOf(hex: string, family: Family): string[] {
  const ip = ipFromBytes(Buffer.from(hex, "hex").subarray(0, family === 4 ? 4 : 16));
  return ip === undefined ? [] : [formatIp(ip)];
}

export type PolicyVerdict =
  | { readonly kind: "open" }
  | { readonly kind: "allowed"; readonly by: string }
  | { readonly kind: "denied" };

const NUMBERS = { [TraceProtocol.TCP]: IPPROTO.tcp, [TraceProtocol.UDP]: IPPROTO.udp };

/** Whether a sandbox's rules let a new flow in by the interface, as the kernel holds them. */
export function policyOf(
  tables: readonly TableHave[],
  device: string,
  fromAddress: string,
  protocol: TraceProtocol,
  port: number,
): PolicyVerdict {
  const link = hexOf(interfaceName(device));
  const from = parseIp(fromAddress);
  if (from === undefined) return { kind: "open" };
  for (const { maps } of tables) {
    if (!maps.get("denied")?.elements.has(link)) continue;
    const allowed = maps.get(named("allowed", from.family))?.elements;
    const source = hexOf(addressBytes(from));
    const anybody = hexOf(new Uint8Array(from.family === 4 ? 4 : 16));
    const number = protocol === TraceProtocol.ICMP ? 0 : (NUMBERS[protocol as 1 | 2] ?? 0);
    const kinds: readonly (readonly [string, string])[] = [
      ...(number === 0
        ? []
        : ([
            ["this port", kindOf(number, port)],
            ["every port of the protocol", kindOf(number, 0)],
          ] as const)),
      ["everything", kindOf(0, 0)],
    ];
    for (const [whom, who] of [
      [source, fromAddress],
      [anybody, "everybody"],
    ] as const) {
      const found = kinds.find(([, kind]) => allowed?.has(link + whom + kind));
      if (found !== undefined) return { kind: "allowed", by: `${who} is allowed ${found[0]}` };
    }
    return { kind: "denied" };
  }
  return { kind: "open" };
}

function kindOf(protocol: number, port: number): string {
  return hexOf(Uint8Array.of(protocol), networkOrder16(port));
}
