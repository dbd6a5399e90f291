import fc from "fast-check";
import { expect, test } from "vitest";
import { keepOrder, kept } from "./order.js";

const cases = [
  { name: "a first order is as given", before: [], now: ["a", "b"], want: ["a", "b"] },
  {
    name: "a newcomer comes last",
    before: ["b", "c"],
    now: ["a", "b", "c"],
    want: ["b", "c", "a"],
  },
  { name: "the last fills the gap", before: ["a", "b", "c"], now: ["b", "c"], want: ["c", "b"] },
  { name: "a newcomer takes the gap", before: ["a", "b"], now: ["b", "x"], want: ["x", "b"] },
  { name: "the last just goes", before: ["a", "b"], now: ["a"], want: ["a"] },
  { name: "all may go", before: ["a", "b"], now: [], want: [] },
];
for (const { name, before, now, want } of cases) {
  test(name, () => expect(keepOrder(before, now)).toEqual(want));
}

const names = fc.uniqueArray(fc.nat(40).map(String), { maxLength: 30 });

test("an order has everybody once, and as few as possible have another number", () => {
  fc.assert(
    fc.property(names, names, (before, now) => {
      const order = keepOrder(before, now);
      expect(order.toSorted()).toEqual(now.toSorted());
      const stayed = before.filter((id, i) => now.includes(id) && i < now.length);
      expect(stayed.filter((id) => order.indexOf(id) === before.indexOf(id))).toEqual(stayed);
    }),
  );
});

test("a client keeps its backend while that is there", () => {
  fc.assert(
    fc.property(fc.string(), names, fc.nat(30), (client, ids, at) => {
      const first = kept(client, ids);
      const gone = ids[at % Math.max(1, ids.length)];
      const then = kept(
        client,
        ids.filter((id) => id !== gone),
      );
      if (first !== gone) expect(then).toBe(first);
    }),
  );
});

test("clients are spread evenly over backends", () => {
  const ids = Array.from({ length: 10 }, (_, i) => `backend${i}`);
  const counts = new Map(ids.map((id) => [id, 0]));
  for (let i = 0; i < 10_000; i++) {
    const id = kept(`10.0.${i >> 8}.${i & 255}`, ids) ?? "";
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const chi = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  // The 99.9 % quantile of chi-squared with 9 degrees of freedom.
  expect(chi).toBeLessThan(27.88);
});
