// Callbacks only take note; work happens in the loop. A Signal is the note: "look again".

/** Coalesces any number of `notify` calls into one wake-up of the single waiter. */
export class Signal {
  #noted = false;
  #wake: (() => void) | undefined;

  notify(): void {
    this.#noted = true;
    this.#wake?.();
  }

  /** Resolves at once if something was noted since the last wait, else at the next `notify`; rejects on abort. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#noted) {
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => reject(signal.reason);
        signal.addEventListener("abort", onAbort, { once: true });
        this.#wake = () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#noted = false;
  }
}

export type Unsubscribe = () => void;

/** A set of listeners called in order of subscription. A listener must only take note, and not throw. */
export class Topic<T> {
  readonly #listeners = new Set<(value: T) => void>();

  subscribe(listener: (value: T) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  publish(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }
}

/**
 * The first thing that is told to a listener, which then unsubscribes; rejects with the signal's reason if that is
 * aborted first. `subscribe` tells nothing before it has returned.
 */
export function firstTold<T>(
  subscribe: (listener: (value: T) => void) => Unsubscribe,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => {
      unsubscribe();
      reject(signal.reason);
    };
    const unsubscribe = subscribe((value) => {
      unsubscribe();
      signal.removeEventListener("abort", onAbort);
      resolve(value);
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
