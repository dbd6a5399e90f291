// Whether the Raft group could go on without one of its members, as its leader sees it.
import { lossWords, type QuorumCount } from "../control/quorum-loss.js";
import type { Consensus } from "../seams.js";

/** On the leader: what removing the voter `raftId` would lose, as a sentence; undefined when it loses no quorum. */
export function quorumLoss(
  consensus: Consensus<unknown>,
  raftId: number,
  name: string,
): string | undefined {
  return lossWords(countWithout(consensus, raftId), name);
}

function countWithout(consensus: Consensus<unknown>, raftId: number): QuorumCount {
  const voters = consensus.status().members.filter((member) => !member.learner);
  const left = voters.filter((member) => member.raftId !== raftId);
  const isThere = (member: { readonly raftId: number }) => consensus.reachable(member.raftId);
  return {
    managers: voters.length,
    reachable: voters.filter(isThere).length,
    left: left.length,
    leftReachable: left.filter(isThere).length,
  };
}
