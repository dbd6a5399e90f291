// A closed loop: so many requests in flight for so long, each begun when one before it has ended.
import { quantile } from "./table.js";

export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** `once` is one request; what it throws ends the measurement. */
export async function load(
  inFlight: number,
  ms: number,
  once: () => Promise<unknown>,
): Promise<Load> {
  // What comes before is not counted: channels that open, code that is compiled.
  await rounds(inFlight, ms / 4, once, []);
  const took: number[] = [];
  const from = performance.now();
  await rounds(inFlight, ms, once, took);
  const perSecond = (took.length * 1_000) / (performance.now() - from);
  return { perSecond, p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
}

async function rounds(inFlight: number, ms: number, once: () => Promise<unknown>, took: number[]) {
  const endMs = performance.now() + ms;
  const worker = async () => {
    for (let from = performance.now(); from < endMs; ) {
      await once();
      const now = performance.now();
      took.push(now - from);
      from = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}
