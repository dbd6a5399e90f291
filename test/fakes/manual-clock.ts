// A clock that moves only when told to. Between two ticks the event loop gets its turn, so that what a
// tick set off has happened before the next.
import type { Clock } from "../../common/clock.js";

interface Alarm {
  atMs: number;
  readonly everyMs: number | undefined;
  readonly ring: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #alarms = new Set<Alarm>();

  nowMs(): number {
    return this.#nowMs;
  }
  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#alarms.delete(alarm);
        reject(signal.reason);
      };
      const ring = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      // As Node's timers: the shortest is a millisecond.
      const alarm: Alarm = { atMs: this.#nowMs + Math.max(1, ms), everyMs: undefined, ring };
      this.#alarms.add(alarm);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  every(ms: number, tick: () => void): () => void {
    const alarm: Alarm = { atMs: this.#nowMs + ms, everyMs: ms, ring: tick };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Rings what is due in the next `ms`, in order of time. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#nowMs = next.atMs;
      if (next.everyMs === undefined) this.#alarms.delete(next);
      else next.atMs += next.everyMs;
      next.ring();
      await settle();
    }
    this.#nowMs = end;
  }

  #next(endMs: number): Alarm | undefined {
    let first: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs <= endMs && (first === undefined || alarm.atMs < first.atMs)) first = alarm;
    }
    return first;
  }
}

/** Lets every promise that can go on do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
