// So many at once, the others in the order in which they came.
import { firstTold } from "../../common/watch.js";

export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves with what gives the slot back; rejects with the signal's reason when it is aborted first. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else {
      // The slot goes from hand to hand and is never free in between.
      await firstTold<void>((go) => {
        this.#waiting.add(go);
        return () => void this.#waiting.delete(go);
      }, signal);
    }
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      const [next] = this.#waiting;
      if (next === undefined) this.#free++;
      else {
        this.#waiting.delete(next);
        next();
      }
    };
  }
}
