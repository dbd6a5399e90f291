// What a manager reads from its own disk, damaged: it loads what is good, or says what is damaged; it never
// takes a changed record for a good one.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Fault } from "../../common/fault.js";
import { seededRandom } from "../../common/random.js";
import { newUnlockKey } from "../../common/unlock-key.js";
import { loadIdentity, loadTls, saveIdentity, saveTls } from "../../manager/disk/identity-file.js";
import {
  DATA_KEY_BYTES,
  decodeKeyFile,
  encodeKeyFile,
  openKeys,
} from "../../manager/disk/key-file.js";
import { Keyring } from "../../manager/disk/keyring.js";
import { salvage } from "../../manager/disk/salvage.js";
import type { StoredLog } from "../../manager/seams.js";
import { type Entry, EntryKind, RaftSnapshot } from "../../proto/gen/raft.js";
import { logFolder } from "../fakes/log-folder.js";
import { fuzz } from "../fakes/mutations.js";

const folder = logFolder();

const textOf = (entry: Entry) => `${entry.index}.${entry.term}.${entry.kind}.${entry.data}`;
const entryAt = (index: number): Entry => ({
  term: 1 + Math.floor(index / 4),
  index,
  kind: EntryKind.NORMAL,
  data: Buffer.from(`entry ${index} `.repeat(index)),
});
const snapshot = { meta: { index: 3, term: 1, conf: { members: [] } }, data: Buffer.from("state") };

/** Three segments with entries 1 to 12, and a snapshot of the first three. */
async function writeLog(): Promise<void> {
  for (const part of [1, 5, 9]) {
    const disk = await folder.open();
    await disk.load();
    for (let index = part; index < part + 4; index++) {
      await disk.persist({ term: entryAt(index).term, vote: 1, commit: index - 1 }, [
        entryAt(index),
      ]);
      if (index === 4) await disk.saveSnapshot(snapshot, 1);
    }
    await disk.close();
  }
}

function load(): Promise<StoredLog | Fault> {
  return folder.reload().catch((error: unknown) => {
    if (error instanceof Fault) return error;
    throw error;
  });
}

/** Files of the state folder, as they were. */
async function filesIn(part: string): Promise<Map<string, Buffer>> {
  const names = await readdir(join(folder.path, part));
  const files = names.map(async (name): Promise<[string, Buffer]> => {
    const file = join(folder.path, part, name);
    return [file, await readFile(file)];
  });
  return new Map(await Promise.all(files));
}

async function putBack(files: ReadonlyMap<string, Buffer>): Promise<void> {
  await rm(join(folder.path, "log"), { recursive: true });
  await mkdir(join(folder.path, "log"));
  for (const [file, bytes] of files) await writeFile(file, bytes);
}

test("a log with a damaged segment gives entries as they were written, or LOG_DAMAGED", async () => {
  await writeLog();
  const files = await filesIn("log");
  const paths = [...files.keys()].sort();
  const seen = { cut: 0, damaged: 0 };
  await fuzz({ from: [...files.values()], count: 150 }, async (bytes, random) => {
    const victim = paths[random.below(paths.length)] ?? "";
    await writeFile(victim, bytes);
    const stored = await load();
    await putBack(files);
    if (stored instanceof Fault) {
      expect(stored.code).toBe("LOG_DAMAGED");
      seen.damaged++;
      return;
    }
    if (victim !== paths.at(-1)) expect(stored.entries.length).toBeGreaterThanOrEqual(5);
    expect(stored.entries.map(textOf)).toEqual(
      stored.entries.map((_, i) => textOf(entryAt(4 + i))),
    );
    expect(stored.hardState.commit).toBeLessThanOrEqual(11);
    expect(stored.snapshot?.data.toString()).toBe("state");
    seen.cut++;
  });
  expect(Math.min(seen.cut, seen.damaged)).toBeGreaterThan(0);
});

test("a damaged snapshot is never taken", async () => {
  await writeLog();
  const files = await filesIn("snapshots");
  const [[file = "", good = Buffer.alloc(0)] = []] = [...files];
  const logs = await filesIn("log");
  await fuzz({ from: [good], count: 60 }, async (bytes) => {
    if (bytes.equals(good)) return;
    await writeFile(file, bytes);
    const stored = await load();
    await putBack(logs);
    expect(stored).toMatchObject({ code: "LOG_DAMAGED", data: { file } });
  });
});

test("what a snapshot says inside is bounded too: bytes that decrypt and are no snapshot", async () => {
  const good = RaftSnapshot.encode(snapshot).finish();
  await fuzz({ from: [good], count: 1_000 }, (bytes) => {
    try {
      RaftSnapshot.decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
  });
});

test("with a changed data key nothing is read, and nothing but a Fault is thrown", async () => {
  await writeLog();
  const file = join(folder.path, "data-key.json");
  const good = await readFile(file);
  const key = (await folder.keys()).current;
  const logs = await filesIn("log");
  await fuzz({ from: [good], count: 60 }, async (bytes) => {
    await writeFile(file, bytes);
    const found = await folder.keys().catch((error: unknown) => error);
    if (!(found instanceof Keyring)) return expect(found).toMatchObject({ code: "KEY_DAMAGED" });
    if (found.locked || found.all.some((each) => Buffer.compare(each, key) === 0)) return;
    expect(await load()).toMatchObject({ code: "LOG_DAMAGED" });
    await putBack(logs);
  });
});

test("a changed identity is the same one still, or IDENTITY_DAMAGED", async () => {
  const identity = {
    raftId: 3,
    clusterId: "c1",
    nodeId: "n1",
    listenAddr: "0.0.0.0:2377",
    advertiseAddr: "10.0.0.1:2377",
    joinedBy: "",
  };
  await saveIdentity(folder.dir, identity);
  const file = join(folder.path, "identity.json");
  await fuzz({ from: [await readFile(file)], count: 250 }, async (bytes) => {
    // That was a file of a release that wrote no checksum, for all one can see.
    if (!bytes.includes(`"crc32c":`)) return;
    await writeFile(file, bytes);
    const found = await loadIdentity(folder.dir).catch((error: unknown) => error);
    if (found instanceof Fault) expect(found.code).toBe("IDENTITY_DAMAGED");
    else expect(found).toEqual(identity);
  });
});

test("a changed certificate file gives three texts or IDENTITY_DAMAGED", async () => {
  const text = Buffer.from("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
  const keys = await folder.keys();
  await saveTls(folder.dir, keys, { certificate: text, privateKey: text, rootCaCert: text });
  const file = join(folder.path, "tls", "tls.json");
  await fuzz({ from: [await readFile(file)], count: 150 }, async (bytes) => {
    await writeFile(file, bytes);
    const found = await loadTls(folder.dir, keys).catch((error: unknown) => error);
    if (found instanceof Error) expect(found).toMatchObject({ code: "IDENTITY_DAMAGED" });
  });
});

test("sealed keys open with their own key as they were sealed, or not at all", async () => {
  const unlockKey = newUnlockKey(seededRandom(5));
  const keys = [1, 2].map((byte) => Buffer.alloc(DATA_KEY_BYTES, byte));
  const good = encodeKeyFile({ kind: "open", unlockKey, version: 7, keys });
  await fuzz({ from: [good], count: 1_000 }, (bytes) => {
    const file = decodeKeyFile(bytes.toString("utf8"));
    if (file?.kind !== "sealed") return;
    const opened = openKeys(file, unlockKey);
    if (opened === undefined) return;
    expect(opened.version).toBe(7);
    expect(opened.keys.map((key) => Buffer.from(key))).toEqual(keys);
  });
});

test("what is salvaged of a damaged log is as it was written, and follows the snapshot", async () => {
  await writeLog();
  const files = await filesIn("log");
  const paths = [...files.keys()].sort();
  let saved = 0;
  await fuzz({ from: [...files.values()], count: 120 }, async (bytes, random) => {
    await writeFile(paths[random.below(paths.length)] ?? "", bytes);
    const { stored } = await salvage(folder.dir, await folder.keys());
    await putBack(files);
    saved += stored.entries.length;
    expect(stored.entries.map(textOf)).toEqual(
      stored.entries.map((_, i) => textOf(entryAt(4 + i))),
    );
  });
  expect(saved).toBeGreaterThan(100);
});
