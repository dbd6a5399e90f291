import { expect, test } from "vitest";
import { Pace } from "./pace.js";

const turns = (pace: Pace, count: number, nowMs: number) =>
  Array.from({ length: count }, () => pace.takeTurn(nowMs));

test("who is told after a pause does not wait; then as many as there may be in a second", () => {
  const pace = new Pace(10, 3);
  expect(turns(pace, 5, 1_000)).toEqual([0, 0, 0, 100, 200]);
  expect(turns(pace, 2, 1_050)).toEqual([250, 350]);
  expect(turns(pace, 4, 10_000)).toEqual([0, 0, 0, 100]);
});

test("what was not used is not saved up beyond that", () => {
  const pace = new Pace(10, 3);
  pace.takeTurn(0);
  expect(turns(pace, 4, 1e9)).toEqual([0, 0, 0, 100]);
});
