// Which subjects are left alone for a while because a step about them failed: twice as long each time, up to a limit.
import type { Timing } from "../../common/timing.js";

interface Pause {
  readonly failures: number;
  readonly untilMs: number;
}

export class Pauses {
  readonly #pauses = new Map<string, Pause>();

  constructor(private readonly timing: Pick<Timing, "retryMinMs" | "retryMaxMs">) {}

  failed(subject: string, nowMs: number): void {
    const failures = this.failures(subject) + 1;
    const { retryMinMs, retryMaxMs } = this.timing;
    const pauseMs = Math.min(retryMinMs * 2 ** (failures - 1), retryMaxMs);
    this.#pauses.set(subject, { failures, untilMs: nowMs + pauseMs });
  }

  /** All is well with it; it begins anew. */
  forget(subject: string): void {
    this.#pauses.delete(subject);
  }

  /** In a row. */
  failures(subject: string): number {
    return this.#pauses.get(subject)?.failures ?? 0;
  }

  /** Those that have failed and not been well since, paused or not. */
  subjects(): readonly string[] {
    return [...this.#pauses.keys()];
  }

  /** Those that are to be left alone at this time. */
  heldAt(ms: number): Set<string> {
    return new Set(this.subjects().filter((subject) => this.#untilMs(subject) > ms));
  }

  /** When the first pause ends that was not over at this time; undefined: there is none. */
  firstEndMs(afterMs: number): number | undefined {
    const ends = [...this.heldAt(afterMs)].map((subject) => this.#untilMs(subject));
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  #untilMs(subject: string): number {
    return this.#pauses.get(subject)?.untilMs ?? Number.NEGATIVE_INFINITY;
  }
}
