// Files that are replaced whole: after a crash at any moment the old content or the new is there.
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "./fault.js";

const TEMPORARY = ".tmp";

/**
 * Written beside it, made durable, renamed over it, and the rename made durable. Faults: DISK_FULL, FILE_WRITE; then the
 * old content is there.
 */
export async function replaceFile(path: string, data: Uint8Array, mode = 0o600): Promise<void> {
  const temporary = path + TEMPORARY;
  try {
    await writeDurably(temporary, data, mode);
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    // A half-written copy on a full disk would only take more of what is missing.
    await rm(temporary, { force: true }).catch(() => {});
    throw new Fault(isFull(error) ? "DISK_FULL" : "FILE_WRITE", { path }, error);
  }
}

async function writeDurably(path: string, data: Uint8Array, mode: number): Promise<void> {
  const file = await open(path, "w", mode);
  try {
    await file.writeFile(data);
    // `open` gives its mode only to a new file; a leftover one may have another.
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw new Fault("FILE_READ", { path }, error);
  }
}

/** Removes a file or a folder with all in it, durably; what is not there is no error. */
export async function removeDurably(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
    await syncFolder(dirname(path));
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw new Fault("FILE_REMOVE", { path }, error);
  }
}

export async function ensureFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode });
  } catch (error) {
    throw new Fault("FOLDER_CREATE", { path }, error);
  }
}

/** Drops what a crash in the middle of `replaceFile` left. */
export async function removeTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.endsWith(TEMPORARY)) await rm(join(folder, name), { force: true });
  }
}

/** Whether the file system says that there is no space, for anyone or for this user. */
export function isFull(error: unknown): boolean {
  return hasCode(error, "ENOSPC") || hasCode(error, "EDQUOT");
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** A rename, a new file or a removal survives power loss only once its folder is synced: fsync(2). */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
