// What the applier has done: how long a want took to be in the kernel, and what had to be put back although nothing
// else was wanted, because somebody else had changed it.
import type { Clock } from "../../common/clock.js";
import type { RepairSeen } from "../member/trouble-words.js";
import { describe, type Step, subjectOf } from "../reconcile/step.js";

/** Upper bounds in seconds of the buckets that programming times are counted in. */
export const PROGRAMMING_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
// Choice: a want that comes while so many wait is measured with them.
const WAITING_MAX = 1_000;
// Choice: what was put back is told of for this long, the newest of each subject.
const REMEMBERED_MS = 600_000;
const REPAIRS_MAX = 100;

export class ApplyCounts {
  /** By kind of step. */
  readonly repairs = new Map<Step["kind"], number>();
  /** In each bucket, those above the one before it; the last is what no bucket holds. */
  readonly programmed: number[] = PROGRAMMING_BUCKETS.map(() => 0).concat(0);
  programmedSeconds = 0;
  #waiting: { readonly generation: number; readonly sinceMs: number }[] = [];
  readonly #recent = new Map<string, RepairSeen & { readonly atMs: number }>();

  constructor(private readonly clock: Clock) {}

  wanted(generation: number): void {
    if (this.#waiting.length >= WAITING_MAX) return;
    this.#waiting.push({ generation, sinceMs: this.clock.monotonicMs() });
  }

  /** The kernel is as this want has it, as far as it can be. */
  settled(generation: number): void {
    const nowMs = this.clock.monotonicMs();
    for (const { sinceMs } of this.#waiting.filter((each) => each.generation <= generation)) {
      const seconds = (nowMs - sinceMs) / 1000;
      const bucket = PROGRAMMING_BUCKETS.findIndex((bound) => seconds <= bound);
      const at = bucket < 0 ? PROGRAMMING_BUCKETS.length : bucket;
      this.programmed[at] = (this.programmed[at] ?? 0) + 1;
      this.programmedSeconds += seconds;
    }
    this.#waiting = this.#waiting.filter((each) => each.generation > generation);
  }

  repaired(step: Step): void {
    this.repairs.set(step.kind, (this.repairs.get(step.kind) ?? 0) + 1);
    const subject = subjectOf(step);
    const key = `${step.kind} ${subject}`;
    const times = (this.#recent.get(key)?.times ?? 0) + 1;
    this.#recent.delete(key);
    const what = describe(step);
    this.#recent.set(key, {
      subject,
      step: step.kind,
      what,
      times,
      atMs: this.clock.monotonicMs(),
    });
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= REPAIRS_MAX) break;
      this.#recent.delete(oldest);
    }
  }

  /** What was put back in the last ten minutes. */
  recent(): readonly RepairSeen[] {
    const nowMs = this.clock.monotonicMs();
    for (const [key, { atMs }] of this.#recent) {
      if (nowMs - atMs > REMEMBERED_MS) this.#recent.delete(key);
    }
    return [...this.#recent.values()];
  }
}
