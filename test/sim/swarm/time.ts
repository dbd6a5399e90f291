// Virtual time of a whole swarm: what is to happen next, in order of time and then of asking. Between two events every
// promise that can go on does so; so a seed gives one history.
import type { Clock } from "../../../common/clock.js";

interface Event {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

// Choice: noon, so that a clock may jump either way and the certificates of the test stay valid.
const NOON_MS = 12 * 3_600_000;

export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];
  /** Events that have happened. */
  events = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Answers how to take it back. */
  in(ms: number, run: () => void): () => void {
    const event: Event = { atMs: this.#nowMs + ms, order: this.#order++, run };
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** All that is due until `endMs`; `after` is called when each has had its effect. */
  async until(endMs: number, after: () => void): Promise<void> {
    await settle();
    for (let next = this.#pop(endMs); next !== undefined; next = this.#pop(endMs)) {
      if (next.run === undefined) continue;
      this.#nowMs = next.atMs;
      this.events++;
      next.run();
      await settle();
      after();
    }
    this.#nowMs = endMs;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (isBefore(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(endMs: number): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atMs > endMs) return undefined;
    const last = heap.pop() as Event;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Event)) child++;
      const below = heap[child] as Event;
      if (isBefore(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Lets every promise that can go on do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One machine's clock: its wall time may be wrong, and jump. */
export class MachineClock implements Clock {
  /** What its wall clock is ahead of the truth. */
  aheadMs = 0;

  constructor(private readonly time: VirtualTime) {}

  nowMs(): number {
    return NOON_MS + this.time.nowMs + this.aheadMs;
  }
  monotonicMs(): number {
    return this.time.nowMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        cancel();
        reject(signal.reason);
      };
      // As Node's timers: the shortest is a millisecond.
      const cancel = this.time.in(Math.max(1, ms), () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  every(ms: number, tick: () => void): () => void {
    let cancel = () => {};
    let stopped = false;
    const ring = () => {
      cancel = this.time.in(ms, ring);
      tick();
    };
    cancel = this.time.in(ms, ring);
    return () => {
      if (stopped) return;
      stopped = true;
      cancel();
    };
  }
}
