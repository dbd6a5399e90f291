// A replicated log as its only member, which leads, sees it; who uses it says what comes of a proposal.
import { Topic } from "../../common/watch.js";
import type { Consensus, RaftStatus } from "../../manager/seams.js";

export const LEADER: RaftStatus = {
  raftId: 1,
  role: "leader",
  term: 1,
  leaderId: 1,
  commit: 0,
  applied: 0,
  members: [],
  ready: true,
  removalsFinal: true,
};

export function idleLog<Outcome>(): Omit<Consensus<Outcome>, "propose"> {
  return {
    status: () => LEADER,
    changed: new Topic<RaftStatus>(),
    readBarrier: async () => {},
    changeMembers: async () => {},
    caughtUpLearners: () => [],
    transferLeadership: async () => {},
    reachable: () => true,
    close: async () => {},
  };
}
