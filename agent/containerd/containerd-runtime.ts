// The runtime "containerd": images as file systems, processes in namespaces and control groups of their
// own by runc, with Docker's restrictions.
import { existsSync, readlinkSync } from "node:fs";
import { chmod, mkdir, rm } from "node:fs/promises";
import { release } from "node:os";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault, isRefusal } from "../../common/fault.js";
import { Status } from "../../proto/gen/containerd/process.js";
import type { LaidFile } from "../oci/mounts.js";
import type { CgroupSupport } from "../oci/resources.js";
import type { Machine } from "../oci/seccomp.js";
import { containerSpecOf, INIT_TARGET, specJson } from "../oci/spec.js";
import { findUser } from "../oci/users.js";
import { readLogs } from "../runtime/log-reader.js";
import { isAlive } from "../runtime/processes.js";
import { forgetExit, readExit } from "../runtime/shim-files.js";
import type { ContainerSpec } from "../seams.js";
import type { Adopted, Launch, Runtime, Supervised, Surroundings } from "../task/runtime.js";
import { hostnameOf } from "../task/spec.js";
import { cgroupSupport } from "./cgroup.js";
import { type Containerd, isUnreachable } from "./connection.js";
import { containerPaths } from "./container-paths.js";
import {
  type Folders,
  foldersOf,
  isOurs,
  layOutFiles,
  readStarted,
  removeRunFolder,
  writeKept,
} from "./folders.js";
import {
  chainOf,
  makeSnapshot,
  mountsOf,
  removeSnapshot,
  userFilesOfLayers,
  writtenBytesOf,
} from "./rootfs.js";
import { TaskCalls } from "./task-calls.js";
import {
  type Arranged,
  type ControlParts,
  TaskControl,
  writeNetworkFiles,
} from "./task-control.js";

export interface ContainerdRuntimeOptions {
  readonly containerd: Containerd;
  readonly runDir: string;
  readonly stateDir: string;
  /** Where Debian's package `tini` puts it, unless a test has another. */
  readonly initPath?: string;
  /** The program that reads and writes a container's files; the one beside this file unless a test has another. */
  readonly helperPath?: string;
}

const INIT_PATH = "/usr/bin/tini-static";
// Choice: at a boot containerd is ready within seconds, and agent and containerd start together.
const CONTAINERD_READY_MS = 15_000;
const LOOK_AGAIN_MS = 200;
// Choice: a node has tens of images; beyond this they are read again.
const CHAINS_MAX = 1_000;

export class ContainerdRuntime implements Runtime {
  readonly #support: CgroupSupport = cgroupSupport();
  readonly #machine: Machine = machine();
  /** Made by this agent and never started: there is nothing of an earlier life. */
  readonly #fresh = new Set<string>();
  /** By image, which is named by its config's bytes: what its topmost layer is called. */
  readonly #chains = new Map<string, string>();
  readonly paths: Runtime["paths"];

  constructor(private readonly options: ContainerdRuntimeOptions) {
    this.paths = containerPaths({
      containerd: options.containerd,
      foldersOf: (id) => this.#folders(id),
      helperPath: options.helperPath,
    });
  }

  /** Whether it has anything of this container. */
  has(id: string): boolean {
    return isOurs(this.#folders(id));
  }

  async create(launch: Omit<Launch, "life">): Promise<void> {
    await this.#make(launch);
    this.#fresh.add(launch.id);
  }

  async #make({ id, imageId, mountPoints, spec }: Omit<Launch, "life">): Promise<void> {
    const folders = this.#folders(id);
    await mkdir(folders.state, { recursive: true, mode: 0o700 });
    const { readOnlyRoot } = spec.security;
    writeKept(folders, { imageId, mountPoints, readOnlyRoot });
    await makeSnapshot(this.options.containerd, id, () => this.#chainOf(imageId));
  }

  async prepare(launch: Launch, signal: AbortSignal): Promise<Supervised> {
    signal.throwIfAborted();
    const { id, life, spec } = launch;
    if (!this.#fresh.delete(id)) await this.#clearBefore(launch);
    const arrange = (surroundings: Surroundings) => this.#arrange(launch, surroundings);
    return TaskControl.prepare(this.#parts(id, life, spec, launch.hostname, arrange));
  }

  async adopt(id: string, life: number, spec: ContainerSpec): Promise<Adopted> {
    const folders = this.#folders(id);
    const task = this.#task(id);
    const parts = this.#parts(id, life, spec, hostnameOf(id, spec), async () => "started twice");
    const exit = readExit(folders, life);
    const known = readStarted(folders, life);
    const found = await this.#look(task);
    if (found === "unreachable") {
      if (exit !== undefined) return { kind: "exited", exit };
      if (known === undefined || !isAlive(known.mark)) return { kind: "never-ran" };
      // It runs without containerd as well as without us; how it ends is heard when that is back.
      const { atMs, mark } = known;
      const supervised = await TaskControl.adopt(parts, mark.pid);
      return { kind: "running", supervised, pid: mark.pid, atMs };
    }
    if (found === undefined || found.life !== life || found.status === Status.CREATED) {
      await task.removeAll();
      return exit === undefined ? { kind: "never-ran" } : { kind: "exited", exit };
    }
    const control = await TaskControl.adopt(parts, found.pid);
    if (found.status === Status.STOPPED) return { kind: "exited", exit: await control.exited };
    await this.#endExecs(task);
    return {
      kind: "running",
      supervised: control,
      pid: found.pid,
      atMs: known?.atMs ?? Date.now(),
    };
  }

  /** Nothing of an earlier life may be taken for this one's. */
  async #clearBefore(launch: Launch): Promise<void> {
    const folders = this.#folders(launch.id);
    await this.#task(launch.id).removeAll();
    await removeRunFolder(folders);
    await forgetExit(folders, launch.life - 1);
    await this.#make(launch);
  }

  readLogs(id: string, options: Parameters<Runtime["readLogs"]>[1], signal: AbortSignal): Readable {
    const chunks = readLogs(this.#folders(id).state, options, signal);
    return Readable.from(chunks, { objectMode: false });
  }

  hasLeft(id: string): boolean {
    return existsSync(this.#folders(id).run);
  }

  async forget(id: string): Promise<void> {
    this.#fresh.delete(id);
    await this.#task(id).removeAll();
    await removeRunFolder(this.#folders(id));
  }

  async erase(id: string): Promise<void> {
    await this.forget(id);
    await removeSnapshot(this.options.containerd, id);
    await rm(this.#folders(id).state, { recursive: true, force: true });
  }

  async writtenBytes(id: string): Promise<number | undefined> {
    return writtenBytesOf(this.options.containerd, id);
  }

  async #chainOf(imageId: string): Promise<string> {
    const known = this.#chains.get(imageId);
    if (known !== undefined) return known;
    const chain = await chainOf(this.options.containerd, imageId);
    if (this.#chains.size >= CHAINS_MAX) this.#chains.clear();
    this.#chains.set(imageId, chain);
    return chain;
  }

  #folders(id: string): Folders {
    return foldersOf(this.options.runDir, this.options.stateDir, id);
  }

  #task(id: string): TaskCalls {
    return new TaskCalls(this.options.containerd, id);
  }

  #parts(
    id: string,
    life: number,
    spec: ContainerSpec,
    hostname: string,
    arrange: ControlParts["arrange"],
  ): ControlParts {
    const { version } = this.#support;
    const cgroup = { version, path: this.#cgroupsPath(id), support: this.#support };
    const folders = this.#folders(id);
    return { task: this.#task(id), folders, life, spec, hostname, cgroup, arrange };
  }

  /** One group a namespace of containerd's, so that two agents on one machine do not meet. */
  #cgroupsPath(id: string): string {
    return `/${this.options.containerd.namespace}/${id}`;
  }

  async #arrange(launch: Launch, surroundings: Surroundings): Promise<Arranged | string> {
    const { id, spec, hostname, mountPoints } = launch;
    const folders = this.#folders(id);
    const files: LaidFile[] = [
      ...(await writeNetworkFiles(folders, hostname, surroundings)),
      ...(await layOutFiles(folders, surroundings.files)),
    ];
    if (spec.init) {
      const source = this.options.initPath ?? INIT_PATH;
      if (!existsSync(source)) {
        return `--init needs ${source} on this node: install it with 'apt-get install tini'`;
      }
      files.push({ source, target: INIT_TARGET, readOnly: true });
    }
    for (const { mount, source } of mountPoints) {
      if (mount.kind !== "bind" || existsSync(source)) continue;
      if (!mount.createSource) {
        return `invalid mount config for type "bind": bind source path does not exist: ${source}`;
      }
      await mkdir(source, { recursive: true });
      await chmod(source, 0o755);
    }
    const rootfs = await mountsOf(this.options.containerd, id);
    const user = findUser(spec.user, spec.security.groupAdd, userFilesOfLayers(rootfs));
    if (typeof user === "string") return user;
    const oci = containerSpecOf({
      ...{ id, spec, hostname, user, mountPoints, files },
      netns: surroundings.netns,
      machineNetns: machineNetns(),
      cgroupsPath: this.#cgroupsPath(id),
      support: this.#support,
      machine: this.#machine,
    });
    return isRefusal(oci) ? oci.message : { spec: specJson(oci), rootfs };
  }

  async #look(task: TaskCalls) {
    const deadline = Date.now() + CONTAINERD_READY_MS;
    for (;;) {
      try {
        const found = await task.find();
        if (found === undefined) return undefined;
        // Containerd says "unknown" when a shim did not answer in time.
        if (found.status !== Status.UNKNOWN || Date.now() > deadline) {
          return { ...found, life: await task.life() };
        }
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        if (this.options.containerd.problem()?.message.startsWith("there is no"))
          return "unreachable";
        if (Date.now() > deadline) return "unreachable";
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** Nobody hears what they say, or knows of them, since the agent that was asked for them is gone. */
  async #endExecs(task: TaskCalls): Promise<void> {
    try {
      for (const { execId } of await task.pids()) {
        if (execId !== "") await task.kill(SIGHUP, { execId }).catch(() => undefined);
      }
    } catch (error) {
      if (!isUnreachable(error)) throw new Fault("ADOPT_EXECS", { container: task.id }, error);
    }
  }
}

const SIGHUP = 1;

/** An agent that is in a network namespace of its own, as in a lab, takes that one for the machine's. */
function machineNetns(): string | undefined {
  const own = `/proc/${process.pid}/ns/net`;
  try {
    return readlinkSync(own) === readlinkSync("/proc/1/ns/net") ? undefined : own;
  } catch {
    return undefined;
  }
}

function machine(): Machine {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return { architecture: process.arch === "arm64" ? "arm64" : "amd64", kernel: [major, minor] };
}
