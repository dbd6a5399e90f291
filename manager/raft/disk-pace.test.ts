import { describe, expect, test } from "vitest";
import { DiskPace, SlowDiskRule } from "./disk-pace.js";

const MS = 1_000;

describe("the pace of a disk", () => {
  const paced = (writesMs: readonly number[]) => {
    const pace = new DiskPace();
    let nowMs = 0;
    for (const ms of writesMs) {
      pace.begin(nowMs);
      nowMs += ms;
      pace.end(nowMs);
    }
    return pace;
  };
  const paceAfter = (writesMs: readonly number[], laterMs = 0) =>
    paced(writesMs).medianUs(writesMs.reduce((sum, ms) => sum + ms, 0) + laterMs);

  test.each([
    { name: "nothing is known before the first write", writes: [], want: 0 },
    { name: "one slow write among many is no slow disk", writes: [5, 5, 900, 5, 5], want: 5 * MS },
    { name: "most of them slow are", writes: [5, 300, 300, 5, 300], want: 300 * MS },
    {
      name: "only the last sixteen count",
      writes: [...Array(20).fill(900), ...Array(16).fill(3)],
      want: 3 * MS,
    },
  ])("$name", ({ writes, want }) => {
    expect(paceAfter(writes)).toBe(want);
  });

  test.each([
    {
      name: "a disk of which little is known is not waited for",
      writes: Array(15).fill(0.3),
      want: false,
    },
    { name: "one that is quick is", writes: Array(16).fill(0.3), want: true },
    { name: "nor one that was slow once", writes: [...Array(15).fill(0.3), 12], want: false },
    {
      name: "again when that is sixteen writes ago",
      writes: [12, ...Array(16).fill(0.3)],
      want: true,
    },
    { name: "one that takes its time, but always, is not", writes: Array(16).fill(3), want: false },
  ])("$name", ({ writes, want }) => {
    const pace = paced(writes);
    expect(pace.isQuick(100)).toBe(want);
    expect(pace.isQuick(60_000)).toBe(false);
  });

  test("what was long ago says nothing", () => {
    expect(paceAfter([900, 900], 29_000)).toBe(900 * MS);
    expect(paceAfter([900, 900], 31_000)).toBe(0);
  });

  test("a write that does not come back counts while it lasts", () => {
    const pace = new DiskPace();
    pace.begin(0);
    expect(pace.medianUs(1_000)).toBe(0);
    expect(pace.medianUs(2_500)).toBe(2_500 * MS);
    pace.drop();
    expect(pace.medianUs(2_500)).toBe(0);
  });
});

describe("a leader with a slow disk", () => {
  /** The tick at which each hand-over comes, in so many ticks of what the disks say. */
  function handOvers(ticks: number, says: (tick: number) => { own: number; other: number }) {
    const rule = new SlowDiskRule();
    const found: number[] = [];
    for (let tick = 1; tick <= ticks; tick++) {
      const { own, other } = says(tick);
      if (
        rule.tick(
          own * MS,
          new Map([
            [2, other * MS],
            [3, 0],
          ]),
        ) === 2
      )
        found.push(tick);
    }
    return found;
  }

  test.each([
    {
      name: "hands over once it has led for 30 s",
      says: () => ({ own: 300, other: 5 }),
      want: [300],
    },
    {
      name: "three seconds after it became slow",
      says: (t: number) => ({ own: t < 500 ? 5 : 300, other: 5 }),
      want: [529],
    },
    {
      name: "not while it is only slower than another",
      says: () => ({ own: 150, other: 1 }),
      want: [],
    },
    {
      name: "not when the others are slow alike",
      says: () => ({ own: 600, other: 200 }),
      want: [],
    },
    { name: "not to one that has said nothing", says: () => ({ own: 600, other: 0 }), want: [] },
    {
      name: "not for a disk that is slow now and then",
      says: (t: number) => ({ own: t % 20 < 15 ? 600 : 5, other: 5 }),
      want: [],
    },
  ])("$name", ({ says, want }) => {
    expect(handOvers(590, says)).toEqual(want);
  });

  test("tries again no sooner than 30 s later", () => {
    expect(handOvers(1_000, () => ({ own: 300, other: 5 }))).toEqual([300, 600, 900]);
  });

  test("hands over to the fastest", () => {
    const rule = new SlowDiskRule();
    const disks = new Map([
      [2, 20 * MS],
      [3, 4 * MS],
      [4, 0],
      [5, 60 * MS],
    ]);
    let heir: number | undefined;
    for (let tick = 0; tick < 300; tick++) heir = rule.tick(900 * MS, disks);
    expect(heir).toBe(3);
  });
});
