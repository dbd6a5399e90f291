import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { Endpoint, Network } from "../../proto/gen/types.js";
import { NOTHING } from "../assignments/merge.js";
import { HeldAssignments } from "./held-assignments.js";

const timing = { ...DEFAULT_TIMING, retryMinMs: 5, retryMaxMs: 10 };
const meta = { version: 3, createdVersion: 3, createdAtMs: 0, updatedAtMs: 0 };
const network = Network.create({ id: "n", meta });
const endpoint = Endpoint.create({ id: "e", networkId: "n", nodeId: "me", meta });

function held(save: (assignments: Assignments) => Promise<void>) {
  const journal = { load: async () => undefined, save, clear: async () => {} };
  return new HeldAssignments(undefined, "me", journal, systemClock, timing, silentLogger());
}

test("a burst is saved in few writes, the last state for certain", async () => {
  const saved: number[] = [];
  const all = held(async ({ revision }) => void saved.push(revision));
  for (let revision = 1; revision <= 500; revision++) {
    all.hear({ ...NOTHING, full: false, revision });
    if (revision % 100 === 0) await new Promise(setImmediate);
  }
  await all.close();
  expect(saved.at(-1)).toBe(500);
  expect(saved.length).toBeLessThan(10);
});

test("what could not be saved is saved when the disk has room again", async () => {
  let full = true;
  const saved: number[] = [];
  const all = held(async ({ revision }) => {
    if (full) throw new Error("ENOSPC");
    saved.push(revision);
  });
  all.hear({ ...NOTHING, revision: 4 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  full = false;
  await expect.poll(() => saved, { interval: 5 }).toEqual([4]);
  await all.close();
  expect(saved).toEqual([4]);
});

test("waiting for a revision ends when it has come, or when nobody waits any more", async () => {
  const all = held(async () => {});
  all.addOwn(endpoint, network);
  const stop = new AbortController();
  const waiting = all.reached(3, stop.signal);
  all.hear({ ...NOTHING, full: false, revision: 3 });
  await waiting;
  const never = all.reached(9, stop.signal);
  stop.abort(new Error("enough"));
  await expect(never).rejects.toThrow("enough");
  await all.close();
});
