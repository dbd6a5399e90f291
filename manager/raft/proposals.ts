// What is put into the log when somebody wishes it: data, and one membership change at a time.
import { ConfChange, EntryKind } from "../../proto/gen/raft.js";
import { whyNot } from "./conf.js";
import { ENTRY_BYTES_MAX, UNCOMMITTED_BYTES_MAX } from "./limits.js";
import { type Proposed, refused } from "./proposed.js";
import type { RaftState } from "./state.js";

export function propose(s: RaftState, kind: EntryKind, data: Uint8Array): Proposed {
  const { leading, log, term } = s;
  if (leading === undefined) return refused("not-leader");
  if (leading.transferee !== 0) return refused("transferring");
  if (data.length > ENTRY_BYTES_MAX) return refused("too-large");
  if (leading.uncommittedBytes + data.length > UNCOMMITTED_BYTES_MAX) return refused("busy");
  const index = log.last.index + 1;
  leading.uncommittedBytes += data.length;
  log.append({ term, index, kind, data: Buffer.from(data.buffer, data.byteOffset, data.length) });
  return { kind: "appended", index, term };
}

export function proposeConfChange(s: RaftState, change: ConfChange): Proposed {
  if (s.leading === undefined) return refused("not-leader");
  if (s.leading.pendingConfIndex > s.log.applied) return refused("change-pending");
  if (s.log.termAt(s.log.committed) !== s.term) return refused("new-term");
  const why = whyNot(s.members, change);
  if (why !== undefined) return { kind: "refused", reason: "bad-change", why };
  const data = Buffer.from(ConfChange.encode(change).finish());
  const proposed = propose(s, EntryKind.CONF_CHANGE, data);
  if (proposed.kind === "appended") s.leading.pendingConfIndex = proposed.index;
  return proposed;
}
