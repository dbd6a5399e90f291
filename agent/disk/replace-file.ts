// Files that are replaced whole: after a crash at any moment the old content or the new is there.
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "../../common/fault.js";

const TEMPORARY = ".tmp";

/** Written beside it, made durable, renamed over it, and the rename made durable. */
export async function replaceFile(path: string, data: Uint8Array, mode = 0o600): Promise<void> {
  const temporary = path + TEMPORARY;
  try {
    const file = await open(temporary, "w", mode);
    try {
      await file.writeFile(data);
      // `open` gives its mode only to a new file; a leftover one may have another.
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw new Fault(hasCode(error, "ENOSPC") ? "DISK_FULL" : "FILE_WRITE", { path }, error);
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
    await syncDirectory(dirname(path));
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

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
