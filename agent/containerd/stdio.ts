// The FIFOs between a shim and the agent. Whoever is away misses nothing: the shim keeps both ends of
// the output open for itself, so what is written stays in the pipe, and when that is full the process
// waits; input that nobody ended stays open too.
import { closeSync, constants, existsSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { mkfifo } from "../kernel/libc.js";
import type { OutputSource } from "../runtime/outlet.js";

export interface StdioWish {
  readonly tty: boolean;
  readonly stdin: boolean;
}

/** As containerd is told: empty is /dev/null. */
export interface StdioPaths {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

export class Stdio implements OutputSource {
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  /** Open for writing and reading, so that a stream does not end before the shim has opened it. */
  readonly #held: number[] = [];
  #input: Writable | undefined;
  #inputEnded = false;

  private constructor(readonly paths: StdioPaths) {
    const opened: Readable[] = [];
    try {
      opened.push(this.#reading(paths.stdout));
      if (paths.stderr !== "") opened.push(this.#reading(paths.stderr));
    } catch (error) {
      // No more files can be opened, perhaps: those that are go back.
      for (const stream of opened) stream.destroy();
      this.finish();
      throw error;
    }
    const [stdout, stderr] = opened as [Readable, Readable | undefined];
    this.stdout = stdout;
    this.stderr = stderr;
  }

  /** Makes what is not there and opens it. */
  static async open(folder: string, wish: StdioWish): Promise<Stdio> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = (name: string, wanted: boolean) => (wanted ? join(folder, name) : "");
    const paths = {
      stdin: path("stdin", wish.stdin),
      stdout: path("stdout", true),
      stderr: path("stderr", !wish.tty),
    };
    for (const each of Object.values(paths)) {
      if (each !== "" && !existsSync(each)) mkfifo(each, 0o600);
    }
    return new Stdio(paths);
  }

  /** Undefined: it reads nothing, or no more. */
  get input(): Writable | undefined {
    if (this.paths.stdin === "" || this.#inputEnded) return undefined;
    if (this.#input === undefined) {
      const fd = openSync(this.paths.stdin, constants.O_RDWR | constants.O_NONBLOCK);
      const input = new Socket({ fd, readable: false, writable: true });
      input.on("error", () => input.destroy());
      this.#input = input;
    }
    return this.#input;
  }

  /** What was written is still read. Resolves when our end is closed; the shim has one of its own. */
  async endInput(): Promise<void> {
    const { input } = this;
    this.#inputEnded = true;
    if (input === undefined || input.destroyed) return;
    await new Promise<void>((resolve) => {
      input.once("close", () => resolve());
      input.end(() => input.destroy());
    });
  }

  /** Nobody will write any more: the streams end when they have been read. */
  finish(): void {
    for (const fd of this.#held.splice(0)) closeSync(fd);
    this.#inputEnded = true;
    this.#input?.destroy();
  }

  /** At once, whatever is left. */
  close(): void {
    this.finish();
    this.stdout.destroy();
    this.stderr?.destroy();
  }

  #reading(path: string): Readable {
    this.#held.push(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stream = new Socket({ fd, readable: true, writable: false });
    stream.on("error", () => stream.destroy());
    return stream;
  }
}
