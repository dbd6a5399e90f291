// One who is attached to a process: a stream for the local API. Readable: raw with a tty, else Docker's
// frames. Writable: input.
import { Duplex, type Writable } from "node:stream";
import type { Outlet, OutletClient } from "../runtime/outlet.js";
import { encodeFrame, STDERR, STDOUT } from "../task/stdio-frame.js";

export interface AttachedOptions {
  readonly tty: boolean;
  readonly outlet: Outlet;
  /** Where what it types goes; undefined: nowhere (any more). */
  readonly input: () => Writable | undefined;
  /** It has no more to type, or has gone. */
  readonly inputEnded: () => void;
  readonly gone?: () => void;
}

export class Attached extends Duplex implements OutletClient {
  constructor(private readonly options: AttachedOptions) {
    super({ allowHalfOpen: true });
    options.outlet.add(this);
  }

  get queuedBytes(): number {
    return this.readableLength;
  }

  output(stream: "stdout" | "stderr", chunk: Buffer): void {
    if (this.destroyed || this.readableEnded) return;
    const frame = encodeFrame(stream === "stdout" ? STDOUT : STDERR, chunk);
    this.push(this.options.tty ? chunk : frame);
  }

  /** The process has ended and all its output was carried. */
  finished(): void {
    this.options.outlet.remove(this);
    if (!this.destroyed) this.push(null);
  }

  cutOff(): void {
    this.destroy();
  }

  override _read(): void {
    // The outlet pushes; it slows the process down when too much is queued here.
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const input = this.options.input();
    if (input === undefined || input.destroyed || chunk.length === 0 || input.write(chunk)) {
      done();
      return;
    }
    // A process that does not read stops the one who types, not our memory.
    const go = () => {
      input.off("drain", go);
      input.off("close", go);
      done();
    };
    input.once("drain", go);
    input.once("close", go);
  }

  override _final(done: () => void): void {
    this.options.inputEnded();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.options.outlet.remove(this);
    this.options.inputEnded();
    this.options.gone?.();
    done(error);
  }
}
