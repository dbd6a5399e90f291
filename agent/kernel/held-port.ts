// Ports of the machine that lead inside, kept from others by a socket that is bound and no more. It does
// not listen: what comes by some way that the packet filter does not see is refused, not left waiting.
import { closeSync, readFileSync } from "node:fs";
import { type Family, type Ip, parseIp } from "../../common/address.js";
import { EADDRINUSE, EADDRNOTAVAIL } from "../../common/errno.js";
import { SystemError } from "../../common/libc.js";
import type { HeldPort, PortHolder } from "../localnet/keeping.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import type { PortProtocol } from "../reconcile/local-want.js";
import {
  bind,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  listen,
  SO_RCVBUF,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  setsockopt,
  socket,
} from "./libc.js";
import { socketAddress } from "./socket-address.js";

// linux/in.h, linux/in6.h
const IPPROTO_SCTP = 132;
// ip-sysctl: net.ipv4.ip_local_port_range, and the kernel's default for it.
const RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range";
const RANGE_DEFAULT = { first: 32_768, last: 60_999 };

export const portHolder: PortHolder = { hold, range };

function hold(
  protocol: PortProtocol,
  ip: string,
  port: number,
): HeldPort | "taken" | "no-such-address" {
  const address = parseIp(ip);
  if (address === undefined) return "no-such-address";
  const fd = open(protocol, address.family);
  // A kernel without SCTP, or without IPv6, has nobody to keep the port from.
  if (fd === undefined) return { release: () => {} };
  try {
    // Without SO_REUSEADDR: a socket that has it could share the port with one that does not listen.
    bind(fd, socketAddress(address, port));
  } catch (error) {
    closeSync(fd);
    if (!(error instanceof SystemError)) throw error;
    if (error.errno === EADDRINUSE)
      return protocol === "tcp" ? holdAmongOld(address, port) : "taken";
    if (error.errno === EADDRNOTAVAIL) return "no-such-address";
    throw error;
  }
  return { release: () => closeSync(fd) };
}

/**
 * Connections that a program had on the port are remembered for a minute after it is gone (TIME_WAIT). They
 * are in nobody's way who has SO_REUSEADDR; what then keeps others away is to listen.
 */
function holdAmongOld(address: Ip, port: number): HeldPort | "taken" {
  const fd = oneFamily(address.family, SOCK_STREAM, 0);
  try {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(fd, socketAddress(address, port));
    listen(fd, 0);
  } catch (error) {
    closeSync(fd);
    if (error instanceof SystemError && error.errno === EADDRINUSE) return "taken";
    throw error;
  }
  return { release: () => closeSync(fd) };
}

/** Undefined: this kernel has none such. */
function open(protocol: PortProtocol, family: Family): number | undefined {
  try {
    if (protocol === "tcp") return oneFamily(family, SOCK_STREAM, 0);
    if (protocol === "sctp") return oneFamily(family, SOCK_STREAM, IPPROTO_SCTP);
    const fd = oneFamily(family, SOCK_DGRAM, 0);
    // Nobody reads it.
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, 0);
    return fd;
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

/** A port of IPv6 keeps nobody from the same of IPv4. */
function oneFamily(family: Family, type: number, protocol: number): number {
  const fd = socket(family === 4 ? AF_INET : AF_INET6, type, protocol);
  if (family === 6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  return fd;
}

function range(): { readonly first: number; readonly last: number } {
  try {
    const [first, last] = readFileSync(RANGE_FILE, "latin1").trim().split(/\s+/).map(Number);
    return first && last && first <= last ? { first, last } : RANGE_DEFAULT;
  } catch {
    return RANGE_DEFAULT;
  }
}
