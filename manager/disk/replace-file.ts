// Replaces a file so that a crash leaves the old content or the new, never a mix.
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../common/fault.js";

/**
 * Mode 0600: everything a manager stores is its own. Durable when resolved. Faults: DISK_FULL, STATE_WRITE;
 * then the old content is there.
 */
export async function replaceFile(path: string, data: Uint8Array): Promise<void> {
  try {
    await writeAside(path, data);
  } catch (error) {
    throw new Fault(isFull(error) ? "DISK_FULL" : "STATE_WRITE", { path }, error);
  }
}

/** Whether an error of the file system says that there is no space, for anyone or for this user. */
export function isFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}

async function writeAside(path: string, data: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(data);
    await file.sync();
  } catch (error) {
    await file.close();
    // A half-written copy on a full disk would only take more of what is missing.
    await rm(temporary, { force: true });
    throw error;
  }
  await file.close();
  await rename(temporary, path);
  await syncDir(dirname(path));
}

/** A rename, a new file or a removal survives power loss only once its folder is synced: fsync(2). */
export async function syncDir(path: string): Promise<void> {
  const dir = await open(path, "r");
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}
