import { expect, test } from "vitest";
import { Pauses } from "./pauses.js";

const made = () => new Pauses({ retryMinMs: 10, retryMaxMs: 35 });

test("a pause is twice as long each time, up to the limit", () => {
  const pauses = made();
  const ends = [0, 100, 200, 300].map((nowMs) => {
    pauses.failed("n1", nowMs);
    return (pauses.firstEndMs(nowMs) ?? 0) - nowMs;
  });
  expect(ends).toEqual([10, 20, 35, 35]);
  expect(pauses.failures("n1")).toBe(4);
});

test("what was well again begins with the shortest pause", () => {
  const pauses = made();
  pauses.failed("n1", 0);
  pauses.failed("n1", 10);
  pauses.forget("n1");
  expect(pauses.failures("n1")).toBe(0);
  expect(pauses.heldAt(10)).toEqual(new Set());
  pauses.failed("n1", 100);
  expect(pauses.firstEndMs(100)).toBe(110);
});

test("a pause that is over holds nobody, but its failures still count", () => {
  const pauses = made();
  pauses.failed("n1", 0);
  pauses.failed("n2", 5);
  expect(pauses.heldAt(9)).toEqual(new Set(["n1", "n2"]));
  expect(pauses.firstEndMs(9)).toBe(10);
  expect(pauses.heldAt(10)).toEqual(new Set(["n2"]));
  expect(pauses.firstEndMs(10)).toBe(15);
  expect(pauses.firstEndMs(15)).toBeUndefined();
  expect(pauses.subjects()).toEqual(["n1", "n2"]);
});
