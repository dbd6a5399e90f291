// A stream to something that is not there yet: who runs a container in the foreground attaches before
// it is started, and must miss nothing of it.
import { Duplex } from "node:stream";

export class LateStream extends Duplex {
  #inner: Duplex | undefined;
  #held: (() => void) | undefined;

  /** `keepsInput`: the end of what is written here is not the end of `inner`'s input. */
  constructor(private readonly keepsInput = false) {
    super({ allowHalfOpen: true });
  }

  /** From now on this stream is `inner`. */
  become(inner: Duplex): void {
    if (this.destroyed) {
      inner.destroy();
      return;
    }
    this.#inner = inner;
    inner.on("data", (chunk) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.once("end", () => this.push(null));
    inner.once("close", () => {
      if (!this.readableEnded) this.push(null);
      this.#release();
    });
    inner.on("error", () => undefined);
    this.#release();
  }

  /** There will be nothing. */
  giveUp(): void {
    this.push(null);
    this.#release();
  }

  override _read(): void {
    this.#inner?.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const inner = this.#inner;
    if (inner === undefined && !this.readableEnded) {
      this.#held = () => this._write(chunk, _encoding, done);
    } else if (inner?.writable === true) inner.write(chunk, () => done());
    else done();
  }

  override _final(done: () => void): void {
    const inner = this.#inner;
    if (inner === undefined && !this.readableEnded) {
      this.#held = () => this._final(done);
      return;
    }
    if (inner?.writable === true && !this.keepsInput) inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy();
    done(error);
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }
}
