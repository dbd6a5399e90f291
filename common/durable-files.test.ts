import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { replaceFile } from "./durable-files.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skein-durable-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a file is replaced whole, and nothing is left beside it", async () => {
  const path = join(folder, "file");
  await writeFile(path, "old");
  await replaceFile(path, Buffer.from("new"));
  expect(await readdir(folder)).toEqual(["file"]);
});

test("what cannot be put in its place leaves nothing either", async () => {
  await expect(replaceFile(folder, Buffer.from("new"))).rejects.toMatchObject({
    code: "FILE_WRITE",
  });
  const beside = await readdir(tmpdir());
  expect(beside).not.toContain(`${folder.split("/").at(-1)}.tmp`);
});
