// The steps on one network's namespace: bridge, VXLAN device, rows.
import { closeSync, existsSync, openSync } from "node:fs";
import { formatIp } from "../../common/address.js";
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EEXIST,
  ENODEV,
  ENOENT,
  EOPNOTSUPP,
} from "../../common/errno.js";
import { Fault } from "../../common/fault.js";
import {
  changeLink,
  changePort,
  decodeLink,
  deleteLink,
  dumpLinks,
  getLink,
  type Link,
  newBridge,
  newVxlan,
} from "../netlink/link.js";
import {
  appendFlood,
  deleteBridgeRow,
  deleteNeighbour,
  deleteRemote,
  putNeighbour,
  putRemote,
  ZERO_MAC,
} from "../netlink/neighbour.js";
import { NetlinkWriter } from "../netlink/writer.js";
import { aliasOf, BRIDGE, bridgeMac, VXLAN } from "../reconcile/names.js";
import { VXLAN_PORT } from "../reconcile/plan.js";
import type { DropRows, MakeNetwork, MakeVxlan, PutRows } from "../reconcile/step.js";
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
    socket.request((writer) => newBridge(writer, { name: BRIDGE, mac: bridgeMac(vni), mtuBytes }));
  }
  within(places.networkPath(vni), () => allowNeighbours(BRIDGE));
  const { ifindex } = mustLink(socket, BRIDGE);
  const alias = aliasOf(step.networkId);
  socket.request((writer) => changeLink(writer, ifindex, { mtuBytes, alias, up: true }));
}

export function makeVxlan(places: Places, step: MakeVxlan): void {
  const { vni, mtuBytes, networkId } = step;
  const { socket } = places.mustNetwork(vni);
  if (findLink(socket, VXLAN) === undefined) createVxlan(places, step);
  const { ifindex } = mustLink(socket, VXLAN);
  const { ifindex: master } = mustLink(socket, BRIDGE);
  // Its port must be shut to unknown frames before the device is up.
  socket.request((writer) =>
    changeLink(writer, ifindex, { mtuBytes, master, alias: aliasOf(networkId) }),
  );
  socket.request((writer) => changePort(writer, ifindex, VXLAN_PORT));
  try {
    socket.request((writer) => changeLink(writer, ifindex, { up: true }));
  } catch (error) {
    throw upFault(step, error);
  }
}

function createVxlan(places: Places, step: MakeVxlan): void {
  const { vni, local, port, mtuBytes } = step;
  const netnsFd = openSync(places.networkPath(vni), "r");
  try {
    // Asked for on the underlay's socket, so that the device's UDP socket stays there.
    places.underlay.socket.request((writer) =>
      newVxlan(writer, { name: VXLAN, vni, local, port, mtuBytes, netnsFd }),
    );
  } catch (error) {
    throw createFault(places, step, error);
  } finally {
    closeSync(netnsFd);
  }
}

function createFault(places: Places, { vni, port }: MakeVxlan, error: unknown): unknown {
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
    const why = "This machine's kernel has no VXLAN (CONFIG_VXLAN, module vxlan).";
    return sentenceFault("VXLAN_UNSUPPORTED", why, {}, error);
  }
  return error;
}

function upFault({ port, local, vni }: MakeVxlan, error: unknown): unknown {
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
  const { socket } = places.mustNetwork(step.vni);
  const vxlan = mustLink(socket, VXLAN).ifindex;
  const bridge = mustLink(socket, BRIDGE).ifindex;
  const writer = new NetlinkWriter();
  for (const row of step.rows) {
    if (row.kind === "remote") putRemote(writer, vxlan, row.mac, row.vtep);
    else if (row.kind === "neighbour") putNeighbour(writer, bridge, row.ip, row.mac);
    else appendFlood(writer, vxlan, row.vtep);
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
    else deleteRemote(writer, ifindex, ZERO_MAC, row.vtep);
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

export function removeVxlan(places: Places, vni: number): void {
  const place = places.network(vni);
  if (place !== undefined) removeLink(place.socket, VXLAN);
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
