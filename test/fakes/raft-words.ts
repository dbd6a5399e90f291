// What the scenario texts say: messages, entries and writes as words. test/raft-scenarios/README.md explains them.
import type { Members } from "../../manager/raft/conf.js";
import type { Persist } from "../../manager/raft/ready.js";
import {
  ConfChange,
  ConfChangeKind,
  type Entry,
  EntryKind,
  type HardState,
  MessageKind,
  type RaftMessage,
  VoteRefusal,
} from "../../proto/gen/raft.js";

/** An entry's place: its index, and the term whose leader made it. */
export function positionWords(index: number, term: number): string {
  return `${index}@${term}`;
}

export function entryWords({ index, term, kind, data }: Entry): string {
  const position = positionWords(index, term);
  if (kind === EntryKind.CONF_CHANGE) return `${position}(${changeWords(ConfChange.decode(data))})`;
  if (data.length === 0) return position;
  const text = data.toString();
  return text.length > 20 ? `${position}"${text[0]}…"` : `${position}"${text}"`;
}

const CHANGES = {
  [ConfChangeKind.ADD_LEARNER]: "add-learner",
  [ConfChangeKind.PROMOTE]: "promote",
  [ConfChangeKind.REMOVE]: "remove",
  [ConfChangeKind.UPDATE_ADDR]: "update-addr",
  [ConfChangeKind.UNRECOGNIZED]: "unknown",
};

function changeWords({ kind, member }: ConfChange): string {
  return `${CHANGES[kind]} ${member?.raftId}`;
}

export function membersWords(members: Members): string {
  const words = members.map(({ raftId, learner }) => `${raftId}${learner ? "(learner)" : ""}`);
  return words.join(" ");
}

/** What is new on the disk: a term and a vote that are there already are not said again. */
export function writeWords({ snapshot, hardState, entries }: Persist, had: HardState): string {
  const meta = snapshot?.meta;
  const promises = hardState?.term !== had.term || hardState.vote !== had.vote;
  const words = [
    meta && `snapshot of ${positionWords(meta.index, meta.term)}`,
    hardState && promises ? `term=${hardState.term} vote=${hardState.vote}` : undefined,
    ...runs(entries),
  ];
  return words.filter((word) => word !== undefined).join(" ");
}

/** Each entry, or, when there are many, the first and the last. */
function runs(entries: readonly Entry[]): readonly string[] {
  const [first, last] = [entries[0], entries.at(-1)];
  if (first === undefined || last === undefined) return [];
  if (entries.length <= 4) return entries.map(entryWords);
  return [`${entryWords(first)} to ${entryWords(last)}`];
}

export function messageWords(m: RaftMessage): string {
  return `${m.from}->${m.to} ${kindWords(m)} term=${m.term}${contentWords(m)}`;
}

const KINDS: Record<MessageKind, string> = {
  [MessageKind.APPEND]: "Append",
  [MessageKind.APPEND_RESPONSE]: "AppendResponse",
  [MessageKind.PRE_VOTE]: "PreVote",
  [MessageKind.PRE_VOTE_RESPONSE]: "PreVoteResponse",
  [MessageKind.VOTE]: "Vote",
  [MessageKind.VOTE_RESPONSE]: "VoteResponse",
  [MessageKind.HEARTBEAT]: "Heartbeat",
  [MessageKind.HEARTBEAT_RESPONSE]: "HeartbeatResponse",
  [MessageKind.SNAPSHOT]: "Snapshot",
  [MessageKind.TIMEOUT_NOW]: "TimeoutNow",
  [MessageKind.READ_INDEX]: "ReadIndex",
  [MessageKind.READ_INDEX_RESPONSE]: "ReadIndexResponse",
  [MessageKind.SNAPSHOT_RESPONSE]: "SnapshotResponse",
  [MessageKind.NO_VOTE]: "NoVote",
  [MessageKind.UNRECOGNIZED]: "Unknown",
};

function kindWords({ kind }: RaftMessage): string {
  return KINDS[kind] ?? "Unknown";
}

function contentWords(m: RaftMessage): string {
  switch (m.kind) {
    case MessageKind.APPEND: {
      const entries = runs(m.entries);
      const carried = entries.length === 0 ? "" : `: ${entries.join(" ")}`;
      return ` after ${positionWords(m.index, m.logTerm)} commit=${m.commit}${carried}`;
    }
    case MessageKind.APPEND_RESPONSE:
      if (!m.reject) return ` has ${m.index}`;
      return ` no ${m.index}, perhaps ${positionWords(m.rejectHint, m.rejectTerm)}`;
    case MessageKind.PRE_VOTE:
    case MessageKind.VOTE: {
      const by = m.campaignTransfer ? ", the leader asked for it" : "";
      return ` last ${positionWords(m.index, m.logTerm)}${by}`;
    }
    case MessageKind.PRE_VOTE_RESPONSE:
    case MessageKind.VOTE_RESPONSE:
      return m.reject ? ` no, ${refusalWords(m)}` : " yes";
    case MessageKind.NO_VOTE:
      return `: ${refusalWords(m)}`;
    case MessageKind.HEARTBEAT:
      return ` commit=${m.commit}${roundWords(m)}`;
    case MessageKind.HEARTBEAT_RESPONSE:
      return roundWords(m);
    case MessageKind.SNAPSHOT:
      return chunkWords(m);
    case MessageKind.SNAPSHOT_RESPONSE:
      return ` of ${m.index}, has ${m.context} bytes`;
    case MessageKind.READ_INDEX:
      return ` read ${m.context}`;
    case MessageKind.READ_INDEX_RESPONSE:
      return ` read ${m.context} at ${m.index}`;
    default:
      return "";
  }
}

function refusalWords(m: RaftMessage): string {
  switch (m.refusal) {
    case VoteRefusal.LOG_BEHIND:
      return `the log is behind its ${m.index}`;
    case VoteRefusal.LEADER_HEARD:
      return `it hears ${m.rejectHint}`;
    case VoteRefusal.ALREADY_VOTED:
      return `it voted for ${m.rejectHint}`;
    case VoteRefusal.LATER_TERM:
      return "the term is over";
    case VoteRefusal.STANDS_ITSELF:
      return "it stands itself";
    default:
      return "it says not why";
  }
}

function roundWords({ context }: RaftMessage): string {
  return context === 0 ? "" : ` round=${context}`;
}

function chunkWords({ chunk }: RaftMessage): string {
  if (chunk === undefined) return " without a chunk";
  const { meta, offset, data, total, last } = chunk;
  const of = positionWords(meta?.index ?? 0, meta?.term ?? 0);
  const bytes = `${offset} to ${offset + data.length} of ${total}`;
  return ` of ${of}, bytes ${bytes}${last ? ", last" : ""}`;
}
