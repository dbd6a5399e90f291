// What every LogDisk does, the one in memory and the one on a disk.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { silentLogger } from "../../common/log.js";
import { Keyring } from "../../manager/disk/keyring.js";
import { openLogDisk } from "../../manager/disk/log-disk.js";
import { openStateDir } from "../../manager/disk/state-dir.js";
import type { LogDisk } from "../../manager/seams.js";
import { type Entry, EntryKind } from "../../proto/gen/raft.js";
import { MemoryLogDisk } from "../fakes/log-disk.js";

interface Bench {
  /** The disk as it is after a crash. */
  reopen(): Promise<LogDisk>;
  end(): Promise<void>;
}

function memory(): Bench {
  const disk = new MemoryLogDisk();
  return { reopen: async () => disk, end: async () => {} };
}

async function real(): Promise<Bench> {
  const path = await mkdtemp(join(tmpdir(), "skein-contract-"));
  const dir = await openStateDir(path);
  const open: LogDisk[] = [];
  return {
    async reopen() {
      const disk = await openLogDisk({ dir, keys: await Keyring.open(dir), log: silentLogger() });
      open.push(disk);
      return disk;
    },
    async end() {
      for (const disk of open) await disk.close();
      await dir.close();
      await rm(path, { recursive: true });
    },
  };
}

const entry = (index: number, term = 1): Entry => ({
  term,
  index,
  kind: index % 3 === 0 ? EntryKind.CONF_CHANGE : EntryKind.NORMAL,
  data: Buffer.from(`entry ${index} of ${term}`),
});
const snapshotAt = (index: number, term = 1) => ({
  meta: {
    index,
    term,
    conf: { members: [{ raftId: 1, nodeId: "n", addr: "a:1", learner: false }] },
  },
  data: Buffer.from(`state at ${index}`),
});

for (const [name, make] of Object.entries({ memory, real })) {
  describe(`a log disk (${name})`, () => {
    let bench: Bench;
    afterEach(() => bench.end());
    const started = async () => {
      bench = await make();
      const disk = await bench.reopen();
      return { disk, first: await disk.load() };
    };
    const crashed = async () => (await bench.reopen()).load();

    test("is empty at first", async () => {
      const { first } = await started();
      expect(first).toEqual({
        hardState: { term: 0, vote: 0, commit: 0 },
        snapshot: undefined,
        entries: [],
        tornBytes: 0,
      });
    });

    test("gives back what was persisted", async () => {
      const { disk } = await started();
      await disk.persist({ term: 1, vote: 2, commit: 0 }, [entry(1), entry(2)]);
      await disk.persist(undefined, [entry(3)]);
      await disk.persist({ term: 4, vote: 3, commit: 2 }, []);
      const stored = await crashed();
      expect(stored.hardState).toEqual({ term: 4, vote: 3, commit: 2 });
      expect(stored.entries).toEqual([entry(1), entry(2), entry(3)]);
    });

    test("replaces the tail from an entry that comes again", async () => {
      const { disk } = await started();
      await disk.persist(undefined, [entry(1), entry(2), entry(3)]);
      await disk.persist(undefined, [entry(2, 2)]);
      expect((await crashed()).entries).toEqual([entry(1), entry(2, 2)]);
    });

    test("a snapshot stands for the entries before it", async () => {
      const { disk } = await started();
      await disk.persist(undefined, [entry(1), entry(2), entry(3)]);
      await disk.saveSnapshot(snapshotAt(2), 3);
      const stored = await crashed();
      expect(stored.snapshot).toEqual(snapshotAt(2));
      expect(stored.entries).toEqual([entry(3)]);
    });

    test("a snapshot that the log does not lead up to replaces the log", async () => {
      const { disk } = await started();
      await disk.persist(undefined, [entry(1), entry(2), entry(3)]);
      await disk.saveSnapshot(snapshotAt(2, 9), 3);
      expect((await crashed()).entries).toEqual([]);
      const again = await bench.reopen();
      await again.load();
      await again.persist(undefined, [entry(3, 9)]);
      expect((await crashed()).entries).toEqual([entry(3, 9)]);
    });
  });
}
