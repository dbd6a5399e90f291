// Timers go by the wall clock: one that is set back holds all of its machine up.
import type { Mutant } from "./mutant.js";

const LOOK_MS = 100;

export const wallTimers: Mutant = {
  name: "wall-timers",
  found: /no agreement within 10000 ms/,
  seeds: 30,
  clock: (clock) => {
    const sleep = clock.sleep.bind(clock);
    const every = clock.every.bind(clock);
    clock.monotonicMs = () => clock.nowMs();
    clock.sleep = async (ms, signal) => {
      const dueMs = clock.nowMs() + ms;
      do await sleep(Math.min(dueMs - clock.nowMs(), LOOK_MS), signal);
      while (clock.nowMs() < dueMs);
    };
    clock.every = (ms, tick) => {
      let dueMs = clock.nowMs() + ms;
      return every(ms, () => {
        if (clock.nowMs() < dueMs) return;
        dueMs = clock.nowMs() + ms;
        tick();
      });
    };
  },
};
