// Runs seeds: which world a seed is of, and what is said of one that fails.
import { seededRandom } from "../../../common/random.js";
import type { Mutant } from "../mutants/mutant.js";
import { type Size, World } from "./world.js";

/** Choice: a seed in 20 is a whole swarm of 25 nodes and 3 to 7 managers; the others are small, and quick. */
const FULL_EVERY = 20;

export function sizeOf(seed: number): Size {
  if (seed % FULL_EVERY !== 0) return { managers: 3, nodes: 5, clients: 3, faultsMs: 5_000 };
  const managers = 3 + seededRandom(seed).below(5);
  return { managers, nodes: 25, clients: 8, faultsMs: 8_000 };
}

export interface Outcome {
  readonly world: World;
  /** Undefined: all that must be true was. */
  readonly failure: string | undefined;
}

export async function runSeed(seed: number, isTraced = false, mutant?: Mutant): Promise<Outcome> {
  // Faults are thrown all the time, and nobody reads where: to find that out is a tenth of the work.
  const { stackTraceLimit } = Error;
  if (!isTraced) Error.stackTraceLimit = 0;
  const world = new World(seed, sizeOf(seed), isTraced, mutant);
  try {
    await world.run();
    return { world, failure: undefined };
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const of = mutant === undefined ? "" : ` --mutant ${mutant.name}`;
    const replay = `scripts/soak${of} --seed ${seed} --trace`;
    return { world, failure: `seed ${seed}: ${why}\nreplay: ${replay}` };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
