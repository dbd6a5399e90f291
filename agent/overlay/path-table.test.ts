import { expect, test } from "vitest";
import type { PathVerdict } from "./path-search.js";
import { PathTable } from "./path-table.js";

const MINUTE = 60_000;
const PAUSES = {
  checkMs: 10_000,
  raiseMinMs: MINUTE,
  raiseMaxMs: 60 * MINUTE,
  forgetMs: 10 * MINUTE,
};
const LIMITS = { smallestBytes: 576, largestBytes: 1500 };
const found = (mtuBytes: number): PathVerdict => ({ kind: "found", mtuBytes, isBlackHole: false });
const SILENT: PathVerdict = { kind: "silent" };

function tableWith(...keys: readonly string[]): PathTable {
  const table = new PathTable(PAUSES);
  table.keep(new Map(keys.map((key) => [key, LIMITS])), 0);
  return table;
}
const mtuOf = (table: PathTable, key: string) => table.paths().get(key)?.mtuBytes;

test("a peer that is new is searched at once", () => {
  expect(tableWith("a", "b").due(0)).toEqual({ search: ["a", "b"], check: [] });
});

test("a path as wide as its interface is only asked whether it still is", () => {
  const table = tableWith("a");
  table.found("a", found(1500), 0);
  expect(table.due(9_999)).toEqual({ search: [], check: [] });
  expect(table.due(10 * 60 * MINUTE)).toEqual({ search: [], check: ["a"] });
});

test("a packet that does not come back is a reason to search", () => {
  const table = tableWith("a");
  table.found("a", found(1500), 0);
  table.checked("a", false, 10_000);
  expect(table.due(10_000).search).toEqual(["a"]);
});

test("what is smaller counts at once", () => {
  const table = tableWith("a");
  table.found("a", found(1500), 0);
  table.found("a", found(1400), 10_000);
  expect(mtuOf(table, "a")).toBe(1400);
});

test("a larger path is looked for after a minute, then ever more rarely, at last every hour", () => {
  const table = tableWith("a");
  let nowMs = 0;
  table.found("a", found(1400), nowMs);
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    const began = nowMs;
    while (!table.due(nowMs).search.includes("a")) {
      nowMs += MINUTE;
      if (table.due(nowMs).check.includes("a")) table.checked("a", true, nowMs);
    }
    pauses.push((nowMs - began) / MINUTE);
    table.found("a", found(1400), nowMs);
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
});

test("a path that flaps is raised ever more rarely", () => {
  const table = tableWith("a");
  let nowMs = 0;
  let raises = 0;
  table.found("a", found(1500), 0);
  // It changes every two minutes, for a day.
  for (; nowMs < 24 * 60 * MINUTE; nowMs += 10_000) {
    const real = Math.floor(nowMs / (2 * MINUTE)) % 2 === 0 ? 1500 : 1400;
    for (const key of table.due(nowMs).check)
      table.checked(key, (mtuOf(table, key) ?? 0) <= real, nowMs);
    for (const key of table.due(nowMs).search) {
      if (real > (mtuOf(table, key) ?? 0)) raises++;
      table.found(key, found(real), nowMs);
    }
  }
  expect(raises).toBeLessThan(30);
});

test("a peer that is down keeps its say for a while, and then has none", () => {
  const table = tableWith("a");
  table.found("a", found(1400), 0);
  table.found("a", SILENT, 5 * MINUTE);
  expect(mtuOf(table, "a")).toBe(1400);
  table.found("a", SILENT, 11 * MINUTE);
  expect(mtuOf(table, "a")).toBeUndefined();
  expect(table.due(12 * MINUTE).search).toEqual(["a"]);
});

test("a peer that never answered has no say and is asked again", () => {
  const table = tableWith("a");
  table.found("a", SILENT, 0);
  expect(mtuOf(table, "a")).toBeUndefined();
  expect(table.due(5_000)).toEqual({ search: [], check: [] });
  expect(table.due(10_000)).toEqual({ search: ["a"], check: [] });
});

test("an interface that changes is a reason to search, and a smaller one counts at once", () => {
  const table = tableWith("a");
  table.found("a", found(1500), 0);
  table.keep(new Map([["a", { ...LIMITS, largestBytes: 1400 }]]), 1_000);
  expect(mtuOf(table, "a")).toBe(1400);
  table.found("a", found(1400), 1_100);
  table.keep(new Map([["a", { ...LIMITS, largestBytes: 9000 }]]), 2_000);
  expect(mtuOf(table, "a")).toBe(1400);
  expect(table.due(2_000).search).toEqual(["a"]);
});

test("a peer that is gone is forgotten", () => {
  const table = tableWith("a", "b");
  table.found("a", found(1400), 0);
  table.keep(new Map([["b", LIMITS]]), 1);
  expect([...table.paths().keys()]).toEqual([]);
});

test("a thousand peers are asked no more than ten times a second", () => {
  const keys = Array.from({ length: 1000 }, (_, i) => String(i));
  const table = tableWith(...keys);
  for (const key of keys) table.found(key, found(1500), 0);
  expect(table.due(99_999).check).toEqual([]);
  expect(table.due(100_000).check).toHaveLength(1000);
});
