// Whether the Raft group could go on without one of its members.
import type { Consensus } from "../seams.js";

/** On the leader: whether the voters left after removing `raftId` have a majority that answers now. */
export function keepsQuorum(consensus: Consensus<unknown>, raftId: number): boolean {
  const voters = consensus.status().members.filter((member) => !member.learner);
  const left = voters.filter((member) => member.raftId !== raftId);
  const answering = left.filter((member) => consensus.reachable(member.raftId)).length;
  return left.length > 0 && answering > left.length / 2;
}
