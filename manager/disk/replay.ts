// What the frames of a log add up to. Pure: frames in, a StoredLog's parts out.
import type { Entry, HardState, LogFrame, SnapshotMeta } from "../../proto/gen/raft.js";

export class Replay {
  hardState: HardState = { term: 0, vote: 0, commit: 0 };
  entries: Entry[] = [];
  /** The latest snapshot that the log says is durable. */
  snapshotIndex = 0;

  /** Answers why the frame cannot follow those before it, or undefined when it can. */
  add(frame: LogFrame): string | undefined {
    if (frame.snapshot !== undefined) this.startFrom(frame.snapshot);
    if (frame.hardState !== undefined) this.hardState = frame.hardState;
    for (const entry of frame.entries) {
      const last = this.entries.at(-1)?.index;
      if (last !== undefined && entry.index > last + 1) return "entries with a gap";
      const first = this.entries[0]?.index ?? entry.index;
      this.entries.length = Math.max(0, Math.min(this.entries.length, entry.index - first));
      this.entries.push(entry);
    }
    return undefined;
  }

  /**
   * A snapshot is there. A log that agrees with it goes on after it; one that does not holds only what
   * was never committed, and goes (Raft section 7). One that begins later is of no concern to it: a newer snapshot
   * reaches to there, or what is between is lost (`after`).
   */
  startFrom({ index, term }: Pick<SnapshotMeta, "index" | "term">): void {
    this.snapshotIndex = Math.max(this.snapshotIndex, index);
    const agrees = this.entries.some((entry) => entry.index === index && entry.term === term);
    const begins = this.entries[0]?.index ?? index + 1;
    if (!agrees && begins <= index) this.entries = [];
  }

  /** The entries after `index`, or undefined when the first of them is missing. */
  after(index: number): readonly Entry[] | undefined {
    const entries = this.entries.filter((entry) => entry.index > index);
    return entries.length === 0 || entries[0]?.index === index + 1 ? entries : undefined;
  }
}
