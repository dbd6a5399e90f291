// The agent's handle on one container: what it is asked, its output on the way to the log and to those
// who are attached, and its end. The container is the shim's, and goes on without us.
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import type { Mount } from "../../proto/gen/containerd/types.js";
import { type CgroupSupport, resourcesOf } from "../oci/resources.js";
import { execProcessOf, specJson } from "../oci/spec.js";
import { startErrorOf } from "../oci/start-error.js";
import { findUser } from "../oci/users.js";
import { LogWriter } from "../runtime/log-writer.js";
import { Outlet } from "../runtime/outlet.js";
import { isAlive, markOf, type ProcessMark } from "../runtime/processes.js";
import { writeExit } from "../runtime/shim-files.js";
import type { ContainerSpec, ContainerStats, ExecSpec, Limits } from "../seams.js";
import type {
  Exit,
  RunningExec,
  Started,
  StartedExec,
  Supervised,
  Surroundings,
} from "../task/runtime.js";
import { Attached } from "./attached.js";
import { readStats, wasOomKilled } from "./cgroup.js";
import { ContainerdFault, isUnreachable } from "./connection.js";
import { execFolder, type Folders, removeRunFolder, writeStarted } from "./folders.js";
import { userFilesOfProcess } from "./rootfs.js";
import { Stdio } from "./stdio.js";
import type { ProcessEnd, TaskCalls } from "./task-calls.js";

export interface ControlParts {
  readonly task: TaskCalls;
  readonly folders: Folders;
  readonly life: number;
  readonly spec: ContainerSpec;
  readonly hostname: string;
  readonly cgroup: {
    readonly version: 1 | 2;
    readonly path: string;
    readonly support: CgroupSupport;
  };
  /** A sentence when there can be none. */
  readonly arrange: (surroundings: Surroundings) => Promise<Arranged | string>;
}

/** The OCI spec, with all that it speaks of laid out, and the file system. */
export interface Arranged {
  readonly spec: Buffer;
  readonly rootfs: readonly Mount[];
}

// Docker's, for what failed before the command was even tried, and for an end that nobody saw.
const EXIT_NOT_STARTED = 128;
const EXIT_NOT_EXECUTABLE = 126;
const EXIT_KILLED = 137;
// Choice: after the end only what the pipes hold is left to read; this is far more than it takes.
const DRAIN_MS = 5_000;

export class TaskControl implements Supervised {
  readonly exited: Promise<Exit>;
  #settle: (exit: Exit) => void = () => undefined;
  readonly #released = new AbortController();
  readonly #outlet = new Outlet();
  readonly #attached = new Set<Attached>();
  readonly #log: LogWriter | undefined;
  readonly #carried: Promise<unknown>;
  #pid = 0;
  #mark: ProcessMark | undefined;
  #inputWantsEnd = false;
  #inputLetGo = false;
  #finished: Promise<void> | undefined;

  private constructor(
    private readonly parts: ControlParts,
    private readonly stdio: Stdio,
  ) {
    this.exited = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const { log } = parts.spec;
    const bytes = log.maxBytes > 0 ? log.maxBytes : Number.POSITIVE_INFINITY;
    this.#log =
      log.driver === "none" ? undefined : new LogWriter(parts.folders.state, bytes, log.maxFiles);
    const now = () => performance.timeOrigin + performance.now();
    this.#carried = this.#outlet.carry(stdio, (stream, chunk) =>
      this.#log?.write(stream, chunk, now()),
    );
  }

  /** With the pipes open, and nothing running. */
  static async prepare(parts: ControlParts): Promise<TaskControl> {
    const { tty, openStdin } = parts.spec;
    const stdio = await Stdio.open(parts.folders.run, { tty, stdin: openStdin });
    return new TaskControl(parts, stdio);
  }

  /** Of a task that an earlier agent started, running or ended. */
  static async adopt(parts: ControlParts, pid: number): Promise<TaskControl> {
    const control = await TaskControl.prepare(parts);
    control.#watch(pid);
    return control;
  }

  async go(surroundings: Surroundings): Promise<Started> {
    const { task, life, spec } = this.parts;
    const arranged = await this.parts.arrange(surroundings);
    if (typeof arranged === "string") {
      return { kind: "failed", exitCode: EXIT_NOT_STARTED, message: arranged };
    }
    try {
      const { spec: json, rootfs } = arranged;
      const pid = await task.create(json, rootfs, life, spec.tty, this.stdio.paths);
      const mark = markOf(pid);
      this.#mark = mark;
      const atMs = Date.now();
      // Before it runs: from here on an agent that starts without containerd knows that it may.
      if (mark !== undefined) writeStarted(this.parts.folders, { life, atMs, mark });
      await task.start();
      this.#watch(pid);
      return { kind: "running", pid, atMs };
    } catch (error) {
      await task.removeAll().catch(() => undefined);
      if (!(error instanceof ContainerdFault) || isUnreachable(error)) throw error;
      return { kind: "failed", ...startErrorOf(error.details) };
    }
  }

  /**
   * By the kernel, as runc does it after three programs have been started for it: a hundred containers end at once,
   * and with containerd away too.
   */
  async signal(number: number): Promise<void> {
    if (this.#mark !== undefined && isAlive(this.#mark)) process.kill(this.#mark.pid, number);
    else await this.parts.task.kill(number);
  }

  async resize(rows: number, columns: number): Promise<void> {
    await this.parts.task.resize(rows, columns);
  }

  async attach(options: { readonly stdin: boolean }): Promise<Duplex> {
    const { spec } = this.parts;
    const attached: Attached = new Attached({
      tty: spec.tty,
      outlet: this.#outlet,
      input: () => (options.stdin ? this.stdio.input : undefined),
      gone: () => void this.#attached.delete(attached),
      inputEnded: () => {
        if (options.stdin && spec.stdinOnce && !spec.tty) void this.#endInput();
      },
    });
    this.#attached.add(attached);
    return attached;
  }

  async exec(id: string, spec: ExecSpec): Promise<StartedExec> {
    const { parts } = this;
    const files = userFilesOfProcess(this.#pid);
    const wish = spec.user === "" ? parts.spec.user : spec.user;
    const user = findUser(wish, parts.spec.security.groupAdd, files);
    if (typeof user === "string") return { kind: "failed", exitCode: 126, message: user };
    const process = execProcessOf(spec, { ...parts, user });
    if (isRefusal(process)) return { kind: "failed", exitCode: 126, message: process.message };
    const folder = execFolder(parts.folders, id);
    const stdio = await Stdio.open(folder, { tty: spec.tty, stdin: spec.attachStdin });
    const leave = async () => {
      stdio.close();
      await parts.task.removeProcess(id).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    };
    try {
      await parts.task.exec(id, specJson(process), spec.tty, stdio.paths);
      const pid = await parts.task.start(id);
      return { kind: "running", exec: this.#runningExec(id, spec, pid, stdio, leave) };
    } catch (error) {
      await leave();
      if (!(error instanceof ContainerdFault) || isUnreachable(error)) throw error;
      // dockerd: 126, whyever it could not be started.
      return { kind: "failed", exitCode: EXIT_NOT_EXECUTABLE, message: error.details };
    }
  }

  async pause(): Promise<void> {
    await this.parts.task.pause();
  }

  async unpause(): Promise<void> {
    await this.parts.task.resume();
  }

  async limit(limits: Limits): Promise<Refusal | undefined> {
    const { task, cgroup } = this.parts;
    const { devices, ...resources } = resourcesOf(limits, cgroup.support);
    // -1 is none, which nothing at all would not say.
    const pids = limits.pids > 0 ? {} : { pids: { limit: -1 } };
    try {
      await task.update({ ...resources, ...pids });
      return undefined;
    } catch (error) {
      if (!(error instanceof ContainerdFault) || isUnreachable(error)) throw error;
      return refuse("invalid-argument", error.details);
    }
  }

  async stats(): Promise<ContainerStats> {
    const { version, path } = this.parts.cgroup;
    return readStats(version, path, this.#pid, Date.now());
  }

  async pids(): Promise<readonly number[]> {
    return (await this.parts.task.pids()).map(({ pid }) => pid);
  }

  async destroy(): Promise<void> {
    // With containerd away nothing of it may run on.
    if (this.#mark !== undefined && isAlive(this.#mark)) process.kill(this.#mark.pid, "SIGKILL");
    try {
      await this.parts.task.removeAll();
    } catch (error) {
      if (this.#finished === undefined) this.#close();
      throw error;
    }
    if (this.#finished !== undefined) await this.#finished;
    else this.#close();
    await removeRunFolder(this.parts.folders);
  }

  release(): void {
    this.#released.abort();
    this.#close();
  }

  #watch(pid: number): void {
    this.#pid = pid;
    this.#mark = markOf(pid);
    if (this.#inputWantsEnd) void this.#endInput();
    this.#finished = this.parts.task
      .ended(this.#released.signal)
      .then((end) => this.#end(end))
      .catch((error: unknown) => {
        this.#settle({ exitCode: EXIT_KILLED, error: messageOf(error), atMs: Date.now() });
      });
  }

  async #end(end: ProcessEnd | undefined): Promise<void> {
    const { task, folders, life, cgroup } = this.parts;
    const oomKilled = wasOomKilled(cgroup.version, cgroup.path);
    const exit: Exit =
      end === undefined
        ? {
            exitCode: EXIT_KILLED,
            error: "its supervisor (containerd-shim-runc-v2) ended before it",
            atMs: Date.now(),
          }
        : { ...end, error: "", ...(oomKilled ? { oomKilled } : {}) };
    // Written first: once the task is removed nobody else knows.
    writeExit(folders, life, exit);
    this.#outlet.hurry();
    await this.#removeTask(task);
    this.stdio.finish();
    const timer = setTimeout(() => this.stdio.close(), DRAIN_MS);
    await this.#carried;
    clearTimeout(timer);
    this.#log?.close(Date.now());
    for (const attached of this.#attached) attached.finished();
    this.#settle(exit);
  }

  async #removeTask(task: TaskCalls): Promise<void> {
    for (;;) {
      try {
        return await task.removeTask();
      } catch (error) {
        // Nothing is lost by waiting: the shim has its end, and we have written it down.
        if (!isUnreachable(error) || this.#released.signal.aborted) return;
        await new Promise((resolve) => setTimeout(resolve, REMOVE_AGAIN_MS));
      }
    }
  }

  #runningExec(
    id: string,
    spec: ExecSpec,
    pid: number,
    stdio: Stdio,
    leave: () => Promise<void>,
  ): RunningExec {
    const { task } = this.parts;
    const outlet = new Outlet();
    const stream = new Attached({
      tty: spec.tty,
      outlet,
      input: () => stdio.input,
      inputEnded: () => {
        if (!spec.tty) void stdio.endInput().then(() => task.closeInput(id).catch(() => undefined));
      },
    });
    const carried = outlet.carry(stdio, () => undefined);
    const exited = task.ended(this.#released.signal, id).then(async (end) => {
      outlet.hurry();
      await task.removeProcess(id).catch(() => undefined);
      stdio.finish();
      const timer = setTimeout(() => stdio.close(), DRAIN_MS);
      await carried;
      clearTimeout(timer);
      stream.finished();
      void leave();
      return end?.exitCode ?? EXIT_KILLED;
    });
    const resize = (rows: number, columns: number) =>
      void task.resize(rows, columns, id).catch(() => undefined);
    return { pid, stream, exited, resize };
  }

  async #endInput(): Promise<void> {
    if (this.#inputLetGo) return;
    this.#inputWantsEnd = true;
    // Until there is a shim that reads it, what was typed is in the pipe for as long as we hold that open.
    if (this.#pid === 0) return;
    this.#inputLetGo = true;
    await this.stdio.endInput();
    await this.parts.task.closeInput().catch(() => undefined);
  }

  #close(): void {
    this.stdio.close();
    this.#log?.close(Date.now());
    for (const attached of this.#attached) attached.finished();
  }
}

const REMOVE_AGAIN_MS = 500;

export async function writeNetworkFiles(
  folders: Folders,
  hostname: string,
  { hosts, resolvConf }: Surroundings,
): Promise<
  readonly { readonly source: string; readonly target: string; readonly readOnly: false }[]
> {
  const texts = { hosts, hostname: `${hostname}\n`, "resolv.conf": resolvConf };
  await mkdir(folders.run, { recursive: true, mode: 0o700 });
  const laid = [];
  for (const [name, text] of Object.entries(texts)) {
    const source = join(folders.run, name);
    await writeFile(source, text);
    // Everybody inside may read them, whatever the agent's own umask is.
    await chmod(source, 0o644);
    laid.push({ source, target: `/etc/${name}`, readOnly: false as const });
  }
  return laid;
}
