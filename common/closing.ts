// Every open has a close, and closes run in reverse order.
import { messageOf } from "./fault.js";
import type { Logger } from "./log.js";

export type Close = () => Promise<void> | void;

/** A stack of things to close. A close that fails is logged, and the rest still run. */
export class Closing {
  readonly #stack: { name: string; close: Close }[] = [];
  #closed: Promise<void> | undefined;

  constructor(private readonly log: Logger) {}

  /** `close` runs before everything that was pushed earlier. */
  push(name: string, close: Close): void {
    this.#stack.push({ name, close });
  }

  /** Runs all once; calling again waits for the first. */
  closeAll(): Promise<void> {
    this.#closed ??= this.#run();
    return this.#closed;
  }

  async #run(): Promise<void> {
    for (let top = this.#stack.pop(); top; top = this.#stack.pop()) {
      try {
        await top.close();
      } catch (error) {
        this.log.warn({ what: top.name, err: messageOf(error) }, "close failed");
      }
    }
  }
}
