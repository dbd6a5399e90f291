// The log as the consensus sees it: the entries since the last compaction, in memory.
//
//      base          applied     committed     last
//        |  1 2 3 4 5 6  |  7 8 9  |  10 11 12  |
//   compacted        applied    known to be   only here,
//                               on a majority for all we know
//
// Invariant: base <= applied <= committed <= last, base <= stable <= last. `stable` is what this disk has;
// what a majority of the others has may be committed before that.
import { assert } from "../../common/fault.js";
import type { Entry } from "../../proto/gen/raft.js";

const LOG_MATCHING = "entries of one index and term are the same (Raft figure 3, Log Matching)";

export interface LogPosition {
  readonly index: number;
  readonly term: number;
}

/** Of data. */
export function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entry.data.length, 0);
}

export class RaftLog {
  #base: LogPosition;
  #entries: Entry[];
  #stable: number;
  #committed: number;
  #applied: number;

  /** `entries` follow `base` without a gap and are all on disk. */
  constructor(base: LogPosition, entries: readonly Entry[], committed: number) {
    this.#base = base;
    this.#entries = [...entries];
    entries.forEach((entry, i) => {
      assert(entry.index === base.index + 1 + i, "log entries are contiguous");
    });
    this.#applied = base.index;
    this.#stable = this.last.index;
    this.#committed = Math.max(base.index, Math.min(committed, this.last.index));
  }

  get base(): LogPosition {
    return this.#base;
  }
  get last(): LogPosition {
    return this.#entries.at(-1) ?? this.#base;
  }
  get stable(): number {
    return this.#stable;
  }
  get committed(): number {
    return this.#committed;
  }
  get applied(): number {
    return this.#applied;
  }

  /** `undefined` for what is compacted away or not there yet. */
  termAt(index: number): number | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term;
  }

  has({ index, term }: LogPosition): boolean {
    return this.termAt(index) === term;
  }

  /** Raft section 5.4.1: the later last term, then the longer log, is more up to date. */
  isUpToDate(theirs: LogPosition): boolean {
    const ours = this.last;
    return theirs.term > ours.term || (theirs.term === ours.term && theirs.index >= ours.index);
  }

  /** The entries from `from` to `to` inclusive, at most `bytesMax` of data but at least one. */
  slice(from: number, to: number, bytesMax = Number.POSITIVE_INFINITY): readonly Entry[] {
    assert(from > this.#base.index, "no entry is read that was compacted away");
    const start = from - this.#base.index - 1;
    const end = Math.min(to, this.last.index) - this.#base.index;
    let bytes = 0;
    let stop = start;
    while (stop < end) {
      bytes += this.#entries[stop]?.data.length ?? 0;
      if (bytes > bytesMax && stop > start) break;
      stop++;
    }
    return this.#entries.slice(start, stop);
  }

  /** Of data, in the entries after `index`. */
  bytesAfter(index: number): number {
    return bytesOf(this.#entries.slice(Math.max(0, index - this.#base.index)));
  }

  /** What the disk has not got. */
  unstable(): readonly Entry[] {
    return this.slice(this.#stable + 1, this.last.index);
  }

  /** The leader only appends (Raft figure 3, Leader Append-Only). */
  append(entry: Entry): void {
    assert(entry.index === this.last.index + 1, "a leader appends at its end");
    this.#entries.push(entry);
  }

  /** Raft figure 2, AppendEntries steps 3 and 4: what conflicts goes, what is new is added. */
  merge(entries: readonly Entry[]): void {
    const firstNew = entries.findIndex((entry) => !this.has(entry));
    const known = firstNew < 0 ? entries : entries.slice(0, firstNew);
    for (const entry of known) assert(this.#isSame(entry), LOG_MATCHING);
    if (firstNew < 0) return;
    const fresh = entries.slice(firstNew);
    const from = fresh[0]?.index ?? 0;
    assert(from > this.#committed, "a committed entry is never replaced");
    assert(from <= this.last.index + 1, "the log has no gap");
    this.#entries.length = from - this.#base.index - 1;
    this.#stable = Math.min(this.#stable, from - 1);
    this.#entries.push(...fresh);
  }

  #isSame({ index, kind, data }: Entry): boolean {
    const ours = this.#entries[index - this.#base.index - 1];
    return ours === undefined || (ours.kind === kind && ours.data.equals(data));
  }

  /** Everything after `index` goes. Only for entries that no disk has, and nobody else has seen. */
  dropAfter(index: number): void {
    assert(this.#committed <= index, "a committed entry is never dropped");
    assert(this.#stable <= index, "an entry that is on disk is not dropped");
    this.#entries.length = index - this.#base.index;
  }

  /**
   * The disk holds the log up to this position. It says nothing when the entry was replaced meanwhile;
   * when the term agrees, so does everything before it (Raft figure 3, Log Matching).
   */
  stableTo(position: LogPosition): void {
    if (this.has(position)) this.#stable = Math.max(this.#stable, position.index);
  }

  commitTo(index: number): void {
    assert(index <= this.last.index, "what is committed is in the log");
    this.#committed = Math.max(this.#committed, index);
  }

  appliedTo(index: number): void {
    assert(index === this.#applied + 1, "entries are applied in order, each once");
    assert(index <= this.#committed, "applied <= committed");
    this.#applied = index;
  }

  /**
   * The last entry at or before `index` whose term is at most `term`: nothing after it can agree with a
   * log that has `term` at `index` (Raft section 5.3, the optimisation of the conflicting term).
   */
  lastAtMost({ index, term }: LogPosition): LogPosition {
    for (let i = Math.min(index, this.last.index); i > 0; i--) {
      const ours = this.termAt(i);
      if (ours === undefined) return { index: i, term: 0 };
      if (ours <= term) return { index: i, term: ours };
    }
    return { index: 0, term: 0 };
  }

  /** Forgets entries up to `index`; one that is not applied, or already forgotten, is no error. */
  compact(index: number): void {
    const to = Math.min(index, this.#applied);
    const term = this.termAt(to);
    if (to <= this.#base.index || term === undefined) return;
    this.#entries = this.#entries.slice(to - this.#base.index);
    this.#base = { index: to, term };
    // A snapshot on the disk stands for what is forgotten.
    this.#stable = Math.max(this.#stable, to);
  }

  /** The log is now what a snapshot covers, and nothing else. */
  restore(base: LogPosition): void {
    assert(base.index > this.#committed, "a snapshot does not go back");
    this.#base = base;
    this.#entries = [];
    this.#stable = base.index;
    this.#committed = base.index;
    this.#applied = base.index;
  }
}
