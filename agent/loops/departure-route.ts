// The way that a flow takes to leave this node, as the kernel's routes and rows have it.
import { contains, formatIp, parseIp, parsePrefix } from "../../common/address.js";
import { isEncrypted } from "../../common/encrypted.js";
import type { TraceStep } from "../../proto/gen/control.js";
import type { Peer } from "../../proto/gen/dispatcher.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import { NUD_FAILED } from "../netlink/constants.js";
import { wireguardAddress } from "../overlay/wireguard-address.js";
import { isSameSandbox } from "../reconcile/names.js";
import type { RouteAnswer } from "../seams.js";
import {
  doubt,
  endpointAt,
  HOST,
  networkName,
  pass,
  stop,
  type TraceTools,
  type Way,
} from "./trace-steps.js";
import { localRowSteps, portSteps, remoteRowSteps } from "./trace-tables.js";
import { underlaySteps } from "./trace-underlay.js";

/** From the sandbox to the other node, as routes and rows have it; it ends where they do. */
export function tableSteps(tools: TraceTools, way: Way, address: string): TraceStep[] {
  const { watcher, problem } = tools;
  const { from, place, held } = way;
  const to = parseIp(address);
  if (to === undefined) return [];
  const steps: TraceStep[] = [];
  const sandbox = place?.sandbox ?? HOST;
  const route = watcher.route(sandbox, to);
  steps.push(...routeSteps(address, route));
  if (route === undefined || route.kind === "none") return steps;
  if (from === undefined || place === undefined) {
    return [...steps, ...neighbourSteps(tools, route, address)];
  }
  const out = endpointBehind(tools, way, route.device);
  const network = held.networks.find(({ id }) => id === out?.networkId);
  if (out === undefined || network === undefined) {
    const via = route.gateway === undefined ? "" : ` by ${route.gateway}`;
    const what = `It leaves the sandbox by ${route.device}${via}, which is on no network of the swarm.`;
    return [...steps, doubt("route", what)];
  }
  const trouble = problem(out.id) ?? problem(network.id);
  if (trouble !== undefined) steps.push(doubt("kernel", `The agent says: ${trouble}`));
  const have = watcher.network(network.vni);
  if (have === undefined) {
    const what = `The namespace of network ${networkName(network)} does not stand on ${tools.hostname}.`;
    return [...steps, stop("rows", what)];
  }
  steps.push(...portSteps(have, network, out));
  const target = endpointAt(held.endpoints, network.id, route.gateway ?? address);
  if (target === undefined) {
    const isInside = network.subnets.some(({ cidr }) => {
      const subnet = parsePrefix(cidr);
      return subnet !== undefined && contains(subnet, to);
    });
    const what = isInside
      ? `Nothing on network ${networkName(network)} has the address ${address}.`
      : `${address} is not on network ${networkName(network)}, which leads nowhere else.`;
    return [...steps, stop("neighbour", what, { address })];
  }
  if (target.nodeId === tools.member()?.record.nodeId) {
    return [...steps, ...localRowSteps(have, target)];
  }
  const peer = held.peers.find(({ nodeId }) => nodeId === target.nodeId);
  if (peer === undefined) {
    const what = `This node was not told at which address the node of ${target.name} is.`;
    return [...steps, stop("rows", what)];
  }
  const vtep = parseIp(peer.dataPathAddr);
  const vtepText = vtep === undefined ? peer.dataPathAddr : formatIp(vtep);
  const inside = insideOf(tools, network, peer);
  steps.push(...remoteRowSteps(have, target, address, inside ?? vtepText, peer.hostname));
  if (inside !== undefined) steps.push(wireguardStep(peer));
  if (peer.silent) {
    steps.push(doubt("underlay", `The managers have not heard of ${peer.hostname} for a while.`));
  }
  return [...steps, ...(vtep === undefined ? [] : underlaySteps(tools, vtep, peer.hostname))];
}

/** Where an encrypted network's frames go: an address that is inside WireGuard only. */
function insideOf(tools: TraceTools, network: Network, { nodeId }: Peer): string | undefined {
  const record = tools.member()?.record;
  if (record === undefined || !isEncrypted(network)) return undefined;
  return formatIp(wireguardAddress(record.clusterId, nodeId).ip);
}

function wireguardStep({ hostname, dataPathAddr, wireguardKey, wireguardPort }: Peer): TraceStep {
  if (!wireguardKey?.length) {
    const what = `The network is encrypted, and ${hostname} has no WireGuard key: nothing goes there.`;
    return stop("wireguard", what);
  }
  const port = String(wireguardPort ?? 0);
  const what = `Frames go to ${hostname} inside WireGuard, to its UDP port ${port}.`;
  return pass("wireguard", what, { vtep: dataPathAddr, port });
}

function routeSteps(address: string, route: RouteAnswer | undefined): TraceStep[] {
  if (route === undefined) return [stop("route", "The sandbox does not stand any more.")];
  if (route.kind === "none") {
    return [stop("route", `The sandbox has no route to ${address}: ${route.why}.`, { address })];
  }
  const { device, gateway, source } = route;
  const via = gateway === undefined ? "" : ` by gateway ${gateway}`;
  const by = source === undefined ? "" : `, from ${source}`;
  const facts = { address, device, gateway: gateway ?? "", source: source ?? "" };
  return [pass("route", `The route to ${address} is ${device}${via}${by}.`, facts)];
}

/** Of a flow between nodes: whether the next hop is known. */
function neighbourSteps(
  { watcher }: TraceTools,
  route: Extract<RouteAnswer, { kind: "route" }>,
  address: string,
): TraceStep[] {
  const hop = route.gateway ?? address;
  const row = watcher
    .neighbours(HOST)
    ?.find(({ ip, device }) => ip === hop && device === route.device);
  if (row === undefined) return [];
  if (row.state & NUD_FAILED) {
    const what = `The next hop ${hop} does not answer on ${route.device}: its MAC address is not known.`;
    return [stop("neighbour", what, { address: hop })];
  }
  return [
    pass("neighbour", `The next hop ${hop} is ${row.mac} on ${route.device}.`, { mac: row.mac }),
  ];
}

/** Which endpoint of the sandbox has this interface. */
function endpointBehind(
  { placeOf, member }: TraceTools,
  { held, place, from }: Way,
  device: string,
): Endpoint | undefined {
  if (place?.interfaceName === device) return from;
  const nodeId = member()?.record.nodeId;
  return held.endpoints.find((each) => {
    if (each.nodeId !== nodeId) return false;
    const other = placeOf(each.id);
    return (
      other?.interfaceName === device &&
      place !== undefined &&
      isSameSandbox(other.sandbox, place.sandbox)
    );
  });
}
