// A manager's state folder: one process at a time, one format.
//
//   <dir>/lock       held with flock(2) while a manager runs: the kernel releases it however that ends
//   <dir>/version    "format 1"
//   <dir>/identity.json, tls/     identity-file.ts
//   <dir>/data-key.json           data-key.ts
//   <dir>/log/, snapshots/        log-disk.ts
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { tryLock } from "../../common/libc.js";

/** Raised when something stored can no longer be read by the release before. */
const FORMAT = 1;
const VERSION_TEXT = /^format (\d{1,9})\n$/;

export interface StateDir {
  readonly path: string;
  /** Everything that a manager knows goes; the lock stays until `close`. */
  erase(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Makes the folder (0700) when it is missing, locks it and checks its version. Faults: STATE_LOCKED
 * when another manager uses it, STATE_VERSION when another release wrote it; neither touches anything.
 */
export async function openStateDir(path: string): Promise<StateDir> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const lock = await lockFile(join(path, "lock"));
  try {
    await checkVersion(path);
  } catch (error) {
    await lock.close();
    throw error;
  }
  return {
    path,
    async erase() {
      const names = (await readdir(path)).filter((name) => name !== "lock" && name !== "version");
      for (const name of names) await rm(join(path, name), { recursive: true, force: true });
    },
    close: () => lock.close(),
  };
}

async function lockFile(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  if (tryLock(file.fd)) return file;
  await file.close();
  throw new Fault("STATE_LOCKED", { path, why: "another skein-manager uses this folder" });
}

async function checkVersion(dir: string): Promise<void> {
  const path = join(dir, "version");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new Fault("STATE_READ", { path }, error);
  });
  if (text === undefined) {
    const strange = (await readdir(dir)).filter((name) => name !== "lock");
    if (strange.length > 0) throw wrongVersion(path, "missing");
    await replaceFile(path, Buffer.from(`format ${FORMAT}\n`));
    return;
  }
  const found = VERSION_TEXT.exec(text)?.[1] ?? "unreadable";
  if (Number(found) !== FORMAT) throw wrongVersion(path, found);
}

function wrongVersion(path: string, found: string): Fault {
  return new Fault("STATE_VERSION", {
    path,
    found,
    expected: FORMAT,
    why: "another release wrote this folder: start that release, or move the folder away and join again",
  });
}
