import { expect, test } from "vitest";
import { Clocks } from "./clocks.js";

test("a heartbeat that was late does not make its sender's clock wrong", () => {
  const clocks = new Clocks();
  clocks.heard("h2", 1_000, 1_001);
  clocks.heard("h2", 2_000, 9_000);
  expect(clocks.aheadMs("h2")).toBe(-1);
});

test("a clock that is stepped is known after some beats, either way", () => {
  const clocks = new Clocks();
  for (let beat = 0; beat < 20; beat++) clocks.heard("h2", beat * 100 + 90_000, beat * 100);
  expect(clocks.aheadMs("h2")).toBe(90_000);
  for (let beat = 20; beat < 40; beat++) clocks.heard("h2", beat * 100 - 90_000, beat * 100);
  expect(clocks.aheadMs("h2")).toBe(-90_000);
});

test("who does not say is not known", () => {
  const clocks = new Clocks();
  clocks.heard("h2", 0, 5_000);
  expect(clocks.aheadMs("h2")).toBeUndefined();
  clocks.heard("h2", 5_000, 5_000);
  clocks.forget("h2");
  expect(clocks.aheadMs("h2")).toBeUndefined();
});
