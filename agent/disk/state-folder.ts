// The state folder as a whole: whose it is, of what version, and that one agent uses it. Looking
// comes first: a folder that is not understood is left exactly as it was found.
import { closeSync, openSync } from "node:fs";
import { chmod, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  ensureFolder,
  hasCode,
  readIfThere,
  removeTemporaries,
  replaceFile,
} from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { tryLock } from "../../common/libc.js";

const FORMAT_FILE = "format";
/** The version of everything that the agent keeps; raised when an older release could not read it. */
const FORMAT = "skein-agent 1\n";
// What may stand in a folder that no agent has used: made by mkfs, or by the manager's systemd unit.
const IGNORED = new Set(["lost+found", "manager"]);

export interface StateFolder {
  readonly path: string;
  /** Lets another agent have it. */
  release(): void;
}

/**
 * Takes the folder for this process, making it if there is none. Faults: STATE_LOCKED, STATE_VERSION,
 * STATE_FOREIGN; `explain` (state-problem.ts) has the sentences.
 */
export async function openStateFolder(path: string): Promise<StateFolder> {
  await checkFormat(path);
  await ensureFolder(path, 0o700);
  const fd = openSync(path, "r");
  try {
    // The lock is on the folder itself: no file of its own is left, and the kernel drops it with the process.
    if (!tryLock(fd)) throw new Fault("STATE_LOCKED", { path });
    // Another agent may have made it its own between the first look and the lock.
    await checkFormat(path);
    // The manager's user must pass through to reach `manager/`; it may not list what is here.
    await chmod(path, 0o711);
    if ((await readIfThere(join(path, FORMAT_FILE))) === undefined) {
      await replaceFile(join(path, FORMAT_FILE), Buffer.from(FORMAT));
    }
    await removeTemporaries(path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { path, release: () => closeSync(fd) };
}

async function checkFormat(path: string): Promise<void> {
  const found = await readIfThere(join(path, FORMAT_FILE));
  if (found !== undefined) {
    const text = found.toString("latin1");
    if (text === FORMAT) return;
    const version = /^skein-agent (\d{1,9})\n$/.exec(text)?.[1];
    if (version === undefined) throw new Fault("STATE_DAMAGED", { file: join(path, FORMAT_FILE) });
    throw new Fault("STATE_VERSION", { path, found: version, known: "1" });
  }
  const names = (await listIfThere(path)).filter(
    (name) => !IGNORED.has(name) && !name.endsWith(".tmp"),
  );
  if (names.length > 0)
    throw new Fault("STATE_FOREIGN", { path, found: names.slice(0, 3).join(", ") });
}

async function listIfThere(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw new Fault("FILE_READ", { path }, error);
  }
}
