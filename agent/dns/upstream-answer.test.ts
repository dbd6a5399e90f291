import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { question, see } from "../../test/fakes/dns-messages.js";
import { AnswerCache } from "./answer-cache.js";
import { readQuery } from "./query.js";
import { hear, outgoing, passOn, questionKey } from "./upstream-answer.js";
import { serversIn, upstreamsOf } from "./upstreams.js";

const queryOf = (bytes: Buffer) => {
  const read = readQuery(bytes);
  if (read.kind !== "query") throw new Error(read.kind);
  return read.query;
};
const asked = queryOf(question("Example.com", "A", { edns: 1232 }));
const sent = outgoing(asked, 0x1234);

const address = (ttl: number) =>
  Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, ttl >> 8, ttl & 255, 0, 4, 192, 0, 2, 1]);
const soa = (ttl: number, minimum: number) => {
  const data = Buffer.alloc(22);
  data.writeUInt32BE(minimum, 18);
  const head = Buffer.from([0xc0, 12, 0, 6, 0, 1, 0, 0, ttl >> 8, ttl & 255, 0, data.length]);
  return Buffer.concat([head, data]);
};
function heardAs(
  answers: Buffer[],
  authorities: Buffer[] = [],
  code = 0,
  change = (_: Buffer) => {},
) {
  const end = queryOf(question("Example.com")).questionEnd;
  const head = Buffer.from(sent.subarray(0, end));
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(answers.length, 6);
  head.writeUInt16BE(authorities.length, 8);
  head.writeUInt16BE(0, 10);
  const bytes = Buffer.concat([head, ...answers, ...authorities]);
  change(bytes);
  return bytes;
}

test("what goes out is the question under our id, asking for recursion", () => {
  expect(see(sent)).toMatchObject({
    id: 0x1234,
    question: "Example.com A",
    edns: 1232,
    flags: ["RD"],
  });
});

test("DNSSEC's wishes and EDNS make another question, the case of letters does not", () => {
  const keys = [
    question("example.com", "A", { edns: 1232 }),
    question("EXAMPLE.com", "A", { edns: 4096 }),
    question("example.com", "A"),
    question("example.com", "A", { flags: 0x0110 }),
    question("example.com", "AAAA"),
  ].map((bytes) => questionKey(queryOf(bytes)));
  expect(keys[0]).toBe(keys[1]);
  expect(new Set(keys).size).toBe(4);
});

const cases: readonly (readonly [string, Buffer, object | undefined])[] = [
  [
    "an address is kept for its TTL",
    heardAs([address(300), address(60)]),
    { code: 0, ttlSeconds: 60 },
  ],
  [
    "no such name: the lesser of SOA's numbers",
    heardAs([], [soa(900, 30)], 3),
    { code: 3, ttlSeconds: 30 },
  ],
  ["no such record: likewise", heardAs([], [soa(20, 30)]), { ttlSeconds: 20 }],
  ["no such name without SOA is not kept", heardAs([], [], 3), { code: 3, ttlSeconds: 0 }],
  ["a failure is not kept", heardAs([], [], 2), { code: 2, ttlSeconds: 0 }],
  [
    "a TTL with the highest bit is 0",
    heardAs([Buffer.from(address(1)).fill(0xff, 6, 10)]),
    { ttlSeconds: 0 },
  ],
  [
    "cut off",
    heardAs([address(1)], [], 0, (b) => b.writeUInt16BE(0x8380, 2)),
    { isTruncated: true, ttlSeconds: 0 },
  ],
  ["another id", heardAs([address(1)], [], 0, (b) => b.writeUInt16BE(1, 0)), undefined],
  ["a question", heardAs([address(1)], [], 0, (b) => b.writeUInt16BE(0x0100, 2)), undefined],
  ["another name", heardAs([address(1)], [], 0, (b) => b.write("Q", 14)), undefined],
  ["another type", heardAs([address(1)], [], 0, (b) => b.writeUInt8(28, 26)), undefined],
  ["another class", heardAs([address(1)], [], 0, (b) => b.writeUInt8(3, 28)), undefined],
  [
    "the name in other letters",
    heardAs([address(9)], [], 0, (b) => b.write("eXAMPLE", 13)),
    { ttlSeconds: 9 },
  ],
  [
    "more records than there are",
    heardAs([address(1)], [], 0, (b) => b.writeUInt16BE(65_535, 6)),
    undefined,
  ],
  [
    "data beyond the end",
    heardAs([address(1)], [], 0, (b) => b.writeUInt16BE(5, b.length - 6)),
    undefined,
  ],
];
describe("of what is heard", () => {
  for (const [name, bytes, want] of cases) {
    test(name, () => {
      const heard = hear(sent, bytes);
      if (want === undefined) expect(heard).toBeUndefined();
      else expect(heard).toMatchObject(want);
    });
  }
});

test("whatever comes back is believed or not, in bounded time, and never throws", () => {
  const whole = heardAs([address(300), address(60)], [soa(900, 30)]);
  const changed = fc
    .tuple(fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 6 }), fc.nat(90))
    .map(([changes, length]) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) if (at > 28 && at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, Math.max(length, 40));
    });
  fc.assert(
    fc.property(changed, (bytes) => {
      const heard = hear(sent, bytes);
      if (heard !== undefined)
        see(passOn(asked, heard, 10, "udp").subarray(0, asked.questionEnd).fill(0, 6, 12));
    }),
    { numRuns: 2000 },
  );
  // Every record's name is a pointer to itself: it is not followed.
  const loops = Buffer.alloc(65_535);
  whole.copy(loops, 0, 0, 29);
  loops.writeUInt16BE(65_535, 6);
  for (let at = 29; at + 12 <= loops.length; at += 12)
    loops.writeUInt16BE(0xc000 | (at & 0x3fff), at);
  expect(hear(sent, loops)).toBeUndefined();
});

test("an answer from the cache has the asker's id and letters, and is as much younger as it is old", () => {
  const heard = hear(sent, heardAs([address(300)]));
  if (heard === undefined) throw new Error("not heard");
  const again = queryOf(question("eXaMpLe.com", "A", { id: 77, edns: 1232 }));
  expect(see(passOn(again, heard, 100, "udp"))).toMatchObject({
    id: 77,
    question: "eXaMpLe.com A",
    answers: ["A 192.0.2.1"],
    ttls: [200],
  });
});

test("one that is too long for the asker's UDP is cut to nothing and says so", () => {
  const many = hear(sent, heardAs(Array.from({ length: 60 }, () => address(300))));
  if (many === undefined) throw new Error("not heard");
  const plain = queryOf(question("Example.com"));
  expect(see(passOn(plain, many, 0, "udp"))).toMatchObject({
    answers: [],
    flags: ["TC", "RD", "RA", "QR"],
  });
  expect(see(passOn(plain, many, 0, "tcp")).answers).toHaveLength(60);
});

test("the cache keeps an answer for its time, and no more answers than it may", () => {
  const heard = hear(sent, heardAs([address(60)]));
  if (heard === undefined) throw new Error("not heard");
  const cache = new AnswerCache();
  cache.put("x", heard, 1000);
  expect(cache.get("x", 60_999)?.ageSeconds).toBe(59);
  expect(cache.get("x", 61_000)).toBeUndefined();
  for (let i = 0; i < 5000; i++) cache.put(`${i}`, heard, 1000);
  expect([cache.get("0", 1000), cache.get("903", 1000)]).toEqual([undefined, undefined]);
  expect(cache.get("4999", 1000)).toBeDefined();
});

test("the machine's resolvers", () => {
  const text =
    "# nameserver 1.1.1.1\nsearch x\nnameserver 192.0.2.1 # a\nnameserver nonsense\nnameserver fe80::1%eth0\n";
  expect(serversIn(text)).toEqual(["192.0.2.1", "fe80::1%eth0"]);
  expect(serversIn("nameserver 192.0.2.1\n".repeat(5))).toHaveLength(3);
  const stub = "nameserver 127.0.0.53\noptions edns0\n";
  expect(upstreamsOf(stub, "nameserver 192.0.2.7\n")).toEqual(["192.0.2.7"]);
  expect(upstreamsOf(stub, undefined)).toEqual(["127.0.0.53"]);
  expect(upstreamsOf("nameserver 127.0.0.1\n", "nameserver 192.0.2.7\n")).toEqual(["127.0.0.1"]);
});
