// Messages: made with every field, and looked at before the consensus believes anything in them.
import {
  type Entry,
  EntryKind,
  MessageKind,
  type RaftMessage,
  type SnapshotChunk,
  VoteRefusal,
} from "../../proto/gen/raft.js";
import { CHUNK_BYTES_MAX, ENTRY_BYTES_MAX } from "./limits.js";

const NO_BYTES = Buffer.alloc(0);

/** Every field that is not given is zero. The transport sets `clusterId`. */
export function makeMessage(
  kind: MessageKind,
  from: number,
  to: number,
  term: number,
  fields: Partial<RaftMessage>,
): RaftMessage {
  return {
    logTerm: 0,
    index: 0,
    commit: 0,
    commitTerm: 0,
    entries: [],
    reject: false,
    rejectHint: 0,
    rejectTerm: 0,
    context: 0,
    campaignTransfer: false,
    chunk: undefined,
    clusterId: "",
    fromAddr: "",
    diskUs: 0,
    refusal: VoteRefusal.UNSPECIFIED,
    ...fields,
    kind,
    from,
    to,
    term,
  };
}

export function isAboutVote({ kind }: RaftMessage): boolean {
  switch (kind) {
    case MessageKind.PRE_VOTE:
    case MessageKind.PRE_VOTE_RESPONSE:
    case MessageKind.VOTE:
    case MessageKind.VOTE_RESPONSE:
      return true;
    default:
      return false;
  }
}

export function isFromLeader({ kind }: RaftMessage): boolean {
  return (
    kind === MessageKind.APPEND || kind === MessageKind.HEARTBEAT || kind === MessageKind.SNAPSHOT
  );
}

/** The entry with which a new leader commits what came before (Raft section 5.4.2, 8): no data. */
export function emptyEntry(term: number, index: number): Entry {
  return { term, index, kind: EntryKind.NORMAL, data: NO_BYTES };
}

const KINDS: ReadonlySet<EntryKind> = new Set([EntryKind.NORMAL, EntryKind.CONF_CHANGE]);

/** Why a message cannot be from a working member, or undefined when it can. */
export function whyMalformed(message: RaftMessage): string | undefined {
  if (message.from < 1 || message.term < 1) return "no sender or no term";
  if (message.logTerm > message.term) return "log term later than its own";
  if (message.commitTerm > message.term) return "commit term later than its own";
  let term = message.logTerm;
  let index = message.index;
  for (const entry of message.entries) {
    if (entry.index !== index + 1) return "entries with a gap";
    if (entry.term < term || entry.term > message.term) return "entry terms out of order";
    if (entry.data.length > ENTRY_BYTES_MAX) return "entry too large";
    // Of a later release: whoever passed over it would not have the state that the others have.
    if (!KINDS.has(entry.kind)) return "entry of an unknown kind";
    ({ term, index } = entry);
  }
  return message.chunk === undefined ? undefined : whyChunkMalformed(message.chunk, message.term);
}

function whyChunkMalformed({ meta, data }: SnapshotChunk, term: number): string | undefined {
  if (data.length > CHUNK_BYTES_MAX) return "chunk too large";
  if (meta !== undefined && meta.term > term) return "snapshot of a later term";
  return undefined;
}
