// What the loop of containers asks of a runtime. The shell `agent/runtime` implements it; its twin is in
// test/fakes.
import type { Duplex, Readable } from "node:stream";
import type { Refusal } from "../../common/fault.js";
import type {
  ContainerFile,
  ContainerSpec,
  ContainerStats,
  ExecSpec,
  Limits,
  LogOptions,
  MountPoint,
  PathStat,
} from "../seams.js";

/** What is run. */
export interface Launch {
  readonly id: string;
  /** The number of this start; what is recorded of one life is never taken for another's. */
  readonly life: number;
  readonly spec: ContainerSpec;
  readonly hostname: string;
  /** Of the image ("sha256:…"); empty for the process runtime. */
  readonly imageId: string;
  readonly mountPoints: readonly MountPoint[];
}

/** Where it is run: known only when the addresses are. */
export interface Surroundings {
  /** The namespace file; undefined: the machine's own network. */
  readonly netns: string | undefined;
  /** The texts of its /etc/hosts and /etc/resolv.conf. */
  readonly hosts: string;
  readonly resolvConf: string;
  readonly files: readonly ContainerFile[];
}

export interface Exit {
  readonly exitCode: number;
  /** Empty unless something other than the command's own end ended it. */
  readonly error: string;
  readonly atMs: number;
  /** The kernel ended it because its memory was used up. */
  readonly oomKilled?: boolean;
}

/** "failed": the command could not be started; 127 when there is none such, 126 when it is not executable. */
export type Started =
  | { readonly kind: "running"; readonly pid: number; readonly atMs: number }
  | { readonly kind: "failed"; readonly exitCode: number; readonly message: string };

/** A process in a running container that somebody watches. */
export interface RunningExec {
  readonly pid: number;
  /** Both ways; raw with a tty, else Docker's frames. Closing it hangs the process up (SIGHUP). */
  readonly stream: Duplex;
  readonly exited: Promise<number>;
  resize(rows: number, columns: number): void;
}

export type StartedExec =
  | { readonly kind: "running"; readonly exec: RunningExec }
  | { readonly kind: "failed"; readonly exitCode: number; readonly message: string };

/** A container with its supervisor. It goes on without us: `release` only stops watching. */
export interface Supervised {
  /** Starts the command of a container that was only prepared. Once. */
  go(surroundings: Surroundings): Promise<Started>;
  /** Resolves once, however it ended; never when released first. */
  readonly exited: Promise<Exit>;
  /** Throws a Fault when the supervisor is gone; what it left shows in `exited`. */
  signal(number: number): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
  /** Output from now on and, if wanted, input. Raw with a tty, else Docker's frames. */
  attach(options: { readonly stdin: boolean }): Promise<Duplex>;
  exec(id: string, spec: ExecSpec): Promise<StartedExec>;
  /** All its processes stop running, or go on. */
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** Other limits, from now on. Refused when the kernel does not take them. */
  limit(limits: Limits): Promise<Refusal | undefined>;
  stats(): Promise<ContainerStats>;
  /** Of the host: pid 1 of the container and all its descendants. */
  pids(): Promise<readonly number[]>;
  /**
   * Ends everything of the container at once, what was prepared too. Resolves when nothing is left; throws when
   * that cannot be said now, and `forget` is to be asked again.
   */
  destroy(): Promise<void>;
  release(): void;
}

export type Adopted =
  | {
      readonly kind: "running";
      readonly supervised: Supervised;
      readonly pid: number;
      readonly atMs: number;
    }
  /** It was never told to go, and will not be. */
  | { readonly kind: "never-ran" }
  | { readonly kind: "exited"; readonly exit: Exit };

export interface Runtime {
  /** Makes what is there before any start (the writable file system). Again with the same id is no error. */
  create(launch: Omit<Launch, "life">): Promise<void>;
  /** Starts a supervisor and waits until it can be asked. Throws a Fault, and leaves nothing behind then. */
  prepare(launch: Launch, signal: AbortSignal): Promise<Supervised>;
  /** Finds what became of a life that an earlier agent began. Leaves no process behind unless it is "running". */
  adopt(id: string, life: number, spec: ContainerSpec): Promise<Adopted>;
  /** Ends when there is no more and none is followed; `ended` says when no more will come. */
  readLogs(
    id: string,
    options: LogOptions & { readonly tty: boolean; readonly ended: AbortSignal },
    signal: AbortSignal,
  ): Readable;
  /** Removes what the last life left outside its record; what `create` made stays. Again is no error. */
  forget(id: string): Promise<void>;
  /** Whether a life has left something that is to be forgotten; looks on this node only. */
  hasLeft(id: string): boolean;
  /** Removes all of it. */
  erase(id: string): Promise<void>;
  /** What it has written to its own file system, in bytes; undefined: it has none. */
  writtenBytes(id: string): Promise<number | undefined>;
  /** `docker cp`; works whether it runs or not. Refusals in Docker's words. */
  readonly paths: {
    stat(id: string, path: string): Promise<PathStat | Refusal>;
    read(
      id: string,
      path: string,
    ): Promise<{ readonly stat: PathStat; readonly tar: Readable } | Refusal>;
    write(
      id: string,
      path: string,
      tar: Readable,
      options: { readonly keepKinds: boolean },
    ): Promise<Refusal | undefined>;
  };
}
