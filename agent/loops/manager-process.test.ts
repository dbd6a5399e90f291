import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { ManagerAdmin, ManagerRunner, RunningManager } from "../seams.js";
import { ManagerProcess, processState } from "./manager-process.js";

const timing = { ...DEFAULT_TIMING, retryMinMs: 1, retryMaxMs: 5 };

function world() {
  const state = { starts: 0, alive: false, erased: 0, end: (_why: string) => {}, broken: false };
  const make = (): RunningManager => {
    state.alive = true;
    const exited = new Promise<string>((resolve) => {
      state.end = (why) => {
        state.alive = false;
        resolve(why);
      };
    });
    return { exited, stop: async () => state.end("SIGTERM"), release: () => {} };
  };
  const runner: ManagerRunner = {
    find: async () => (state.alive ? make() : undefined),
    start: async () => {
      state.starts++;
      const running = make();
      if (state.broken) state.end("exit code 1");
      return running;
    },
    hasState: () => false,
    erase: async () => {
      expect(state.alive).toBe(false);
      state.erased++;
    },
  };
  const status = async () => {
    if (!state.alive) throw new Error("connection refused");
    return { state: "idle" };
  };
  const admin = { status } as unknown as ManagerAdmin;
  return { state, manager: new ManagerProcess(runner, admin, systemClock, timing, silentLogger()) };
}

test("a process that ends unasked is started again", async () => {
  const { state, manager } = world();
  await manager.start();
  state.end("SIGKILL");
  await expect.poll(() => state.starts, { interval: 1 }).toBe(2);
  await expect.poll(() => processState(manager), { interval: 1 }).toBe("idle");
  await manager.stop();
  expect([manager.started, state.alive, state.starts]).toEqual([false, false, 2]);
});

test("starting twice is one process; stopping twice is no error", async () => {
  const { state, manager } = world();
  await Promise.all([manager.start(), manager.start()]);
  expect(state.starts).toBe(1);
  await manager.stop();
  await manager.stop();
  expect(await processState(manager)).toBe("absent");
});

test("one that cannot start says how it ended", async () => {
  const { state, manager } = world();
  state.broken = true;
  await expect(manager.start()).rejects.toThrow(/exit code 1/);
  await manager.wipe();
  expect(state.erased).toBe(1);
});

test("what an earlier agent left running is stopped before its state is erased", async () => {
  const { state, manager } = world();
  state.alive = true;
  await manager.wipe();
  expect([state.alive, state.erased]).toEqual([false, 1]);
});
