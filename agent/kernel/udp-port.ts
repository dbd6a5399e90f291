// Whether a UDP port is nobody's, found by taking it for a moment. A VXLAN device made to find out costs 35 ms:
// the kernel waits for all its readers before a device is gone.
import { closeSync } from "node:fs";
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
