import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import { indentJson } from "./indent.js";
import { align, LIST_SHAPE } from "./table.js";
import { bytesSize, ellipsis, humanDuration, naturally } from "./units.js";

describe("a table", () => {
  test("has columns of at least ten, three apart", () => {
    assert.equal(
      align("A\tB\nlonger than ten\tx\n", LIST_SHAPE),
      "A                 B\nlonger than ten   x\n",
    );
  });
  test("counts characters, not bytes", () => {
    assert.equal(align("a…\tb\n", LIST_SHAPE), "a…        b\n");
  });
  test("lets lines with fewer cells end a column", () => {
    assert.equal(
      align("wide-wide-wide\tx\n\nab\ty\n", LIST_SHAPE),
      "wide-wide-wide   x\n\nab        y\n",
    );
  });
});

const sizes: readonly (readonly [number, string])[] = [
  [0, "0B"],
  [1023, "1023B"],
  [1024, "1KiB"],
  [25276502016, "23.54GiB"],
];
for (const [bytes, want] of sizes) {
  test(`${bytes} bytes are ${want}`, () => assert.equal(bytesSize(bytes), want));
}

const ages: readonly (readonly [number, string])[] = [
  [0.5, "Less than a second"],
  [1, "1 second"],
  [59, "59 seconds"],
  [60, "About a minute"],
  [120, "2 minutes"],
  [3600, "About an hour"],
  [2 * 3600, "2 hours"],
  [3 * 86400, "3 days"],
  [30 * 86400, "4 weeks"],
  [90 * 86400, "3 months"],
  [800 * 86400, "2 years"],
];
for (const [seconds, want] of ages) {
  test(`${seconds} s are ${want}`, () => assert.equal(humanDuration(seconds * 1000), want));
}

test("names sort as people count", () => {
  assert.deepEqual(["h10", "h2", "a", "h1"].sort(naturally), ["a", "h1", "h2", "h10"]);
});

test("an ellipsis takes the last place", () => assert.equal(ellipsis("abcdef", 4), "abc…"));

describe("indented JSON", () => {
  test("is what JSON.stringify makes of what it can hold", () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const value: unknown = JSON.parse(json);
        // A parsed object moves keys like "1" to the front: compare through the same round trip.
        const compact = JSON.stringify(value);
        assert.equal(indentJson(compact), JSON.stringify(value, undefined, 4));
      }),
    );
  });
  test("keeps numbers and the order of keys as they were", () => {
    assert.equal(
      indentJson('{"2":18446744073709551615,"1":1.0}'),
      '{\n    "2": 18446744073709551615,\n    "1": 1.0\n}',
    );
  });
});
