// One member's whole consensus state, and the moves between roles. The rules for elections, for leading
// and for following are in election.ts, leader.ts and follower.ts; raft.ts is what callers use.
import { assert } from "../../common/fault.js";
import type { Random } from "../../common/random.js";
import {
  type Entry,
  EntryKind,
  type HardState,
  type MessageKind,
  type RaftMessage,
  type RaftSnapshot,
} from "../../proto/gen/raft.js";
import { findMember, type Members, votersOf } from "./conf.js";
import {
  ELECTION_SPREAD_TICKS,
  ELECTION_TICKS,
  PUT_OFF_TICKS,
  SPLIT_VOTE_TICKS,
} from "./limits.js";
import { RaftLog } from "./log.js";
import { emptyEntry, makeMessage } from "./message.js";
import { Progress } from "./progress.js";
import { ReadQueue, type ReadRequest } from "./read-only.js";
import { type OutgoingSnapshot, SnapshotAssembly } from "./snapshot-chunks.js";
import { VoteRecord } from "./vote-record.js";

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** A read that was asked here with `context` may be answered once `index` is applied. */
export interface ReadState {
  readonly context: number;
  readonly index: number;
}

/** What a member starts from. */
export interface RaftStart {
  readonly id: number;
  readonly random: Random;
  readonly hardState: HardState;
  readonly snapshot: Pick<RaftSnapshot, "meta"> | undefined;
  readonly entries: readonly Entry[];
}

/** What only a leader has, made anew for each term it leads. */
export interface Leading {
  readonly progress: Map<number, Progress>;
  /** Its own first entry (Raft section 8). */
  readonly firstIndex: number;
  /** The last entry that anybody was sent. */
  sentUpTo: number;
  readonly reads: ReadQueue;
  /** Reads from before an entry of this term was committed (dissertation section 6.4, step 1). */
  earlyReads: ReadRequest[];
  /** No membership change is proposed while one up to here may be unapplied. */
  pendingConfIndex: number;
  /** No voter that was taken away is needed again once this entry is committed (docs/consensus.md). */
  finalIndex: number;
  /** To whom leadership is being handed; 0: nobody. */
  transferee: number;
  transferTicks: number;
  /** Whether it was told to take over in this tick. */
  handedOver: boolean;
  /** Since it leads. */
  ticks: number;
  uncommittedBytes: number;
  /** The snapshot that lagging members are sent, while there are any. */
  snapshot: OutgoingSnapshot | undefined;
  snapshotWanted: boolean;
}

export class RaftState {
  readonly id: number;
  readonly #random: Random;
  term: number;
  vote: number;
  role: Role = "follower";
  leaderId = 0;
  members: Members;
  readonly log: RaftLog;
  /** Ticks since a leader was heard or an election begun. */
  electionElapsed = 0;
  timeoutTicks = ELECTION_TICKS;
  #putOff = false;
  /** The leader of the latest term in which one was heard. */
  #leaderSeen = { term: 0, id: 0 };
  readonly votes = new Map<number, boolean>();
  /** Elections stood for since a leader was known. */
  candidacies = 0;
  /** Whether the candidacy was asked for by the leader before. */
  transferCampaign = false;
  /** The term whose leader asked this member to take over; 0: none. */
  takeOverTerm = 0;
  leading: Leading | undefined;
  /** For what is told to people, and for nothing else: the time, if the caller says it, and when a leader was heard. */
  nowMs = 0;
  leaderHeardMs: number | undefined;
  readonly voteRecord = new VoteRecord();
  readonly assembly = new SnapshotAssembly();
  /** A snapshot from the leader that the disk and the state machine do not have yet. */
  restored: RaftSnapshot | undefined;
  /** How long writes to the disk of this member take, in microseconds; 0: not known. The leader is told. */
  diskUs = 0;
  /** What may go out now, and what promises something that must be on disk first. */
  outbox: RaftMessage[] = [];
  afterPersist: RaftMessage[] = [];
  readStates: ReadState[] = [];

  constructor(start: RaftStart) {
    const { hardState, snapshot, entries } = start;
    const meta = snapshot?.meta;
    this.id = start.id;
    this.#random = start.random;
    this.members = meta?.conf?.members ?? [];
    const base = { index: meta?.index ?? 0, term: meta?.term ?? 0 };
    this.log = new RaftLog(base, entries, hardState.commit);
    // A snapshot may have become durable just before the hard state that belongs to it; in the terms
    // between, this member has not voted.
    this.term = Math.max(hardState.term, this.log.last.term);
    this.vote = this.term === hardState.term ? hardState.vote : 0;
    this.resetTimer();
  }

  get voters(): readonly number[] {
    return votersOf(this.members);
  }

  isVoter(): boolean {
    return findMember(this.members, this.id)?.learner === false;
  }

  send(kind: MessageKind, to: number, fields: Partial<RaftMessage>): void {
    this.outbox.push(makeMessage(kind, this.id, to, fields.term ?? this.term, fields));
  }

  /** For answers that claim something is durable. */
  sendAfterPersist(kind: MessageKind, to: number, fields: Partial<RaftMessage>): void {
    this.afterPersist.push(makeMessage(kind, this.id, to, fields.term ?? this.term, fields));
  }

  /** For requests for votes, and answers to them. */
  sendAboutVote(kind: MessageKind, to: number, fields: Partial<RaftMessage>): void {
    this.send(kind, to, { ...fields, ...this.known() });
  }

  /** What is known here to be committed, so that who has that entry knows it, too. */
  known(): Pick<RaftMessage, "commit" | "commitTerm"> {
    const { committed } = this.log;
    return { commit: committed, commitTerm: this.log.termAt(committed) ?? 0 };
  }

  /** Raft section 5.2: a random timeout makes split votes rare and short. */
  resetTimer(): void {
    this.#putOff = false;
    this.electionElapsed = 0;
    this.timeoutTicks = ELECTION_TICKS + this.#random.below(ELECTION_SPREAD_TICKS);
  }

  /** Who has just consented to another's candidacy leaves it the time to win: once, for it may not. */
  putOffCampaign(): void {
    if (this.#putOff || this.role !== "follower") return;
    this.#putOff = true;
    this.timeoutTicks = Math.max(this.timeoutTicks, this.electionElapsed + PUT_OFF_TICKS);
  }

  /** A candidate's: how long it waits for votes before it asks anew, in a later term. */
  resetVoteTimer(): void {
    const least = Math.min(SPLIT_VOTE_TICKS << Math.min(this.candidacies, 8), ELECTION_TICKS);
    this.candidacies++;
    this.electionElapsed = 0;
    this.timeoutTicks = least + this.#random.below(least + 1);
  }

  follow(term: number, leaderId: number): void {
    assert(term >= this.term, "terms only grow");
    this.voteRecord.end(leaderId !== 0 ? "other-leader" : "later-term");
    if (term > this.term) {
      this.term = term;
      this.vote = 0;
    }
    if (leaderId !== 0) this.noteLeader(leaderId);
    if (this.role !== "follower" || leaderId !== this.leaderId) this.resetTimer();
    this.role = "follower";
    this.leaderId = leaderId;
    if (leaderId !== 0) this.candidacies = 0;
    this.leading = undefined;
    this.votes.clear();
  }

  /** Raft figure 3, Election Safety, as far as it can be seen from here. */
  noteLeader(leaderId: number): void {
    const known = this.#leaderSeen.term === this.term ? this.#leaderSeen.id : leaderId;
    assert(known === leaderId, "a term has one leader (Raft figure 3, Election Safety)");
    this.#leaderSeen = { term: this.term, id: leaderId };
  }

  becomeLeader(): void {
    assert(this.role === "candidate", "only a candidate becomes leader");
    this.noteLeader(this.id);
    this.voteRecord.end("won");
    this.role = "leader";
    this.leaderId = this.id;
    this.candidacies = 0;
    this.votes.clear();
    this.assembly.clear();
    this.resetTimer();
    const last = this.log.last.index;
    this.leading = {
      progress: new Map(),
      firstIndex: last + 1,
      sentUpTo: 0,
      reads: new ReadQueue(),
      earlyReads: [],
      // Cautious: any entry not yet applied might be a membership change.
      pendingConfIndex: last,
      // Its own first entry: what was taken away before is in the commit index that goes with it.
      finalIndex: last + 1,
      transferee: 0,
      transferTicks: 0,
      handedOver: false,
      ticks: 0,
      uncommittedBytes: this.log.bytesAfter(this.log.committed),
      snapshot: undefined,
      snapshotWanted: false,
    };
    this.trackMembers(this.leading);
    this.log.append(emptyEntry(this.term, last + 1));
  }

  /** Progress for each other member, and for nobody else. */
  trackMembers(leading: Leading): void {
    const { progress } = leading;
    for (const raftId of progress.keys()) {
      if (findMember(this.members, raftId) === undefined) progress.delete(raftId);
    }
    for (const { raftId } of this.members) {
      if (raftId !== this.id && !progress.has(raftId)) {
        progress.set(raftId, new Progress(this.log.last.index + 1));
      }
    }
  }

  /** Whether a membership change is committed and not yet applied: until then its majority is unknown. */
  hasUnappliedChange(): boolean {
    return this.log
      .slice(this.log.applied + 1, this.log.committed)
      .some((entry) => entry.kind === EntryKind.CONF_CHANGE);
  }
}
