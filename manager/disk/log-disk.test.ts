import { open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { entry, hard, logFolder, snapshotAt } from "../../test/fakes/log-folder.js";
import type { LogDisk, StoredLog } from "../seams.js";
import { decodeSegment } from "./segment-format.js";
import { type WriteAt, writeAll } from "./segment-writer.js";
import { decodeSnapshotFile } from "./snapshot-file.js";

const folder = logFolder();

const indexes = (stored: StoredLog) => stored.entries.map(({ index }) => index);

async function written(disk: LogDisk, count: number): Promise<void> {
  await disk.load();
  for (let i = 1; i <= count; i++) await disk.persist(hard(1, i - 1), [entry(i)]);
  await disk.close();
}

test("every truncation of the last segment loads, with all that was written before the cut", async () => {
  await written(await folder.open(), 5);
  const [segment = ""] = await folder.segments();
  const whole = await readFile(segment);
  const ends: number[] = [];
  const key = Buffer.from(
    JSON.parse(await readFile(join(folder.path, "data-key.json"), "utf8")).keys[0],
    "base64",
  );
  for (let bytes = 0; bytes <= whole.length; bytes++) {
    const content = decodeSegment(whole.subarray(0, bytes), key);
    expect(content.rest).not.toBe("damaged");
    if (content.rest === "none" && bytes > 0) ends.push(bytes);
  }
  // The header alone, then each of the five frames.
  expect(ends).toHaveLength(6);
  for (const bytes of [0, 10, ...ends, whole.length - 1]) {
    await writeFile(segment, whole.subarray(0, bytes));
    const stored = await folder.reload();
    const frames = Math.max(0, ends.filter((end) => end <= bytes).length - 1);
    expect(stored.entries).toHaveLength(frames);
    expect(stored.tornBytes).toBe(
      ends.includes(bytes) ? 0 : bytes - (ends.findLast((e) => e <= bytes) ?? 0),
    );
    expect((await folder.reload()).tornBytes).toBe(0);
  }
});

test("what is written at once is written as all else", async () => {
  const disk = await folder.open();
  await disk.load();
  for (let i = 1; i <= 6; i++) await disk.persist(hard(1, i - 1), [entry(i)], i % 2 === 0);
  await disk.close();
  const stored = await folder.reload();
  expect(indexes(stored)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(stored.hardState).toEqual(hard(1, 5));
});

test("a flipped bit before the last write refuses to load, and says where", async () => {
  await written(await folder.open(), 3);
  const [segment = ""] = await folder.segments();
  const whole = await readFile(segment);
  const { size } = await stat(segment);
  const lastFrame = whole.lastIndexOf("SKFR");
  for (let at = 0; at < lastFrame; at++) {
    const bad = Buffer.from(whole);
    bad[at] = (bad[at] ?? 0) ^ (1 << (at % 8));
    await writeFile(segment, bad);
    await expect(folder.reload()).rejects.toMatchObject({
      code: "LOG_DAMAGED",
      data: { file: segment },
    });
    expect((await stat(segment)).size).toBe(size);
  }
});

test("damage to an earlier segment refuses to load, wherever it is", async () => {
  await written(await folder.open({ segmentBytes: 1 }), 3);
  const files = await folder.segments();
  expect(files).toHaveLength(3);
  const [first = ""] = files;
  const whole = await readFile(first);
  await truncate(first, whole.length - 1);
  await expect(folder.reload()).rejects.toMatchObject({
    code: "LOG_DAMAGED",
    data: { file: first },
  });
  await rm(files[1] ?? "");
  await writeFile(first, whole);
  await expect(folder.reload()).rejects.toMatchObject({
    code: "LOG_DAMAGED",
    data: { file: files[1] },
  });
});

test("a log whose first segment is missing refuses to load: the snapshot does not reach to the next", async () => {
  for (const part of [1, 5]) {
    const disk = await folder.open();
    await disk.load();
    for (let i = part; i < part + 4; i++) await disk.persist(hard(1, i - 1), [entry(i)]);
    if (part === 1) await disk.saveSnapshot(snapshotAt(3), 1);
    await disk.close();
  }
  const [first = ""] = await folder.segments();
  await rm(first);
  await expect(folder.reload()).rejects.toMatchObject({ code: "LOG_DAMAGED" });
});

test("a log that another key wrote is refused, not cut", async () => {
  await written(await folder.open(), 1);
  const key = join(folder.path, "data-key.json");
  const text = JSON.stringify({
    format: 1,
    sealedBy: "none",
    key: Buffer.alloc(32).toString("base64"),
  });
  await writeFile(key, text);
  await expect(folder.reload()).rejects.toMatchObject({ code: "LOG_DAMAGED" });
  await rm(key);
  await expect(folder.reload()).rejects.toMatchObject({ code: "KEY_MISSING" });
  await writeFile(key, "{}");
  await expect(folder.reload()).rejects.toMatchObject({ code: "KEY_DAMAGED" });
});

test("nothing of an entry can be read from the files", async () => {
  const disk = await folder.open();
  await disk.load();
  const secret = { ...entry(1), data: Buffer.from("a very secret entry") };
  await disk.persist(hard(1), [secret]);
  await disk.saveSnapshot({ ...snapshotAt(1), data: Buffer.from("a very secret state") }, 2);
  await disk.close();
  for (const part of ["log", "snapshots"]) {
    for (const name of await readdir(join(folder.path, part))) {
      const file = join(folder.path, part, name);
      expect((await readFile(file)).includes("very secret")).toBe(false);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
  }
});

test("segments that lie before a snapshot go", async () => {
  const disk = await folder.open({ segmentBytes: 1 });
  await disk.load();
  for (let i = 1; i <= 10; i++) await disk.persist(hard(1, i - 1), [entry(i)]);
  await disk.saveSnapshot(snapshotAt(8), 9);
  await disk.persist(hard(2, 10), [entry(11, 2)]);
  await disk.close();
  expect((await folder.segments()).length).toBeLessThanOrEqual(4);
  const stored = await folder.reload();
  expect(stored.snapshot?.data.toString()).toBe("state at 8");
  expect(indexes(stored)).toEqual([9, 10, 11]);
  expect(stored.hardState).toEqual(hard(2, 10));
});

test("a snapshot that does not verify is refused, and so is a log whose snapshot is gone", async () => {
  const disk = await folder.open();
  await disk.load();
  await disk.persist(hard(1), [entry(1), entry(2)]);
  await disk.saveSnapshot(snapshotAt(2), 3);
  await disk.close();
  const [name = ""] = await readdir(join(folder.path, "snapshots"));
  const file = join(folder.path, "snapshots", name);
  const whole = await readFile(file);
  const bad = Buffer.from(whole);
  bad[60] = (bad[60] ?? 0) ^ 1;
  await writeFile(file, bad);
  await expect(folder.reload()).rejects.toMatchObject({ code: "LOG_DAMAGED", data: { file } });
  await rm(file);
  await expect(folder.reload()).rejects.toMatchObject({ code: "LOG_DAMAGED" });
});

test("a crash between a snapshot's file and its mark in the log loads", async () => {
  // What a follower that was far behind has: old entries, and a snapshot that they do not reach.
  const source = await folder.open();
  await source.load();
  await source.persist(hard(1), [entry(1), entry(2)]);
  await source.close();
  const before = await readFile((await folder.segments())[0] ?? "");
  const again = await folder.open();
  await again.load();
  await again.saveSnapshot(snapshotAt(50, 3), 51);
  await again.close();
  const files = await folder.segments();
  for (const file of files.slice(1)) await rm(file);
  await writeFile(files[0] ?? join(folder.path, "log", "0000000000000001.log"), before);
  const stored = await folder.reload();
  expect(indexes(stored)).toEqual([]);
  expect(stored.snapshot?.meta?.index).toBe(50);
});

const full: WriteAt = async (file, data, position) => {
  // As a file system does: some of it fits.
  await writeAll(file, data.subarray(0, data.length / 2), position);
  throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
};

test("a full disk is DISK_FULL, keeps what was there, and is recovered from", async () => {
  let isFull = false;
  const writeAt: WriteAt = (...call) => (isFull ? full(...call) : writeAll(...call));
  const disk = await folder.open({ writeAt });
  await disk.load();
  await disk.persist(hard(1), [entry(1)]);
  isFull = true;
  for (let i = 0; i < 3; i++) {
    await expect(disk.persist(hard(1), [entry(2)])).rejects.toMatchObject({ code: "DISK_FULL" });
  }
  expect(indexes(await (await folder.open()).load())).toEqual([1]);
  isFull = false;
  await disk.persist(hard(1), [entry(2)]);
  await disk.close();
  const stored = await folder.reload();
  expect(indexes(stored)).toEqual([1, 2]);
  expect(stored.tornBytes).toBe(0);
});

test("a disk that is full at the first write leaves no file", async () => {
  const disk = await folder.open({ writeAt: full });
  await disk.load();
  await expect(disk.persist(hard(1), [entry(1)])).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(await folder.segments()).toEqual([]);
});

test("after any other failure nothing is written any more", async () => {
  let fails = false;
  const disk = await folder.open({
    writeAt: async (...call) => {
      if (fails) throw Object.assign(new Error("i/o error"), { code: "EIO" });
      await writeAll(...call);
    },
  });
  await disk.load();
  await disk.persist(hard(1), [entry(1)]);
  fails = true;
  await expect(disk.persist(hard(1), [entry(2)])).rejects.toMatchObject({ code: "LOG_IO" });
  fails = false;
  await expect(disk.persist(hard(1), [entry(2)])).rejects.toMatchObject({ code: "LOG_IO" });
  await disk.close();
});

test("random bytes are no segment and no snapshot, and nothing is thrown", () => {
  const key = new Uint8Array(32);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const magic = Buffer.concat([Buffer.from("SKEINLOG\0\0\0\x01"), bytes]);
      for (const tried of [Buffer.from(bytes), magic]) {
        expect(decodeSegment(tried, key).frames).toEqual([]);
        expect(decodeSnapshotFile(key, tried)).toBeUndefined();
      }
    }),
  );
});

test("a file of someone else's in the log folder is left alone", async () => {
  const file = await open(join(folder.path, "log.txt"), "w");
  await file.close();
  await written(await folder.open(), 1);
  expect(indexes(await folder.reload())).toEqual([1]);
});
