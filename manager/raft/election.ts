// Elections: PreVote (dissertation section 9.6), votes (Raft section 5.2), the lease that keeps a removed
// or cut-off member from disturbing a working group (section 6, dissertation 4.2.3), transfer (3.10).
import { MessageKind, type RaftMessage, VoteRefusal } from "../../proto/gen/raft.js";
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
  record(s, s.term + 1);
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
  s.resetVoteTimer();
  s.voteRecord.end("won");
  record(s, s.term);
  requestVotes(s);
}

function record(s: RaftState, term: number): void {
  s.voteRecord.begin({
    preVote: s.role === "pre-candidate",
    term,
    lastIndex: s.log.last.index,
    handedOver: s.transferCampaign,
    nowMs: s.nowMs,
    voters: s.voters.filter((voter) => voter !== s.id),
  });
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
    s.sendAboutVote(pre ? MessageKind.PRE_VOTE : MessageKind.VOTE, voter, {
      term: pre ? s.term + 1 : s.term,
      index,
      logTerm,
      campaignTransfer: s.transferCampaign,
    });
  }
}

/**
 * Who has the longer log may lack the majority that its members of before have, and who knows the members of now the
 * longer log: then neither is elected, unless one tells the other what is committed (docs/consensus.md).
 */
export function learnCommit(s: RaftState, m: RaftMessage): void {
  if (s.role === "leader" || m.commit <= s.log.committed || m.commit > s.log.last.index) return;
  // Entries of one index and term are the same, and so is all before them (Raft figure 3, Log Matching).
  if (s.log.has({ index: m.commit, term: m.commitTerm })) s.log.commitTo(m.commit);
}

/** Whether a leader is heard so well that no vote request of a higher term is to be believed. */
export function holdsLease(s: RaftState): boolean {
  return s.leaderId !== 0 && s.electionElapsed < ELECTION_TICKS;
}

/** A VOTE of our term, or a PRE_VOTE of ours or a later one. */
export function answerVote(s: RaftState, m: RaftMessage): void {
  const pre = m.kind === MessageKind.PRE_VOTE;
  if (pre && asksFirst(s, m)) {
    sayNoVote(s, m, { refusal: VoteRefusal.STANDS_ITSELF });
    return;
  }
  const free = s.vote === m.from || (s.vote === 0 && s.leaderId === 0) || (pre && m.term > s.term);
  const granted = free && s.log.isUpToDate({ index: m.index, term: m.logTerm });
  const why = granted ? {} : whyNoVote(s, free);
  if (pre) {
    // Consent answers for the term asked about, and promises nothing that a disk must remember.
    const term = granted ? m.term : s.term;
    if (granted) s.putOffCampaign();
    const said = { term, reject: !granted, ...why };
    s.sendAboutVote(MessageKind.PRE_VOTE_RESPONSE, m.from, said);
    return;
  }
  const said = { reject: !granted, ...why, ...s.known() };
  s.sendAfterPersist(MessageKind.VOTE_RESPONSE, m.from, said);
  if (granted) {
    s.vote = m.from;
    s.electionElapsed = 0;
  }
}

function whyNoVote(s: RaftState, free: boolean): Partial<RaftMessage> {
  if (free) return { refusal: VoteRefusal.LOG_BEHIND, index: s.log.last.index };
  if (s.leaderId !== 0) return leaderHeard(s);
  return { refusal: VoteRefusal.ALREADY_VOTED, rejectHint: s.vote };
}

function leaderHeard(s: RaftState): Partial<RaftMessage> {
  const agoMs = s.leaderId === s.id ? 0 : s.nowMs - (s.leaderHeardMs ?? s.nowMs);
  const context = Math.max(0, Math.round(agoMs));
  return { refusal: VoteRefusal.LEADER_HEARD, rejectHint: s.leaderId, context };
}

/** To one that asks while a leader is heard: its question stays unanswered, and this says why. */
export function sayLeaderHeard(s: RaftState, m: RaftMessage): void {
  sayNoVote(s, m, leaderHeard(s));
}

function sayNoVote(s: RaftState, m: RaftMessage, why: Partial<RaftMessage>): void {
  // Of no later term than the question's, so that one of an earlier release does nothing with it.
  s.send(MessageKind.NO_VOTE, m.from, why);
}

/**
 * Of two that ask at the same moment, with the same log, one goes first: if each consented to the other, both
 * would stand, and split the vote. For less than a tick, then the other asks again and is answered: the first
 * may be one that nobody else hears.
 */
function asksFirst(s: RaftState, m: RaftMessage): boolean {
  const asksToo = s.role === "pre-candidate" && s.electionElapsed === 0 && s.id < m.from;
  return asksToo && s.log.last.index === m.index && s.log.last.term === m.logTerm;
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
  if (result === "lost") {
    s.voteRecord.end("refused");
    s.follow(s.term, 0);
  }
  if (result !== "won") return;
  if (s.role === "pre-candidate") standForElection(s);
  else s.becomeLeader();
}
