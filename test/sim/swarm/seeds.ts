// The seeds of a test run. SWARM_SEEDS=n is another number of them.
import { setMaxListeners } from "node:events";
import { expect, test } from "vitest";
import { runSeed } from "./run.js";

const SEEDS = Number(process.env["SWARM_SEEDS"] ?? 2_000);
/** Tests of so many seeds each, one whole swarm among them: so two halves take as long. */
const SEEDS_A_TEST = 20;

/** Every `of`-th bunch of seeds, from the `part`-th (1) on. */
export function testSeeds(part: number, of: number): void {
  // Every node's session listens to the end of the leader's term.
  setMaxListeners(0);
  const bunches = Math.ceil(SEEDS / SEEDS_A_TEST);
  for (let bunch = part - 1; bunch < bunches; bunch += of) {
    const first = bunch * SEEDS_A_TEST + 1;
    const last = Math.min(first + SEEDS_A_TEST - 1, SEEDS);
    test(`a swarm keeps what it promises, whatever goes wrong: seeds ${first} to ${last}`, async () => {
      let acknowledged = 0;
      for (let seed = first; seed <= last; seed++) {
        const { world, failure } = await runSeed(seed);
        expect(failure).toBeUndefined();
        acknowledged += world.clients.acknowledged;
      }
      // The simulation does something: changes are acknowledged in spite of all.
      expect(acknowledged / (last - first + 1)).toBeGreaterThan(5);
    }, 600_000);
  }
}
