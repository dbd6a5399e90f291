import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { bytesBelow, layersOf, readMerged } from "./rootfs.js";

const folder = mkdtempSync(join(tmpdir(), "skein-layers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
/** Layers, uppermost first: paths with text, or with "-> target". */
function layers(...all: Readonly<Record<string, string>>[]): string[] {
  return all.map((entries) => {
    const root = join(folder, String(++count));
    mkdirSync(root);
    for (const [path, text] of Object.entries(entries)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      if (text.startsWith("-> ")) symlinkSync(text.slice(3), join(root, path));
      else writeFileSync(join(root, path), text);
    }
    return root;
  });
}

test.each([
  ["the upper file hides the lower one", [{ "etc/passwd": "up" }, { "etc/passwd": "low" }], "up"],
  ["folders are merged", [{ "etc/group": "g" }, { "etc/passwd": "low" }], "low"],
  ["a link goes on in all layers", [{ "etc/passwd": "-> /nix/p" }, { "nix/p": "far" }], "far"],
  ["a relative link", [{ "etc/passwd": "-> ../x/../nix/p", "x/y": "" }, { "nix/p": "far" }], "far"],
  ["more .. than folders stay inside", [{ "etc/passwd": "-> ../../../../a" }, { a: "in" }], "in"],
  [
    "an upper link hides a lower folder",
    [{ etc: "-> /e2", "e2/passwd": "e2" }, { "etc/passwd": "low" }],
    "e2",
  ],
  ["a file hides a lower folder", [{ etc: "no folder" }, { "etc/passwd": "low" }], ""],
  ["a link to itself", [{ "etc/passwd": "-> /etc/passwd" }], ""],
  ["a link to the machine's own file", [{ "etc/passwd": "-> /proc/self/status" }], ""],
  ["none", [{ a: "" }], ""],
])("%s", (_name, entries, want) => {
  expect(readMerged(layers(...(entries as Record<string, string>[])), "/etc/passwd")).toBe(want);
});

test("the layers of a snapshot's mounts, uppermost first", () => {
  const overlay = { type: "overlay", source: "overlay", target: "" };
  expect(
    layersOf([{ ...overlay, options: ["workdir=/w", "upperdir=/u", "lowerdir=/b:/a"] }]),
  ).toEqual(["/u", "/b", "/a"]);
  expect(layersOf([{ type: "bind", source: "/s", target: "", options: ["rbind"] }])).toEqual([
    "/s",
  ]);
});

test("what was written counts as long as it is, a file of two names once, what is pointed at never", async () => {
  const [root = ""] = layers({ "a/b": "12345", c: "123", out: "-> /" });
  linkSync(join(root, "c"), join(root, "a/d"));
  expect(await bytesBelow(root)).toBe(5 + 3 + "/".length);
  expect(await bytesBelow(join(root, "gone"))).toBe(0);
});
