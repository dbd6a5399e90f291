// What is saved of a damaged log: the newest snapshot that verifies and what follows it without a gap, never a
// guess; and a log that is begun anew, whatever was there and whenever the power fails.
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { entry, hard, logFolder, snapshotAt } from "../../test/fakes/log-folder.js";
import { ASIDE, beginLog } from "./begin-anew.js";
import { salvage } from "./salvage.js";

const folder = logFolder();

/** A snapshot at 1, entries 2 to `last`, each in a write of its own. */
async function written(last: number, segmentBytes?: number): Promise<void> {
  const disk = await folder.open(segmentBytes === undefined ? {} : { segmentBytes });
  await disk.load();
  await disk.saveSnapshot(snapshotAt(1), 2);
  for (let index = 2; index <= last; index++)
    await disk.persist(hard(1, index - 1), [entry(index)]);
  await disk.close();
}

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x40, at);
  await writeFile(file, bytes);
}

const sizeOf = async (file: string) => (await stat(file)).size;

test("of a log that is whole it reads what a start reads, and no damage", async () => {
  await written(9);
  const { stored, damage } = await salvage(folder.dir, await folder.keys());
  const { tornBytes: _, ...loaded } = await folder.reload();
  expect(stored).toEqual(loaded);
  expect(damage).toBeUndefined();
});

test("damage in the middle keeps what came before, and says where and how much is lost", async () => {
  await written(9);
  const [file = ""] = await folder.segments();
  await flip(file, Math.floor((await sizeOf(file)) / 2));
  await expect(folder.reload()).rejects.toThrow(/LOG_DAMAGED/);
  const { stored, damage } = await salvage(folder.dir, await folder.keys());
  const last = stored.entries.at(-1)?.index ?? 0;
  expect(last).toBeGreaterThan(2);
  expect(stored.entries.map(({ index }) => index)).toEqual(
    Array.from({ length: last - 1 }, (_, i) => i + 2),
  );
  expect(damage).toMatchObject({ file, knownLost: 9 - last });
  expect(damage?.offset).toBeGreaterThan(0);
});

test("damage in a part that a snapshot stands for loses nothing", async () => {
  await written(5, 1);
  const disk = await folder.open({ segmentBytes: 1 });
  await disk.load();
  // What slow followers need stays in the log, before the snapshot.
  await disk.saveSnapshot(snapshotAt(5), 2);
  for (const index of [6, 7]) await disk.persist(hard(1, index), [entry(index)]);
  await disk.close();
  const [, second = ""] = await folder.segments();
  await flip(second, (await sizeOf(second)) - 1);
  const { stored, damage } = await salvage(folder.dir, await folder.keys());
  expect(stored.entries.map(({ index }) => index)).toEqual([6, 7]);
  expect(damage).toMatchObject({ knownLost: 0 });
});

test("a segment that is missing ends what can be kept", async () => {
  await written(6, 1);
  const files = await folder.segments();
  await rm(files[3] ?? "");
  const { stored, damage } = await salvage(folder.dir, await folder.keys());
  expect(damage).toMatchObject({ file: files[3], offset: 0 });
  expect(stored.entries.at(-1)?.index).toBeLessThan(6);
});

test("with no snapshot that verifies there is nothing to begin from", async () => {
  await written(3);
  const [name = ""] = await readdir(join(folder.path, "snapshots"));
  await flip(join(folder.path, "snapshots", name), 60);
  await expect(salvage(folder.dir, await folder.keys())).rejects.toThrow(/LOG_LOST/);
});

test("whatever byte is wrong, what is kept is a beginning of what was written", async () => {
  await written(12, 300);
  const files = await folder.segments();
  const whole = await Promise.all(files.map((file) => readFile(file)));
  const place = fc.record({
    file: fc.nat(files.length - 1),
    at: fc.nat(10_000),
    mask: fc.integer({ min: 1, max: 255 }),
  });
  await fc.assert(
    fc.asyncProperty(place, async ({ file, at, mask }) => {
      const bytes = Buffer.from(whole[file] ?? Buffer.alloc(1));
      const offset = at % bytes.length;
      bytes.writeUInt8(bytes.readUInt8(offset) ^ mask, offset);
      await writeFile(files[file] ?? "", bytes);
      const { stored } = await salvage(folder.dir, await folder.keys());
      await writeFile(files[file] ?? "", whole[file] ?? Buffer.alloc(0));
      stored.entries.forEach((found, i) => {
        expect(found).toEqual(entry(i + 2));
      });
    }),
    { numRuns: 60 },
  );
});

test("a log begun anew is the snapshot alone, and what was there is kept aside", async () => {
  await written(9);
  const [file = ""] = await folder.segments();
  await flip(file, Math.floor((await sizeOf(file)) / 2));
  expect(await beginLog(folder.dir, await folder.keys(), snapshotAt(1_000, 2))).toBe(
    join(folder.path, ASIDE),
  );
  const stored = await folder.reload();
  expect(stored.snapshot?.meta).toMatchObject({ index: 1_000, term: 2 });
  expect(stored.entries).toEqual([]);
  expect(await readdir(join(folder.path, ASIDE, "log"))).toHaveLength(1);
  expect(await readdir(join(folder.path, ASIDE, "snapshots"))).toHaveLength(1);
  const disk = await folder.open();
  await disk.load();
  await disk.persist(hard(2, 1_000), [entry(1_001, 2)]);
  await disk.close();
  expect((await folder.reload()).entries.map(({ index }) => index)).toEqual([1_001]);
});
