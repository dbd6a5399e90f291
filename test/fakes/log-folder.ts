// A manager's folder on a real disk, a new one for each test, and what tests write into the log in it.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { silentLogger } from "../../common/log.js";
import { Keyring } from "../../manager/disk/keyring.js";
import { type LogDiskOptions, openLogDisk } from "../../manager/disk/log-disk.js";
import { openStateDir, type StateDir } from "../../manager/disk/state-dir.js";
import type { LogDisk, StoredLog } from "../../manager/seams.js";
import { type Entry, EntryKind } from "../../proto/gen/raft.js";

export class LogFolder {
  #above = "";
  #dir: StateDir | undefined;

  get dir(): StateDir {
    if (this.#dir === undefined) throw new Error("no test runs");
    return this.#dir;
  }
  get path(): string {
    return this.dir.path;
  }
  /** For what a test keeps beside it. */
  get above(): string {
    return this.#above;
  }

  async make(): Promise<void> {
    this.#above = await mkdtemp(join(tmpdir(), "skein-log-"));
    this.#dir = await openStateDir(join(this.#above, "manager"));
  }
  async remove(): Promise<void> {
    await this.dir.close();
    await rm(this.#above, { recursive: true });
  }

  keys(): Promise<Keyring> {
    return Keyring.open(this.dir);
  }

  async open(options: Partial<LogDiskOptions> = {}): Promise<LogDisk> {
    const { dir } = this;
    return openLogDisk({ dir, keys: await this.keys(), log: silentLogger(), ...options });
  }

  /** What a start finds; throws what a start throws. */
  async reload(): Promise<StoredLog> {
    const disk = await this.open();
    return disk.load().finally(() => disk.close());
  }

  /** Paths, the oldest first. */
  async segments(): Promise<readonly string[]> {
    const folder = join(this.path, "log");
    return (await readdir(folder)).sort().map((name) => join(folder, name));
  }
}

/** For the tests of the file that calls it. */
export function logFolder(): LogFolder {
  const folder = new LogFolder();
  beforeEach(() => folder.make());
  afterEach(() => folder.remove());
  return folder;
}

/** Tests count on its 16 bytes where they look at sizes. */
export const entry = (index: number, term = 1, bytes = 16): Entry => ({
  term,
  index,
  kind: EntryKind.NORMAL,
  data: Buffer.alloc(bytes, index),
});
export const hard = (term: number, commit = 0) => ({ term, vote: 1, commit });
export const snapshotAt = (index: number, term = 1) => ({
  meta: { index, term, conf: { members: [] } },
  data: Buffer.from(`state at ${index}`),
});
