// What the agent takes for a network namespace, on real files of all kinds.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lookAtNamespace } from "../../agent/runtime/namespace-file.js";

let folder = "";
const mounted: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "skein-ns-"));
  for (const kind of ["net", "uts"]) {
    const path = join(folder, kind);
    writeFileSync(path, "");
    execFileSync("unshare", [`--${kind}=${path}`, "true"]);
    mounted.push(path);
  }
  writeFileSync(join(folder, "text"), "net");
  execFileSync("mkfifo", [join(folder, "pipe")]);
});

afterAll(() => {
  for (const path of mounted) execFileSync("umount", ["-l", path]);
  rmSync(folder, { recursive: true, force: true });
});

test("a network namespace is one, and is not the agent's own", () => {
  expect(lookAtNamespace(join(folder, "net"))).toMatchObject({ kind: "namespace", isOwn: false });
});

test("the agent's own is known by any of its names", () => {
  for (const path of ["/proc/self/ns/net", `/proc/${process.pid}/ns/net`]) {
    expect(lookAtNamespace(path)).toMatchObject({ kind: "namespace", isOwn: true });
  }
});

test.each([
  { name: "uts", want: { kind: "other", why: "it is a namespace of another kind" } },
  { name: "text", want: { kind: "other", why: "it is an ordinary file" } },
  { name: "pipe", want: { kind: "other", why: "it is not a plain file" } },
  { name: "", want: { kind: "other", why: "it is not a plain file" } },
  { name: "nothing", want: { kind: "missing" } },
  { name: "text/under", want: { kind: "missing" } },
])("$name is none", ({ name, want }) => {
  expect(lookAtNamespace(join(folder, name))).toEqual(want);
});
