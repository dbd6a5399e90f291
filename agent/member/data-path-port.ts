// The UDP port of the data path: what may be asked for.
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
