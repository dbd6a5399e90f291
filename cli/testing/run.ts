// Runs one command line in this process, with a terminal that is a record.
import { Readable } from "node:stream";
import type { Cli, Output } from "../cli.js";
import { Api } from "../http/api.js";
import { socketPath } from "../http/endpoint.js";
import { skein } from "../skein.js";

export interface RunOptions {
  readonly socket?: string;
  readonly stdin?: string | Readable;
  readonly terminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly nowMs?: number;
  readonly columns?: number;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

export class TestTerminal {
  stdout = "";
  stderr = "";
  raw: boolean[] = [];
  private readonly handlers = new Map<string, Set<() => void>>();

  constructor(private readonly options: RunOptions) {}

  signal(name: string): void {
    for (const handler of this.handlers.get(name) ?? []) handler();
  }

  listens(name: string): boolean {
    return (this.handlers.get(name)?.size ?? 0) > 0;
  }

  async run(words: readonly string[]): Promise<RunResult> {
    const exit = await skein(words, (host) => this.cli(host));
    return { stdout: this.stdout, stderr: this.stderr, exit };
  }

  private cli(host: string): Cli {
    const { options } = this;
    const isTerminal = options.terminal ?? false;
    const { stdin = "" } = options;
    const env = {
      ...(options.socket === undefined ? {} : { SKEIN_HOST: `unix://${options.socket}` }),
      ...options.env,
    };
    const output = (write: (text: string) => void): Output => ({
      write: (data) => write(typeof data === "string" ? data : Buffer.from(data).toString()),
      isTerminal,
      columns: options.columns ?? 80,
      rows: 24,
    });
    return {
      out: output((text) => {
        this.stdout += text;
      }),
      err: output((text) => {
        this.stderr += text;
      }),
      input: {
        stream: typeof stdin === "string" ? Readable.from(stdin === "" ? [] : [stdin]) : stdin,
        isTerminal,
        setRaw: (on) => void this.raw.push(on),
        setRawOutput: () => {},
      },
      api: new Api(() => socketPath(host, env)),
      env,
      nowMs: () => options.nowMs ?? Date.now(),
      onSignal: (name, handler) => {
        const set = this.handlers.get(name) ?? new Set();
        this.handlers.set(name, set.add(handler));
        return () => void set.delete(handler);
      },
    };
  }
}

export function run(words: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new TestTerminal(options).run(words);
}
