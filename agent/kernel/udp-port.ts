// Whether a UDP port is nobody's, found by taking it for a moment. A VXLAN device made to find out costs 35 ms:
// the kernel waits for all its readers before a device is gone.
import { closeSync, readFileSync } from "node:fs";
import { type Ip, parseIp } from "../../common/address.js";
import { SystemError } from "../../common/libc.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import { bind, SOCK_CLOEXEC, SOCK_DGRAM, socket } from "./libc.js";
import { socketAddress } from "./socket-address.js";

/**
 * True only if no socket of this namespace has the port, on any address, and `local` is on an interface. A
 * VXLAN device could share the port with another one all the same, so false is not the last word.
 */
export function isUdpPortFree(local: Ip, port: number): boolean {
  const any = parseIp(local.family === 4 ? "0.0.0.0" : "::");
  return any !== undefined && canBind(any, port) && canBind(local, port);
}

/** Whether nobody has the port, on any address of either family. */
export function isUdpPortFreeEverywhere(port: number): boolean {
  return [parseIp("0.0.0.0"), parseIp("::")].every((any) => any && canBind(any, port));
}

/** Whether somebody of this namespace has the port; asked of the kernel's list, so that nobody is in anybody's way. */
export function isUdpPortOpen(port: number): boolean {
  const text = port.toString(16).toUpperCase().padStart(4, "0");
  // proc_net_udp(5): "  sl  local_address rem_address …", the address in hexadecimal, a colon, the port.
  const row = new RegExp(`^ *\\d+: [0-9A-F]+:${text} `, "m");
  return ["udp", "udp6"].some((list) => row.test(listOf(list)));
}

function listOf(name: string): string {
  try {
    return readFileSync(`/proc/thread-self/net/${name}`, "latin1");
  } catch {
    // A kernel without IPv6 has no such list.
    return "";
  }
}

function canBind(ip: Ip, port: number): boolean {
  const fd = socket(ip.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    bind(fd, socketAddress(ip, port));
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  } finally {
    closeSync(fd);
  }
}
