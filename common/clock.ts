// Time is an argument to a core and a seam to a loop. Only `systemClock` reads the machine's.

export interface Clock {
  /** Unix milliseconds, for people and certificates. It may jump. */
  nowMs(): number;
  /** Milliseconds that only grow, for deadlines. */
  monotonicMs(): number;
  /** Resolves after at least `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Calls `tick` every `ms` until the returned function is called. Late ticks are not made up for. */
  every(ms: number, tick: () => void): () => void;
}

// setTimeout takes 32 bits, and rings at once for more.
const TIMER_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const endMs = performance.now() + ms;
      const ring = () => {
        const leftMs = endMs - performance.now();
        if (leftMs >= 1) timer = setTimeout(ring, Math.min(leftMs, TIMER_MAX_MS));
        else {
          signal.removeEventListener("abort", onAbort);
          resolve();
        }
      };
      let timer = setTimeout(ring, Math.min(ms, TIMER_MAX_MS));
      signal.addEventListener("abort", onAbort, { once: true });
    });
  },
  every(ms, tick) {
    const timer = setInterval(tick, ms);
    return () => clearInterval(timer);
  },
};
