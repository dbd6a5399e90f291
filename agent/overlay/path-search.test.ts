import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PathSearch, type PathVerdict } from "./path-search.js";

interface Path {
  /** Hops in order: each carries so much, and says so of what is larger or is silent. */
  readonly hops: readonly { readonly carries: number; readonly tells: boolean }[];
}

const LIMITS = { smallestBytes: 576, largestBytes: 1500 };

/** What the path does with packets of these sizes. */
function send({ hops }: Path, sizes: readonly number[]) {
  const passed: number[] = [];
  let toldBytes: number | undefined;
  for (const size of sizes) {
    const stop = hops.find(({ carries }) => carries < size);
    if (stop === undefined) passed.push(size);
    else if (stop.tells) toldBytes = Math.min(toldBytes ?? stop.carries, stop.carries);
  }
  return { passed, toldBytes };
}

function find(
  path: Path,
  { limits = LIMITS, known = undefined as number | undefined } = {},
): { readonly verdict: PathVerdict; readonly packets: number; readonly rounds: number } {
  const search = new PathSearch(limits, known);
  let packets = 0;
  let rounds = 0;
  for (; search.verdict.kind === "searching"; rounds++) {
    expect(rounds).toBeLessThan(20);
    const sizes = search.next();
    expect(sizes.length).toBeGreaterThan(0);
    packets += sizes.length;
    search.take(send(path, sizes));
  }
  return { verdict: search.verdict, packets, rounds };
}

const hop = (carries: number, tells = true) => ({ carries, tells });
const found = (mtuBytes: number, isBlackHole = false) => ({ kind: "found", mtuBytes, isBlackHole });

describe("what is found", () => {
  const cases: { name: string; hops: Path["hops"]; want: object; limits?: typeof LIMITS }[] = [
    { name: "a path as wide as its interface", hops: [hop(1500)], want: found(1500) },
    { name: "a router that names its link", hops: [hop(1400)], want: found(1400) },
    { name: "two, the narrower behind", hops: [hop(1480), hop(1400)], want: found(1400) },
    { name: "a silent router", hops: [hop(1400, false)], want: found(1400, true) },
    {
      name: "a silent one behind one that speaks",
      hops: [hop(1480), hop(1301, false)],
      want: found(1301, true),
    },
    { name: "one that speaks of what does not fit", hops: [hop(1400)], want: found(1400) },
    { name: "nothing comes back", hops: [hop(100, false)], want: { kind: "silent" } },
    {
      name: "jumbo frames",
      hops: [hop(9000)],
      limits: { smallestBytes: 576, largestBytes: 9000 },
      want: found(9000),
    },
    {
      name: "jumbo frames into a switch that has none",
      hops: [hop(1500, false)],
      limits: { smallestBytes: 576, largestBytes: 9000 },
      want: found(1500, true),
    },
    {
      name: "an interface smaller than the smallest",
      hops: [hop(500)],
      limits: { smallestBytes: 576, largestBytes: 500 },
      want: found(500),
    },
  ];
  for (const { name, hops, want, limits } of cases) {
    test(name, () => expect(find({ hops }, limits && { limits }).verdict).toEqual(want));
  }
});

test("a path that is as it was costs three packets at most", () => {
  expect(find({ hops: [hop(1500)] }, { known: 1500 }).packets).toBe(2);
  expect(find({ hops: [hop(1400)] }, { known: 1400 }).packets).toBe(3);
});

test("a path that has grown is found to have", () => {
  expect(find({ hops: [hop(1500)] }, { known: 1400 }).verdict).toEqual(found(1500));
  expect(find({ hops: [hop(1480)] }, { known: 1400 }).verdict).toEqual(found(1480));
});

test("any size of any silent path is found to the byte, in a few rounds", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 576, max: 8999 }),
      fc.integer({ min: 576, max: 9000 }),
      (carries, known) => {
        const limits = { smallestBytes: 576, largestBytes: 9000 };
        const { verdict, rounds } = find({ hops: [hop(carries, false)] }, { limits, known });
        expect(verdict).toEqual(found(carries, true));
        expect(rounds).toBeLessThan(8);
      },
    ),
  );
});

test("lost packets make no search endless, and nothing is believed that did not pass", () => {
  const answer = fc.record({
    lost: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
    told: fc.option(fc.integer({ min: 0, max: 70_000 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(answer, { minLength: 40, maxLength: 40 }), (answers) => {
      const search = new PathSearch(LIMITS);
      const seen = new Set<number>();
      for (const { lost, told } of answers) {
        const sizes = search.next();
        if (search.verdict.kind !== "searching") break;
        const passed = sizes.filter((_, i) => !lost[i]);
        for (const size of passed) seen.add(size);
        search.take({ passed, toldBytes: told });
      }
      const { verdict } = search;
      expect(verdict.kind).not.toBe("searching");
      if (verdict.kind === "found") expect(seen.has(verdict.mtuBytes)).toBe(true);
    }),
  );
});

test("a moment of loss does not make a path small for an hour", () => {
  const search = new PathSearch(LIMITS);
  search.take({ passed: [576], toldBytes: undefined });
  // From here on everything passes.
  while (search.verdict.kind === "searching")
    search.take({ passed: search.next(), toldBytes: undefined });
  expect(search.verdict).toEqual(found(1500));
});
