// One direction of a stream: what was put in comes out in order, until it ends or breaks.

export class Pipe<T> implements AsyncIterable<T> {
  readonly #queue: T[] = [];
  #wake: () => void = () => {};
  #end: { readonly error: unknown } | undefined;

  push(value: T): void {
    if (this.#end !== undefined) return;
    this.#queue.push(value);
    this.#wake();
  }

  /** Without an error it just ends. What has come is still read. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake();
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: async () => {
        for (;;) {
          if (this.#queue.length > 0) return { done: false, value: this.#queue.shift() as T };
          if (this.#end !== undefined) {
            if (this.#end.error !== undefined) throw this.#end.error;
            return { done: true, value: undefined };
          }
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      },
      return: async () => {
        this.end();
        return { done: true, value: undefined };
      },
    };
  }
}
