import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { replaceFile } from "../../common/durable-files.js";
import { Fault } from "../../common/fault.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { decodeJournal, encodeJournal, journalAt } from "./journal.js";
import { nodeDiskAt, parseNodeRecord } from "./node-file.js";
import { openStateFolder } from "./state-folder.js";
import { explain } from "./state-problem.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skein-disk-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("expected a Fault");
}

test("replacing leaves one file, mode 0600, with the new content", async () => {
  const path = join(folder, "a");
  await replaceFile(path, Buffer.from("one"));
  await replaceFile(path, Buffer.from("two"));
  expect(await readFile(path, "utf8")).toBe("two");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["a"]);
});

test("a state folder is made, marked, and opens again after it was released", async () => {
  const path = join(folder, "state");
  (await openStateFolder(path)).release();
  expect(await readFile(join(path, "format"), "utf8")).toBe("skein-agent 1\n");
  (await openStateFolder(path)).release();
});

test("a second agent on the same folder is refused", async () => {
  const first = await openStateFolder(join(folder, "s"));
  const fault = await faultOf(openStateFolder(join(folder, "s")));
  expect(explain(fault)).toMatch(/another skein-agent is using/);
  first.release();
});

test.each([
  ["another version", "format", "skein-agent 7\n", /another release \(format 7/],
  ["a damaged mark", "format", "skei", /format is damaged/],
  ["somebody else's files", "photo.jpg", "x", /not a Skein state folder \(it holds photo.jpg/],
])("a folder with %s is refused and not touched", async (_name, file, content, sentence) => {
  await writeFile(join(folder, file), content);
  const fault = await faultOf(openStateFolder(folder));
  expect(explain(fault)).toMatch(sentence);
  expect(await readdir(folder)).toEqual([file]);
  expect(await readFile(join(folder, file), "utf8")).toBe(content);
});

const assignments: Assignments = {
  ...Assignments.fromPartial({ full: true, revision: 42, removedNetworks: ["n"] }),
};

test("a journal comes back as it was saved, and is gone after clear", async () => {
  const journal = journalAt(join(folder, "journal"));
  expect(await journal.load()).toBeUndefined();
  await journal.save(assignments);
  expect(await journal.load()).toEqual(assignments);
  await journal.clear();
  expect(await journal.load()).toBeUndefined();
});

test("a journal cut at any byte, or with any byte changed, is told from a whole one", () => {
  const whole = Buffer.from(encodeJournal(assignments));
  for (let length = 0; length < whole.length; length++) {
    expect(typeof decodeJournal(whole.subarray(0, length))).toBe("string");
  }
  for (let at = 0; at < whole.length; at++) {
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(flipped.readUInt8(at) ^ 0x40, at);
    expect(typeof decodeJournal(flipped)).toBe("string");
  }
});

test("a damaged journal is a Fault that says what to do, and stays", async () => {
  await writeFile(join(folder, "journal"), "rubbish");
  const fault = await faultOf(journalAt(join(folder, "journal")).load());
  expect(explain(fault)).toMatch(/move this one file away/);
  expect(await readFile(join(folder, "journal"), "utf8")).toBe("rubbish");
});

const record = {
  nodeId: "n1",
  clusterId: "c1",
  role: "worker",
  listenAddr: "0.0.0.0:2377",
  advertiseAddr: "192.0.2.1:2377",
  dataPathAddr: "192.0.2.1",
  dataPathPort: 4789,
  managers: [{ nodeId: "n2", addr: "192.0.2.2:2377" }],
} as const;

test("node.json comes back as it was saved", async () => {
  const disk = nodeDiskAt(folder);
  await disk.save(record);
  expect(await disk.load()).toEqual(record);
});

test.each([
  ["cut", JSON.stringify(record).slice(0, 50)],
  ["of another shape", "[]"],
  ["with a field too many", JSON.stringify({ ...record, future: "x" })],
  ["with an unknown role", JSON.stringify({ ...record, role: "king" })],
  ["with a bad address list", JSON.stringify({ ...record, managers: ["x"] })],
])("a node.json %s is damaged", (_name, text) => {
  expect(parseNodeRecord(text)).toBeUndefined();
});
