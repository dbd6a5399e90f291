import { afterEach, expect, test, vi } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { Topic } from "../../common/watch.js";
import { NodeKeys } from "../../proto/gen/admin.js";
import type { IdentityDisk, ManagerHost } from "../seams.js";
import { KeyKeeping } from "./key-keeping.js";

const [ONE, TWO] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const stop: AbortController[] = [];
afterEach(() => {
  for (const each of stop.splice(0)) each.abort();
});

/** A manager process whose disk is sealed with `unlockKey`, and the agent's disk beside it. */
function lab() {
  const end = new AbortController();
  stop.push(end);
  const changed = new Topic<void>();
  const state = {
    version: 1,
    unlockKey: Buffer.alloc(0),
    locked: false,
    away: false,
    isManager: true,
    sealed: "never",
    tries: 0,
  };
  const manager = {
    started: true,
    keys: async (known: number | undefined, signal: AbortSignal) => {
      const away = () => new Fault("RPC_UNREACHABLE");
      if (state.away) throw away();
      if (state.locked) return refuse("failed-precondition", "locked");
      if (known === state.version) {
        await new Promise<void>((resolve, reject) => {
          changed.subscribe(resolve);
          signal.addEventListener("abort", () => reject(away()));
        });
        if (state.locked) throw away();
      }
      const { version, unlockKey } = state;
      return NodeKeys.fromPartial({ version, unlockKey });
    },
    unlock: async (key: Uint8Array) => {
      state.tries++;
      if (!state.unlockKey.equals(key)) return refuse("permission-denied", "invalid key");
      state.locked = false;
      return {};
    },
  } as unknown as ManagerHost;
  const identityDisk = {
    sealWith: async (key: Uint8Array | undefined) => {
      state.sealed = key === undefined ? "open" : `by ${key[0]}`;
    },
  } as unknown as IdentityDisk;
  const timing = { ...DEFAULT_TIMING, retryMinMs: 1 };
  const log = silentLogger();
  const isManager = () => state.isManager;
  const keeping = new KeyKeeping({
    manager,
    identityDisk,
    clock: systemClock,
    timing,
    log,
    isManager,
  });
  void keeping.run(end.signal);
  const change = (next: Partial<typeof state>) => {
    Object.assign(state, next);
    changed.publish();
  };
  return { state, keeping, change };
}

test("the agent's key is sealed as the manager's disk is, at every change", async () => {
  const { state, change } = lab();
  await vi.waitFor(() => expect(state.sealed).toBe("open"));
  change({ version: 5, unlockKey: ONE });
  await vi.waitFor(() => expect(state.sealed).toBe("by 1"));
  change({ version: 7, unlockKey: TWO });
  await vi.waitFor(() => expect(state.sealed).toBe("by 2"));
  change({ version: 9, unlockKey: Buffer.alloc(0) });
  await vi.waitFor(() => expect(state.sealed).toBe("open"));
});

test("a manager process that was started again is unlocked with the key that it had", async () => {
  const { state, keeping, change } = lab();
  change({ version: 5, unlockKey: ONE });
  await vi.waitFor(() => expect(state.sealed).toBe("by 1"));
  change({ locked: true });
  await vi.waitFor(() => expect(state.tries).toBe(1));
  expect([state.locked, keeping.locked]).toEqual([false, false]);
});

test("a manager process that was sealed with a key that is not known here stays locked, until a person opens it", async () => {
  const { state, keeping, change } = lab();
  change({ version: 5, unlockKey: ONE, locked: true });
  await vi.waitFor(() => expect(keeping.locked).toBe(true));
  expect(state.tries).toBe(0);
  change({ locked: false });
  await vi.waitFor(() => expect(state.sealed).toBe("by 1"));
  expect(keeping.locked).toBe(false);
});

test("a process that does not answer is no locked one", async () => {
  const { state, keeping, change } = lab();
  change({ away: true });
  await vi.waitFor(() => expect(keeping.locked).toBe(false));
  change({ away: false, version: 5, unlockKey: ONE });
  await vi.waitFor(() => expect(state.sealed).toBe("by 1"));
});

test("a node that is to be a worker keeps its key open, whatever its manager's disk is sealed with", async () => {
  const { state, keeping, change } = lab();
  change({ version: 5, unlockKey: ONE });
  await vi.waitFor(() => expect(state.sealed).toBe("by 1"));
  state.isManager = false;
  await keeping.forget();
  change({ version: 7, unlockKey: TWO });
  await new Promise((turn) => setImmediate(turn));
  expect(state.sealed).toBe("open");
});
