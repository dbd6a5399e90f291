// What becomes of a proposal when it is made.
import { ENTRY_BYTES_MAX } from "./limits.js";

export type RefusalReason =
  | "not-leader"
  | "transferring"
  | "too-large"
  /** Too much waits for a quorum. */
  | "busy"
  /** Another membership change is under way. */
  | "change-pending"
  /** No entry of this term is committed yet (the correction to dissertation section 4.1, 2015). */
  | "new-term"
  | "bad-change";

export type Proposed =
  | { readonly kind: "appended"; readonly index: number; readonly term: number }
  | { readonly kind: "refused"; readonly reason: RefusalReason; readonly why: string };

const WHY: Record<RefusalReason, string> = {
  "not-leader": "this manager does not lead",
  transferring: "leadership is being handed over",
  "too-large": `an entry has at most ${ENTRY_BYTES_MAX} bytes`,
  busy: "too much waits for a majority of the managers",
  "change-pending": "another membership change is under way",
  "new-term": "the leader is new and has committed nothing yet",
  "bad-change": "the change does not fit the members",
};

export function refused(reason: RefusalReason): Proposed {
  return { kind: "refused", reason, why: WHY[reason] };
}
