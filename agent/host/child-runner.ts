// The manager as a process of its own session: it goes on when the agent is killed, and the next agent
// finds it by the number and the start time that this one wrote down.
import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../../common/clock.js";
import { Fault } from "../../common/fault.js";
import type { ManagerRunner, RunningManager } from "../seams.js";
import { ensureOwnFolder, eraseFolder } from "./own-folder.js";

export interface ChildSettings {
  readonly nodePath: string;
  readonly mainPath: string;
  readonly args: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly stateDir: string;
  readonly runDir: string;
  readonly logPath: string;
  readonly pidPath: string;
  readonly graceMs: number;
  readonly clock: Clock;
}

// Choice: at most two files of this size a node.
const LOG_BYTES_MAX = 16 * 1024 * 1024;
// Choice: an adopted process is nobody's child here, so its end is looked for.
const LOOK_MS = 250;

export function childRunner(settings: ChildSettings): ManagerRunner {
  const find = async () => {
    const found = readPidFile(settings.pidPath);
    return found && isAlive(found) ? watched(found, undefined, settings) : undefined;
  };
  return {
    find,
    async start() {
      return (await find()) ?? launch(settings);
    },
    hasState: () => existsSync(join(settings.stateDir, "identity.json")),
    async erase() {
      rmSync(settings.pidPath, { force: true });
      await eraseFolder(settings.stateDir);
    },
  };
}

async function launch(settings: ChildSettings): Promise<RunningManager> {
  ensureOwnFolder(settings.stateDir, settings);
  ensureOwnFolder(settings.runDir, settings);
  const log = openLog(settings.logPath);
  try {
    const child = spawn(settings.nodePath, [settings.mainPath, ...settings.args], {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: "/",
      uid: settings.uid,
      gid: settings.gid,
    });
    const exited = new Promise<string>((resolve) => {
      child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
      child.once("error", (error) => resolve(error.message));
    });
    if (child.pid === undefined) throw new Fault("MANAGER_SPAWN", {}, new Error(await exited));
    const started = { pid: child.pid, startTicks: startTicksOf(child.pid) ?? "" };
    writeFileSync(`${settings.pidPath}.tmp`, JSON.stringify(started), { mode: 0o600 });
    renameSync(`${settings.pidPath}.tmp`, settings.pidPath);
    child.unref();
    return watched(started, exited, settings);
  } finally {
    closeSync(log);
  }
}

interface Started {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat (proc(5)): with the pid it names one process until the next boot. */
  readonly startTicks: string;
}

function watched(
  started: Started,
  childExit: Promise<string> | undefined,
  settings: ChildSettings,
): RunningManager {
  const { clock, graceMs } = settings;
  let release = () => {};
  const exited =
    childExit ??
    new Promise<string>((resolve) => {
      release = clock.every(LOOK_MS, () => {
        if (isAlive(started)) return;
        release();
        resolve("ended unseen");
      });
    });
  return {
    exited,
    release: () => release(),
    async stop() {
      signalTo(started, "SIGTERM");
      const expired = new AbortController();
      const grace = clock.sleep(graceMs, expired.signal).then(
        () => signalTo(started, "SIGKILL"),
        () => {},
      );
      await exited;
      expired.abort();
      await grace;
      release();
    },
  };
}

function signalTo(started: Started, signal: NodeJS.Signals): void {
  if (!isAlive(started)) return;
  try {
    process.kill(started.pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}

function isAlive(started: Started): boolean {
  return startTicksOf(started.pid) === started.startTicks;
}

/** Undefined when there is no such process, or only its unreaped end ("Z"). */
function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name may hold spaces and brackets; the fields are counted after its last bracket.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function readPidFile(path: string): Started | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const { pid, startTicks } = value as Record<string, unknown>;
    return typeof pid === "number" && typeof startTicks === "string"
      ? { pid, startTicks }
      : undefined;
  } catch {
    return undefined;
  }
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(path, `${path}.1`);
  return openSync(path, "a", 0o600);
}

export function managerPaths(stateDir: string, runDir: string) {
  return {
    stateDir: join(stateDir, "manager"),
    runDir: join(runDir, "manager"),
    socketPath: join(runDir, "manager", "manager.sock"),
    logPath: join(stateDir, "log", "manager.log"),
    pidPath: join(runDir, "manager.pid"),
  };
}
