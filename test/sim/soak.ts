// scripts/soak: seeds of the simulated swarm, one after the other, for as long as wanted. Ends with 1 if one failed.
import { MUTANTS } from "./mutants/all.js";
import type { Mutant } from "./mutants/mutant.js";
import { runSeed } from "./swarm/run.js";

const USAGE = `usage: scripts/soak [--seconds N] [--from SEED]   seeds from SEED on (1), for N seconds (60)
       scripts/soak --seed SEED [--trace]       that one; with every event, one a line
       scripts/soak --mutant NAME ...           as above, with one of these bugs put in:
                                                ${MUTANTS.map(({ name }) => name).join(", ")}`;

interface Wish {
  readonly from: number;
  readonly seconds: number;
  readonly seed: number | undefined;
  readonly trace: boolean;
  readonly mutant: Mutant | undefined;
}

function wishOf(args: readonly string[]): Wish | undefined {
  const wish = {
    from: 1,
    seconds: 60,
    seed: undefined as number | undefined,
    trace: false,
    mutant: undefined as Mutant | undefined,
  };
  for (let i = 0; i < args.length; i++) {
    const [name, value] = [args[i], Number(args[i + 1])];
    if (name === "--trace") wish.trace = true;
    else if (name === "--mutant") {
      wish.mutant = MUTANTS.find((mutant) => mutant.name === args[i + 1]);
      if (wish.mutant === undefined) return undefined;
      i++;
    } else if (!Number.isSafeInteger(value) || value < 0) return undefined;
    else if (name === "--from" || name === "--seconds" || name === "--seed") {
      wish[name.slice(2) as "from" | "seconds" | "seed"] = value;
      i++;
    } else return undefined;
  }
  return wish.trace && wish.seed === undefined ? undefined : wish;
}

async function one(seed: number, { trace, mutant }: Wish): Promise<boolean> {
  const { world, failure } = await runSeed(seed, trace, mutant);
  for (const line of world.lines) process.stdout.write(`${line}\n`);
  if (failure !== undefined) process.stdout.write(`${failure}\n`);
  return failure === undefined;
}

const wish = wishOf(process.argv.slice(2));
if (wish === undefined) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}
const endMs = performance.now() + wish.seconds * 1_000;
let failed = 0;
let done = 0;
if (wish.seed !== undefined) {
  done++;
  if (!(await one(wish.seed, wish))) failed++;
} else {
  for (let seed = wish.from; performance.now() < endMs; seed++) {
    done++;
    if (!(await one(seed, wish))) failed++;
  }
}
process.stdout.write(`${done} seeds, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
