// Calls about one container's task, each with its id filled in, and what their answers mean.
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../../common/fault.js";
import { Status } from "../../proto/gen/containerd/process.js";
import { Options, ProcessDetails } from "../../proto/gen/containerd/runc.js";
import type { Mount } from "../../proto/gen/containerd/types.js";
import type { Any } from "../../proto/gen/google/protobuf/any.js";
import { type Containerd, isNotFound, isUnreachable, SNAPSHOTTER } from "./connection.js";
import type { StdioPaths } from "./stdio.js";

const RUNTIME = "io.containerd.runc.v2";
/** Of the container's record: which life its task is. */
const LIFE_LABEL = "skein.life";

// typeurl names of containerd's own Go types.
const SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const RESOURCES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
const OPTIONS_TYPE = "containerd.runc.v1.Options";

// Choice: who waits for a restart of containerd looks this often.
const LOOK_AGAIN_MS = 200;

export interface ProcessEnd {
  readonly exitCode: number;
  readonly atMs: number;
}

export interface FoundTask {
  readonly status: Status;
  readonly pid: number;
  readonly end: ProcessEnd;
}

/** The first process is the one of the empty exec id. */
export class TaskCalls {
  constructor(
    private readonly c: Containerd,
    readonly id: string,
  ) {}

  async create(
    spec: Buffer,
    rootfs: readonly Mount[],
    life: number,
    terminal: boolean,
    stdio: StdioPaths,
    signal?: AbortSignal,
  ): Promise<number> {
    const { c, id } = this;
    const options: Any = {
      typeUrl: OPTIONS_TYPE,
      value: Buffer.from(Options.encode(Options.fromPartial({ binaryName: "runc" })).finish()),
    };
    await c.call(c.containers.create.bind(c.containers), {
      container: {
        id,
        labels: { [LIFE_LABEL]: String(life) },
        image: "",
        runtime: { name: RUNTIME, options },
        spec: { typeUrl: SPEC_TYPE, value: spec },
        snapshotter: SNAPSHOTTER,
        snapshotKey: id,
        createdAt: undefined,
        updatedAt: undefined,
        extensions: {},
      },
    });
    const request = {
      ...{
        containerId: id,
        rootfs: [...rootfs],
        terminal,
        checkpoint: undefined,
        options,
        runtimePath: "",
      },
      ...stdio,
    };
    return (await c.call(c.tasks.create.bind(c.tasks), request, { signal })).pid;
  }

  async start(execId = ""): Promise<number> {
    const { c } = this;
    const request = { containerId: this.id, execId };
    return (await c.call(c.tasks.start.bind(c.tasks), request)).pid;
  }

  async exec(execId: string, process: Buffer, terminal: boolean, stdio: StdioPaths): Promise<void> {
    const { c } = this;
    const spec = { typeUrl: PROCESS_TYPE, value: process };
    const request = { containerId: this.id, execId, terminal, spec, ...stdio };
    await c.call(c.tasks.exec.bind(c.tasks), request);
  }

  async kill(number: number, options: { readonly execId?: string; readonly all?: boolean } = {}) {
    const { c } = this;
    const { execId = "", all = false } = options;
    const request = { containerId: this.id, execId, signal: number, all };
    await c.call(c.tasks.kill.bind(c.tasks), request);
  }

  async resize(rows: number, columns: number, execId = ""): Promise<void> {
    const { c } = this;
    const request = { containerId: this.id, execId, width: columns, height: rows };
    await c.call(c.tasks.resizePty.bind(c.tasks), request);
  }

  async closeInput(execId = ""): Promise<void> {
    const { c } = this;
    const request = { containerId: this.id, execId, stdin: true };
    await c.call(c.tasks.closeIo.bind(c.tasks), request);
  }

  async pause(): Promise<void> {
    const { c } = this;
    await c.call(c.tasks.pause.bind(c.tasks), { containerId: this.id });
  }

  async resume(): Promise<void> {
    const { c } = this;
    await c.call(c.tasks.resume.bind(c.tasks), { containerId: this.id });
  }

  async update(resources: object): Promise<void> {
    const { c } = this;
    const value = Buffer.from(JSON.stringify(resources));
    const request = {
      containerId: this.id,
      resources: { typeUrl: RESOURCES_TYPE, value },
      annotations: {},
    };
    await c.call(c.tasks.update.bind(c.tasks), request);
  }

  async pids(): Promise<readonly { readonly pid: number; readonly execId: string }[]> {
    const { c } = this;
    const answer = await c.call(c.tasks.listPids.bind(c.tasks), { containerId: this.id });
    return answer.processes.map(({ pid, info }) => ({
      pid,
      execId: info === undefined ? "" : ProcessDetails.decode(info.value).execId,
    }));
  }

  /** Undefined: there is no such task. */
  async find(execId = ""): Promise<FoundTask | undefined> {
    const { c } = this;
    const request = { containerId: this.id, execId };
    try {
      const { process } = await c.call(c.tasks.get.bind(c.tasks), request);
      if (process === undefined) throw new Fault("CONTAINERD_ANSWER", { container: this.id });
      const { status, pid, exitStatus, exitedAt } = process;
      const end = { exitCode: exitStatus, atMs: exitedAt?.getTime() ?? Date.now() };
      return { status, pid, end };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The life that the record is of; undefined: there is none. */
  async life(): Promise<number | undefined> {
    const { c } = this;
    try {
      const { container } = await c.call(c.containers.get.bind(c.containers), { id: this.id });
      return Number(container?.labels[LIFE_LABEL] ?? 0);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /**
   * Resolves when the process has ended, across restarts of containerd; undefined when it is not known
   * how: the task is gone. Never resolves when aborted.
   */
  async ended(signal: AbortSignal, execId = ""): Promise<ProcessEnd | undefined> {
    const { c } = this;
    const request = { containerId: this.id, execId };
    while (!signal.aborted) {
      try {
        const options = { timeoutMs: 0, signal };
        const answer = await c.call(c.tasks.wait.bind(c.tasks), request, options);
        const atMs = answer.exitedAt?.getTime() ?? Date.now();
        return { exitCode: answer.exitStatus, atMs };
      } catch (error) {
        if (signal.aborted) break;
        if (isNotFound(error)) return undefined;
        // It is restarting, or the connection between it and the shim broke: look again.
        if (!isUnreachable(error) && (await this.find(execId).catch(() => error)) === undefined) {
          return undefined;
        }
        await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    return new Promise(() => undefined);
  }

  /** Of a process that has ended. The shim has passed on all its output by then. */
  async removeProcess(execId: string): Promise<void> {
    const { c } = this;
    const request = { containerId: this.id, execId };
    await ignoringMissing(c.call(c.tasks.deleteProcess.bind(c.tasks), request));
  }

  /** Of a task that has ended. As `removeProcess`. */
  async removeTask(): Promise<void> {
    const { c } = this;
    await ignoringMissing(c.call(c.tasks.delete.bind(c.tasks), { containerId: this.id }));
  }

  async removeRecord(): Promise<void> {
    const { c } = this;
    await ignoringMissing(c.call(c.containers.delete.bind(c.containers), { id: this.id }));
  }

  /** Whatever there is of it: task and record. Resolves when nothing is left. */
  async removeAll(): Promise<void> {
    for (let tries = 0; tries < REMOVE_TRIES; tries++) {
      const task = await this.find();
      if (task === undefined) break;
      if (task.status === Status.STOPPED) {
        await this.removeTask().catch(() => undefined);
        continue;
      }
      if (task.status === Status.PAUSED) await this.resume().catch(() => undefined);
      await this.kill(SIGKILL, { all: true }).catch(() => undefined);
      const waiting = new AbortController();
      const ended = this.ended(waiting.signal);
      // Of a task that was created and never started nothing ends; it can be removed all the same.
      await Promise.race([ended, sleep(task.status === Status.CREATED ? 100 : END_MS)]);
      waiting.abort();
      await this.removeTask().catch(() => undefined);
    }
    await this.removeRecord();
  }
}

const SIGKILL = 9;
// Choices: what was killed ends within milliseconds unless its disk hangs.
const REMOVE_TRIES = 5;
const END_MS = 5_000;

async function ignoringMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
