// Containers of this node, as the local API and the tasks of the swarm ask for them.

import type { Duplex, Readable } from "node:stream";
import type { Refusal } from "../../common/fault.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import type {
  ConsoleSize,
  ContainerFile,
  ContainerSpec,
  EndpointWish,
  Limits,
  Mount,
  PortBinding,
  RestartRule,
} from "../task/container-spec.js";

export type {
  ConsoleSize,
  ContainerFile,
  ContainerSpec,
  EndpointWish,
  HealthCheck,
  Limits,
  Mount,
  PortBinding,
  RestartRule,
} from "../task/container-spec.js";

export type ContainerState =
  | "created"
  | "running"
  | "paused"
  | "restarting"
  | "exited"
  | "removing"
  | "dead";

/** Docker's Health: the last five probes, oldest first. */
export interface Health {
  readonly status: "starting" | "healthy" | "unhealthy";
  readonly failingStreak: number;
  readonly log: readonly {
    readonly startMs: number;
    readonly endMs: number;
    readonly exitCode: number;
    /** At most 4,096 bytes. */
    readonly output: string;
  }[];
}

/** A binding that holds: `hostPort` is the one that was chosen. */
export type PublishedPort = PortBinding;

/** A mount of a container as it is: the source is a path of the host. */
export interface MountPoint {
  readonly mount: Mount;
  readonly source: string;
  /** Of a volume. */
  readonly name: string;
}

export interface Container {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly state: ContainerState;
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** Its endpoints as given, with the network each is on. */
  readonly endpoints: readonly { readonly endpoint: Endpoint; readonly network: Network }[];
  readonly sandboxPath: string;
  /** Of the image that it was made from ("sha256:…"); empty for the process runtime. */
  readonly imageId: string;
  readonly restartCount: number;
  readonly oomKilled: boolean;
  /** Undefined: it has no health check, or does not run. */
  readonly health: Health | undefined;
  readonly ports: readonly PublishedPort[];
  readonly mountPoints: readonly MountPoint[];
}

/** One moment of a container's use, as the cgroup and the interfaces count it since its start. */
export interface ContainerStats {
  readonly atMs: number;
  readonly cpuTotalNs: number;
  readonly cpuUserNs: number;
  readonly cpuSystemNs: number;
  readonly cpus: number;
  readonly throttledPeriods: number;
  readonly throttledNs: number;
  readonly memoryBytes: number;
  /** Page cache that goes first when memory is short: shown by `docker stats` as not used. */
  readonly inactiveFileBytes: number;
  readonly memoryLimitBytes: number;
  readonly pids: number;
  readonly pidsLimit: number;
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
  readonly networks: Readonly<
    Record<
      string,
      {
        readonly rxBytes: number;
        readonly rxPackets: number;
        readonly rxErrors: number;
        readonly rxDropped: number;
        readonly txBytes: number;
        readonly txPackets: number;
        readonly txErrors: number;
        readonly txDropped: number;
      }
    >
  >;
}

/** What is at a path inside a container: the API's X-Docker-Container-Path-Stat. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Go's os.FileMode bits, as the API has them. */
  readonly mode: number;
  readonly mtimeMs: number;
  readonly linkTarget: string;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Last lines only; undefined: all. */
  readonly tail: number | undefined;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface ExecSpec {
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly tty: boolean;
  readonly consoleSize?: ConsoleSize | undefined;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
}

export interface ExecState {
  readonly id: string;
  readonly containerId: string;
  readonly spec: ExecSpec;
  readonly running: boolean;
  readonly exitCode: number;
  readonly pid: number;
}

/**
 * Containers of this node. `ref` is an id, an unambiguous id prefix, or a name. Streams are raw when the
 * container has a tty, else framed as Docker's attach stream (8-byte header: stream, 0 0 0, length).
 */
export interface Containers {
  list(): readonly Container[];
  get(ref: string): Container | Refusal;
  create(spec: ContainerSpec): Promise<Container | Refusal>;
  /**
   * Resolves when it runs, its addresses answer, or with why not. Starting what runs is no error. `files`
   * are put in for this life only, and are not remembered.
   */
  start(ref: string, files?: readonly ContainerFile[]): Promise<Refusal | undefined>;
  /** `signal` stands for the container's own stop signal; SIGKILL follows when the time is over (negative: never). */
  stop(
    ref: string,
    timeoutSeconds: number | undefined,
    signal?: string,
  ): Promise<Refusal | undefined>;
  kill(ref: string, signal: string): Promise<Refusal | undefined>;
  /** With `volumes`, its nameless volumes go too. */
  remove(ref: string, force: boolean, volumes?: boolean): Promise<Refusal | undefined>;
  pause(ref: string): Promise<Refusal | undefined>;
  unpause(ref: string): Promise<Refusal | undefined>;
  restart(
    ref: string,
    timeoutSeconds: number | undefined,
    signal?: string,
  ): Promise<Refusal | undefined>;
  rename(ref: string, name: string): Promise<Refusal | undefined>;
  /** Another restart rule, from now on. */
  setRestart(ref: string, restart: RestartRule): Promise<Refusal | undefined>;
  /** Other limits, at once if it runs. What `limits` leaves at nothing stays as it is; pids -1 takes theirs away. */
  setLimits(ref: string, limits: Limits): Promise<Refusal | undefined>;
  /** What it has written to its own file system, in bytes; 0 if it has none. */
  writtenBytes(ref: string): Promise<number | Refusal>;
  /** Puts it on one more network, or takes it off one; at once if it runs, else from its next start. */
  connect(ref: string, wish: EndpointWish): Promise<Refusal | undefined>;
  disconnect(ref: string, network: string, force: boolean): Promise<Refusal | undefined>;
  wait(
    ref: string,
    condition: "not-running" | "next-exit" | "removed",
    signal: AbortSignal,
  ): Promise<{ readonly exitCode: number; readonly error: string } | Refusal>;
  logs(ref: string, options: LogOptions, signal: AbortSignal): Readable | Refusal;
  /** Both ways; closing the duplex detaches and leaves the container running. */
  attach(
    ref: string,
    options: { readonly stdin: boolean; readonly logs: boolean },
  ): Duplex | Refusal;
  resize(ref: string, rows: number, columns: number): Promise<Refusal | undefined>;
  createExec(ref: string, spec: ExecSpec): Promise<string | Refusal>;
  startExec(execId: string): Promise<Duplex | Refusal>;
  resizeExec(execId: string, rows: number, columns: number): Promise<Refusal | undefined>;
  getExec(execId: string): ExecState | Refusal;
  stats(ref: string): Promise<ContainerStats | Refusal>;
  /** Its processes as ps(1) shows them with these arguments: titles, then a row each. */
  top(
    ref: string,
    psArguments: readonly string[],
  ): Promise<
    { readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] } | Refusal
  >;
  /** `docker cp`, also of a container that does not run. Paths are resolved inside, never outside of it. */
  statPath(ref: string, path: string): Promise<PathStat | Refusal>;
  /** A tar of what is at the path, with its name at the top. */
  readPath(
    ref: string,
    path: string,
  ): Promise<{ readonly stat: PathStat; readonly tar: Readable } | Refusal>;
  /** Unpacks into a folder that is there. `keepKinds`: a folder is not replaced by a file, nor a file by a folder. */
  writePath(
    ref: string,
    path: string,
    tar: Readable,
    options: { readonly keepKinds: boolean },
  ): Promise<Refusal | undefined>;
}
