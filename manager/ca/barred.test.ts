import { expect, test } from "vitest";
import { Cluster } from "../../proto/gen/types.js";
import { barred, isBarred } from "./barred.js";

const DAY_MS = 86_400_000;
const lasting = (days: number) => Cluster.fromPartial({ spec: { certExpiryMs: days * DAY_MS } });

test("a removed node is barred for as long as its certificate lasts, and then forgotten", () => {
  const once = barred(lasting(90), "a", 0);
  expect(isBarred(once, "a")).toBe(true);
  expect(isBarred(once, "b")).toBe(false);
  const meanwhile = barred(once, "b", 120 * DAY_MS);
  expect(isBarred(meanwhile, "a")).toBe(true);
  const later = barred(meanwhile, "c", 151 * DAY_MS);
  expect(later.removed.map(({ nodeId }) => nodeId)).toEqual(["b", "c"]);
});

test("a certificate from before the setting was made shorter lasts as it says", () => {
  const shorter = { ...lasting(1), longestCertLifeMs: 1_000 * DAY_MS };
  const later = barred(barred(shorter, "a", 0), "b", 900 * DAY_MS);
  expect(isBarred(later, "a")).toBe(true);
});

test("who was removed by an earlier release stays barred, from now on with an end", () => {
  const old = Cluster.fromPartial({ ...lasting(90), removedNodes: ["a"] });
  expect(isBarred(old, "a")).toBe(true);
  const after = barred(old, "b", 0);
  expect(after.removedNodes).toEqual([]);
  expect(isBarred(after, "a")).toBe(true);
  expect(isBarred(barred(after, "c", 151 * DAY_MS), "a")).toBe(false);
});
