import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { replaceFile } from "../../common/durable-files.js";
import { silentLogger } from "../../common/log.js";
import { entry, hard, logFolder } from "../../test/fakes/log-folder.js";
import { managerDisk } from "./identity-file.js";
import { decodeKeyFile } from "./key-file.js";
import { KEY_FILE, Keyring } from "./keyring.js";
import { openLogDisk } from "./log-disk.js";
import { openStateDir } from "./state-dir.js";

const folder = logFolder();

const OLD = Buffer.alloc(32, 1);
const NEW = Buffer.alloc(32, 2);
const NONE = new Uint8Array();
const tls = {
  certificate: Buffer.from("certificate"),
  privateKey: Buffer.from("the private key"),
  rootCaCert: Buffer.from("root"),
};

/** All that a manager starts with, read from a copy of its folder. Undefined: the key does not open it. */
async function readWith(path: string, key: Uint8Array) {
  const copy = `${path}-read`;
  await cp(path, copy, { recursive: true });
  const state = await openStateDir(copy);
  try {
    const keys = await Keyring.open(state);
    if (keys.locked && !keys.unlock(key)) return undefined;
    const identity = await managerDisk(state, keys).loadTls();
    const log = await openLogDisk({ dir: state, keys, log: silentLogger() });
    const { entries, snapshot } = await log.load();
    await log.close();
    const indexes = entries.map(({ index }) => index);
    return { tls: identity, last: indexes.at(-1) ?? snapshot?.meta?.index, keys: keys.all.length };
  } finally {
    await state.close();
    await rm(copy, { recursive: true });
  }
}

const changes = [
  { name: "autolock is turned on", from: NONE, to: NEW },
  { name: "the unlock key is rotated", from: OLD, to: NEW },
  { name: "autolock is turned off", from: OLD, to: NONE },
];
for (const { name, from, to } of changes) {
  test(`${name}: at every moment the old key opens all that is there, or the new one`, async () => {
    const moments: string[] = [];
    // What a crash would leave: before and after each file is replaced, and with half of the next one beside it.
    const look = async (half?: string) => {
      const moment = join(folder.above, `moment-${moments.length}`);
      await cp(folder.path, moment, { recursive: true });
      if (half !== undefined) await writeFile(join(moment, `${half}.tmp`), "{");
      moments.push(moment);
    };
    const replace: typeof replaceFile = async (file, data, mode) => {
      await look(KEY_FILE);
      await replaceFile(file, data, mode);
      await look();
    };
    const keys = await Keyring.open(folder.dir, { replace });
    const disk = managerDisk(folder.dir, keys);
    await keys.seal(from, 1);
    await disk.saveTls(tls);
    const log = await folder.open({ keys });
    await log.load();
    await log.persist(hard(1, 0), [entry(1)]);
    moments.length = 0;
    await keys.seal(to, 2);
    await look();
    await log.persist(hard(1, 1), [entry(2)]);
    await look();
    const snapshot = { meta: { index: 2, term: 1, conf: { members: [] } }, data: Buffer.from("2") };
    await log.saveSnapshot(snapshot, 3);
    await look();
    await log.close();

    expect(moments.length).toBeGreaterThan(5);
    for (const moment of moments) {
      const found = (await readWith(moment, from)) ?? (await readWith(moment, to));
      expect(found?.tls, moment).toEqual(tls);
      expect(found?.last, moment).toBeGreaterThan(0);
    }
    const end = moments.at(-1) ?? "";
    if (from.length > 0 && to.length > 0) expect(await readWith(end, from)).toBeUndefined();
    // What was encrypted with the old data key is gone, and that key with it.
    expect(await readWith(end, to)).toEqual({ tls, last: 2, keys: 1 });
  });
}

test("nothing is written with the old data key after a change of the unlock key", async () => {
  const keys = await folder.keys();
  const log = await folder.open({ keys });
  await log.load();
  await log.persist(hard(1, 0), [entry(1)]);
  const before = keys.current;
  await keys.seal(NEW, 1);
  expect(keys.current).not.toEqual(before);
  await log.persist(hard(1, 1), [entry(2)]);
  await log.close();
  expect((await readdir(join(folder.path, "log"))).length).toBe(2);
  expect(await readWith(folder.path, NEW)).toMatchObject({ last: 2, keys: 2 });
});

test("a wrong key opens nothing and changes nothing; nothing of the keys can be read", async () => {
  const keys = await folder.keys();
  await keys.seal(OLD, 5);
  const text = await readFile(join(folder.path, KEY_FILE), "utf8");
  expect(text).not.toContain(Buffer.from(keys.current).toString("base64"));
  expect(text).not.toContain(OLD.toString("base64"));
  const again = await folder.keys();
  expect([again.locked, again.version]).toEqual([true, 5]);
  for (const wrong of [NEW, NONE, OLD.subarray(1)]) expect(again.unlock(wrong)).toBe(false);
  await expect(again.seal(NEW, 6)).rejects.toMatchObject({ code: "KEY_LOCKED" });
  expect(again.locked).toBe(true);
  expect(await readFile(join(folder.path, KEY_FILE), "utf8")).toBe(text);
  expect(again.unlock(OLD)).toBe(true);
  expect(again.current).toEqual(keys.current);
});

test("a seal of another version than it was made with does not open", async () => {
  const keys = await folder.keys();
  await keys.seal(OLD, 5);
  const file = join(folder.path, KEY_FILE);
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace('"version":5', '"version":4'));
  expect((await folder.keys()).unlock(OLD)).toBe(false);
});

test("the keys of an earlier release are read", () => {
  const key = Buffer.alloc(32, 9);
  const text = JSON.stringify({ format: 1, sealedBy: "none", key: key.toString("base64") });
  expect(decodeKeyFile(text)).toMatchObject({ kind: "open", version: 0, keys: [key] });
});

test("whatever stands in the file, it is keys or it is not, and nothing is thrown", () => {
  fc.assert(
    fc.property(
      fc.record({
        format: fc.constantFrom(1, 2, 3),
        sealedBy: fc.constantFrom("none", "unlock-key", "x"),
        version: fc.oneof(fc.integer(), fc.string()),
        keys: fc.oneof(fc.string(), fc.array(fc.oneof(fc.string(), fc.integer()))),
        salt: fc.string(),
      }),
      (fields) => {
        const found = decodeKeyFile(JSON.stringify(fields));
        if (found?.kind === "open") expect(found.keys.every((key) => key.length === 32)).toBe(true);
      },
    ),
  );
  for (const text of ["", "{", "[]", "null", "{}"]) expect(decodeKeyFile(text)).toBeUndefined();
});
