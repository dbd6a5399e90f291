// A folder that belongs to the manager's user alone.
import { chownSync, mkdirSync } from "node:fs";

export function ensureOwnFolder(
  path: string,
  owner: { readonly uid: number; readonly gid: number },
): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chownSync(path, owner.uid, owner.gid);
}
