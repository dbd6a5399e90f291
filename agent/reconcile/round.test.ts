import { expect, test } from "vitest";
import { Round } from "./round.js";
import type { Step } from "./step.js";

const MAKE: Step = { kind: "make-sandbox", id: "aaaa" };
const REMOVE: Step = { kind: "unplug", port: "v-1" };

test("a round ends when its time is over, and says that something is left", () => {
  const round = new Round([MAKE, MAKE, MAKE], 1_000);
  expect(round.turnOf(MAKE, 1_000)).toBe("now");
  expect(round.turnOf(MAKE, 1_100)).toBe("now");
  expect(round.left).toBe(false);
  expect(round.turnOf(MAKE, 1_101)).toBe("over");
  expect(round).toMatchObject({ tried: 2, left: true });
});

test("one step is done in each round, however late it has become", () => {
  expect(new Round([MAKE], 0).turnOf(MAKE, 10_000)).toBe("now");
});

test("removing leaves time for what is to be made", () => {
  const round = new Round([REMOVE, REMOVE, MAKE], 0);
  expect(round.turnOf(REMOVE, 0)).toBe("now");
  round.took(REMOVE, 31);
  expect(round.turnOf(REMOVE, 31)).toBe("next");
  expect(round.turnOf(MAKE, 31)).toBe("now");
  expect(round).toMatchObject({ tried: 2, left: true });
});

test("where there is nothing to make, removing has the whole round", () => {
  const round = new Round([REMOVE, REMOVE], 0);
  expect(round.turnOf(REMOVE, 0)).toBe("now");
  round.took(REMOVE, 90);
  expect(round.turnOf(REMOVE, 90)).toBe("now");
});

test("the time that making takes is not removing's", () => {
  const round = new Round([MAKE, REMOVE], 0);
  expect(round.turnOf(MAKE, 0)).toBe("now");
  round.took(MAKE, 90);
  expect(round.turnOf(REMOVE, 90)).toBe("now");
});
