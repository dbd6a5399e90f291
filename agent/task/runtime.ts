// What the loop of containers asks of a runtime. The shell `agent/runtime` implements it; its twin is in
// test/fakes.
import type { Duplex, Readable } from "node:stream";
import type { ContainerSpec, ExecSpec, LogOptions } from "../seams.js";

/** What is run. */
export interface Launch {
  readonly id: string;
  /** The number of this start; what is recorded of one life is never taken for another's. */
  readonly life: number;
  readonly spec: ContainerSpec;
  readonly hostname: string;
}

/** Where it is run: known only when the addresses are. */
export interface Surroundings {
  /** The namespace file; undefined: the machine's own network. */
  readonly netns: string | undefined;
  /** The text of its /etc/hosts. */
  readonly hosts: string;
}

export interface Exit {
  readonly exitCode: number;
  /** Empty unless something other than the command's own end ended it. */
  readonly error: string;
  readonly atMs: number;
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
  /** Ends everything of the container at once, what was prepared too. Resolves when nothing is left. */
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
  /** Removes what a container has outside its record. */
  forget(id: string): Promise<void>;
}
