// The steps on sandboxes and on the endpoints in them.

import { randomInt } from "node:crypto";
import { EBUSY, EEXIST } from "../../common/errno.js";
import { Fault } from "../../common/fault.js";
import { putAddress } from "../netlink/interface-address.js";
import {
  changeLink,
  changePort,
  deleteGroup,
  deleteLink,
  dumpLinks,
  type Link,
  newVeth,
} from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import { putBridgeRow } from "../netlink/neighbour.js";
import { putRoute } from "../netlink/route.js";
import { ENDPOINT_PORT } from "../reconcile/bridge-port.js";
import { aliasOf, BRIDGE, newbornName, portName } from "../reconcile/names.js";
import type { MakeEndpoint, PortRemoval } from "../reconcile/step.js";
import { mustHave } from "./ipv6.js";
import { admitLoopback, putReturn } from "./mesh-steps.js";
import { createNamespace, isNamespace, removeNamespace, within } from "./namespace.js";
import { NetlinkError, NetlinkSocket } from "./netlink-socket.js";
import { findLink, mustLink, removeLink } from "./network-steps.js";
import type { Places } from "./places.js";
import { sentenceFault } from "./sentence.js";
import { openMesh, openReturn, openSandbox, quietInterface } from "./sysctl.js";

// Choice: what people and distributions number groups with are small numbers (iproute2's rt_dsfield, group).
const GROUP_MIN = 2 ** 24;
const GROUP_MAX = 2 ** 31;

export function makeSandbox(places: Places, id: string): void {
  const path = places.sandboxPath({ kind: "own", id });
  if (path === undefined || isNamespace(path)) return;
  createNamespace(path, () => {
    openSandbox();
    const socket = new NetlinkSocket();
    try {
      const { ifindex } = mustLink(socket, "lo");
      socket.request((writer) => changeLink(writer, ifindex, { up: true }));
    } finally {
      socket.close();
    }
  });
}

export function removeSandbox(places: Places, file: string): void {
  removeNamespace(places.sandboxFilePath(file));
}

/** Both ends of the pair, from the network outwards; the inner one gets its name when the rest is done. */
export function makeEndpoint(places: Places, step: MakeEndpoint): void {
  const { sandbox } = step.endpoint;
  const done = places.inSandbox(sandbox, (inside, netnsFd) => {
    const near = places.mustNetwork(step.vni).socket;
    const far = ensurePair(near, inside, netnsFd, step);
    dressPort(near, step);
    quiet(places, step, far.name);
    dressInside(inside, far, step);
    // Asked about one link, kernels since 6.8 settle its operational state at once (net/core/rtnetlink.c,
    // linkwatch_sync_dev); else `ip link` may say DOWN for up to a second, though frames pass.
    findLink(inside, step.endpoint.interfaceName);
    return true;
  });
  if (done === undefined) {
    const where = places.sandboxPath(sandbox);
    throw sentenceFault("SANDBOX_GONE", `The network namespace ${where} is gone.`, {});
  }
}

export function removeEndpoint(places: Places, vni: number, port: string): void {
  const place = places.network(vni);
  if (place !== undefined) removeLink(place.socket, port);
}

/** Together, in each namespace; those that are not there are not missed. */
export function removePorts(places: Places, steps: readonly PortRemoval[]): void {
  const bySocket = new Map<NetlinkSocket, string[]>();
  for (const step of steps) {
    const place = step.kind === "unplug" ? places.underlay : places.network(step.vni);
    if (place === undefined) continue;
    bySocket.set(place.socket, [...(bySocket.get(place.socket) ?? []), step.port]);
  }
  for (const [socket, ports] of bySocket) {
    const links = ports.flatMap((port) => findLink(socket, port) ?? []);
    // A number of its own each time: what an earlier try marked may be wanted by now.
    const group = randomInt(GROUP_MIN, GROUP_MAX);
    for (const { ifindex } of links) socket.request((to) => changeLink(to, ifindex, { group }));
    if (links.length > 0) socket.request((writer) => deleteGroup(writer, group));
  }
}

/** What both kinds of endpoints have in common: on a network of the swarm, and on a bridge of the machine. */
export type Pair = Pick<MakeEndpoint, "endpoint" | "mtuBytes" | "routes">;

/** The far end of a whole pair. Half of one, or one that leads elsewhere, is removed first. */
export function ensurePair(
  near: NetlinkSocket,
  inside: NetlinkSocket,
  netnsFd: number,
  step: Pair,
): Link {
  const { endpointId, mac, prefixes } = step.endpoint;
  mustHave(prefixes.map(({ ip }) => ip.family));
  const name = portName(endpointId);
  const newborn = newbornName(endpointId);
  const alias = aliasOf(endpointId);
  const isOurs = (link: Link) => link.alias === alias || link.name === newborn;
  const far = inside.dump(dumpLinks, decodeLink).find(isOurs);
  const port = findLink(near, name);
  if (far !== undefined && port?.peer === far.ifindex && far.mac === mac) return far;
  if (port !== undefined) near.request((writer) => deleteLink(writer, port.ifindex));
  const rest = inside.dump(dumpLinks, decodeLink).find(isOurs);
  if (rest !== undefined) inside.request((writer) => deleteLink(writer, rest.ifindex));
  const { mtuBytes } = step;
  near.request((writer) =>
    newVeth(writer, { name, mtuBytes, peer: { name: newborn, mac, netnsFd } }),
  );
  return mustLink(inside, newborn);
}

function dressPort(near: NetlinkSocket, step: MakeEndpoint): void {
  const { endpointId, mac } = step.endpoint;
  const { ifindex } = mustLink(near, portName(endpointId));
  const { ifindex: master } = mustLink(near, BRIDGE);
  const { mtuBytes } = step;
  near.request((writer) =>
    changeLink(writer, ifindex, { mtuBytes, master, alias: aliasOf(endpointId) }),
  );
  near.request((writer) => changePort(writer, ifindex, ENDPOINT_PORT));
  near.request((writer) => putBridgeRow(writer, ifindex, mac));
  near.request((writer) => changeLink(writer, ifindex, { up: true }));
}

export function quiet(places: Places, step: Pair, name: string): void {
  const hasIpv6 = step.endpoint.prefixes.some(({ ip }) => ip.family === 6);
  const path = places.sandboxPath(step.endpoint.sandbox);
  const { mesh, returning } = step.endpoint;
  const set = () => {
    if (mesh !== undefined) return openMesh(name);
    quietInterface(name, hasIpv6);
    if (returning !== undefined) openReturn(name);
  };
  if (path === undefined) set();
  else within(path, set);
}

export function dressInside(inside: NetlinkSocket, far: Link, step: Pair): void {
  const { endpoint, mtuBytes } = step;
  const { ifindex } = far;
  if (far.name !== endpoint.interfaceName) rename(inside, far, step);
  const alias = aliasOf(endpoint.endpointId);
  inside.request((writer) => changeLink(writer, ifindex, { mtuBytes, alias, up: true }));
  for (const prefix of endpoint.prefixes) {
    ask("ADDRESS", () => inside.request((writer) => putAddress(writer, ifindex, prefix)));
  }
  for (const prefix of step.routes) {
    ask("ROUTE", () =>
      inside.request((writer) => putRoute(writer, { prefix, gateway: undefined, ifindex })),
    );
  }
  const { gateways, returning, mesh } = endpoint;
  if (mesh !== undefined) ask("ROUTE", () => admitLoopback(inside, ifindex, mesh));
  if (returning !== undefined) ask("ROUTE", () => putReturn(inside, ifindex, returning));
  for (const gateway of gateways ?? []) {
    const prefix = { ip: { family: gateway.family, value: 0n }, length: 0 } as const;
    ask("ROUTE", () => inside.request((writer) => putRoute(writer, { prefix, gateway, ifindex })));
  }
}

function rename(inside: NetlinkSocket, { ifindex }: Link, { endpoint }: Pair): void {
  const { sandbox, interfaceName, endpointId } = endpoint;
  const change = { rename: interfaceName, alias: aliasOf(endpointId) };
  try {
    inside.request((writer) => changeLink(writer, ifindex, change));
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    if (error.errno === EBUSY) {
      // Kernels before 6.2 rename only what is down.
      inside.request((writer) => changeLink(writer, ifindex, { up: false }));
      inside.request((writer) => changeLink(writer, ifindex, change));
      return;
    }
    if (error.errno !== EEXIST) throw error;
    const where = { host: "This machine", own: "The sandbox", foreign: "" }[sandbox.kind];
    const who = sandbox.kind === "foreign" ? sandbox.path : where;
    const why = `${who} already has an interface named ${interfaceName}.`;
    throw sentenceFault("INTERFACE_TAKEN", why, { interfaceName }, error);
  }
}

function ask(what: string, request: () => void): void {
  try {
    request();
  } catch (error) {
    throw new Fault(`${what}_REFUSED`, {}, error);
  }
}
