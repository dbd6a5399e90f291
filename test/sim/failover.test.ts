// How long a group is without a leader, on virtual time; and that who comes back, or is slow, unseats nobody.
import { describe, expect, test } from "vitest";
import { FailoverGroup, type Speeds } from "./failover-group.js";

const SEEDS = Number(process.env["FAILOVER_SEEDS"] ?? 300);
const GOOD: Speeds = { delayMs: [0.2, 3], fsyncMs: [1, 10] };
const SLOW: Speeds = { delayMs: [1, 20], fsyncMs: [20, 60] };
/** Of the two seconds a user waits at most; the rest is the request's own way. */
const FAILOVER_MS = 1_600;

function p99(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN;
}

function settled(seed: number, count: number, speeds: Speeds): [FailoverGroup, number] {
  const group = new FailoverGroup(seed, count, speeds);
  group.until(() => group.leader() !== undefined);
  // At any moment between two heartbeats.
  group.pass(1_000 + ((seed * 37) % 400));
  return [group, group.leader() ?? 0];
}

describe.each([
  { name: "good disks and network", speeds: GOOD },
  { name: "slow disks and network", speeds: SLOW },
])("$name", ({ speeds }) => {
  test.each([3, 5])(
    "of %i managers the leader is gone: another has committed within 1.6 s, p99",
    (count) => {
      const times = Array.from({ length: SEEDS }, (_, seed) => {
        const [group, old] = settled(seed, count, speeds);
        group.get(old).stopped = true;
        return group.until(() => group.leader() !== undefined);
      });
      expect(p99(times)).toBeLessThan(FAILOVER_MS);
    },
  );
});

test.each([3, 5])(
  "of %i managers one that was stopped, or cut off, for a minute unseats nobody",
  (count) => {
    for (let seed = 0; seed < SEEDS / 10; seed++) {
      const [group, leader] = settled(seed, count, SLOW);
      const { term } = group.get(leader).raft;
      const other = group.get((leader % count) + 1);
      for (const how of ["stopped", "cut"] as const) {
        other[how] = true;
        group.pass(60_000);
        group.propose(leader);
        other[how] = false;
        group.pass(5_000);
        expect([group.leader(), group.get(leader).raft.term]).toEqual([leader, term]);
        expect(other.raft.commit).toBe(group.get(leader).raft.commit);
      }
    }
  },
);

test("one that hears nobody, but is heard, unseats nobody", () => {
  for (let seed = 0; seed < SEEDS / 10; seed++) {
    const [group, leader] = settled(seed, 3, GOOD);
    const { term } = group.get(leader).raft;
    group.deaf.add((leader % 3) + 1);
    group.pass(30_000);
    group.deaf.clear();
    group.pass(5_000);
    expect([group.leader(), group.get(leader).raft.term]).toEqual([leader, term]);
  }
});
