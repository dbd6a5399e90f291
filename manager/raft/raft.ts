// Raft: one member of the group as a pure state machine, in etcd-raft's shape. What happens (a message, a
// tick, a wish) goes in through methods; what is to be done comes out of `ready`. No clock, no socket, no
// disk. The paper is Ongaro and Ousterhout 2014; "dissertation" is Ongaro 2014; sections are cited.
//
// The caller, over and over: ready() → send `messages`, apply `committed`, answer `reads` → write
// `persist` → send its messages → advance().
import { assert } from "../../common/fault.js";
import {
  ConfChange,
  type Entry,
  EntryKind,
  MessageKind,
  type RaftMessage,
  type RaftSnapshot,
  VoteRefusal,
} from "../../proto/gen/raft.js";
import { applyChange, findMember, type Members } from "./conf.js";
import * as election from "./election.js";
import * as follower from "./follower.js";
import * as leader from "./leader.js";
import { HELD_BYTES_MAX, PENDING_READS_MAX } from "./limits.js";
import { isAboutVote, isFromLeader, whyMalformed } from "./message.js";
import type { Progress } from "./progress.js";
import * as proposals from "./proposals.js";
import type { Proposed } from "./proposed.js";
import type { Ready } from "./ready.js";
import { outgoing } from "./snapshot-chunks.js";
import { type RaftStart, RaftState, type Role } from "./state.js";
import type { Election } from "./vote-record.js";
import { Writes } from "./writes.js";

export class Raft {
  readonly #s: RaftState;
  readonly #writes: Writes;

  constructor(start: RaftStart) {
    this.#s = new RaftState(start);
    this.#writes = new Writes(start.hardState);
  }

  get id(): number {
    return this.#s.id;
  }
  get term(): number {
    return this.#s.term;
  }
  get role(): Role {
    return this.#s.role;
  }
  get leaderId(): number {
    return this.#s.leaderId;
  }
  get members(): Members {
    return this.#s.members;
  }
  get commit(): number {
    return this.#s.log.committed;
  }
  get applied(): number {
    return this.#s.log.applied;
  }
  get stable(): number {
    return this.#s.log.stable;
  }
  get lastIndex(): number {
    return this.#s.log.last.index;
  }
  get firstIndex(): number {
    return this.#s.log.base.index + 1;
  }
  /** Whether a leader has applied an entry of its own term, and so everything before it. */
  get settled(): boolean {
    const { role, log, term } = this.#s;
    return role === "leader" && log.termAt(log.applied) === term;
  }
  /** On a leader: whether no voter that was taken away could be needed again, whoever falls (docs/consensus.md). */
  get removalsFinal(): boolean {
    const { leading, log } = this.#s;
    return leading !== undefined && leading.finalIndex <= log.committed;
  }
  /** Whether a snapshot has arrived that the state machine does not have yet, though `applied` says so. */
  get restoring(): boolean {
    return this.#s.restored !== undefined;
  }
  /** To whom leadership is being handed; 0: nobody. */
  get transferee(): number {
    return this.#s.leading?.transferee ?? 0;
  }
  termAt(index: number): number | undefined {
    return this.#s.log.termAt(index);
  }

  isReachable(raftId: number): boolean {
    const { leading } = this.#s;
    return leading !== undefined && leader.isHeard(this.#s, leading, raftId);
  }
  /** Whether this member leads, and others do not know how far is committed. */
  get knowsUntoldCommit(): boolean {
    const { leading } = this.#s;
    return leading !== undefined && leader.knowsUntoldCommit(this.#s, leading);
  }

  hasCaughtUp(raftId: number): boolean {
    const { leading } = this.#s;
    return leading !== undefined && leader.hasCaughtUp(this.#s, leading, raftId);
  }

  /** How far each other member is. Empty unless this one leads. */
  matches(): ReadonlyMap<number, number> {
    const progress = this.#s.leading?.progress ?? new Map<number, Progress>();
    return new Map([...progress].map(([raftId, { match }]) => [raftId, match]));
  }

  /** How long a write to this member's disk takes, in microseconds; 0: not known. */
  get diskUs(): number {
    return this.#s.diskUs;
  }
  set diskUs(us: number) {
    this.#s.diskUs = us;
  }

  /** The same of each other member, as it said last. Empty unless this one leads. */
  disksUs(): ReadonlyMap<number, number> {
    const progress = this.#s.leading?.progress ?? new Map<number, Progress>();
    return new Map([...progress].map(([raftId, { diskUs }]) => [raftId, diskUs]));
  }

  /** Of those only who could lead: the voters that answer. */
  votersDisksUs(): ReadonlyMap<number, number> {
    const { voters } = this.#s;
    const couldLead = (raftId: number) => voters.includes(raftId) && this.isReachable(raftId);
    return new Map([...this.disksUs()].filter(([raftId]) => couldLead(raftId)));
  }

  /** The elections that this member stood for lately, the latest last. */
  get elections(): readonly Election[] {
    return this.#s.voteRecord.elections;
  }

  /** When a leader was last heard here, by the times that were said; undefined on a leader, and if none was. */
  get leaderHeardMs(): number | undefined {
    return this.#s.leading === undefined ? this.#s.leaderHeardMs : undefined;
  }

  // ---- What happens -----------------------------------------------------------------------------

  /** What time it is on the caller's clock: for what people are told, no decision rests on it. */
  setTime(nowMs: number): void {
    this.#s.nowMs = nowMs;
  }

  tick(): void {
    const s = this.#s;
    if (s.leading !== undefined) leader.tickLeader(s, s.leading);
    else election.tickElection(s);
  }

  /** Stands for election now: right for a group of one at start. Nothing when it leads or may not. */
  campaign(): void {
    election.campaign(this.#s);
  }

  /** Takes a message in. Answers why it was dropped unread, when it was malformed. */
  step(m: RaftMessage): string | undefined {
    const s = this.#s;
    const malformed = m.to === s.id ? whyMalformed(m) : "not for this member";
    if (malformed !== undefined) return malformed;
    s.voteRecord.note(m);
    if (m.kind === MessageKind.NO_VOTE) return undefined;
    if (isAboutVote(m)) election.learnCommit(s, m);
    if (m.term > s.term && !this.#laterTerm(m)) return undefined;
    if (m.term < s.term) {
      this.#earlierTerm(m);
      return undefined;
    }
    switch (m.kind) {
      case MessageKind.PRE_VOTE:
      case MessageKind.VOTE:
        election.answerVote(s, m);
        break;
      case MessageKind.PRE_VOTE_RESPONSE:
      case MessageKind.VOTE_RESPONSE:
        election.receiveVote(s, m);
        break;
      case MessageKind.APPEND:
      case MessageKind.HEARTBEAT:
      case MessageKind.SNAPSHOT:
        this.#fromLeader(m);
        break;
      case MessageKind.TIMEOUT_NOW:
        s.takeOverTerm = s.term;
        election.maybeTakeOver(s);
        break;
      case MessageKind.READ_INDEX:
        if (s.leading !== undefined && s.leading.earlyReads.length < PENDING_READS_MAX) {
          leader.requestRead(s, s.leading, m.from, m.context);
        }
        break;
      case MessageKind.READ_INDEX_RESPONSE:
        s.readStates.push({ context: m.context, index: m.index });
        break;
      default:
        this.#toLeader(m);
    }
    return undefined;
  }

  /** Raft section 5.1: a later term is followed. Answers whether the message is to be read on. */
  #laterTerm(m: RaftMessage): boolean {
    const s = this.#s;
    const asksForVote = m.kind === MessageKind.VOTE || m.kind === MessageKind.PRE_VOTE;
    if (asksForVote && !m.campaignTransfer && election.holdsLease(s)) {
      election.sayLeaderHeard(s, m);
      return false;
    }
    // A PreVote and its consent are about a term that nobody is in yet.
    if (m.kind === MessageKind.PRE_VOTE) {
      election.answerVote(s, m);
      return false;
    }
    if (m.kind === MessageKind.PRE_VOTE_RESPONSE && !m.reject) {
      election.receiveVote(s, m);
      return false;
    }
    s.follow(m.term, isFromLeader(m) ? m.from : 0);
    return true;
  }

  #earlierTerm(m: RaftMessage): void {
    const s = this.#s;
    // A member that is ahead in term (it stood for election while cut off) ignores its leader, and
    // with PreVote would never be heard itself: an answer makes the leader step down and catch up.
    if (isFromLeader(m)) s.send(MessageKind.APPEND_RESPONSE, m.from, { index: 0, reject: true });
    if (m.kind === MessageKind.PRE_VOTE) {
      const said = { reject: true, refusal: VoteRefusal.LATER_TERM };
      s.sendAboutVote(MessageKind.PRE_VOTE_RESPONSE, m.from, said);
    }
  }

  #fromLeader(m: RaftMessage): void {
    const s = this.#s;
    assert(s.role !== "leader", "a term has one leader (Raft figure 3, Election Safety)");
    s.follow(m.term, m.from);
    s.electionElapsed = 0;
    s.leaderHeardMs = s.nowMs;
    if (m.kind === MessageKind.APPEND) follower.receiveAppend(s, m);
    else if (m.kind === MessageKind.HEARTBEAT) follower.receiveHeartbeat(s, m);
    else follower.receiveChunk(s, m);
  }

  #toLeader(m: RaftMessage): void {
    const s = this.#s;
    const progress = s.leading?.progress.get(m.from);
    if (s.leading === undefined || progress === undefined) return;
    progress.silentTicks = 0;
    if (m.kind === MessageKind.APPEND_RESPONSE) {
      leader.receiveAppendResponse(s, s.leading, progress, m);
    } else if (m.kind === MessageKind.HEARTBEAT_RESPONSE) {
      leader.receiveHeartbeatResponse(s, s.leading, progress, m);
    } else if (m.kind === MessageKind.SNAPSHOT_RESPONSE) {
      leader.receiveChunkResponse(progress, m);
    }
  }

  // ---- What is wished for -----------------------------------------------------------------------

  propose(data: Uint8Array): Proposed {
    return proposals.propose(this.#s, EntryKind.NORMAL, data);
  }

  proposeConfChange(change: ConfChange): Proposed {
    return proposals.proposeConfChange(this.#s, change);
  }

  /** Comes back as a ReadState with this context, or never: ask again. False when no leader is known. */
  readIndex(context: number): boolean {
    const s = this.#s;
    if (s.leading !== undefined) {
      if (s.leading.earlyReads.length >= PENDING_READS_MAX) return false;
      leader.requestRead(s, s.leading, s.id, context);
      return true;
    }
    if (s.leaderId === 0) return false;
    s.send(MessageKind.READ_INDEX, s.leaderId, { context });
    return true;
  }

  /** Dissertation section 3.10. Answers whether it was begun; it is given up after an election timeout. */
  transferLeader(to: number): boolean {
    const s = this.#s;
    if (s.leading === undefined || to === s.id) return false;
    if (findMember(s.members, to)?.learner !== false) return false;
    s.leading.transferee = to;
    s.leading.transferTicks = 0;
    return true;
  }

  /** One that ends before the log begins, or does not know the member that needs it, is not sent: another is asked for. */
  offerSnapshot(snapshot: RaftSnapshot): void {
    const { leading } = this.#s;
    if (leading === undefined || !leading.snapshotWanted) return;
    leading.snapshot = outgoing(snapshot);
    leading.snapshotWanted = false;
    leader.flush(this.#s, leading);
  }

  /** What says of the state machine's state, after everything handed out in `committed`, which it is. */
  snapshotMeta(): { index: number; term: number; conf: { members: Members } } {
    const { log, members } = this.#s;
    const term = log.termAt(log.applied);
    assert(term !== undefined, "the applied position is in the log");
    return { index: log.applied, term, conf: { members } };
  }

  /** A snapshot is durable that covers more than this: entries up to `index` may go. */
  compact(index: number): void {
    this.#s.log.compact(index);
  }

  /**
   * At most `index`: less while members that answer are still to be sent what comes before it; everything
   * that is applied when what would be kept is too much.
   */
  compactable(index: number): number {
    const { leading, log } = this.#s;
    const needed = leading === undefined ? index : leader.neededAfter(this.#s, leading);
    const kept = Math.min(index, needed);
    return log.bytesAfter(kept) > HELD_BYTES_MAX ? log.applied : kept;
  }

  // ---- What is to be done -----------------------------------------------------------------------

  /**
   * `mayPersist` false: nothing to write is handed out, for the disk is known to be full. `tellCommit` false: nor a
   * message that only says what is committed; `knowsUntoldCommit` says whether one is owed.
   */
  ready(mayPersist = true, tellCommit = true): Ready {
    const s = this.#s;
    const committed = this.#takeCommitted();
    election.maybeTakeOver(s);
    // Without the leader, a change of members that it alone knows to be committed would block an election.
    const tell = tellCommit || committed.some(({ kind }) => kind === EntryKind.CONF_CHANGE);
    if (s.leading !== undefined) leader.flush(s, s.leading, tell);
    const ready: Ready = {
      messages: s.outbox,
      persist: mayPersist ? this.#writes.next(s) : undefined,
      committed,
      reads: s.readStates,
      snapshotWanted: s.leading?.snapshotWanted ?? false,
    };
    s.outbox = [];
    s.readStates = [];
    return ready;
  }

  /**
   * What a majority has on disk may be applied before this disk has it too (dissertation section 10.2.1).
   * A snapshot that arrived comes before what follows it.
   */
  #takeCommitted(): readonly Entry[] {
    const s = this.#s;
    if (s.restored !== undefined) return [];
    const entries = s.log.slice(s.log.applied + 1, s.log.committed);
    for (const entry of entries) {
      s.log.appliedTo(entry.index);
      if (entry.kind === EntryKind.CONF_CHANGE) this.#changeMembers(entry);
    }
    return entries;
  }

  #changeMembers(entry: Entry): void {
    const s = this.#s;
    const before = s.voters;
    s.members = applyChange(s.members, ConfChange.decode(entry.data));
    if (s.leading !== undefined) leader.membersChanged(s, s.leading, before);
  }

  /** The write is durable, its snapshot is in the state machine, its messages are sent. */
  advance(): void {
    const s = this.#s;
    this.#writes.done(s);
    if (this.#writes.holdsOwnVote(s)) election.ownVotePersisted(s);
    if (s.leading !== undefined) leader.maybeCommit(s, s.leading);
  }

  /** The write failed and left nothing behind: the next `ready` asks for it again. */
  retract(): void {
    this.#writes.retract(this.#s);
  }

  /**
   * Forgets proposals that are not on disk, if nobody else can have them: the leader of a group of one
   * whose disk is full. Answers the first index that is gone, or undefined.
   */
  dropUnwritten(): number | undefined {
    return this.#writes.underWay ? undefined : leader.dropUnwritten(this.#s);
  }
}
