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

/** Docker's (daemon/cluster/swarm.go, Leave): what is lost depends on how many managers are left. */
export function leaveNeedsForce(managers: number, reachable: number): Refusal {
  const start =
    "You are attempting to leave the swarm on a node that is participating as a manager. ";
  return refuse("unavailable", `${start}${leaveLoses(managers, reachable)}`);
}

function leaveLoses(managers: number, reachable: number): string {
  if (managers <= 1) {
    return "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ";
  }
  const quorum = Math.floor(managers / 2) + 1;
  const advice =
    "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.";
  if (reachable - 1 < quorum) {
    return `Removing this node leaves ${reachable - 1} managers out of ${managers}. Without a Raft quorum your swarm will be inaccessible. ${advice}`;
  }
  return `Leaving the swarm will leave you with ${managers - 1} managers out of ${managers}. This means ${howManyMayFail(managers - 1)}. Use \`--force\` to suppress this message.`;
}

// Ours: Docker says the first half and leaves the arithmetic to the reader.
function howManyMayFail(managers: number): string {
  const spare = managers - Math.floor(managers / 2) - 1;
  return spare === 0 ? "no manager may fail after that" : `${spare} of them may fail after that`;
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

/** Ours: in the moment between a promotion and the seat in the Raft group. */
export function becomingManager(): Refusal {
  return refuse("unavailable", "This node is becoming a swarm manager; try again in a moment.");
}
