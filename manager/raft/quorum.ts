// Majorities.

/**
 * The highest number that a majority of the voters has reached (Raft section 5.3, 5.4.2: a match index;
 * dissertation section 6.4: a read that was acknowledged). With no voters nothing is ever reached.
 */
export function majorityReached(
  voters: readonly number[],
  reached: (voter: number) => number,
): number {
  const ascending = voters.map(reached).sort((a, b) => a - b);
  const majority = Math.floor(voters.length / 2) + 1;
  return ascending[voters.length - majority] ?? 0;
}

export type Tally = "won" | "lost" | "open";

export function tally(voters: readonly number[], votes: ReadonlyMap<number, boolean>): Tally {
  const majority = Math.floor(voters.length / 2) + 1;
  const yes = voters.filter((voter) => votes.get(voter) === true).length;
  const no = voters.filter((voter) => votes.get(voter) === false).length;
  if (yes >= majority) return "won";
  return voters.length - no < majority ? "lost" : "open";
}
