// What is wrong on this node, as far as its loops know: each says all that it knows at the moment, and here it is
// remembered since when. `skein doctor` shows it.
import type { Clock } from "../../common/clock.js";
import type { Finding } from "../seams.js";

// Choice: a page that a person can read; what is beyond it is counted.
const FINDINGS_MAX = 200;

export class Findings {
  readonly #bySource = new Map<string, readonly Finding[]>();
  /** When each was first said, in Unix milliseconds, by source and subject. */
  readonly #since = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** All that this source knows to be wrong now; what it said before and does not say again is over. */
  report(source: string, findings: readonly Finding[]): void {
    const nowMs = this.clock.nowMs();
    const known = findings.slice(0, FINDINGS_MAX);
    const keys = new Set(known.map((each) => keyOf(source, each)));
    for (const each of this.#bySource.get(source) ?? []) {
      const key = keyOf(source, each);
      if (!keys.has(key)) this.#since.delete(key);
    }
    for (const key of keys) if (!this.#since.has(key)) this.#since.set(key, nowMs);
    this.#bySource.set(source, known);
  }

  list(): readonly (Finding & { readonly sinceMs: number })[] {
    return [...this.#bySource].flatMap(([source, findings]) =>
      findings.map((each) => ({ ...each, sinceMs: this.#since.get(keyOf(source, each)) ?? 0 })),
    );
  }
}

function keyOf(source: string, { subject }: Finding): string {
  return `${source} ${subject}`;
}
