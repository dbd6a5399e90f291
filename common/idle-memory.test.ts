import { expect, test } from "vitest";
import { isWorthwhile } from "./idle-memory.js";

const MIB = 1024 * 1024;
const cases = [
  { name: "a burst is over", busyShare: 0.01, heapBytes: 60 * MIB, leftBytes: 0, want: true },
  { name: "it is busy", busyShare: 0.2, heapBytes: 60 * MIB, leftBytes: 0, want: false },
  { name: "there is as much as was left", busyShare: 0, heapBytes: 60 * MIB, leftBytes: 55 * MIB },
  { name: "it grew again", busyShare: 0, heapBytes: 60 * MIB, leftBytes: 30 * MIB, want: true },
  { name: "the pause would be long", busyShare: 0, heapBytes: 500 * MIB, leftBytes: 0 },
];
for (const { name, want = false, ...look } of cases) {
  test(`${want ? "collects" : "leaves it"} when ${name}`, () => {
    expect(isWorthwhile(look)).toBe(want);
  });
}
