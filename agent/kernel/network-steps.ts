// The steps on one network's namespace: bridge, VXLAN device, rows.
import { closeSync, existsSync, openSync } from "node:fs";
import { type Family, formatIp, formatPrefix, type Ip, parsePrefix } from "../../common/address.js";
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EBUSY,
  EEXIST,
  ENODEV,
  ENOENT,
  EOPNOTSUPP,
} from "../../common/errno.js";
import { Fault, messageOf } from "../../common/fault.js";
import type { Vni } from "../../common/ids.js";
import {
  decodeAddress,
  deleteAddress,
  dumpAddresses,
  putAddress,
} from "../netlink/interface-address.js";
import {
  changeBridge,
  changeLink,
  changePort,
  changeVxlanDf,
  deleteLink,
  dumpLinks,
  getLink,
  type Link,
  newBridge,
  newVxlan,
} from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import {
  appendFlood,
  deleteBridgeRow,
  deleteNeighbour,
  deleteRemote,
  putNeighbour,
  putRemote,
  ZERO_MAC,
} from "../netlink/neighbour.js";
import { putRoute } from "../netlink/route.js";
import { NetlinkWriter } from "../netlink/writer.js";
import {
  BRIDGE_GROUPS,
  LISTENER_PORT,
  mayAskGroups,
  VXLAN_PORT,
} from "../reconcile/bridge-port.js";
import {
  ASIDE,
  aliasOf,
  BRIDGE,
  BRIDGE_LINK_LOCAL,
  bridgeMac,
  LISTENER,
  VXLAN,
} from "../reconcile/names.js";
import type { DropRows, MakeListener, MakeNetwork, MakeVxlan, PutRows } from "../reconcile/step.js";
import { kernelHasIpv6, mustHave } from "./ipv6.js";
import { createNamespace, removeNamespace, within } from "./namespace.js";
import { NetlinkError, type NetlinkSocket } from "./netlink-socket.js";
import type { Places } from "./places.js";
import { sentenceFault } from "./sentence.js";
import { allowNeighbours, quietNetwork } from "./sysctl.js";
import { isUdpPortFree } from "./udp-port.js";
import { holderOf } from "./vxlan-holder.js";

export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  try {
    return socket.dump((writer) => getLink(writer, name), decodeLink)[0];
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENODEV) return undefined;
    throw error;
  }
}

export function mustLink(socket: NetlinkSocket, name: string): Link {
  const link = findLink(socket, name);
  if (link === undefined) throw new Fault("LINK_GONE", { name });
  return link;
}

/** Deletes it if it is there. */
export function removeLink(socket: NetlinkSocket, name: string): void {
  const link = findLink(socket, name);
  if (link !== undefined) socket.request((writer) => deleteLink(writer, link.ifindex));
}

export function makeNetwork(places: Places, step: MakeNetwork): void {
  const { vni, mtuBytes } = step;
  if (places.network(vni) === undefined) createNamespace(places.networkPath(vni), quietNetwork);
  const { socket } = places.mustNetwork(vni);
  const found = findLink(socket, BRIDGE);
  if (found !== undefined && found.kind !== "bridge") removeLink(socket, BRIDGE);
  if (found?.kind !== "bridge") {
    const mac = step.own?.mac ?? bridgeMac(vni);
    const bridge = { name: BRIDGE, mac, mtuBytes, groups: BRIDGE_GROUPS };
    socket.request((writer) => newBridge(writer, bridge));
  }
  within(places.networkPath(vni), () => {
    quietNetwork();
    allowNeighbours(BRIDGE);
  });
  const { ifindex } = mustLink(socket, BRIDGE);
  socket.request((writer) => changeBridge(writer, ifindex, BRIDGE_GROUPS));
  const alias = aliasOf(step.networkId);
  socket.request((writer) => changeLink(writer, ifindex, { mtuBytes, alias, up: true }));
  if (step.own !== undefined) dressOwn(socket, ifindex, step.own);
  else if (mayAskGroups(mtuBytes)) askGroups(socket, ifindex);
}

/** It answers echo requests, and finds all others on the link. */
function dressOwn(
  socket: NetlinkSocket,
  ifindex: number,
  { mac, prefix }: NonNullable<MakeNetwork["own"]>,
): void {
  const loopback = mustLink(socket, "lo").ifindex;
  socket.request((writer) => changeLink(writer, loopback, { up: true }));
  socket.request((writer) => changeLink(writer, ifindex, { mac }));
  const wanted = formatPrefix(prefix);
  for (const had of socket.dump(dumpAddresses, decodeAddress)) {
    const old = parsePrefix(had.prefix);
    if (had.ifindex !== ifindex || had.prefix === wanted || old === undefined) continue;
    socket.request((writer) => deleteAddress(writer, ifindex, old));
  }
  socket.request((writer) => putAddress(writer, ifindex, prefix));
  const { family } = prefix.ip;
  const all = { ip: { family, value: 0n }, length: 0 };
  socket.request((writer) => putRoute(writer, { prefix: all, gateway: undefined, ifindex }));
}

function askGroups(socket: NetlinkSocket, ifindex: number): void {
  const prefix = parsePrefix(BRIDGE_LINK_LOCAL);
  if (prefix === undefined || !kernelHasIpv6()) return;
  socket.request((writer) => putAddress(writer, ifindex, prefix));
}
const NO_VXLAN = "This machine's kernel has no VXLAN (CONFIG_VXLAN, module vxlan).";
// The last VNI there is, and a port that nothing listens on while the device is down.
const PROBE_VNI = 0xffffff as Vni;
const PROBE_PORT = 4789;

type DeviceStep = MakeVxlan | MakeListener;

export function makeVxlan(places: Places, step: DeviceStep): void {
  const { vni, mtuBytes, networkId, df } = step;
  const [name, port] =
    step.kind === "make-vxlan" ? [VXLAN, VXLAN_PORT] : ([LISTENER, LISTENER_PORT] as const);
  const { socket } = places.mustNetwork(vni);
  if (step.kind === "make-listener") finishSwap(socket);
  const found = findLink(socket, name);
  if (found === undefined) createVxlan(places, step, name);
  const { ifindex, vxlan } = mustLink(socket, name);
  // One that was to go and did not: what is to be encrypted must not leave by what is bound to the underlay.
  if (vxlan?.local !== formatIp(step.local)) throw new Fault("VXLAN_ASTRAY", { vni, name });
  if ((found?.vxlan?.df ?? df) !== df)
    socket.request((writer) => changeVxlanDf(writer, ifindex, df));
  const { ifindex: master } = mustLink(socket, BRIDGE);
  // Its port must be shut to unknown frames before the device is up.
  socket.request((writer) =>
    changeLink(writer, ifindex, { mtuBytes, master, alias: aliasOf(networkId) }),
  );
  socket.request((writer) => changePort(writer, ifindex, port));
  try {
    socket.request((writer) => changeLink(writer, ifindex, { up: true }));
  } catch (error) {
    throw upFault(step, error);
  }
}

function createVxlan(places: Places, step: DeviceStep, name: string): void {
  const { vni, local, port, mtuBytes, df } = step;
  const netnsFd = openSync(places.networkPath(vni), "r");
  try {
    // Asked for on the underlay's socket, so that the device's UDP socket stays there; or where WireGuard's device is.
    const outside = step.encrypted ? places.wireguard() : places.underlay;
    if (outside === undefined) throw new Fault("WIREGUARD_GONE", { vni });
    outside.socket.request((writer) =>
      newVxlan(writer, { name, vni, local, port, mtuBytes, df, netnsFd }),
    );
  } catch (error) {
    throw createFault(places, step, error);
  } finally {
    closeSync(netnsFd);
  }
}

function createFault(places: Places, { vni, port }: DeviceStep, error: unknown): unknown {
  if (!(error instanceof NetlinkError)) return error;
  if (error.errno === EEXIST) {
    const holder = holderOf(places.underlay.socket, vni, port, places.networkPath(vni));
    return sentenceFault(
      "VNI_TAKEN",
      `VNI ${vni} on UDP port ${port} is already used by ${holder}.`,
      {
        vni,
        port,
      },
      error,
    );
  }
  if (error.errno === EOPNOTSUPP) {
    return sentenceFault("VXLAN_UNSUPPORTED", NO_VXLAN, {}, error);
  }
  return error;
}

function upFault({ port, local, vni }: DeviceStep, error: unknown): unknown {
  if (!(error instanceof NetlinkError)) return error;
  if (error.errno === EADDRINUSE) {
    const why = `UDP port ${port}, the data path port, is taken by another program on this machine.`;
    return sentenceFault("DATA_PORT_TAKEN", why, { port, vni }, error);
  }
  if (error.errno === EADDRNOTAVAIL) {
    const why = `The data path address ${formatIp(local)} is on no interface of this machine.`;
    return sentenceFault("DATA_ADDRESS_GONE", why, { vni }, error);
  }
  return error;
}

// There from when the kernel has VXLAN, built in or loaded.
const VXLAN_MODULE = "/sys/module/vxlan";

/** Why no VXLAN device can be made here, as a sentence; undefined if one can. */
export function vxlanProblem(places: Places): string | undefined {
  if (existsSync(VXLAN_MODULE)) return undefined;
  // Asking for one loads the module, where there is one.
  const { socket } = places.underlay;
  const netnsFd = openSync("/proc/thread-self/ns/net", "r");
  const name = "sk-probe";
  try {
    removeLink(socket, name);
    const local: Ip = { family: 4, value: 0x7f000001n };
    const probe = { name, vni: PROBE_VNI, local, port: PROBE_PORT, mtuBytes: 1000 };
    socket.request((writer) => newVxlan(writer, { ...probe, df: "unset", netnsFd }));
    removeLink(socket, name);
    return undefined;
  } catch (error) {
    return error instanceof NetlinkError && error.errno === EOPNOTSUPP
      ? NO_VXLAN
      : `This machine refuses to make a VXLAN device: ${messageOf(error)}.`;
  } finally {
    closeSync(netnsFd);
  }
}

/** Whether a VXLAN device on this port could work here, if need be tried with one that nobody uses; a sentence if not. */
export function dataPortProblem(
  places: Places,
  step: Omit<MakeVxlan, "kind" | "networkId">,
): string | undefined {
  if (existsSync(VXLAN_MODULE) && isUdpPortFree(step.local, step.port)) return undefined;
  const { socket } = places.underlay;
  const name = "sk-probe";
  const probe: MakeVxlan = { ...step, kind: "make-vxlan", networkId: "" };
  const netnsFd = openSync("/proc/thread-self/ns/net", "r");
  try {
    removeLink(socket, name);
    socket.request((writer) => newVxlan(writer, { ...step, name, netnsFd }));
    const { ifindex } = mustLink(socket, name);
    try {
      socket.request((writer) => changeLink(writer, ifindex, { up: true }));
    } catch (error) {
      throw upFault(probe, error);
    } finally {
      removeLink(socket, name);
    }
    return undefined;
  } catch (error) {
    const fault = createFault(places, probe, error);
    return fault instanceof Error ? fault.message : String(fault);
  } finally {
    closeSync(netnsFd);
  }
}

export function putRows(places: Places, step: PutRows): void {
  mustHave(step.rows.flatMap((row) => (row.kind === "neighbour" ? familyOf(row.ip) : [])));
  const { socket } = places.mustNetwork(step.vni);
  const vxlan = mustLink(socket, VXLAN).ifindex;
  const bridge = mustLink(socket, BRIDGE).ifindex;
  const writer = new NetlinkWriter();
  for (const row of step.rows) {
    if (row.kind === "remote") putRemote(writer, vxlan, row.mac, row.vtep);
    else if (row.kind === "neighbour") putNeighbour(writer, bridge, row.ip, row.mac);
    else if (row.kind === "flood") appendFlood(writer, vxlan, row.vtep);
  }
  const failure = socket.batch(writer)[0];
  if (failure === undefined) return;
  const row = JSON.stringify(step.rows[failure.index]);
  throw new Fault(
    "ROW_REFUSED",
    { vni: step.vni, row },
    new NetlinkError(failure.errno, failure.text),
  );
}

function familyOf(ip: string): Family {
  return ip.includes(":") ? 6 : 4;
}

export function dropRows(places: Places, step: DropRows): void {
  const place = places.network(step.vni);
  if (place === undefined) return;
  const { socket } = place;
  const indexes = new Map(
    socket.dump(dumpLinks, decodeLink).map(({ name, ifindex }) => [name, ifindex]),
  );
  const writer = new NetlinkWriter();
  for (const row of step.rows) {
    // No such device: its rows are gone with it.
    const device = row.kind === "neighbour" ? BRIDGE : row.kind === "bridge" ? row.port : VXLAN;
    const ifindex = indexes.get(device);
    if (ifindex === undefined) continue;
    if (row.kind === "remote") deleteRemote(writer, ifindex, row.mac, row.vtep);
    else if (row.kind === "bridge") deleteBridgeRow(writer, ifindex, row.mac);
    else if (row.kind === "neighbour") deleteNeighbour(writer, ifindex, row.ip);
    else if (row.kind === "flood") deleteRemote(writer, ifindex, ZERO_MAC, row.vtep);
  }
  const failure = socket.batch(writer).find(({ errno }) => errno !== ENOENT);
  if (failure !== undefined) {
    throw new Fault(
      "ROW_REFUSED",
      { vni: step.vni },
      new NetlinkError(failure.errno, failure.text),
    );
  }
}

export function removeVxlan(places: Places, vni: number, name = VXLAN): void {
  const place = places.network(vni);
  if (place !== undefined) removeLink(place.socket, name);
}

/** Bridge rows go on leading to the devices that they led to, by whatever name. */
export function swapVxlan(places: Places, vni: number): void {
  const { socket } = places.mustNetwork(vni);
  const vxlan = findLink(socket, VXLAN);
  if (vxlan !== undefined) rename(socket, vxlan.ifindex, ASIDE);
  rename(socket, mustLink(socket, LISTENER).ifindex, VXLAN);
  finishSwap(socket);
}

/** A dead run may have come half-way. */
function finishSwap(socket: NetlinkSocket): void {
  const aside = findLink(socket, ASIDE);
  if (aside !== undefined) rename(socket, aside.ifindex, LISTENER);
}

export function removeListener(places: Places, vni: number): void {
  removeVxlan(places, vni, LISTENER);
  removeVxlan(places, vni, ASIDE);
}

/** Kernels before 6.2 rename only what is down. */
function rename(socket: NetlinkSocket, ifindex: number, name: string): void {
  try {
    socket.request((writer) => changeLink(writer, ifindex, { rename: name }));
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== EBUSY) throw error;
    socket.request((writer) => changeLink(writer, ifindex, { up: false }));
    socket.request((writer) => changeLink(writer, ifindex, { rename: name }));
    socket.request((writer) => changeLink(writer, ifindex, { up: true }));
  }
}

/** Its devices first: a namespace ends only when its last user does, and then some time later. */
export function removeNetwork(places: Places, vni: number): void {
  const place = places.network(vni);
  if (place !== undefined) {
    removeLink(place.socket, VXLAN);
    for (const { name } of place.socket.dump(dumpLinks, decodeLink)) {
      if (name !== "lo") removeLink(place.socket, name);
    }
  }
  places.forget(vni);
  removeNamespace(places.networkPath(vni));
}
