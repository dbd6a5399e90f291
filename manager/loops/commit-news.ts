// When followers are told that something is committed. They have it on disk, and nobody who waits for the write waits
// for that: so it goes with the next entries, and by itself only if none come soon. A message of its own for each commit
// costs each follower a message and an answer, in the middle of the next write.
import type { Clock } from "../../common/clock.js";
import type { Raft } from "../raft/raft.js";

/** Choice: longer than a client takes to follow up, shorter than anyone on a follower would notice. */
const TELL_AFTER_MS = 2;

export class CommitNews {
  #isDue = false;
  #waits = false;
  readonly #closed = new AbortController();

  /** `wake` has it asked again. */
  constructor(
    private readonly raft: Raft,
    private readonly clock: Clock,
    private readonly wake: () => void,
  ) {}

  /** Whether it is to be told now, though no entry goes along. */
  take(): boolean {
    const isDue = this.#isDue;
    this.#isDue = false;
    return isDue;
  }

  /** After messages were taken: sees to it that what they did not tell will be told. */
  look(): void {
    if (this.#waits || !this.raft.knowsUntoldCommit) return;
    this.#waits = true;
    this.clock.sleep(TELL_AFTER_MS, this.#closed.signal).then(
      () => {
        this.#waits = false;
        this.#isDue = true;
        this.wake();
      },
      () => {},
    );
  }

  close(): void {
    this.#closed.abort();
  }
}
