// What callers of the consensus wait for: entries to be applied, reads to be confirmed.
import { Fault } from "../../common/fault.js";

/** A promise that its holder settles, and that gives up when the caller's signal does. */
export class Waiter<T> {
  readonly promise: Promise<T>;
  #resolve: (value: T) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(signal: AbortSignal, onAbort: () => void) {
    const listener = () => {
      onAbort();
      this.reject(signal.reason);
    };
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = (value) => {
        signal.removeEventListener("abort", listener);
        resolve(value);
      };
      this.#reject = (error) => {
        signal.removeEventListener("abort", listener);
        reject(error);
      };
    });
    if (signal.aborted) listener();
    else signal.addEventListener("abort", listener, { once: true });
  }

  resolve(value: T): void {
    this.#resolve(value);
  }
  reject(error: unknown): void {
    this.#reject(error);
  }
}

/** Entries that were proposed here and are not applied yet, by index. */
export class PendingEntries<Outcome> {
  readonly #waiting = new Map<
    number,
    { readonly term: number; readonly waiter: Waiter<Outcome> }
  >();

  wait(index: number, term: number, signal: AbortSignal): Promise<Outcome> {
    // Whoever gave up does not hear; the entry is applied all the same.
    const waiter = new Waiter<Outcome>(signal, () => this.#waiting.delete(index));
    if (!signal.aborted) this.#waiting.set(index, { term, waiter });
    return waiter.promise;
  }

  /** The entry at `index` is applied, and it is of `term`. */
  applied(index: number, term: number, outcome: Outcome): void {
    const pending = this.#waiting.get(index);
    if (pending === undefined) return;
    this.#waiting.delete(index);
    if (pending.term === term) pending.waiter.resolve(outcome);
    else
      pending.waiter.reject(
        new Fault("LEADERSHIP_LOST", { index, why: "another entry took its place" }),
      );
  }

  rejectFrom(index: number, fault: Fault): void {
    this.#rejectWhere(fault, (at) => at >= index);
  }

  /** Those proposed in an earlier term than this. */
  rejectBefore(term: number, fault: Fault): void {
    this.#rejectWhere(fault, (_, of) => of < term);
  }

  rejectAll(fault: Fault): void {
    this.#rejectWhere(fault, () => true);
  }

  #rejectWhere(fault: Fault, isOver: (index: number, term: number) => boolean): void {
    for (const [index, { term, waiter }] of [...this.#waiting]) {
      if (!isOver(index, term)) continue;
      this.#waiting.delete(index);
      waiter.reject(fault);
    }
  }
}
