// The steps on a network's TAP device, and on the rows that the switch behind it has.
import { closeSync, existsSync } from "node:fs";
import { formatIp } from "../../common/address.js";
import { EADDRINUSE, EADDRNOTAVAIL, EBUSY } from "../../common/errno.js";
import { Fault, messageOf } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import { changeLink, changePort } from "../netlink/link.js";
import { putBridgeRow } from "../netlink/neighbour.js";
import { NetlinkWriter } from "../netlink/writer.js";
import { VXLAN_PORT } from "../reconcile/bridge-port.js";
import type { NetworkHave } from "../reconcile/have.js";
import { aliasOf, BRIDGE, VXLAN } from "../reconcile/names.js";
import type { DropRows, MakeTap, PutRows } from "../reconcile/step.js";
import { TAP_KIND } from "../reconcile/tap-plan.js";
import { createNamespace, removeNamespace } from "./namespace.js";
import { NetlinkError } from "./netlink-socket.js";
import { dropRows, findLink, mustLink, putRows } from "./network-steps.js";
import type { Places } from "./places.js";
import { sentenceFault } from "./sentence.js";
import type { SwitchThreads } from "./switch-threads.js";
import { openTap } from "./tap.js";

export function makeTap(places: Places, switching: SwitchThreads, step: MakeTap): void {
  const { vni, mtuBytes, networkId } = step;
  const { socket } = places.mustNetwork(vni);
  // One that somebody deleted has taken its other end with it.
  if (findLink(socket, VXLAN) === undefined) switching.detach(vni);
  const known = switching.tapOf(vni);
  const tap = known ?? openNetworkTap(places, vni);
  const { ifindex } = mustLink(socket, VXLAN);
  const { ifindex: master } = mustLink(socket, BRIDGE);
  // Its port must be shut to unknown frames before the device is up.
  socket.request((writer) =>
    changeLink(writer, ifindex, { mtuBytes, master, alias: aliasOf(networkId) }),
  );
  socket.request((writer) => changePort(writer, ifindex, VXLAN_PORT));
  try {
    switching.attach(step, tap);
  } catch (error) {
    if (known === undefined) closeSync(tap);
    throw attachFault(step, error);
  }
  socket.request((writer) => changeLink(writer, ifindex, { up: true }));
}

function openNetworkTap(places: Places, vni: number): number {
  try {
    return openTap(places.networkPath(vni), VXLAN);
  } catch (error) {
    if (!(error instanceof SystemError) || error.errno !== EBUSY) throw error;
    const why = `The TAP device of VNI ${vni} is held by another program, which may be an earlier agent that has not ended.`;
    throw sentenceFault("TAP_BUSY", why, { vni }, error);
  }
}

function attachFault({ vni, local, port }: MakeTap, error: unknown): unknown {
  if (!(error instanceof SystemError)) return error;
  if (error.errno === EADDRINUSE) {
    const why = `UDP port ${port}, the data path port, is taken by another program on this machine, or by a VXLAN device.`;
    return sentenceFault("DATA_PORT_TAKEN", why, { port, vni }, error);
  }
  if (error.errno === EADDRNOTAVAIL) {
    const why = `The data path address ${formatIp(local)} is on no interface of this machine.`;
    return sentenceFault("DATA_ADDRESS_GONE", why, { vni }, error);
  }
  return error;
}

/** What the namespace shows, with what the switch has of the network. */
export function withSwitch(have: NetworkHave, switching: SwitchThreads): NetworkHave {
  const switched = switching.have(have.vni);
  if (switched === undefined || have.links.get(VXLAN)?.kind !== TAP_KIND) return have;
  return { ...have, fdb: switched.fdb, flood: switched.flood, switched };
}

/** Bridge and neighbours first: what the switch lets in finds its way on. */
export function putSwitchedRows(places: Places, switching: SwitchThreads, step: PutRows): void {
  const { socket } = places.mustNetwork(step.vni);
  const tap = mustLink(socket, VXLAN).ifindex;
  const writer = new NetlinkWriter();
  for (const row of step.rows) if (row.kind === "remote") putBridgeRow(writer, tap, row.mac);
  const failure = socket.batch(writer)[0];
  if (failure !== undefined) {
    const cause = new NetlinkError(failure.errno, failure.text);
    throw new Fault("ROW_REFUSED", { vni: step.vni, index: failure.index }, cause);
  }
  const neighbours = step.rows.filter(({ kind }) => kind === "neighbour");
  if (neighbours.length > 0) putRows(places, { ...step, rows: neighbours });
  switching.change(step.vni, ({ remotes, flood, locals }) => {
    for (const row of step.rows) {
      if (row.kind === "remote") remotes.set(row.mac, row.vtep);
      else if (row.kind === "flood") flood.add(row.vtep);
      else if (row.kind === "local") locals.add(row.mac);
    }
  });
}

export function dropSwitchedRows(places: Places, switching: SwitchThreads, step: DropRows): void {
  switching.change(step.vni, ({ remotes, flood, locals }) => {
    for (const row of step.rows) {
      if (row.kind === "remote") remotes.delete(row.mac);
      else if (row.kind === "flood") flood.delete(row.vtep);
      else if (row.kind === "local") locals.delete(row.mac);
    }
  });
  const rows = step.rows.filter(({ kind }) => kind === "neighbour" || kind === "bridge");
  if (rows.length > 0) dropRows(places, { ...step, rows });
}

const PROBE = "sk-tap-probe";

/** Why TAP devices as the userspace path needs them cannot be made here, as a sentence. */
export function tapProblem(places: Places): string | undefined {
  if (!existsSync("/dev/net/tun")) {
    return "The userspace data path needs /dev/net/tun, which this machine does not have (CONFIG_TUN, module tun).";
  }
  const path = places.sandboxFilePath(PROBE);
  try {
    createNamespace(path, () => {});
    closeSync(openTap(path, "tap0"));
    return undefined;
  } catch (error) {
    return `The userspace data path needs TAP devices with offloads, and this machine refuses one: ${messageOf(error)}.`;
  } finally {
    removeNamespace(path);
  }
}
