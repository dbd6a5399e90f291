// What starts a consensus loop: the types shared by consensus.ts, its parts and its callers.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import type { RaftMember } from "../../proto/gen/raft.js";
import type { Consensus, LogDisk, RaftTransport, StateMachine } from "../seams.js";

export type Bootstrap =
  /** A group of one, on an empty disk. It commits as soon as `startConsensus` resolves. */
  | { readonly kind: "new"; readonly self: RaftMember }
  /** A member that the group has added as a learner; the disk is empty and the leader fills it. */
  | { readonly kind: "join"; readonly self: RaftMember; readonly members: readonly RaftMember[] }
  /** What the disk holds. */
  | { readonly kind: "resume"; readonly raftId: number };

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

/** Consensus, with what its owner may set while it runs. */
export interface RunningConsensus<Outcome> extends Consensus<Outcome> {
  setSnapshotInterval(entries: number): void;
}
