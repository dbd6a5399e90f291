import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";
import { afterEach, beforeEach, test } from "vitest";
import { packTree, unpackTree } from "./tree.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skein-cp-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("what was packed comes out the same, under its new name", async () => {
  const from = join(folder, "from");
  await mkdir(join(from, "inner"), { recursive: true });
  await writeFile(join(from, "inner/file"), "hello", { mode: 0o640 });
  await symlink("inner/file", join(from, "link"));
  const to = join(folder, "to");
  await mkdir(to);
  const bytes = await unpackTree(packTree(from, "from"), to, "new");
  assert.equal(bytes, 5);
  assert.equal(await readFile(join(to, "new/inner/file"), "utf8"), "hello");
  assert.equal((await stat(join(to, "new/inner/file"))).mode & 0o777, 0o640);
  assert.equal(await readlink(join(to, "new/link")), "inner/file");
});

test("a file that nobody may read stays one", async () => {
  const from = join(folder, "from");
  await writeFile(from, "hello", { mode: 0 });
  const to = join(folder, "to");
  await mkdir(to);
  await unpackTree(packTree(from, "from"), to, undefined);
  assert.equal((await stat(join(to, "from"))).mode & 0o777, 0);
});

const escapes = [
  { name: "a name with dots", entries: [{ name: "../out", data: "x" }] },
  {
    name: "a link that the archive made",
    entries: [
      { name: "top/link", linkname: "../../outside" },
      { name: "top/link/file", data: "x" },
    ],
  },
];
for (const { name, entries } of escapes) {
  test(`${name} leads nowhere outside`, async () => {
    const outside = join(folder, "outside");
    const to = join(folder, "to");
    await Promise.all([mkdir(outside), mkdir(join(to, "top"), { recursive: true })]);
    const archive = pack();
    for (const { data, ...header } of entries as { name: string; data?: string }[]) {
      if (data === undefined) archive.entry({ ...header, type: "symlink" });
      else archive.entry(header, data);
    }
    archive.finalize();
    await unpackTree(archive, to, undefined).catch(() => undefined);
    await assert.rejects(stat(join(folder, "out")));
    await assert.rejects(stat(join(outside, "file")));
  });
}
