// A change is acknowledged a moment after it was proposed, committed or not; who asks next may not find it.
import { Batch } from "../../../proto/gen/store.js";
import type { Mutant } from "./mutant.js";

const MOMENT_MS = 2;

export const earlyAnswer: Mutant = {
  name: "early-answer",
  found: /the history is not linearizable/,
  seeds: 30,
  member: ({ consensus }, time) => {
    const propose = consensus.propose.bind(consensus);
    consensus.propose = (data, signal) => {
      const early = new Promise<readonly undefined[]>((resolve) => {
        const done = Batch.decode(data).transactions.map(() => undefined);
        time.in(MOMENT_MS, () => resolve(done));
      });
      return Promise.race([propose(data, signal), early]);
    };
  },
};
