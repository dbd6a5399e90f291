// The UDP port of the data path: what may be asked for, and which it is now.
import { type Refusal, refuse } from "../../common/fault.js";
import type { Assignments, DataPathPorts } from "../../proto/gen/dispatcher.js";

/** RFC 7348 section 8: IANA's port for VXLAN. */
const VXLAN_PORT = 4789;
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

/** This node's part in the swarm, as far as it says which port. */
export interface HasPort {
  /** `dataPathPort` is the one that there was when the node joined. */
  readonly record: { readonly dataPathPort: number };
  readonly held: { readonly current: Pick<Assignments, "dataPathPorts"> };
}

/** Where frames are sent to and taken, and where else they are taken (0: nowhere). It may change at any time. */
export function dataPathPorts({ record, held }: HasPort): DataPathPorts {
  return held.current.dataPathPorts ?? { port: record.dataPathPort, also: 0 };
}
