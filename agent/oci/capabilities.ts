// Which capabilities a container has: Docker's fourteen, with what was added and dropped.
import { CAPABILITIES, capabilityName, capabilityProblem } from "../../common/capabilities.js";
import { type Refusal, refuse } from "../../common/fault.js";

// moby oci/caps/defaults.go.
const DEFAULT = new Set(
  [
    ...["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID"],
    ...["SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"],
  ].map((name) => `CAP_${name}`),
);

/** "net_admin" and "CAP_NET_ADMIN" are the same; "ALL" is all. What is both added and dropped is dropped of ALL only. */
export function capabilitiesOf(
  add: readonly string[],
  drop: readonly string[],
): readonly string[] | Refusal {
  const problem = capabilityProblem("CapAdd", add) ?? capabilityProblem("CapDrop", drop);
  if (problem !== undefined) return refuse("invalid-argument", problem);
  const added = new Set(add.map(capabilityName));
  const dropped = new Set(drop.map(capabilityName));
  if (added.has("ALL")) return CAPABILITIES.filter((name) => !dropped.has(name));
  if (dropped.has("ALL")) return CAPABILITIES.filter((name) => added.has(name));
  return CAPABILITIES.filter(
    (name) => added.has(name) || (DEFAULT.has(name) && !dropped.has(name)),
  );
}
