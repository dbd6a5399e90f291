// Answers of the outside, for as long as they say themselves. Time is an argument.
import type { Heard } from "./upstream-answer.js";

// Choice: some megabytes at the very most.
const ANSWERS_MAX = 4096;
const BYTES_MAX = 4 * 1024 * 1024;
// Choice: RFC 8767 section 4 speaks of a day or less; a container that is told something wrong is to be
// told better within the hour.
const TTL_SECONDS_MAX = 3600;

interface Kept {
  readonly heard: Heard;
  readonly atMs: number;
  readonly untilMs: number;
}

export class AnswerCache {
  /** In the order of their coming: the oldest goes first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  get(
    key: string,
    nowMs: number,
  ): { readonly heard: Heard; readonly ageSeconds: number } | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (nowMs >= kept.untilMs) {
      this.#drop(key, kept);
      return undefined;
    }
    return { heard: kept.heard, ageSeconds: Math.floor((nowMs - kept.atMs) / 1000) };
  }

  put(key: string, heard: Heard, nowMs: number): void {
    const had = this.#kept.get(key);
    if (had !== undefined) this.#drop(key, had);
    if (heard.ttlSeconds === 0) return;
    const ttlMs = Math.min(heard.ttlSeconds, TTL_SECONDS_MAX) * 1000;
    this.#kept.set(key, { heard, atMs: nowMs, untilMs: nowMs + ttlMs });
    this.#bytes += heard.bytes.length;
    for (const [oldKey, old] of this.#kept) {
      if (this.#kept.size <= ANSWERS_MAX && this.#bytes <= BYTES_MAX) break;
      this.#drop(oldKey, old);
    }
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }

  #drop(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#bytes -= kept.heard.bytes.length;
  }
}
