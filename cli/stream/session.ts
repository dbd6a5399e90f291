// A person's terminal (or pipe) joined to a process's streams, until one of them ends.
import type { Duplex, Readable } from "node:stream";
import type { Cli } from "../cli.js";
import { reading } from "../http/failure.js";
import { DetachWatch } from "./detach-keys.js";
import { FrameReader } from "./frames.js";

export interface SessionOptions {
  /** The process has a terminal: bytes are not framed, and keys go through one by one. */
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly detachKeys: Uint8Array;
  /** Told of the window's size, at first and at every change; only asked when `tty`. */
  readonly resize: (rows: number, columns: number) => Promise<unknown>;
}

/** "ended": the process closed its output. "detached": the person pressed the keys. */
export type SessionEnd = "ended" | "detached";

export class Session {
  private readonly undo: (() => void)[] = [];
  private detach: () => void = () => undefined;

  constructor(
    private readonly cli: Cli,
    private readonly socket: Duplex,
    private readonly options: SessionOptions,
  ) {}

  /** Resolves at the end of the session; the terminal is then as it was. */
  async run(): Promise<SessionEnd> {
    try {
      if (this.options.stdin) this.joinInput();
      if (this.options.tty && this.cli.out.isTerminal) this.followSize();
      const detached = new Promise<SessionEnd>((resolve) => {
        this.detach = () => resolve("detached");
      });
      const ended = copyOut(this.cli, this.socket, this.options.tty).then(() => "ended" as const);
      return await Promise.race([ended, detached]);
    } finally {
      for (const one of this.undo.reverse()) one();
      this.socket.destroy();
    }
  }

  private joinInput(): void {
    const { input } = this.cli;
    const raw = this.options.tty && input.isTerminal;
    const watch = new DetachWatch(this.options.detachKeys);
    const onData = (chunk: Uint8Array) => {
      // The keys mean something only where a person presses them.
      const typed = this.options.tty ? watch.push(chunk) : { pass: chunk, detached: false };
      if (typed.pass.length > 0) this.socket.write(typed.pass);
      if (typed.detached) this.detach();
    };
    const onEnd = () => void this.socket.end();
    if (raw) {
      input.setRaw(true);
      // The process has a terminal of its own, which has done that already.
      input.setRawOutput();
    }
    input.stream.on("data", onData);
    input.stream.on("end", onEnd);
    this.undo.push(() => {
      input.stream.off("data", onData);
      input.stream.off("end", onEnd);
      input.stream.pause();
      if (raw) input.setRaw(false);
    });
  }

  private followSize(): void {
    const tell = () => {
      // The process may be gone already; its size then matters to nobody.
      this.options.resize(this.cli.out.rows, this.cli.out.columns).catch(() => undefined);
    };
    this.undo.push(this.cli.onSignal("SIGWINCH", tell));
    tell();
  }
}

/** Copies a process's output to ours until it ends. */
export async function copyOut(cli: Cli, stream: Readable, tty: boolean): Promise<void> {
  const frames = new FrameReader();
  for await (const chunk of reading(stream)) {
    if (tty) {
      cli.out.write(chunk);
      continue;
    }
    for (const frame of frames.push(chunk)) {
      const to = frame.stream === "stdout" ? cli.out : cli.err;
      to.write(frame.payload);
    }
  }
}
