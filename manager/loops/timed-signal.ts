// Waits for a note, or until a time; whichever comes first.
import type { Clock } from "../../common/clock.js";
import type { Signal } from "../../common/watch.js";

/** Rejects when `signal` is aborted. `ms` undefined: only the note ends the wait. */
export async function waitFor(
  wake: Signal,
  ms: number | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (ms === undefined) return wake.wait(signal);
  const done = new AbortController();
  const onAbort = () => done.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const timer = clock.sleep(Math.max(0, ms), done.signal).then(
    // The note is what both wait for, so that no waiter is left behind.
    () => wake.notify(),
    () => undefined,
  );
  try {
    await wake.wait(signal);
  } finally {
    signal.removeEventListener("abort", onAbort);
    done.abort();
    await timer;
  }
}
