import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadIdentity, loadTls, saveIdentity, saveTls } from "./identity-file.js";
import { Keyring } from "./keyring.js";
import { openStateDir } from "./state-dir.js";

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "skein-state-"));
});
afterEach(() => rm(path, { recursive: true }));

test("one at a time may use a folder", async () => {
  const first = await openStateDir(path);
  await expect(openStateDir(path)).rejects.toMatchObject({ code: "STATE_LOCKED" });
  await first.close();
  await (await openStateDir(path)).close();
});

const versions = [
  { name: "a later format", text: "format 2\n", found: "2" },
  { name: "an empty version file", text: "", found: "unreadable" },
  { name: "something else", text: "format one", found: "unreadable" },
];
for (const { name, text, found } of versions) {
  test(`${name} is refused, and nothing is touched`, async () => {
    await writeFile(join(path, "version"), text);
    await expect(openStateDir(path)).rejects.toMatchObject({
      code: "STATE_VERSION",
      data: { found, expected: 1 },
    });
    expect((await readdir(path)).sort()).toEqual(["lock", "version"]);
    expect(await readFile(join(path, "version"), "utf8")).toBe(text);
  });
}

test("a folder with files in it but no version is not taken over", async () => {
  await writeFile(join(path, "raft.db"), "of something else");
  await expect(openStateDir(path)).rejects.toMatchObject({ code: "STATE_VERSION" });
});

const identity = {
  raftId: 7,
  clusterId: "c",
  nodeId: "n",
  listenAddr: "0.0.0.0:2377",
  advertiseAddr: "192.168.33.10:2377",
  joinedBy: "",
};
const tls = {
  certificate: Buffer.from("certificate"),
  privateKey: Buffer.from("PRIVATE"),
  rootCaCert: Buffer.from("root"),
};

test("identity and certificate come back as they were saved, and are nobody else's to read", async () => {
  const dir = await openStateDir(path);
  const keys = await Keyring.open(dir);
  expect(await loadIdentity(dir)).toBeUndefined();
  expect(await loadTls(dir, keys)).toBeUndefined();
  await saveIdentity(dir, identity);
  await saveTls(dir, keys, tls);
  expect(await loadIdentity(dir)).toEqual(identity);
  expect(await loadTls(dir, keys)).toEqual(tls);
  const file = join(path, "tls", "tls.json");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readFile(file, "utf8")).not.toContain("PRIVATE");
  await dir.erase();
  expect(await loadIdentity(dir)).toBeUndefined();
  expect((await readdir(path)).sort()).toEqual(["lock", "version"]);
  await dir.close();
});

const damages = [
  "",
  "{",
  "[]",
  "null",
  '{"raftId": 0}',
  JSON.stringify({ ...identity, raftId: "7" }),
];
for (const text of damages) {
  test(`an identity of ${JSON.stringify(text)} is damaged`, async () => {
    const dir = await openStateDir(path);
    await writeFile(join(path, "identity.json"), text);
    await chmod(join(path, "identity.json"), 0o600);
    await expect(loadIdentity(dir)).rejects.toMatchObject({ code: "IDENTITY_DAMAGED" });
    await dir.close();
  });
}
