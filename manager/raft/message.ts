// Messages: made with every field, and looked at before the consensus believes anything in them.
import { type Entry, EntryKind, type MessageKind, type RaftMessage } from "../../proto/gen/raft.js";
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
    entries: [],
    reject: false,
    rejectHint: 0,
    rejectTerm: 0,
    context: 0,
    campaignTransfer: false,
    chunk: undefined,
    clusterId: "",
    ...fields,
    kind,
    from,
    to,
    term,
  };
}

/** The entry with which a new leader commits what came before (Raft section 5.4.2, 8): no data. */
export function emptyEntry(term: number, index: number): Entry {
  return { term, index, kind: EntryKind.NORMAL, data: NO_BYTES };
}

/** Why a message cannot be from a working member, or undefined when it can. */
export function whyMalformed(message: RaftMessage): string | undefined {
  if (message.from < 1 || message.term < 1) return "no sender or no term";
  let term = message.logTerm;
  let index = message.index;
  for (const entry of message.entries) {
    if (entry.index !== index + 1) return "entries with a gap";
    if (entry.term < term || entry.term > message.term) return "entry terms out of order";
    if (entry.data.length > ENTRY_BYTES_MAX) return "entry too large";
    ({ term, index } = entry);
  }
  if (message.chunk !== undefined && message.chunk.data.length > CHUNK_BYTES_MAX) {
    return "chunk too large";
  }
  return undefined;
}
