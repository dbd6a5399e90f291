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
  below: (limit) => uniform(limit, () => randomBytes(6).readUIntBE(0, 6)),
};

const SPAN = 2 ** 48;

/** `draw`: 48 bits. */
function uniform(limit: number, draw: () => number): number {
  // Rejection keeps it uniform: a value in the last, partial run of `limit` is drawn again.
  const fair = SPAN - (SPAN % limit);
  for (;;) {
    const drawn = draw();
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
  const bytes = (length: number) => {
    const drawn = new Uint8Array(length);
    for (let i = 0; i < length; i++) drawn[i] = next() & 0xff;
    return drawn;
  };
  // Six times a byte, as `bytes` would draw them.
  const draw = () => {
    let drawn = 0;
    for (let i = 0; i < 6; i++) drawn = drawn * 256 + (next() & 0xff);
    return drawn;
  };
  return { bytes, below: (limit) => uniform(limit, draw) };
}
