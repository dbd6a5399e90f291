// A set of small integers that finds its lowest gap quickly: which offsets of a subnet, or which VNIs,
// are taken. Bits lie in chunks that exist only where something is taken, so a /8 with three endpoints
// costs as little as a /24 with three, and a search steps over full chunks whole.

/** Members are 0 <= n < BITS_MAX. 2^24 is the number of VNIs, and of addresses in an IPv4 /8. */
export const BITS_MAX = 2 ** 24;

// Choice: one chunk covers a /24, by far the commonest subnet.
const CHUNK_BITS = 256;
const WORD_BITS = 32;
const FULL_WORD = 0xffffffff;

interface Chunk {
  readonly words: Uint32Array;
  count: number;
}

export class SparseBits {
  readonly #chunks = new Map<number, Chunk>();
  /** Invariant: everything below is taken. */
  #lowest = 0;

  has(n: number): boolean {
    const chunk = this.#chunks.get(Math.floor(n / CHUNK_BITS));
    return chunk !== undefined && (wordOf(chunk, n) & maskOf(n)) !== 0;
  }

  add(n: number): void {
    const key = Math.floor(n / CHUNK_BITS);
    let chunk = this.#chunks.get(key);
    if (chunk === undefined) {
      chunk = { words: new Uint32Array(CHUNK_BITS / WORD_BITS), count: 0 };
      this.#chunks.set(key, chunk);
    }
    if ((wordOf(chunk, n) & maskOf(n)) !== 0) return;
    chunk.words[indexOf(n)] = wordOf(chunk, n) | maskOf(n);
    chunk.count++;
    if (n === this.#lowest) this.#lowest++;
  }

  delete(n: number): void {
    const key = Math.floor(n / CHUNK_BITS);
    const chunk = this.#chunks.get(key);
    if (chunk === undefined || (wordOf(chunk, n) & maskOf(n)) === 0) return;
    chunk.words[indexOf(n)] = wordOf(chunk, n) & ~maskOf(n);
    chunk.count--;
    if (chunk.count === 0) this.#chunks.delete(key);
    this.#lowest = Math.min(this.#lowest, n);
  }

  /** The lowest n that is not a member, first <= n <= last. */
  lowestGap(first: number, last: number): number | undefined {
    let n = Math.max(first, this.#lowest);
    const end = Math.min(last, BITS_MAX - 1);
    while (n <= end) {
      const chunk = this.#chunks.get(Math.floor(n / CHUNK_BITS));
      if (chunk === undefined) return this.#found(first, n);
      if (chunk.count === CHUNK_BITS) {
        n = (Math.floor(n / CHUNK_BITS) + 1) * CHUNK_BITS;
        continue;
      }
      // The bits below n count as taken.
      const shift = n % WORD_BITS;
      const below = shift === 0 ? 0 : FULL_WORD >>> (WORD_BITS - shift);
      const gaps = ~(wordOf(chunk, n) | below);
      if (gaps !== 0) {
        const gap = n - shift + (31 - Math.clz32(gaps & -gaps));
        return gap <= end ? this.#found(first, gap) : undefined;
      }
      n += WORD_BITS - shift;
    }
    return undefined;
  }

  #found(first: number, gap: number): number {
    // Nothing between `#lowest` and the gap is free if the search began at or below `#lowest`.
    if (first <= this.#lowest) this.#lowest = gap;
    return gap;
  }
}

function indexOf(n: number): number {
  return Math.floor((n % CHUNK_BITS) / WORD_BITS);
}

function wordOf(chunk: Chunk, n: number): number {
  return chunk.words[indexOf(n)] ?? 0;
}

function maskOf(n: number): number {
  return 1 << (n % WORD_BITS);
}
