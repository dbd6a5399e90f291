// Puts another log in the place of the one that is there: a snapshot that comes after all of it. The snapshot's file
// is the turning point: before it is in its place the old log counts, after it the new one, whatever else a crash
// leaves undone. What was there is kept in a folder aside, until the next time.
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, removeDurably, syncFolder } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import type { RaftSnapshot } from "../../proto/gen/raft.js";
import type { Keyring } from "./keyring.js";
import { SnapshotFiles } from "./snapshot-file.js";
import type { StateDir } from "./state-dir.js";

export const ASIDE = "before-recovery";

/** Nobody else may use the log meanwhile. Answers the folder with what was there, if anything was. Faults: DISK_FULL, FILE_WRITE, KEY_*. */
export async function beginLog(
  dir: StateDir,
  keys: Keyring,
  snapshot: RaftSnapshot,
): Promise<string> {
  const log = join(dir.path, "log");
  const snapshots = join(dir.path, "snapshots");
  const aside = join(dir.path, ASIDE);
  await removeDurably(aside);
  const old = await namesIn(snapshots);
  const isEmpty = old.length === 0 && (await namesIn(log)).length === 0;
  await keys.ensure();
  await new SnapshotFiles(snapshots, keys).save(snapshot);
  if (isEmpty) return "";
  try {
    await mkdir(join(aside, "snapshots"), { recursive: true, mode: 0o700 });
    // A log that is damaged must not be found beside the snapshot that stands for it.
    await rename(log, join(aside, "log")).catch(unlessMissing);
    for (const name of old) {
      await rename(join(snapshots, name), join(aside, "snapshots", name)).catch(unlessMissing);
    }
    await mkdir(log, { recursive: true, mode: 0o700 });
    for (const folder of [snapshots, aside, dir.path]) await syncFolder(folder);
  } catch (error) {
    throw new Fault("FILE_WRITE", { path: aside }, error);
  }
  return aside;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    unlessMissing(error);
    return [];
  }
}

function unlessMissing(error: unknown): void {
  if (!hasCode(error, "ENOENT")) throw error;
}
