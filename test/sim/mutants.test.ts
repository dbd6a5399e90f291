// That each invariant of the simulated swarm can fail: bugs that are put in at its seams are found.
import { setMaxListeners } from "node:events";
import { expect, test } from "vitest";
import { MUTANTS } from "./mutants/all.js";
import { runSeed } from "./swarm/run.js";

// Every node's session listens to the end of the leader's term.
setMaxListeners(0);

for (const mutant of MUTANTS) {
  test(`the bug "${mutant.name}" is found, and called what it is`, async () => {
    const said: string[] = [];
    for (let seed = 1; seed <= mutant.seeds; seed++) {
      const { failure } = await runSeed(seed, false, mutant);
      if (failure === undefined) continue;
      if (mutant.found.test(failure)) {
        expect(failure).toContain(`replay: scripts/soak --mutant ${mutant.name} --seed ${seed}`);
        return;
      }
      said.push(failure);
    }
    expect.fail(`none of ${mutant.seeds} seeds finds it; other things found: ${said.join("\n")}`);
  }, 120_000);
}
