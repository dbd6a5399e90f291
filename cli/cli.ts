// What a command may touch: the terminal, the environment, the clock and the agent. Tests give
// another one.
import type { Readable } from "node:stream";
import type { Api } from "./http/api.js";

export interface Output {
  write(data: string | Uint8Array): void;
  /** Resolves when the reader has taken nearly all that was written. */
  drained?(): Promise<void>;
  readonly isTerminal: boolean;
  /** Width of the terminal; 80 when it is none. */
  readonly columns: number;
  readonly rows: number;
}

export interface Input {
  readonly stream: Readable;
  readonly isTerminal: boolean;
  /** Raw: every key at once, none interpreted. */
  setRaw(on: boolean): void;
  /** What is written comes to the screen as it is too, until `setRaw(false)`: no carriage return before a newline. */
  setRawOutput(): void;
}

export interface Cli {
  readonly out: Output;
  readonly err: Output;
  readonly input: Input;
  readonly api: Api;
  readonly env: Readonly<Record<string, string | undefined>>;
  nowMs(): number;
  /** Until the returned function is called, the signal does what `handler` says and no more. */
  onSignal(name: NodeJS.Signals | "SIGWINCH", handler: () => void): () => void;
}

/** A command that ends badly: what to say on stderr, and the exit code. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
    this.name = "Failure";
  }
}
