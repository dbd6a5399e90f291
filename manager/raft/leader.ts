// What a leader does: sends entries as fast as each member takes them, commits what a majority has,
// confirms reads, hands leadership over, and steps down when no majority answers it.
import { type Entry, MessageKind, type RaftMessage } from "../../proto/gen/raft.js";
import { findMember } from "./conf.js";
import {
  APPEND_BYTES_MAX,
  CAUGHT_UP_ENTRIES,
  ELECTION_TICKS,
  HEARTBEAT_TICKS,
  SNAPSHOT_HOLD_TICKS,
} from "./limits.js";
import { bytesOf } from "./log.js";
import { emptyEntry } from "./message.js";
import type { Progress } from "./progress.js";
import { majorityReached } from "./quorum.js";
import type { ReadRequest } from "./read-only.js";
import { chunkAt } from "./snapshot-chunks.js";
import type { Leading, RaftState } from "./state.js";

export function tickLeader(s: RaftState, leading: Leading): void {
  for (const progress of leading.progress.values()) tickProgress(progress);
  if (!hearsMajority(s, leading)) {
    // CheckQuorum (dissertation section 6.2): who is cut off must not go on looking like a leader.
    s.follow(s.term, 0);
    return;
  }
  // Section 3.10: a transfer that takes an election timeout is given up, and proposals flow again.
  if (leading.transferee !== 0 && ++leading.transferTicks >= ELECTION_TICKS) leading.transferee = 0;
  leading.handedOver = false;
  leading.ticks++;
  const due = leading.ticks % HEARTBEAT_TICKS === 0 || leading.reads.waiting;
  sendHeartbeats(s, leading, (progress) => due || !isLevel(s, progress));
}

function tickProgress(progress: Progress): void {
  progress.silentTicks++;
  if (progress.pace.kind !== "snapshot") return;
  const { sending } = progress.pace;
  sending.waitedTicks++;
  if (sending.waitedTicks >= ELECTION_TICKS) sending.waiting = false;
  // A connection that was lost goes on from the last chunk that arrived; who is gone is not worth holding
  // a whole snapshot for.
  if (progress.silentTicks >= SNAPSHOT_HOLD_TICKS) progress.probeFrom(progress.match + 1);
}

function hearsMajority(s: RaftState, leading: Leading): boolean {
  return majorityReached(s.voters, (voter) => Number(isHeard(s, leading, voter))) === 1;
}

export function isHeard(s: RaftState, leading: Leading, raftId: number): boolean {
  if (raftId === s.id) return true;
  const progress = leading.progress.get(raftId);
  return progress !== undefined && progress.silentTicks < ELECTION_TICKS;
}

export function hasCaughtUp(s: RaftState, leading: Leading, raftId: number): boolean {
  const progress = leading.progress.get(raftId);
  if (progress?.pace.kind !== "replicate" || !isHeard(s, leading, raftId)) return false;
  return s.log.last.index - progress.match <= CAUGHT_UP_ENTRIES;
}

/** Whether a member has and knows all there is: then a heartbeat is only a sign of life. */
function isLevel({ log }: RaftState, progress: Progress): boolean {
  const { pace, match, toldCommit } = progress;
  return pace.kind === "replicate" && match === log.last.index && toldCommit === log.committed;
}

/** Whether somebody that has it does not know that it is committed. */
export function knowsUntoldCommit(s: RaftState, leading: Leading): boolean {
  for (const { pace, toldCommit } of leading.progress.values()) {
    if (pace.kind === "replicate" && toldCommit < s.log.committed) return true;
  }
  return false;
}

function sendHeartbeats(
  s: RaftState,
  leading: Leading,
  wanted: (progress: Progress) => boolean = () => true,
): void {
  for (const [to, progress] of leading.progress) {
    if (!wanted(progress)) continue;
    const commit = Math.min(progress.match, s.log.committed);
    s.send(MessageKind.HEARTBEAT, to, { commit, context: leading.reads.round });
  }
}

/**
 * Sends every member what it may be sent now. Called once before messages are taken: appends batch. `tellCommit` false:
 * nothing is sent for the commit index alone; it goes with the next entries, or with a heartbeat.
 */
export function flush(s: RaftState, leading: Leading, tellCommit = true): void {
  for (const [to, progress] of leading.progress) {
    while (maybeSendAppend(s, leading, to, progress, tellCommit)) {}
    if (progress.pace.kind === "snapshot") maybeSendChunk(s, to, progress);
  }
  if (leading.transferee !== 0) maybeHandOver(s, leading);
  const paces = [...leading.progress.values()].map((progress) => progress.pace.kind);
  if (!paces.includes("snapshot")) leading.snapshot = undefined;
}

/** Answers whether something was sent, so that more may follow. */
function maybeSendAppend(
  s: RaftState,
  leading: Leading,
  to: number,
  progress: Progress,
  tellCommit: boolean,
): boolean {
  if (!progress.mayAppend()) return false;
  const { log } = s;
  if (log.termAt(progress.next - 1) === undefined) {
    startSnapshot(s, leading, to, progress);
    return false;
  }
  const probing = progress.pace.kind === "probe";
  const nothingNew = !tellCommit || progress.toldCommit >= log.committed;
  if (progress.next > log.last.index && nothingNew && !probing) return false;
  const entries = sendAppend(s, to, progress);
  return entries.length > 0 && !probing;
}

function sendAppend(s: RaftState, to: number, progress: Progress): readonly Entry[] {
  const index = progress.next - 1;
  const entries = s.log.slice(progress.next, s.log.last.index, APPEND_BYTES_MAX);
  const logTerm = s.log.termAt(index) ?? 0;
  s.send(MessageKind.APPEND, to, { index, logTerm, entries, commit: s.log.committed });
  progress.sent(entries.length, index + entries.length, bytesOf(entries));
  if (s.leading !== undefined)
    s.leading.sentUpTo = Math.max(s.leading.sentUpTo, index + entries.length);
  progress.toldCommit = s.log.committed;
  return entries;
}

function startSnapshot(s: RaftState, leading: Leading, to: number, progress: Progress): void {
  const { snapshot } = leading;
  const index = snapshot?.meta?.index ?? 0;
  const fits =
    snapshot !== undefined &&
    index >= s.log.base.index &&
    findMember(snapshot.meta?.conf?.members ?? [], to) !== undefined;
  if (!fits) {
    leading.snapshotWanted = true;
    return;
  }
  progress.sendSnapshot(snapshot, index);
}

function maybeSendChunk(s: RaftState, to: number, progress: Progress): void {
  if (progress.pace.kind !== "snapshot") return;
  const { sending } = progress.pace;
  if (sending.waiting || progress.silentTicks >= ELECTION_TICKS) return;
  s.send(MessageKind.SNAPSHOT, to, { chunk: chunkAt(sending.snapshot, sending.offset) });
  sending.waiting = true;
  sending.waitedTicks = 0;
}

export function receiveChunkResponse(progress: Progress, m: RaftMessage): void {
  if (progress.pace.kind !== "snapshot") return;
  const { sending } = progress.pace;
  const known = m.index === sending.index && m.context <= sending.snapshot.data.length;
  if (!known || m.context === sending.offset) return;
  sending.offset = m.context;
  sending.waiting = false;
}

export function receiveAppendResponse(
  s: RaftState,
  leading: Leading,
  progress: Progress,
  m: RaftMessage,
): void {
  if (m.reject) {
    // Raft section 5.3: skip a whole conflicting term at a time, from both sides.
    const hint = s.log.lastAtMost({ index: m.rejectHint, term: m.rejectTerm });
    progress.refused(m.index, m.rejectTerm > 0 ? hint.index : m.rejectHint);
    return;
  }
  if (m.index > s.log.last.index) return;
  if (progress.acknowledged(m.index)) maybeCommit(s, leading);
}

/**
 * Where the entries begin that members that answer are about to be sent: were those compacted away, a snapshot that
 * took long to install would be followed by another, and never by the entries.
 */
export function neededAfter(s: RaftState, leading: Leading): number {
  const needed = [...leading.progress]
    .filter(([raftId]) => isHeard(s, leading, raftId))
    .map(([, progress]) => progress.needsAfter)
    // Who needs what is gone already is sent a snapshot.
    .filter((index) => index >= s.log.base.index);
  return Math.min(s.log.applied, ...needed);
}

/** Raft section 5.4.2: only an entry of the leader's own term is committed by counting. */
export function maybeCommit(s: RaftState, leading: Leading): void {
  const { log } = s;
  const reached = majorityReached(s.voters, (voter) =>
    voter === s.id ? log.stable : (leading.progress.get(voter)?.match ?? 0),
  );
  if (reached <= log.committed || log.termAt(reached) !== s.term) return;
  for (const entry of log.slice(log.committed + 1, reached)) {
    leading.uncommittedBytes -= entry.data.length;
  }
  log.commitTo(reached);
  const early = leading.earlyReads;
  leading.earlyReads = [];
  for (const { from, context } of early) requestRead(s, leading, from, context);
}

export function receiveHeartbeatResponse(
  s: RaftState,
  leading: Leading,
  progress: Progress,
  m: RaftMessage,
): void {
  progress.diskUs = m.diskUs;
  if (progress.pace.kind === "probe") progress.pace.sent = false;
  // It may have lost a message: an append where it should be makes it say so. What it has not been
  // sent, for the window is full, this does not add to.
  if (progress.pace.kind === "replicate" && progress.match < progress.next - 1) {
    const index = progress.next - 1;
    const logTerm = s.log.termAt(index);
    if (logTerm === undefined) progress.probeFrom(progress.match + 1);
    else s.send(MessageKind.APPEND, m.from, { index, logTerm, commit: s.log.committed });
  }
  if (m.context === 0) return;
  for (const read of leading.reads.confirm(m.from, m.context, s.id, s.voters)) answerRead(s, read);
}

export function requestRead(s: RaftState, leading: Leading, from: number, context: number): void {
  const request = { from, context, index: s.log.committed };
  if (s.log.termAt(s.log.committed) !== s.term) {
    leading.earlyReads.push(request);
    return;
  }
  if (s.voters.length === 1 && s.isVoter()) {
    answerRead(s, request);
    return;
  }
  if (leading.reads.add(request)) sendHeartbeats(s, leading);
}

function answerRead(s: RaftState, { from, context, index }: ReadRequest): void {
  if (from === s.id) s.readStates.push({ context, index });
  else s.send(MessageKind.READ_INDEX_RESPONSE, from, { context, index });
}

function maybeHandOver(s: RaftState, leading: Leading): void {
  const progress = leading.progress.get(leading.transferee);
  if (leading.handedOver || progress?.match !== s.log.last.index) return;
  // Said again each tick until it campaigns: the message may be lost.
  leading.handedOver = true;
  s.send(MessageKind.TIMEOUT_NOW, leading.transferee, {});
}

/**
 * The members have changed: the majority may be another, and who is gone is told that it is. It is not to go before the
 * majority without it has an entry that follows: what is written with that says that the change is committed.
 */
export function membersChanged(s: RaftState, leading: Leading, before: readonly number[]): void {
  for (const [to, progress] of leading.progress) {
    const gone = findMember(s.members, to) === undefined;
    if (gone && s.log.termAt(progress.next - 1) !== undefined) sendAppend(s, to, progress);
  }
  if (findMember(s.members, s.id) === undefined) {
    stepAside(s, leading);
    return;
  }
  s.trackMembers(leading);
  if (before.some((voter) => !s.voters.includes(voter))) {
    leading.finalIndex = s.log.last.index + 1;
    s.log.append(emptyEntry(s.term, leading.finalIndex));
  }
  if (findMember(s.members, leading.transferee)?.learner !== false) leading.transferee = 0;
  maybeCommit(s, leading);
}

/** Section 4.2.2: a leader that is removed steps down once that is committed; the fittest takes over. */
function stepAside(s: RaftState, leading: Leading): void {
  const heirs = [...leading.progress]
    .filter(([raftId]) => s.voters.includes(raftId))
    .sort(([, a], [, b]) => b.match - a.match);
  flush(s, leading);
  const heir = heirs[0]?.[0];
  if (heir !== undefined) s.send(MessageKind.TIMEOUT_NOW, heir, {});
  s.follow(s.term, 0);
}

/** See Raft.dropUnwritten. */
export function dropUnwritten({ leading, log, members }: RaftState): number | undefined {
  if (leading === undefined || members.length !== 1) return undefined;
  // Its own first entry stays, for it could commit nothing without; so does what somebody else was sent, who was a
  // member then and may have written it.
  const kept = Math.max(log.stable, leading.firstIndex, leading.sentUpTo);
  if (kept >= log.last.index || log.committed > kept) return undefined;
  log.dropAfter(kept);
  leading.uncommittedBytes = log.bytesAfter(log.committed);
  leading.pendingConfIndex = Math.min(leading.pendingConfIndex, log.last.index);
  // Whatever comes next in its place does the same.
  leading.finalIndex = Math.min(leading.finalIndex, log.last.index + 1);
  return log.last.index + 1;
}
