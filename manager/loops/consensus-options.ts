// What starts a consensus loop: the types shared by consensus.ts, its parts and its callers.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import type { RaftReport } from "../../proto/gen/raft.js";
import type { Bootstrap, Consensus, LogDisk, RaftTransport, StateMachine } from "../seams.js";

export interface ConsensusOptions<Outcome> {
  readonly bootstrap: Bootstrap;
  readonly clusterId: string;
  /** Owned by the loop from here on: closed by `close`. */
  readonly disk: LogDisk;
  /** Not closed by the loop: the caller opened its channels. */
  readonly transport: RaftTransport;
  readonly machine: StateMachine<Outcome>;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Pick<Timing, "raftTickMs">;
  readonly log: Logger;
  /** Applied entries between snapshots (Docker's SnapshotInterval, default 10,000). */
  readonly snapshotInterval: number;
  /**
   * The log cannot go on (a disk that fails, a broken invariant). Everything pending has been rejected
   * with STOPPED; the process should say so and end.
   */
  readonly onFailure: (error: unknown) => void;
}

export interface MemberProgress {
  readonly raftId: number;
  /** The last entry that it is known to have on disk. */
  readonly match: number;
  /** How many entries of the leader's log it lacks. */
  readonly lag: number;
  /** The median of its last writes to disk, in microseconds; 0: there were none lately. */
  readonly diskUs: number;
  /** Whether it answered within the last election timeout. */
  readonly reachable: boolean;
}

/** Consensus, with what its owner may set while it runs. */
export interface RunningConsensus<Outcome> extends Consensus<Outcome> {
  setSnapshotInterval(entries: number): void;
  /** How far each member is, itself too. Empty unless this one leads. */
  progress(): readonly MemberProgress[];
  /** What this member knows of itself and of its group; not of its connections (`links`). */
  report(): RaftReport;
  /** Takes a snapshot of what is applied, soon, and drops the log before it. */
  snapshotSoon(): void;
}
