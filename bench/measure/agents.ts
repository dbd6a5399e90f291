// The processes of simulated agents, as one crowd: agent i is in process i modulo their number.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export type AgentsCommand =
  | {
      readonly kind: "join";
      readonly count: number;
      readonly token: string;
      /** Of managers; the first is asked first. */
      readonly addrs: readonly string[];
    }
  | {
      readonly kind: "attach";
      readonly from: number;
      readonly to: number;
      readonly network: string;
      /** Endpoints for each of them. */
      readonly each: number;
    }
  /** What was heard so far is not asked about any more. */
  | { readonly kind: "forget" }
  /** Answered when each of them has had a session that began after this. */
  | { readonly kind: "sessions"; readonly afterMs: number }
  /** Answered when these agents have heard of the revision. */
  | {
      readonly kind: "heard";
      readonly from: number;
      readonly to: number;
      readonly revision: number;
    };

export type AgentsAnswer =
  | { readonly kind: "done"; readonly revision: number }
  /** By CLOCK_MONOTONIC, which all processes share; `messages` and `rows` of all agents since "forget". */
  | {
      readonly kind: "heard";
      readonly atMs: readonly number[];
      readonly messages: number;
      readonly rows: number;
      /** Sessions that ended and were opened again, since the process began. */
      readonly lost: number;
    }
  | { readonly kind: "failed"; readonly why: string };

const PROCESS = fileURLToPath(new URL("./agents-process.js", import.meta.url));

export class Crowd {
  readonly #processes: readonly ChildProcess[];
  count = 0;
  /** Sessions that ended and were opened again; there is none on a machine that keeps up. */
  lost = 0;

  constructor(processes: number, nodeFlags: readonly string[] = []) {
    const options = { execArgv: [...nodeFlags] };
    this.#processes = Array.from({ length: processes }, () => fork(PROCESS, [], options));
  }

  /** Until there are so many. */
  async grow(count: number, token: string, addrs: readonly string[]): Promise<void> {
    const each = (count - this.count) / this.#processes.length;
    await this.#all(() => ({ kind: "join", count: each, token, addrs }));
    this.count = count;
  }

  /** Gives `each` endpoints on the network to agents `from` to `to`; the revision of the last. */
  async attach(from: number, to: number, network: string, each: number): Promise<number> {
    const span = this.#span(from, to);
    const answers = await this.#all(() => ({ kind: "attach", ...span, network, each }));
    return Math.max(
      ...answers.map((answer) => (answer.kind === "done" ? answer.revision : Number.NaN)),
    );
  }

  async forget(): Promise<void> {
    await this.#all(() => ({ kind: "forget" }));
  }

  /** When each one's session with another leader began, after this. */
  async sessions(afterMs: number): Promise<readonly number[]> {
    const answers = await this.#all(() => ({ kind: "sessions", afterMs }));
    return answers.flatMap((answer) => (answer.kind === "heard" ? answer.atMs : []));
  }

  /** When each of them had heard of the revision, with what all agents were sent since `forget`. */
  async heard(from: number, to: number, revision: number) {
    const span = this.#span(from, to);
    const answers = await this.#all(() => ({ kind: "heard", ...span, revision }));
    const heard = answers.flatMap((answer) => (answer.kind === "heard" ? [answer] : []));
    this.lost = heard.reduce((sum, { lost }) => sum + lost, 0);
    return {
      atMs: heard.flatMap(({ atMs }) => atMs),
      messages: heard.reduce((sum, { messages }) => sum + messages, 0),
      rows: heard.reduce((sum, { rows }) => sum + rows, 0),
    };
  }

  /** They end by themselves then, and write what Node's flags ask of them. */
  close(): void {
    for (const process of this.#processes) process.disconnect();
  }

  #span(from: number, to: number) {
    const { length } = this.#processes;
    return { from: from / length, to: to / length };
  }

  #all(command: (process: ChildProcess, i: number) => AgentsCommand): Promise<AgentsAnswer[]> {
    return Promise.all(
      this.#processes.map(
        (process, i) =>
          new Promise<AgentsAnswer>((resolve, reject) => {
            process.once("message", (answer: AgentsAnswer) =>
              answer.kind === "failed" ? reject(new Error(answer.why)) : resolve(answer),
            );
            process.send(command(process, i));
          }),
      ),
    );
  }
}
