// Whether the managers could go on without one of them, and the arithmetic for the person who asks for it.

/** Voters only: a learner decides nothing. */
export interface QuorumCount {
  readonly managers: number;
  /** Of them, those that answer now. */
  readonly reachable: number;
  /** Without the one in question. */
  readonly left: number;
  readonly leftReachable: number;
}

function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

function isLost({ left, leftReachable }: QuorumCount): boolean {
  return leftReachable < majorityOf(left);
}

/** Docker's sentence, and ours behind it. Undefined: the others have a quorum. */
export function lossWords(count: QuorumCount, name: string): string | undefined {
  if (!isLost(count)) return undefined;
  const { managers, reachable } = count;
  const now = `${managers} ${managers === 1 ? "manager" : "managers"}, ${reachable} reachable`;
  return `${LOSS}: ${now}; without ${name} ${remainder(count)}`;
}

function remainder({ left, leftReachable }: QuorumCount): string {
  if (left === 0) return "nobody remains";
  if (left === 1) return "1 remains, it must answer, and does not";
  const must = left === 2 ? "both" : `${majorityOf(left)} of them`;
  const does = ["none does", "1 does"][leftReachable] ?? `${leftReachable} do`;
  return `${left} remain, ${must} must answer, and ${does}`;
}

/** swarmkit's (manager/state/raft, ErrCannotRemoveMember). */
const LOSS = "can't remove member from the raft: this would result in a loss of quorum";
