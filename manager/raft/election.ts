// Elections: PreVote (dissertation section 9.6), votes (Raft section 5.2), the lease that keeps a removed
// or cut-off member from disturbing a working group (section 6, dissertation 4.2.3), transfer (3.10).
import { MessageKind, type RaftMessage } from "../../proto/gen/raft.js";
import { ELECTION_TICKS } from "./limits.js";
import { tally } from "./quorum.js";
import type { RaftState } from "./state.js";

/** One tick of a member that does not lead. */
export function tickElection(s: RaftState): void {
  s.electionElapsed++;
  if (s.electionElapsed >= s.timeoutTicks) {
    campaign(s);
  } else if (s.role === "pre-candidate" || s.role === "candidate") {
    // A request may be lost, or have come while the voter still believed in the old leader; asking
    // again is harmless and saves a whole timeout.
    requestVotes(s);
  }
}

/** Asks whether an election could be won, without disturbing anyone; a group of one elects at once. */
export function campaign(s: RaftState): void {
  if (!mayCampaign(s)) return;
  s.role = "pre-candidate";
  s.leaderId = 0;
  s.votes.clear();
  s.votes.set(s.id, true);
  s.transferCampaign = false;
  s.resetTimer();
  requestVotes(s);
  countVotes(s);
}

/**
 * The leader of this term asked for it: no PreVote, and its followers' lease does not stand in the way.
 * With a membership change still to be applied (the leader's own removal) it waits for that.
 */
export function maybeTakeOver(s: RaftState): void {
  if (s.takeOverTerm !== s.term || !mayCampaign(s)) return;
  s.takeOverTerm = 0;
  s.transferCampaign = true;
  standForElection(s);
}

function mayCampaign(s: RaftState): boolean {
  return s.role !== "leader" && s.isVoter() && s.restored === undefined && !s.hasUnappliedChange();
}

function standForElection(s: RaftState): void {
  s.role = "candidate";
  s.leaderId = 0;
  s.term++;
  s.vote = s.id;
  s.votes.clear();
  s.resetTimer();
  requestVotes(s);
}

/** The vote for ourselves counts when it is on disk. */
export function ownVotePersisted(s: RaftState): void {
  if (s.role !== "candidate") return;
  s.votes.set(s.id, true);
  countVotes(s);
}

function requestVotes(s: RaftState): void {
  const pre = s.role === "pre-candidate";
  const { index, term: logTerm } = s.log.last;
  for (const voter of s.voters) {
    if (voter === s.id || s.votes.has(voter)) continue;
    s.send(pre ? MessageKind.PRE_VOTE : MessageKind.VOTE, voter, {
      term: pre ? s.term + 1 : s.term,
      index,
      logTerm,
      campaignTransfer: s.transferCampaign,
    });
  }
}

/** Whether a leader is heard so well that no vote request of a higher term is to be believed. */
export function holdsLease(s: RaftState): boolean {
  return s.leaderId !== 0 && s.electionElapsed < ELECTION_TICKS;
}

/** A VOTE of our term, or a PRE_VOTE of ours or a later one. */
export function answerVote(s: RaftState, m: RaftMessage): void {
  const pre = m.kind === MessageKind.PRE_VOTE;
  const free = s.vote === m.from || (s.vote === 0 && s.leaderId === 0) || (pre && m.term > s.term);
  const granted = free && s.log.isUpToDate({ index: m.index, term: m.logTerm });
  if (pre) {
    // Consent answers for the term asked about, and promises nothing that a disk must remember.
    const term = granted ? m.term : s.term;
    s.send(MessageKind.PRE_VOTE_RESPONSE, m.from, { term, reject: !granted });
    return;
  }
  s.sendAfterPersist(MessageKind.VOTE_RESPONSE, m.from, { reject: !granted });
  if (granted) {
    s.vote = m.from;
    s.electionElapsed = 0;
  }
}

export function receiveVote(s: RaftState, m: RaftMessage): void {
  const pre = m.kind === MessageKind.PRE_VOTE_RESPONSE;
  if (s.role !== (pre ? "pre-candidate" : "candidate")) return;
  // Consent to an earlier question of ours says nothing about this one.
  if (pre && !m.reject && m.term !== s.term + 1) return;
  // The first answer counts: a voter does not take its vote back.
  if (!s.votes.has(m.from)) s.votes.set(m.from, !m.reject);
  countVotes(s);
}

function countVotes(s: RaftState): void {
  const result = tally(s.voters, s.votes);
  if (result === "lost") s.follow(s.term, 0);
  if (result !== "won") return;
  if (s.role === "pre-candidate") standForElection(s);
  else s.becomeLeader();
}
