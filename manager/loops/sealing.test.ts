import { afterEach, expect, test, vi } from "vitest";
import { Fault } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { MemoryKeys } from "../../test/fakes/manager-keys.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { Store } from "../store/store.js";
import { followSealing } from "./sealing.js";

const [ONE, TWO] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const NONE = Buffer.alloc(0);

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});

function lab(store: Store, keys = new MemoryKeys()) {
  const seals: string[] = [];
  const clock = new ManualClock();
  const options = { store, keys, clock, timing: { retryMaxMs: 3_000 }, log: silentLogger() };
  const done = followSealing(
    { ...options, onSealed: () => seals.push(`${keys.unlockKey[0] ?? "none"}@${keys.version}`) },
    stop.signal,
  );
  return { seals, keys, clock, done };
}

/** The swarm's unlock key changes; answers the version of the cluster then. */
function change(swarm: SwarmState, unlockKey: Buffer): number {
  swarm.must((draft) => {
    const cluster = draft.cluster();
    if (cluster) draft.update("cluster", { ...cluster, unlockKey });
  });
  return swarm.view.cluster()?.meta?.version ?? 0;
}

test("the disk is sealed anew at each change of the key, and opened when there is none any more", async () => {
  const swarm = new SwarmState();
  const { seals } = lab(swarm.store);
  const want: string[] = [];
  for (const [key, name] of [
    [ONE, "1"],
    [TWO, "2"],
    [NONE, "none"],
  ] as const) {
    want.push(`${name}@${change(swarm, key)}`);
    await vi.waitFor(() => expect(seals).toEqual(want));
  }
});

test("a change of anything else seals nothing", async () => {
  const swarm = new SwarmState();
  const { seals, keys } = lab(swarm.store);
  const version = change(swarm, ONE);
  await vi.waitFor(() => expect(seals).toHaveLength(1));
  swarm.must((draft) => {
    const cluster = draft.cluster();
    if (cluster) draft.update("cluster", { ...cluster, dataPathProblem: "x" });
  });
  const later = change(swarm, TWO);
  await vi.waitFor(() => expect(keys.version).toBe(later));
  expect(seals).toEqual([`1@${version}`, `2@${later}`]);
});

test("a store that is read again from its log never has the disk opened that it once did not seal", async () => {
  const swarm = new SwarmState();
  change(swarm, ONE);
  const last = change(swarm, TWO);
  const keys = new MemoryKeys();
  await keys.seal(TWO, last);
  const store = new Store();
  const { seals } = lab(store, keys);
  for (const { index, data } of swarm.log) {
    store.apply(index, data);
    // A turn of the loop for every entry.
    await new Promise((turn) => setImmediate(turn));
    expect(keys.unlockKey).toEqual(TWO);
  }
  expect(seals).toEqual([]);
});

test("a manager that was off during a rotation takes the new key when it hears of it", async () => {
  const swarm = new SwarmState();
  const before = change(swarm, ONE);
  const keys = new MemoryKeys();
  await keys.seal(ONE, before);
  const after = change(swarm, TWO);
  const { seals } = lab(swarm.store, keys);
  await vi.waitFor(() => expect(seals).toEqual([`2@${after}`]));
});

test("a disk that is full is sealed once it has space", async () => {
  const swarm = new SwarmState();
  const keys = new MemoryKeys();
  const seal = vi.spyOn(keys, "seal").mockRejectedValueOnce(new Fault("DISK_FULL"));
  const { seals, clock } = lab(swarm.store, keys);
  change(swarm, ONE);
  await vi.waitFor(() => expect(seal).toHaveBeenCalledTimes(1));
  await vi.waitFor(async () => {
    await clock.advance(3_000);
    expect(seals).toHaveLength(1);
  });
});
