// A backup reads back as it was made, with its key alone; anything else is one clear sentence.
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { StoreSnapshot, SwarmBackup } from "../proto/gen/store.js";
import { Cluster } from "../proto/gen/types.js";
import { decodeBackup, encodeBackup, newBackupKey } from "./backup-file.js";
import { isRefusal } from "./fault.js";

const backup = SwarmBackup.fromPartial({
  clusterId: "c1",
  nodeId: "n1",
  madeAtMs: 1_790_000_000_000,
  index: 17,
  term: 3,
  version: "0.0.1",
  store: StoreSnapshot.fromPartial({
    format: 1,
    version: 17,
    objects: [{ object: { $case: "cluster", value: Cluster.fromPartial({ id: "c1" }) } }],
  }),
});
const key = newBackupKey(randomBytes);
const file = encodeBackup(key, randomBytes(32), backup);
const why = (text: string, bytes: Buffer) => {
  const answer = decodeBackup(text, bytes);
  return isRefusal(answer) ? answer.message : "";
};

test("it reads back with its key, which a person may paste with spaces around it", () => {
  expect(decodeBackup(` ${key}\n`, file)).toEqual(backup);
});

test("nothing of it can be read in the file", () => {
  const secret = Buffer.from("c1");
  expect(file.subarray(100).includes(secret)).toBe(false);
  expect(key).toMatch(/^SKBKEY-1-[A-Za-z0-9_-]{47}$/);
});

const typed = key.slice(0, -10) + (key.at(-10) === "A" ? "B" : "A") + key.slice(-9);
const cases = [
  {
    name: "another backup's key",
    key: newBackupKey(randomBytes),
    bytes: file,
    want: /another backup/,
  },
  { name: "a key that was typed wrong", key: typed, bytes: file, want: /no backup key/ },
  { name: "no key", key: "", bytes: file, want: /no backup key/ },
  { name: "another file", key, bytes: Buffer.from("PK something"), want: /no backup of a swarm/ },
  {
    name: "one byte more",
    key,
    bytes: Buffer.concat([file, Buffer.alloc(1)]),
    want: /changed or damaged/,
  },
];
for (const each of cases) {
  test(`${each.name}: says so`, () => expect(why(each.key, each.bytes)).toMatch(each.want));
}

test("every file that is shorter is refused", () => {
  for (let bytes = 0; bytes < file.length; bytes++) {
    expect(why(key, file.subarray(0, bytes))).toMatch(/cut off|no backup of a swarm/);
  }
});

test("every changed bit is refused", () => {
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const changed = Buffer.from(file);
      changed.writeUInt8(changed.readUInt8(at) ^ mask, at);
      expect(why(key, changed)).not.toBe("");
    }),
    { numRuns: 300 },
  );
});
