import fc from "fast-check";
import { expect, test } from "vitest";
import { BITS_MAX, SparseBits } from "./sparse-bits.js";

const step = fc.record({
  kind: fc.constantFrom("add", "delete", "gap" as const),
  // Few enough values to fill chunks, and some at their edges.
  n: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 200, max: 560 })),
  span: fc.integer({ min: 0, max: 600 }),
});

test("it answers as a plain set that is searched one by one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 300 }))),
      fc.array(step, { maxLength: 200, size: "max" }),
      (filled, steps) => {
        const bits = new SparseBits();
        const twin = new Set<number>();
        for (const [from, count] of filled) {
          for (let n = from; n < from + count; n++) {
            bits.add(n);
            twin.add(n);
          }
        }
        for (const { kind, n, span } of steps) {
          if (kind === "add") {
            bits.add(n);
            twin.add(n);
          } else if (kind === "delete") {
            bits.delete(n);
            twin.delete(n);
          } else {
            let want: number | undefined = n;
            while (twin.has(want)) want++;
            if (want > n + span) want = undefined;
            expect(bits.lowestGap(n, n + span)).toBe(want);
          }
          expect(bits.has(n)).toBe(twin.has(n));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("the whole range of 2^24 can be full, and one gap in it is found", () => {
  const bits = new SparseBits();
  for (let n = 0; n < BITS_MAX; n++) bits.add(n);
  expect(bits.lowestGap(0, BITS_MAX - 1)).toBeUndefined();
  bits.delete(BITS_MAX - 7);
  expect(bits.lowestGap(0, BITS_MAX)).toBe(BITS_MAX - 7);
});
