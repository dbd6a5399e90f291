import fc from "fast-check";
import { expect, test } from "vitest";
import { Deadlines } from "./deadlines.js";

test("the latest word on each counts, and each is due once (against a plain map)", () => {
  const step = fc.oneof(
    fc.record({ key: fc.constantFrom("a", "b", "c"), atMs: fc.option(fc.nat(50)) }),
    fc.record({ nowMs: fc.nat(60) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const deadlines = new Deadlines();
      const twin = new Map<string, number>();
      for (const each of steps) {
        if ("key" in each) {
          deadlines.set(each.key, each.atMs ?? undefined);
          if (each.atMs === null) twin.delete(each.key);
          else twin.set(each.key, each.atMs);
        } else {
          const due = [...twin].filter(([, atMs]) => atMs <= each.nowMs).map(([key]) => key);
          for (const key of due) twin.delete(key);
          expect([...deadlines.takeDue(each.nowMs)].sort()).toEqual(due.sort());
        }
        const next = twin.size === 0 ? undefined : Math.min(...twin.values());
        expect(deadlines.nextMs()).toBe(next);
      }
    }),
  );
});
