// The consensus as others see it.
import { Fault } from "../../common/fault.js";
import { findMember } from "../raft/conf.js";
import type { RefusalReason } from "../raft/proposed.js";
import type { Raft } from "../raft/raft.js";
import type { RaftStatus } from "../seams.js";

export function statusOf(raft: Raft): RaftStatus {
  const isLearner = findMember(raft.members, raft.id)?.learner === true;
  return {
    raftId: raft.id,
    role: isLearner ? "learner" : raft.role,
    term: raft.term,
    leaderId: raft.leaderId,
    commit: raft.commit,
    applied: raft.applied,
    members: raft.members,
    ready: raft.settled,
  };
}

/** Whether nothing differs that is worth telling: a commit is not. */
export function sameStatus(a: RaftStatus, b: RaftStatus): boolean {
  return (
    a.role === b.role &&
    a.term === b.term &&
    a.leaderId === b.leaderId &&
    a.members === b.members &&
    a.ready === b.ready
  );
}

const CODE: Record<RefusalReason, string> = {
  "not-leader": "NOT_LEADER",
  // It leads no more for this caller: whoever is leader next will take it.
  transferring: "NOT_LEADER",
  "too-large": "TOO_LARGE",
  busy: "BUSY",
  "change-pending": "BUSY",
  "new-term": "BUSY",
  "bad-change": "BAD_CHANGE",
};

export function faultOf(
  refused: { readonly reason: RefusalReason; readonly why?: string },
  raft: Raft,
): Fault {
  return new Fault(CODE[refused.reason], {
    leaderId: raft.leaderId,
    term: raft.term,
    why: refused.why,
  });
}
