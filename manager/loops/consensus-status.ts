// The consensus as others see it.
import { Fault } from "../../common/fault.js";
import type { DiskReport, ElectionReport, RaftReport, VoteReport } from "../../proto/gen/raft.js";
import { VoteRefusal } from "../../proto/gen/raft.js";
import { findMember } from "../raft/conf.js";
import type { RefusalReason } from "../raft/proposed.js";
import type { Raft } from "../raft/raft.js";
import type { Election } from "../raft/vote-record.js";
import type { RaftStatus } from "../seams.js";
import type { MemberProgress } from "./consensus-options.js";

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
    removalsFinal: raft.removalsFinal,
  };
}

/** Empty unless it leads. */
export function progressOf(raft: Raft): readonly MemberProgress[] {
  if (raft.role !== "leader") return [];
  const matches = raft.matches();
  const disks = raft.disksUs();
  return raft.members.map(({ raftId }) => {
    const isSelf = raftId === raft.id;
    const match = isSelf ? raft.stable : (matches.get(raftId) ?? 0);
    return {
      raftId,
      match,
      lag: Math.max(0, raft.lastIndex - match),
      diskUs: isSelf ? raft.diskUs : (disks.get(raftId) ?? 0),
      reachable: raft.isReachable(raftId),
    };
  });
}

/** What it says of itself to whoever asks, at this moment. */
export function reportOf(raft: Raft, disk: DiskReport, nowMs: number): RaftReport {
  const { raftId, role, term, leaderId, commit, applied } = statusOf(raft);
  const heardMs = raft.leaderHeardMs;
  return {
    raftId,
    role,
    term,
    leaderRaftId: leaderId,
    commit,
    applied,
    lastIndex: raft.stable,
    ...(heardMs !== undefined && { leaderHeardMs: ago(heardMs, nowMs) }),
    disk,
    elections: raft.elections.map((election) => electionReport(election, nowMs)),
    progress: [...progressOf(raft)],
    links: [],
  };
}

function electionReport(election: Election, nowMs: number): ElectionReport {
  const { preVote, term, attempts, outcome, lastIndex, handedOver } = election;
  const votes = [...election.votes].map(([raftId, answer]): VoteReport => {
    const said = { raftId, answer: answer.kind };
    if (answer.kind !== "refused") {
      return { ...said, why: VoteRefusal.UNSPECIFIED, other: 0, number: 0, heardMs: 0 };
    }
    const { code, other, number, heardMs } = answer.why;
    return { ...said, why: code, other, number, heardMs };
  });
  return {
    preVote,
    term,
    beganMs: ago(election.beganMs, nowMs),
    latestMs: ago(election.latestMs, nowMs),
    attempts,
    outcome,
    lastIndex,
    handedOver,
    votes,
  };
}

function ago(thenMs: number, nowMs: number): number {
  return Math.max(0, Math.round(nowMs - thenMs));
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
