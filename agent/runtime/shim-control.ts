// The agent's handle on one supervised container.
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Fault, messageOf, type Refusal, refuse } from "../../common/fault.js";
import type { ContainerSpec, ContainerStats, ExecSpec } from "../seams.js";
import type {
  Exit,
  RunningExec,
  Started,
  StartedExec,
  Supervised,
  Surroundings,
} from "../task/runtime.js";
import { commandOf } from "../task/spec.js";
import { FrameDecoder } from "../task/stdio-frame.js";
import { afterDeath } from "./after-death.js";
import type { Command } from "./launcher.js";
import type { NamespaceWish } from "./namespaces.js";
import { type ShimFolders, socketPath } from "./shim-files.js";
import { decodeMessage, encodeMessage, type Notice, type Request } from "./shim-protocol.js";
import { openConnection, ShimStream } from "./shim-stream.js";

export interface ControlOptions {
  readonly folders: ShimFolders;
  readonly life: number;
  readonly spec: ContainerSpec;
  readonly hostname: string;
  /** Lays out what the namespaces need; undefined: they were made by an earlier agent. */
  readonly arrange: ((surroundings: Surroundings) => Promise<NamespaceWish>) | undefined;
}

// Choice: a supervisor answers at once or not at all.
const ANSWER_MS = 10_000;

export class ShimControl implements Supervised {
  readonly exited: Promise<Exit>;
  #settle: (exit: Exit) => void = () => undefined;
  #settled = false;
  #released = false;
  readonly #waiting = new Map<string, (notice: Notice | Error) => void>();
  #calls = 0;
  readonly #gone: Promise<void>;

  private constructor(
    private readonly socket: Socket,
    private readonly options: ControlOptions,
  ) {
    this.exited = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const decoder = new FrameDecoder();
    socket.on("data", (chunk) => {
      for (const { payload } of decoder.push(chunk) ?? []) {
        const notice = decodeMessage<Notice>(payload, "event");
        if (notice !== undefined) this.#noticed(notice);
      }
    });
    this.#gone = new Promise((resolve) => {
      socket.once("close", () => void this.#closed().finally(resolve));
    });
  }

  /** With what the supervisor says of itself. */
  static async open(
    options: ControlOptions,
  ): Promise<{ readonly control: ShimControl; readonly pid: number; readonly atMs: number }> {
    const socket = await openConnection(socketPath(options.folders), { op: "control" });
    const control = new ShimControl(socket, options);
    const status = await control.#answer("status");
    if (status.event !== "status" || status.life !== options.life) {
      control.release();
      throw new Fault("SHIM_CONNECT", { said: status.event });
    }
    return { control, pid: status.pid, atMs: status.atMs };
  }

  async go(surroundings: Surroundings): Promise<Started> {
    const { arrange, spec } = this.options;
    if (arrange === undefined) throw new Fault("STARTED_TWICE");
    const namespaces = await arrange(surroundings);
    const command = this.#command(spec, { stdin: spec.openStdin, argv: commandOf(spec) });
    const answer = this.#answer("started");
    this.#request({ op: "go", command, namespaces });
    const notice = await answer;
    if (notice.event === "started") return { kind: "running", pid: notice.pid, atMs: notice.atMs };
    if (notice.event !== "failed") throw new Fault("SHIM_ANSWER", { said: notice.event });
    return { kind: "failed", exitCode: notice.exitCode, message: notice.message };
  }

  async signal(number: number): Promise<void> {
    const call = ++this.#calls;
    const answer = this.#answer(`signalled ${call}`);
    this.#request({ op: "signal", number, call });
    const notice = await answer;
    if (notice.event === "signalled" && notice.error !== "") {
      throw new Fault("SIGNAL", { number }, new Error(notice.error));
    }
  }

  async pause(): Promise<void> {
    throw new Fault("NOT_A_CGROUP");
  }
  async unpause(): Promise<void> {
    throw new Fault("NOT_A_CGROUP");
  }
  async limit(): Promise<Refusal | undefined> {
    return refuse("invalid-argument", "the process runtime sets no limits");
  }
  async stats(): Promise<ContainerStats> {
    throw new Fault("NOT_A_CGROUP");
  }
  async pids(): Promise<readonly number[]> {
    throw new Fault("NOT_A_CGROUP");
  }

  async resize(rows: number, columns: number): Promise<void> {
    this.#request({ op: "resize", rows, columns });
  }

  async attach(options: { readonly stdin: boolean }): Promise<Duplex> {
    const socket = await openConnection(socketPath(this.options.folders), {
      op: "attach",
      stdin: options.stdin,
    });
    return new Promise((resolve, reject) => {
      const stream: ShimStream = new ShimStream(socket, {
        tty: this.options.spec.tty,
        stdin: options.stdin,
        outlivesReader: false,
        onNotice: (notice) => {
          if (notice.event === "attached") resolve(stream);
        },
        onEnd: () => reject(new Fault("SHIM_GONE")),
      });
    });
  }

  async exec(id: string, exec: ExecSpec): Promise<StartedExec> {
    const { spec, folders } = this.options;
    const command = this.#command(
      {
        ...spec,
        env: [...spec.env, ...exec.env],
        tty: exec.tty,
        consoleSize: exec.consoleSize,
        workingDir: exec.workingDir || spec.workingDir,
        user: exec.user || spec.user,
      },
      { stdin: exec.attachStdin, argv: exec.command },
    );
    const socket = await openConnection(socketPath(folders), { op: "exec", command });
    return new Promise((resolve, reject) => {
      let settle: (exitCode: number) => void = () => undefined;
      const exited = new Promise<number>((done) => {
        settle = done;
      });
      const stream: ShimStream = new ShimStream(socket, {
        tty: exec.tty,
        stdin: exec.attachStdin,
        outlivesReader: true,
        onNotice: (notice) => {
          if (notice.event === "started") {
            const resize = (rows: number, columns: number) =>
              stream.request({ op: "resize", rows, columns });
            const running: RunningExec = { pid: notice.pid, stream, exited, resize };
            resolve({ kind: "running", exec: running });
          } else if (notice.event === "failed") {
            resolve({ kind: "failed", exitCode: notice.exitCode, message: notice.message });
          } else if (notice.event === "exited") settle(notice.exit.exitCode);
        },
        onEnd: () => {
          // Only the end of the whole container ends a connection without a word: SIGKILL.
          settle(137);
          reject(new Fault("SHIM_GONE", { exec: id }));
        },
      });
    });
  }

  async destroy(): Promise<void> {
    if (this.socket.writable) this.#request({ op: "destroy" });
    const timer = setTimeout(() => this.socket.destroy(), ANSWER_MS);
    await this.#gone;
    clearTimeout(timer);
    await afterDeath(this.options.folders, this.options.life);
  }

  release(): void {
    this.#released = true;
    this.socket.destroy();
  }

  #command(
    spec: Pick<ContainerSpec, "env" | "workingDir" | "user" | "tty" | "consoleSize">,
    more: { readonly stdin: boolean; readonly argv: readonly string[] },
  ): Command {
    const { env, workingDir, user, tty, consoleSize } = spec;
    return { env, workingDir, user, tty, consoleSize, hostname: this.options.hostname, ...more };
  }

  #request(request: Request): void {
    if (!this.socket.writable) throw new Fault("SHIM_GONE");
    this.socket.write(encodeMessage(request));
  }

  async #answer(name: string): Promise<Notice> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Notice>((resolve, reject) => {
        this.#waiting.set(name, (notice) =>
          notice instanceof Error ? reject(notice) : resolve(notice),
        );
        timer = setTimeout(() => reject(new Fault("SHIM_SILENT", { waitingFor: name })), ANSWER_MS);
        if (this.socket.destroyed) reject(new Fault("SHIM_GONE"));
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(name);
    }
  }

  #noticed(notice: Notice): void {
    if (notice.event === "exited") this.#end(notice.exit);
    const event = notice.event === "failed" ? "started" : notice.event;
    const name = notice.event === "signalled" ? `signalled ${notice.call}` : event;
    this.#waiting.get(name)?.(notice);
  }

  async #closed(): Promise<void> {
    for (const wake of this.#waiting.values()) wake(new Fault("SHIM_GONE"));
    if (this.#settled || this.#released) return;
    try {
      const found = await afterDeath(this.options.folders, this.options.life);
      if (found !== undefined) this.#end(found);
    } catch (error) {
      this.#end({ exitCode: 137, error: messageOf(error), atMs: Date.now() });
    }
  }

  #end(exit: Exit): void {
    this.#settled = true;
    this.#settle(exit);
  }
}
