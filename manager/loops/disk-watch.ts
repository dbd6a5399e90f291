// Measures how long this member's writes take, tells the leader, and hands the lead over when it is held here and
// the disk is slow (raft/disk-pace.ts has the rule).
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { DiskReport, Entry, HardState } from "../../proto/gen/raft.js";
import { DiskPace, SlowDiskRule } from "../raft/disk-pace.js";
import type { Raft } from "../raft/raft.js";
import type { LogDisk } from "../seams.js";

/** Choice: a few requests. Who writes more is not kept waiting by the way to a thread. */
const AT_ONCE_BYTES_MAX = 16 * 1024;

export class DiskWatch {
  readonly #pace = new DiskPace();
  /** While this member leads. */
  #rule: SlowDiskRule | undefined;

  constructor(
    private readonly raft: Raft,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** One write, timed. One that fails says nothing of how fast the disk is. */
  async persist(
    disk: LogDisk,
    hardState: HardState | undefined,
    entries: readonly Entry[],
  ): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    const atOnce = this.#mayBlock(entries, nowMs);
    this.#pace.begin(nowMs);
    try {
      await disk.persist(hardState, entries, atOnce);
      this.#pace.end(this.clock.monotonicMs());
    } finally {
      this.#pace.drop();
    }
  }

  /**
   * A follower has somebody waiting for this write and nothing else to do that cannot wait for it. A leader's own disk is
   * not waited for (dissertation section 10.2.1), and others count on its signs of life, whatever its disk does.
   */
  #mayBlock(entries: readonly Entry[], nowMs: number): boolean {
    if (this.raft.role === "leader" || !this.#pace.isQuick(nowMs)) return false;
    return entries.reduce((sum, { data }) => sum + data.length, 0) <= AT_ONCE_BYTES_MAX;
  }

  report(isFull: boolean): DiskReport {
    const nowMs = this.clock.monotonicMs();
    const { last } = this.#pace;
    const writingMs = this.#pace.underWayMs(nowMs);
    return {
      ...(last && { wroteMs: whole(nowMs - last.atMs) }),
      writeUs: last?.us ?? 0,
      medianUs: this.#pace.medianUs(nowMs),
      ...(writingMs !== undefined && { writingMs: whole(writingMs) }),
      full: isFull,
    };
  }

  tick(): void {
    const ownUs = this.#pace.medianUs(this.clock.monotonicMs());
    this.raft.diskUs = ownUs;
    if (this.raft.role !== "leader") {
      this.#rule = undefined;
      return;
    }
    this.#rule ??= new SlowDiskRule();
    const heir = this.#rule.tick(ownUs, this.raft.votersDisksUs());
    if (heir === undefined || !this.raft.transferLeader(heir)) return;
    const facts = { peer: heir, writeMs: Math.round(ownUs / 1_000) };
    this.log.warn(facts, "handing over leadership: the disk is slow");
  }
}

function whole(ms: number): number {
  return Math.max(0, Math.round(ms));
}
