// When each of many things is due next: the latest word on each counts.
import { Heap } from "../scheduler/heap.js";

interface Deadline {
  readonly key: string;
  readonly atMs: number;
}

export class Deadlines {
  readonly #dueAtMs = new Map<string, number>();
  /** With entries that are out of date, which are passed over. */
  #heap = new Heap<Deadline>([], byTime);

  /** Undefined: not at all. */
  set(key: string, atMs: number | undefined): void {
    if (atMs === undefined) {
      this.#dueAtMs.delete(key);
    } else if (this.#dueAtMs.get(key) !== atMs) {
      this.#dueAtMs.set(key, atMs);
      this.#heap.push({ key, atMs });
      if (this.#heap.size > 2 * this.#dueAtMs.size + 64) this.#rebuild();
    }
  }

  nextMs(): number | undefined {
    for (let first = this.#heap.first(); first !== undefined; first = this.#heap.first()) {
      if (this.#dueAtMs.get(first.key) === first.atMs) return first.atMs;
      this.#heap.removeFirst();
    }
    return undefined;
  }

  /** Each is named once. */
  takeDue(nowMs: number): readonly string[] {
    const due: string[] = [];
    for (let at = this.nextMs(); at !== undefined && at <= nowMs; at = this.nextMs()) {
      const first = this.#heap.removeFirst();
      if (first === undefined) break;
      this.#dueAtMs.delete(first.key);
      due.push(first.key);
    }
    return due;
  }

  #rebuild(): void {
    const live = [...this.#dueAtMs].map(([key, atMs]) => ({ key, atMs }));
    this.#heap = new Heap(live, byTime);
  }
}

function byTime(a: Deadline, b: Deadline): number {
  return a.atMs - b.atMs;
}
