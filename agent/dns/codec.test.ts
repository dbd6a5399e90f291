import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { question, see } from "../../test/fakes/dns-messages.js";
import { readQuery } from "./query.js";
import { addressRr, reply, replyWrong } from "./reply.js";
import { nameBytes, nameKey, nameText } from "./wire.js";

const queryOf = (bytes: Buffer) => {
  const read = readQuery(bytes);
  if (read.kind !== "query") throw new Error(read.kind);
  return read.query;
};
const records = (count: number) =>
  Array.from({ length: count }, (_, i) => addressRr(Uint8Array.of(10, 0, i >> 8, i & 255)));

test("an answer repeats id and question letter by letter, and offers recursion", () => {
  const seen = see(reply(queryOf(question("wEb.Front", "A", { id: 513 })), 0, records(1), "udp"));
  expect(seen).toEqual({
    id: 513,
    code: "NOERROR",
    flags: ["RD", "RA", "QR"],
    question: "wEb.Front A",
    answers: ["A 10.0.0.0"],
    ttls: [1],
    edns: undefined,
  });
});

const sizes = [
  { name: "512 bytes without EDNS", edns: 0, udp: true, want: [30, true] },
  { name: "what the client takes with it", edns: 1232, udp: true, want: [74, true] },
  { name: "but no more than 4,096", edns: 65_000, udp: true, want: [253, true] },
  { name: "and never less than 512", edns: 1, udp: true, want: [29, true] },
  { name: "all of it over TCP", edns: 0, udp: false, want: [300, false] },
] as const;
describe("300 addresses are cut to", () => {
  for (const { name, edns, udp, want } of sizes) {
    test(name, () => {
      const query = queryOf(question("tasks.web", "A", { edns }));
      const bytes = reply(query, 0, records(300), udp ? "udp" : "tcp", 5);
      const seen = see(bytes);
      expect([seen.answers.length, seen.flags.includes("TC")]).toEqual(want);
      expect(seen.edns).toBe(edns === 0 ? undefined : 1232);
    });
  }
});

test("the order of the answers is the argument's, and each comes first equally often", () => {
  const query = queryOf(question("tasks.web"));
  const first = (order: number) => see(reply(query, 0, records(5), "udp", order)).answers[0] ?? "";
  expect(first(99)).toBe(first(99));
  const counts = new Map<string, number>();
  for (let i = 0; i < 5000; i++) {
    const who = first(Math.imul(i + 1, 0x9e3779b9));
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  const chiSquared = [...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
  // Four degrees of freedom, one in a thousand.
  expect([counts.size, chiSquared < 18.47]).toEqual([5, true]);
});

const mangled = (change: (bytes: Buffer) => void, base = question("web", "A", { edns: 1232 })) => {
  change(base);
  const read = readQuery(base);
  if (read.kind !== "wrong") return read.kind;
  return see(replyWrong(base, read.code, read.questionEnd)).code;
};
const wrongs: readonly (readonly [string, string, (bytes: Buffer) => void])[] = [
  ["an answer", "drop", (b) => b.writeUInt16BE(0x8100, 2)],
  ["another opcode", "NOTIMP", (b) => b.writeUInt16BE(0x2800, 2)],
  ["no question", "FORMERR", (b) => b.writeUInt16BE(0, 4)],
  ["two questions", "FORMERR", (b) => b.writeUInt16BE(2, 4)],
  ["a question with answers", "FORMERR", (b) => b.writeUInt16BE(1, 6)],
  ["a compressed name", "FORMERR", (b) => b.writeUInt16BE(0xc00c, 12)],
  ["a label of a kind that is not known", "FORMERR", (b) => b.writeUInt8(0x83, 12)],
  ["another class", "NOTIMP", (b) => b.writeUInt16BE(3, 19)],
  ["a zone transfer", "NOTIMP", (b) => b.writeUInt16BE(252, 17)],
  ["two OPT records", "FORMERR", (b) => b.writeUInt16BE(2, 10)],
  ["an OPT that is longer than the message", "FORMERR", (b) => b.writeUInt16BE(9, 30)],
  ["EDNS 1", "code 16", (b) => b.writeUInt8(1, 27)],
];
describe("refused is", () => {
  for (const [name, want, change] of wrongs) {
    test(name, () => expect(mangled(change)).toBe(want));
  }
});

test("a question cut off at any byte is dropped or refused, never read", () => {
  const whole = question("web.front", "AAAA", { edns: 1232 });
  for (let length = 0; length < whole.length; length++) {
    expect(readQuery(whole.subarray(0, length)).kind).toBe(length < 12 ? "drop" : "wrong");
  }
});

test("whatever comes is read, refused or dropped, and the refusal can be read", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc
      .tuple(
        fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 }),
        fc.boolean(),
        fc.nat(60),
      )
      .map(([changes, cut, length]) => {
        const base = question("web.front", "A", { edns: 1232 });
        for (const [at, value] of changes) if (at < base.length) base[at] = value;
        return cut ? base.subarray(0, length) : base;
      }),
  );
  fc.assert(
    fc.property(bytes, (raw) => {
      const given = Buffer.from(raw);
      const read = readQuery(given);
      if (read.kind === "drop") return;
      const out =
        read.kind === "wrong"
          ? replyWrong(given, read.code, read.questionEnd)
          : reply(read.query, 0, records(3), "udp", 1);
      const seen = see(out);
      expect(seen.id).toBe(given.readUInt16BE(0));
      expect(seen.flags).toContain("QR");
    }),
    { numRuns: 2000 },
  );
});

test("a message of 64 KiB of labels costs no more than its first name", () => {
  const bytes = Buffer.alloc(65_535, 1);
  bytes.writeUInt16BE(0, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.fill(0, 6, 12);
  expect(readQuery(bytes)).toEqual({ kind: "wrong", code: 1, questionEnd: 12 });
});

const names = [
  ["web", "\x03web\0"],
  ["Web.1.AbC", "\x03web\x011\x03abc\0"],
  ["", undefined],
  ["a..b", undefined],
  [`${"a".repeat(64)}`, undefined],
  [Array(64).fill("abc").join("."), undefined],
  ["ä", undefined],
] as const;
test.each(names)("the key of %j", (name, key) => {
  expect(nameKey(name)).toBe(key);
  expect(nameBytes(name)?.toString("latin1").toLowerCase()).toBe(key);
  if (key !== undefined) expect(nameText(key)).toBe(name.toLowerCase());
});
