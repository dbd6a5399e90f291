// Starts a command inside a container's namespaces, with pipes or a terminal.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fchmodSync, fchownSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { ReadStream } from "node:tty";
import { assert, messageOf } from "../../common/fault.js";
import type { ConsoleSize } from "../seams.js";
import { environmentOf } from "../task/environment.js";
import { EXIT_NOT_EXECUTABLE, lookUp } from "./lookup.js";
import type { Namespaces } from "./namespaces.js";
import { openPty, type Pty, resizePty } from "./pty.js";
import { findUser } from "./users.js";

export interface Command {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly hostname: string;
  readonly tty: boolean;
  readonly consoleSize: ConsoleSize | undefined;
  /** Without it the command reads nothing: /dev/null. */
  readonly stdin: boolean;
}

export type Launched =
  | { readonly kind: "running"; readonly child: Child }
  | { readonly kind: "failed"; readonly exitCode: number; readonly message: string };

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly input: Writable | undefined;
  /** With a terminal all output comes as `stdout`. */
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  resize(rows: number, columns: number): void;
}

export async function launch(command: Command, namespaces: Namespaces): Promise<Launched> {
  const user = findUser(command.user);
  if (typeof user === "string") return failed(EXIT_NOT_EXECUTABLE, user);
  const env = environmentOf({ ...command, home: user.home });
  const cwd = command.workingDir === "" ? "/" : command.workingDir;
  const [name = "", ...args] = command.argv;
  const pty = command.tty ? openPty() : undefined;
  try {
    // As grantpt(3): the terminal is its user's, and nobody else writes to it.
    if (pty) fchownSync(pty.slave, user.uid, user.gid);
    if (pty) fchmodSync(pty.slave, 0o620);
    const size = command.consoleSize;
    if (pty && size) resizePty(pty.master, size.rows, size.columns);
    const outcome = namespaces.within(() => {
      const found = lookUp(name, env["PATH"] ?? "", cwd);
      if (found.kind === "failed") return found;
      const as = { cwd, env, uid: user.uid, gid: user.gid };
      return pty ? inTerminal(pty, [found.path, ...args], as) : onPipes(command, found.path, as);
    });
    if (outcome.kind === "failed") {
      if (pty) closeSync(pty.master);
      return outcome;
    }
    const { process } = outcome;
    if (process.pid === undefined) {
      if (pty) closeSync(pty.master);
      return failed(EXIT_NOT_EXECUTABLE, `exec: "${name}": ${await reasonOf(process)}`);
    }
    return { kind: "running", child: childOf(process, process.pid, pty) };
  } finally {
    if (pty) closeSync(pty.slave);
  }
}

interface SpawnAs {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly uid: number;
  readonly gid: number;
}
type Spawned = { readonly kind: "spawned"; readonly process: ChildProcess };

function onPipes(command: Command, path: string, as: SpawnAs): Spawned | Failed {
  const [name = "", ...args] = command.argv;
  // `detached`: a session of its own, as a container's first process has.
  const stdin = command.stdin ? "pipe" : "ignore";
  return attempt(name, () =>
    spawn(path, args, { ...as, argv0: name, detached: true, stdio: [stdin, "pipe", "pipe"] }),
  );
}

/** setsid(1) makes the session, takes the terminal as its controlling one, then becomes the command. */
function inTerminal(pty: Pty, argv: readonly string[], as: SpawnAs): Spawned | Failed {
  const stdio = [pty.slave, pty.slave, pty.slave];
  return attempt(argv[0] ?? "", () =>
    spawn("/usr/bin/setsid", ["--ctty", ...argv], { ...as, stdio }),
  );
}

function attempt(name: string, start: () => ChildProcess): Spawned | Failed {
  try {
    return { kind: "spawned", process: start() };
  } catch (error) {
    // What Node does not tell by an event it throws: a script without "#!" is one (ENOEXEC).
    return failed(EXIT_NOT_EXECUTABLE, `exec: "${name}": ${textOf(error)}`);
  }
}

function childOf(process: ChildProcess, pid: number, pty: Pty | undefined): Child {
  if (pty === undefined) {
    assert(process.stdout !== null && process.stderr !== null, "output is piped");
    const input = process.stdin ?? undefined;
    // EPIPE is how a command says that it reads no further.
    input?.on("error", () => input.destroy());
    const { stdout, stderr } = process;
    return { process, pid, input, stdout, stderr, resize: () => undefined };
  }
  const stream = new ReadStream(pty.master);
  // EIO is how a terminal says that nobody holds its other end any more.
  stream.on("error", () => stream.destroy());
  const resize = (rows: number, columns: number) => {
    if (!stream.destroyed) resizePty(pty.master, rows, columns);
  };
  return { process, pid, input: stream, stdout: stream, stderr: undefined, resize };
}

function reasonOf(process: ChildProcess): Promise<string> {
  return new Promise((resolve) => process.once("error", (error) => resolve(textOf(error))));
}

function textOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EACCES") return "permission denied";
  return code === "ENOEXEC" ? "exec format error" : messageOf(error);
}

type Failed = Extract<Launched, { kind: "failed" }>;

function failed(exitCode: number, message: string): Failed {
  return { kind: "failed", exitCode, message };
}
