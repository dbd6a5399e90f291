// How long writes to a disk take, and when a leader gives up the lead to one whose disk is better. A leader's own
// disk is not needed for a commit, but every entry waits for a majority, every promise for a write, and a disk
// that has become slow is often one that is about to fail.

/** Writes that are looked back on. */
const WRITES = 16;
/** What was so longer ago says nothing of now. */
const RECENT_MS = 30_000;
/** A write that has been under way for this long counts alone, whatever those before it took. */
const STUCK_MS = 2_000;
// Choice: up to here the way to a thread and back (0.1 to 0.2 ms) is worth saving …
const QUICK_US = 1_000;
// … and from here on somebody would notice that this manager did nothing else meanwhile.
const NOTICED_US = 10_000;

/** The median of the last writes. */
export class DiskPace {
  readonly #writes: { readonly us: number; readonly atMs: number }[] = [];
  #beganMs: number | undefined;

  begin(nowMs: number): void {
    this.#beganMs = nowMs;
  }

  end(nowMs: number): void {
    if (this.#beganMs === undefined) return;
    this.#writes.push({ us: microseconds(nowMs - this.#beganMs), atMs: nowMs });
    if (this.#writes.length > WRITES) this.#writes.shift();
    this.#beganMs = undefined;
  }

  /** It failed: it says nothing of how fast the disk is. */
  drop(): void {
    this.#beganMs = undefined;
  }

  /** The last write that came to its end, however long ago. */
  get last(): { readonly us: number; readonly atMs: number } | undefined {
    return this.#writes.at(-1);
  }

  /** For how long a write has been under way; undefined: none is. */
  underWayMs(nowMs: number): number | undefined {
    return this.#beganMs === undefined ? undefined : nowMs - this.#beganMs;
  }

  /** Whether the disk has been so fast lately, without exception, that one may as well wait for it and do nothing else. */
  isQuick(nowMs: number): boolean {
    const medianUs = this.medianUs(nowMs);
    const oftenEnough = this.#writes.length === WRITES && medianUs > 0;
    return oftenEnough && medianUs <= QUICK_US && this.#writes.every(({ us }) => us < NOTICED_US);
  }

  /** Microseconds; 0: there was no write lately. */
  medianUs(nowMs: number): number {
    const underWayMs = this.#beganMs === undefined ? 0 : nowMs - this.#beganMs;
    if (underWayMs >= STUCK_MS) return microseconds(underWayMs);
    const recent = this.#writes.filter(({ atMs }) => nowMs - atMs < RECENT_MS);
    const sorted = recent.map(({ us }) => us).sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? 0;
  }
}

/** At least 1, for 0 means that nothing is known; at most what the message has room for. */
function microseconds(ms: number): number {
  return Math.min(Math.max(1, Math.round(ms * 1_000)), 2 ** 32 - 1);
}

/**
 * Choice: a fifth of the time after which a leader is given up; disks in order take 0.1 to 20 ms, one that is
 * shared with a heavy load up to 100.
 */
const SLOW_US = 200_000;
/** Another disk must be so many times faster: between two that are slow alike, nothing is gained by moving. */
const FASTER = 4;
/** Ticks for which that must be so without a break. */
const HOLD_TICKS = 30;
/** Ticks that a leader stays at least, and between two attempts to hand over: the lead never goes back and forth. */
const REST_TICKS = 300;

/** The rule by which a leader hands over. One for each time that a member leads. */
export class SlowDiskRule {
  #restTicks = REST_TICKS;
  #slowTicks = 0;

  /**
   * One tick of the leader. `others` are voters that answer, with what they said of their disks (0: nothing).
   * Answers to whom the lead is to go now, if to anybody.
   */
  tick(ownUs: number, others: ReadonlyMap<number, number>): number | undefined {
    if (this.#restTicks > 0) this.#restTicks--;
    const heir = fastest(others);
    const better = heir !== undefined && ownUs >= SLOW_US && heir.us * FASTER <= ownUs;
    this.#slowTicks = better ? this.#slowTicks + 1 : 0;
    if (this.#slowTicks < HOLD_TICKS || this.#restTicks > 0) return undefined;
    this.#slowTicks = 0;
    this.#restTicks = REST_TICKS;
    return heir?.raftId;
  }
}

function fastest(disks: ReadonlyMap<number, number>) {
  const known = [...disks].filter(([, us]) => us > 0).sort(([, a], [, b]) => a - b);
  const [first] = known;
  return first && { raftId: first[0], us: first[1] };
}
