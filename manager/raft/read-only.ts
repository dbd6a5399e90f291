// Reads that need no log entry (Raft dissertation section 6.4): a read may be answered from the state at
// the commit index of when it was asked, once a round of heartbeats shows that the leader still led then.
import { PENDING_READS_MAX } from "./limits.js";
import { majorityReached } from "./quorum.js";

export interface ReadRequest {
  /** Who asked: the leader itself, or a follower on whose behalf it answers. */
  readonly from: number;
  readonly context: number;
  /** The commit index when it was asked. */
  readonly index: number;
}

export class ReadQueue {
  readonly #pending: (ReadRequest & { readonly round: number })[] = [];
  readonly #answered = new Map<number, number>();
  #round = 0;

  /** The latest round; heartbeats carry it, and their answers bring it back. 0: none yet. */
  get round(): number {
    return this.#round;
  }
  get waiting(): boolean {
    return this.#pending.length > 0;
  }

  /** Answers whether there was room. */
  add(request: ReadRequest): boolean {
    if (this.#pending.length >= PENDING_READS_MAX) return false;
    this.#round++;
    this.#pending.push({ ...request, round: this.#round });
    return true;
  }

  /** A member answered a heartbeat of `round`. Answers the reads that a majority has confirmed now. */
  confirm(from: number, round: number, self: number, voters: readonly number[]): ReadRequest[] {
    if (round > this.#round) return [];
    this.#answered.set(from, Math.max(round, this.#answered.get(from) ?? 0));
    const confirmed = majorityReached(voters, (voter) =>
      voter === self ? this.#round : (this.#answered.get(voter) ?? 0),
    );
    const open = this.#pending.findIndex((request) => request.round > confirmed);
    return this.#pending.splice(0, open < 0 ? this.#pending.length : open);
  }
}
