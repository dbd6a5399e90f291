// The kernel's own WireGuard: its device by rtnetlink, its keys and peers by generic netlink.
import { closeSync, existsSync, openSync } from "node:fs";
import { decodeFamily, getFamily, NETLINK_GENERIC } from "../netlink/generic.js";
import { deleteLink, newWireguard } from "../netlink/link.js";
import {
  decodeDevice,
  getDevice,
  joinDevice,
  setDevice,
  WG_GENL_NAME,
} from "../netlink/wireguard.js";
import { NetlinkWriter } from "../netlink/writer.js";
import type { DeviceChange, WireguardDevice } from "../overlay/wireguard.js";
import { within } from "./namespace.js";
import { NetlinkError, NetlinkSocket } from "./netlink-socket.js";
import { findLink } from "./network-steps.js";

// There from when the kernel has it, built in or loaded.
const MODULE = "/sys/module/wireguard";
const PROBE = "sk-wgprobe";
const PROBE_MTU_BYTES = 1280;

let loads: boolean | undefined;

/** Asking for a device loads the module, where there is one; that is tried once. */
export function hasKernelWireguard(underlay: NetlinkSocket): boolean {
  if (existsSync(MODULE)) return true;
  loads ??= canMake(underlay);
  return loads;
}

function canMake(underlay: NetlinkSocket): boolean {
  const netnsFd = openSync("/proc/thread-self/ns/net", "r");
  try {
    makeDevice(underlay, PROBE, PROBE_MTU_BYTES, netnsFd);
    const link = findLink(underlay, PROBE);
    if (link !== undefined) underlay.request((writer) => deleteLink(writer, link.ifindex));
    return true;
  } catch (error) {
    if (error instanceof NetlinkError) return false;
    throw error;
  } finally {
    closeSync(netnsFd);
  }
}

export function makeDevice(
  underlay: NetlinkSocket,
  name: string,
  mtuBytes: number,
  netnsFd: number,
): void {
  underlay.request((writer) => newWireguard(writer, { name, mtuBytes, netnsFd }));
}

/** `path`: the namespace that the device is in. */
export function readDevice(path: string, name: string): WireguardDevice | undefined {
  return inFamily(path, (socket, family) => {
    const parts = socket.dump(
      (writer) => getDevice(writer, family, name),
      (message) => decodeDevice(message, family),
    );
    return joinDevice(parts);
  });
}

export function changeDevice(path: string, name: string, change: DeviceChange): void {
  inFamily(path, (socket, family) => {
    const writer = new NetlinkWriter();
    setDevice(writer, family, name, change);
    const failure = socket.batch(writer)[0];
    if (failure !== undefined) throw new NetlinkError(failure.errno, failure.text);
  });
}

function inFamily<T>(path: string, use: (socket: NetlinkSocket, family: number) => T): T {
  const socket = within(path, () => new NetlinkSocket([], NETLINK_GENERIC));
  try {
    const [family] = socket.dump((writer) => getFamily(writer, WG_GENL_NAME), decodeFamily);
    return use(socket, family ?? 0);
  } finally {
    socket.close();
  }
}
