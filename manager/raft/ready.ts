// What a member wants done: see `ready` in raft.ts.
import type { Entry, HardState, RaftMessage, RaftSnapshot } from "../../proto/gen/raft.js";
import type { ReadState } from "./state.js";

/** To be made durable, in this order: the snapshot, then the hard state and the entries together. */
export interface Persist {
  readonly snapshot: RaftSnapshot | undefined;
  readonly hardState: HardState | undefined;
  /** Those at or after an existing index replace the tail from there. */
  readonly entries: readonly Entry[];
  /** They promise that it is durable. */
  readonly messages: readonly RaftMessage[];
}

export interface Ready {
  readonly messages: readonly RaftMessage[];
  /** At most one is under way: none is handed out until `advance` or `retract`. */
  readonly persist: Persist | undefined;
  /** In order, each once, to be applied before anything else is asked of this object. */
  readonly committed: readonly Entry[];
  readonly reads: readonly ReadState[];
  /** A member needs more than the log has: answer with `offerSnapshot`. */
  readonly snapshotWanted: boolean;
}
