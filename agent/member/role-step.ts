// A node's role changes in steps, any of which a crash may interrupt: this looks at where things stand
// and says the next one. Repeating a step that was done is harmless, so the order of what happens
// elsewhere (the leader drops the member first, or last) does not matter.
import { unreachable } from "../../common/fault.js";

export interface RoleFacts {
  /** What the swarm wants; undefined until a manager has said so. */
  readonly wanted: "manager" | "worker" | undefined;
  readonly certificate: "manager" | "worker";
  /** The manager process's own word (AdminStatus.state); "absent" when it is not started. */
  readonly process:
    | "absent"
    | "idle"
    | "resuming"
    | "locked"
    | "running"
    | "failed"
    | "removed"
    | "unknown";
}

export type RoleStep =
  | "nothing"
  | "renew-certificate"
  | "start-process"
  | "join-group"
  /** Out of the Raft group, while the certificate still lets us ask. */
  | "leave-group"
  | "wipe-process";

export function nextRoleStep({ wanted, certificate, process }: RoleFacts): RoleStep {
  switch (wanted) {
    case undefined:
      // Alone after a start: the group may be waiting for just this manager to have a quorum.
      return certificate === "manager" && process === "absent" ? "start-process" : "nothing";
    case "manager":
      if (certificate !== "manager") return "renew-certificate";
      if (process === "absent") return "start-process";
      if (process === "idle") return "join-group";
      // It was a member once, and was dropped: what it holds is of a member that is no more.
      return process === "removed" ? "wipe-process" : "nothing";
    case "worker":
      if (process === "running" && certificate === "manager") return "leave-group";
      // It may become a member or an answer yet; wait until it has.
      if (process === "resuming" || process === "unknown") return "nothing";
      if (process !== "absent") return "wipe-process";
      return certificate === "manager" ? "renew-certificate" : "nothing";
    default:
      return unreachable(wanted);
  }
}
