// A node's role changes in steps, any of which a crash may interrupt: this looks at where things stand
// and says the next one. Repeating a step that was done is harmless, so the order of what happens
// elsewhere (the leader drops the member first, or last) does not matter. docs/managers.md has the table.
import { unreachable } from "../../common/fault.js";

/** What the leader has said last of this node. */
export interface RoleNews {
  readonly wanted: "manager" | "worker";
  /** The seat that the store has written down; 0: none. Who votes stands there for as long as it does. */
  readonly raftId: number;
}

export interface RoleFacts {
  /** Undefined until a manager has said something. */
  readonly news: RoleNews | undefined;
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
  /** The seat that the process has taken; 0: none. */
  readonly raftId: number;
  /** Whether there is anything on disk of a manager. */
  readonly leftover: boolean;
}

export type RoleStep =
  | "nothing"
  | "renew-certificate"
  | "start-process"
  | "join-group"
  /** Its seat may be gone, and nobody speaks to who has none: the leader is asked. */
  | "confirm-seat"
  /** Out of the Raft group, while the certificate still lets us ask. */
  | "leave-group"
  | "wipe-process";

export function nextRoleStep(facts: RoleFacts): RoleStep {
  const { news, certificate, process } = facts;
  // Alone after a start: the group may be waiting for just this manager to have a quorum.
  if (!news) return certificate === "manager" && process === "absent" ? "start-process" : "nothing";
  switch (news.wanted) {
    case "manager":
      return towardsManager(facts, news);
    case "worker":
      return news.raftId === 0 ? withoutSeat(facts) : outOfSeat(facts);
    default:
      return unreachable(news.wanted);
  }
}

function towardsManager({ certificate, process, raftId }: RoleFacts, news: RoleNews): RoleStep {
  if (certificate !== "manager") return "renew-certificate";
  if (process === "absent") return "start-process";
  if (process === "idle") return "join-group";
  // It was a member once, and was dropped: what it holds is of a member that is no more.
  if (process === "removed") return "wipe-process";
  return process === "running" && raftId !== news.raftId ? "confirm-seat" : "nothing";
}

/** Its vote may still be needed, if only to be taken away: nothing is forgotten before the leader says so. */
function outOfSeat({ certificate, process, leftover }: RoleFacts): RoleStep {
  switch (process) {
    case "absent":
      return leftover && certificate === "manager" ? "start-process" : "nothing";
    case "running":
      return certificate === "manager" ? "leave-group" : "nothing";
    case "idle":
    case "removed":
      return "wipe-process";
    default:
      return "nothing";
  }
}

/** The group goes on without it, and whatever its process does, nobody speaks to it any more. */
function withoutSeat({ certificate, process, leftover }: RoleFacts): RoleStep {
  if (process !== "absent" || leftover) return "wipe-process";
  return certificate === "manager" ? "renew-certificate" : "nothing";
}
