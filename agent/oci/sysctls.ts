// Kernel settings of a container: only those that are its namespaces' own, for all others are the
// machine's.
import { type Refusal, refuse } from "../../common/fault.js";

// ipc_namespaces(7) and runc's libcontainer/configs/validate.
const OF_IPC = new Set([
  ...["kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall"],
  ...["kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"],
]);

// Docker's since 20.10: whoever is alone in a network needs no privilege for low ports and ping.
const OWN_NETWORK = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
};

export function sysctlsOf(
  wanted: Readonly<Record<string, string>>,
  ownNetwork: boolean,
): Readonly<Record<string, string>> | Refusal {
  for (const name of Object.keys(wanted)) {
    if (OF_IPC.has(name) || name.startsWith("fs.mqueue.")) continue;
    if (!name.startsWith("net.")) {
      return refuse(
        "invalid-argument",
        `sysctl "${name}" is not in a separate kernel namespace: unknown`,
      );
    }
    if (!ownNetwork) {
      return refuse("invalid-argument", `sysctl "${name}" not allowed in host network namespace`);
    }
  }
  return ownNetwork ? { ...OWN_NETWORK, ...wanted } : wanted;
}
