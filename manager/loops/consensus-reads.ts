// Read barriers: any number of callers share one ReadIndex round, and ask again when it is lost.
import type { Fault } from "../../common/fault.js";
import type { Raft } from "../raft/raft.js";
import type { ReadState } from "../raft/state.js";
import { Waiter } from "./consensus-pending.js";

// Choice: a round takes one exchange with a majority; after three ticks it is not coming back.
const ASK_AGAIN_TICKS = 3;

export class ReadBarriers {
  /** Came after the round under way was begun: they need the next. */
  #next = new Set<Waiter<void>>();
  /** Wait for the round `#context`. */
  #asked = new Set<Waiter<void>>();
  /** Confirmed; wait for the state machine to get there. */
  #confirmed: { readonly index: number; readonly waiters: Set<Waiter<void>> }[] = [];
  #context: number;
  #ticks = 0;

  /** `firstContext` tells this run's rounds from those of a run before, whose answers may yet arrive. */
  constructor(firstContext: number) {
    this.#context = firstContext;
  }

  wait(signal: AbortSignal): Promise<void> {
    const waiter = new Waiter<void>(signal, () => this.#forget(waiter));
    if (!signal.aborted) this.#next.add(waiter);
    return waiter.promise;
  }

  /** Begins a round if one is wanted and none is under way. */
  ask(raft: Raft): void {
    if (this.#asked.size > 0 || this.#next.size === 0) return;
    this.#context++;
    if (!raft.readIndex(this.#context)) return;
    this.#asked = this.#next;
    this.#next = new Set();
    this.#ticks = 0;
  }

  tick(): void {
    if (this.#asked.size === 0 || ++this.#ticks < ASK_AGAIN_TICKS) return;
    for (const waiter of this.#asked) this.#next.add(waiter);
    this.#asked = new Set();
  }

  confirmed(reads: readonly ReadState[]): void {
    for (const { context, index } of reads) {
      if (context !== this.#context || this.#asked.size === 0) continue;
      this.#confirmed.push({ index, waiters: this.#asked });
      this.#asked = new Set();
    }
  }

  applied(index: number): void {
    if (this.#confirmed.length === 0) return;
    const reached = this.#confirmed.filter((read) => read.index <= index);
    this.#confirmed = this.#confirmed.filter((read) => read.index > index);
    for (const { waiters } of reached) for (const waiter of waiters) waiter.resolve();
  }

  rejectAll(fault: Fault): void {
    const all = [this.#next, this.#asked, ...this.#confirmed.map(({ waiters }) => waiters)];
    this.#next = new Set();
    this.#asked = new Set();
    this.#confirmed = [];
    for (const waiters of all) for (const waiter of waiters) waiter.reject(fault);
  }

  #forget(waiter: Waiter<void>): void {
    this.#next.delete(waiter);
    this.#asked.delete(waiter);
    for (const { waiters } of this.#confirmed) waiters.delete(waiter);
  }
}
