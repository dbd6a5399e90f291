// What a member does that hears a leader: takes its entries, its heartbeats and its snapshots.
import { MessageKind, type RaftMessage, type RaftSnapshot } from "../../proto/gen/raft.js";
import { findMember } from "./conf.js";
import type { RaftState } from "./state.js";

/** Raft figure 2, AppendEntries. */
export function receiveAppend(s: RaftState, m: RaftMessage): void {
  const { log } = s;
  if (m.index < log.committed) {
    // What is committed agrees with every leader; say so instead of comparing what may be compacted.
    s.sendAfterPersist(MessageKind.APPEND_RESPONSE, m.from, { index: log.committed });
    return;
  }
  if (!log.has({ index: m.index, term: m.logTerm })) {
    const hint = log.lastAtMost({ index: m.index, term: m.logTerm });
    s.sendAfterPersist(MessageKind.APPEND_RESPONSE, m.from, {
      index: m.index,
      reject: true,
      rejectHint: hint.index,
      rejectTerm: hint.term,
    });
    return;
  }
  log.merge(m.entries);
  const last = m.index + m.entries.length;
  log.commitTo(Math.max(log.committed, Math.min(m.commit, last)));
  s.sendAfterPersist(MessageKind.APPEND_RESPONSE, m.from, { index: last });
}

export function receiveHeartbeat(s: RaftState, m: RaftMessage): void {
  // The leader sends no more than this member has acknowledged; a member that has lost its disk has
  // acknowledged what it no longer has, and must not commit it.
  s.log.commitTo(Math.max(s.log.committed, Math.min(m.commit, s.log.last.index)));
  s.send(MessageKind.HEARTBEAT_RESPONSE, m.from, { context: m.context, diskUs: s.diskUs });
}

export function receiveChunk(s: RaftState, m: RaftMessage): void {
  const meta = m.chunk?.meta;
  if (m.chunk === undefined || meta === undefined) return;
  if (meta.index <= s.log.committed) {
    s.sendAfterPersist(MessageKind.APPEND_RESPONSE, m.from, { index: s.log.committed });
    return;
  }
  const received = s.assembly.receive(m.chunk);
  if (received.kind === "more") {
    s.send(MessageKind.SNAPSHOT_RESPONSE, m.from, {
      index: meta.index,
      context: received.nextOffset,
    });
  }
  if (received.kind === "whole") {
    restore(s, received.snapshot);
    s.sendAfterPersist(MessageKind.APPEND_RESPONSE, m.from, { index: s.log.committed });
  }
}

/** Raft section 7, InstallSnapshot. */
function restore(s: RaftState, snapshot: RaftSnapshot): void {
  const { index = 0, term = 0, conf } = snapshot.meta ?? {};
  const members = conf?.members ?? [];
  // A snapshot from before we were added would leave us outside the group.
  if (findMember(members, s.id) === undefined) return;
  if (s.log.has({ index, term })) {
    s.log.commitTo(index);
    return;
  }
  s.log.restore({ index, term });
  s.members = members;
  s.restored = snapshot;
}
