// Chance is a seam: `systemRandom` outside, a seeded generator in simulations.
import { randomBytes } from "node:crypto";

export interface Random {
  /** Uniform bytes, fit for secrets when the source is `systemRandom`. */
  bytes(length: number): Uint8Array;
  /** A uniform integer, 0 <= n < limit, limit at most 2^48. */
  below(limit: number): number;
}

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  below: (limit) => uniform(limit, (length) => randomBytes(length)),
};

const SPAN = 2 ** 48;

function uniform(limit: number, bytes: (length: number) => Uint8Array): number {
  // Rejection keeps it uniform: a value in the last, partial run of `limit` is drawn again.
  const fair = SPAN - (SPAN % limit);
  for (;;) {
    const drawn = Buffer.from(bytes(6)).readUIntBE(0, 6);
    if (drawn < fair) return drawn % limit;
  }
}

/**
 * A repeatable source for simulations and tests: splitmix32 (public domain, Steele et al. 2014,
 * reduced to 32 bits). Never for secrets.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const bytes = (length: number) => Uint8Array.from({ length }, () => next() & 0xff);
  return { bytes, below: (limit) => uniform(limit, bytes) };
}
