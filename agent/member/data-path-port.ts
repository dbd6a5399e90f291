// The UDP port of the data path: what may be asked for, and who holds it.
import { type Refusal, refuse } from "../../common/fault.js";

/** RFC 7348 section 8: IANA's port for VXLAN. */
export const VXLAN_PORT = 4789;
// Docker's limits (docker swarm init --help): the registered ports.
const PORT_MIN = 1024;
const PORT_MAX = 49151;

export function dataPathPortOf(wanted: number): number | Refusal {
  if (wanted === 0) return VXLAN_PORT;
  if (Number.isInteger(wanted) && wanted >= PORT_MIN && wanted <= PORT_MAX) return wanted;
  return refuse(
    "invalid-argument",
    `invalid data path port ${wanted}: it must be from ${PORT_MIN} to ${PORT_MAX}`,
  );
}

/**
 * Whether a program has the port, from the text of /proc/net/udp or udp6 (proc(5)): fields are separated
 * by spaces, the second is the local "ADDRESS:PORT" in hexadecimal, the tenth the socket's inode. A
 * socket of the kernel's own, as a VXLAN device has, shows inode 0.
 */
export function programHolds(procNetUdp: string, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return procNetUdp
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .some((fields) => fields[1]?.endsWith(suffix) === true && fields[9] !== "0");
}
