import fc from "fast-check";
import { expect, test } from "vitest";
import { sumOf, viewOf } from "./internet-checksum.js";
import { summedMemory } from "./vector-sum.js";

const BYTES = 70_000;
const memory = summedMemory(BYTES);
const bytes = new Uint8Array(memory?.buffer ?? new ArrayBuffer(BYTES));

// Where there are no such instructions, the other sum is all there is.
test.skipIf(memory === undefined)(
  "is what the readable sum gives, of any bytes, from any place to any place",
  () => {
    const anywhere = fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.nat(300), fc.nat(200));
    fc.assert(
      fc.property(anywhere, ([some, from, length]) => {
        bytes.fill(0xa5, 0, 600).set(some, from);
        expect(memory?.sum(from, from + length)).toBe(sumOf(viewOf(bytes), from, from + length));
      }),
    );
  },
);

test.skipIf(memory === undefined)("64 KiB of ones do not overflow it", () => {
  bytes.fill(0xff);
  for (const from of [0, 1, 2, 15])
    expect(memory?.sum(from, from + 65_535)).toBe(sumOf(viewOf(bytes), from, from + 65_535));
});
