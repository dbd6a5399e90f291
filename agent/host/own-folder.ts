// A folder that belongs to the manager's user alone.
import { chownSync, mkdirSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";

export function ensureOwnFolder(
  path: string,
  owner: { readonly uid: number; readonly gid: number },
): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chownSync(path, owner.uid, owner.gid);
}

/** Everything in it goes, and the folder itself unless it is a mount of its own. */
export async function eraseFolder(path: string): Promise<void> {
  for (const name of await readdir(path).catch(() => [])) {
    await rm(join(path, name), { recursive: true, force: true });
  }
  // EBUSY: a file system of its own; ENOENT: it was never made.
  await rmdir(path).catch(() => {});
}
