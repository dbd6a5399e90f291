// What Docker says, word for word: scripts and people match on these sentences. The source is dockerd
// 20.10's own answers; where a sentence is ours, its comment says so.
import { type Refusal, refuse } from "../../common/fault.js";

/** swarmkit's, as the managers themselves say it. */
export const NO_LEADER =
  "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.";

export function alreadyInSwarm(): Refusal {
  return refuse(
    "unavailable",
    'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
  );
}

/** What `info` says, and what a locked manager answers to all that it is asked. */
export const LOCKED =
  'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.';

export function locked(): Refusal {
  return refuse("unavailable", LOCKED);
}

export function leaveLocked(): Refusal {
  return refuse(
    "unavailable",
    "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.",
  );
}

export function notLocked(): Refusal {
  return refuse("failed-precondition", "swarm is not locked");
}

export function wrongUnlockKey(): Refusal {
  return refuse("permission-denied", "swarm could not be unlocked: invalid key provided");
}

/** Ours, as what follows. */
export function badBackup({ code, message }: Refusal): Refusal {
  return refuse(code, `The backup is not restored, and nothing was changed: ${message}`);
}

/** A swarm is restored where there is none. */
export function restoreInSwarm(ofBackup: string, own: string): Refusal {
  const which =
    ofBackup === own
      ? "This node is part of the swarm that the backup is of"
      : `The backup is of another swarm (${ofBackup}), and this node is part of ${own}`;
  const advice =
    "A backup is restored on a node without a swarm: nothing was changed. Leave with `skein swarm leave --force` first, if what this node holds of its swarm is worth less.";
  return refuse("failed-precondition", `${which}. ${advice}`);
}

export function notInSwarm(): Refusal {
  return refuse("unavailable", "This node is not part of a swarm");
}

export function noSwarmManager(): Refusal {
  return refuse(
    "unavailable",
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  );
}

export function workerNotManager(): Refusal {
  return refuse(
    "unavailable",
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
  );
}

/** Ours: Docker counts managers that nobody can count now. */
export function leaveWithoutLeader(managers: number): Refusal {
  return refuse(
    "unavailable",
    `You are attempting to leave the swarm on a node that is participating as a manager, and fewer than half of its ${managers} managers reach each other now, so they cannot be told. Bring them back first; or use \`--force\` to leave all the same.`,
  );
}

/** Ours: a manager that has failed cannot count the others, and may be the last to have anything of the swarm. */
export function leaveFailed(why: string): Refusal {
  return refuse(
    "unavailable",
    `You are attempting to leave the swarm on a node that is participating as a manager, and its manager does not run: ${why} Use \`--force\` to leave all the same, and lose what it holds.`,
  );
}

/** Docker's (daemon/cluster/swarm.go, Leave): what is lost depends on how many managers are left. */
export function leaveNeedsForce(others: OtherManagers): Refusal {
  const start =
    "You are attempting to leave the swarm on a node that is participating as a manager. ";
  return refuse("unavailable", `${start}${leaveLoses(others)}`);
}

/** Those that vote, without the one that is asked. */
export interface OtherManagers {
  readonly left: number;
  readonly reachable: number;
}

function leaveLoses({ left, reachable }: OtherManagers): string {
  if (left === 0) {
    return "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ";
  }
  const quorum = Math.floor(left / 2) + 1;
  // Ours: Docker says the first halves, and leaves the arithmetic to the reader.
  if (reachable < quorum) {
    const count = `${left} would be left, ${quorum} of them must answer, and ${reachable} ${reachable === 1 ? "does" : "do"} now`;
    const advice =
      "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.";
    return `Removing this node leaves ${reachable} managers out of ${left + 1}: ${count}. Without a Raft quorum your swarm will be inaccessible. ${advice}`;
  }
  const spare = reachable - quorum;
  const then =
    spare === 0 ? "no manager may fail after that" : `${spare} of them may fail after that`;
  return `Leaving the swarm will leave you with ${reachable} managers out of ${left + 1}. This means ${then}. Use \`--force\` to suppress this message.`;
}

/** Ours: Docker's daemon would hang here until its own timeout. */
export function busy(doing: string): Refusal {
  return refuse("unavailable", `This node is ${doing}; wait until that is done and try again.`);
}

/** Ours: no such host, or no route to it. */
export function noWayTo(remotes: readonly string[]): Refusal {
  return refuse(
    "unavailable",
    `cannot reach a manager: ${remotes.join(", ")} is no address that this machine knows a way to (no such host, or no route)`,
  );
}

const BECOMING = "This node is becoming a swarm manager; ";

/** Ours: between a promotion and the seat in the Raft group. `problem`: why it takes longer than a moment, if it does. */
export function becomingManager(problem = ""): Refusal {
  const rest =
    problem === "" ? "try again in a moment." : `that failed, and is tried again: ${problem}`;
  return refuse("unavailable", `${BECOMING}${rest}`);
}

export function isBecomingManager({ message }: Refusal): boolean {
  return message.startsWith(BECOMING);
}
