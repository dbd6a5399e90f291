// docs/managers.md: whatever people and chance do to the managers, in any order and as fast as they like, each
// node ends as what was wanted of it last. To replay a history:
//   SEATS_SEED=17 npx vitest run --project sim test/sim/seats-random.test.ts
// SEATS_SEEDS=n runs n of them instead of the default.
import { expect, test } from "vitest";
import { seededRandom } from "../../common/random.js";
import { Credentials } from "../fakes/seat-credentials.js";
import { watchGroup, whatIsLeft } from "../fakes/seat-invariants.js";
import { SeatSwarm } from "../fakes/seat-swarm.js";

const IDS = ["n1", "n2", "n3", "n4", "n5"];
const ONE_SEED = process.env["SEATS_SEED"];
const SEEDS = Number(process.env["SEATS_SEEDS"] ?? 20);
const STEPS = 25;
const PAUSES_MS = [0, 0, 100, 300, 1_000, 3_000];
const SETTLED_MS = 90_000;

const credentials = await Credentials.of(IDS);
const seeds =
  ONE_SEED === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(ONE_SEED)];

type Step = (swarm: SeatSwarm, id: string) => unknown;
const steps: Readonly<Record<string, Step>> = {
  promote: (swarm, id) => asked(swarm, () => swarm.wish(id, "manager")),
  demote: (swarm, id) => asked(swarm, () => swarm.wish(id, "worker")),
  "promote again": (swarm, id) => asked(swarm, () => swarm.wish(id, "manager")),
  "demote again": (swarm, id) => asked(swarm, () => swarm.wish(id, "worker")),
  remove: (swarm, id) => asked(swarm, () => swarm.remove(id)),
  "hand over": (swarm) => asked(swarm, () => swarm.handOver()),
  "kill manager": (swarm, id) => swarm.node(id).process?.kill(),
  "kill both": (swarm, id) => {
    swarm.node(id).killAgent();
    swarm.node(id).process?.kill();
  },
  start: (swarm, id) => swarm.node(id).startAgent(),
  cut: (swarm, id) => swarm.network.cut(swarm.node(id).addr),
  heal: (swarm, id) => swarm.network.heal(swarm.node(id).addr),
  "take port": (swarm, id) => {
    swarm.node(id).portTaken = true;
  },
  "free port": (swarm, id) => {
    swarm.node(id).portTaken = false;
  },
};

/** Asked of a node that is not there, or of a leader that is lost meanwhile, it is just not done. */
async function asked(swarm: SeatSwarm, ask: () => Promise<unknown>): Promise<void> {
  if (swarm.maybeLeader() !== undefined) await ask().catch(() => {});
}

test.each(seeds)("history %i ends with everybody what was wanted last", async (seed) => {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
  const voter = (id: string, raftId: number) =>
    ({ id, wanted: "manager", seat: { raftId, learner: false } }) as const;
  const managers = 1 + random.below(IDS.length);
  const swarm = new SeatSwarm(
    credentials,
    IDS.map((id, i) => (i < managers ? voter(id, i + 1) : { id, wanted: "worker" as const })),
    seed,
  );
  const watch = watchGroup(swarm, []);
  const history: string[] = [];
  try {
    swarm.start();
    for (let i = 0; i < STEPS; i++) {
      const [id, name] = [pick(IDS), pick(Object.keys(steps))];
      history.push(`${name} ${id}`);
      await steps[name]?.(swarm, id);
      const pauseMs = pick(PAUSES_MS);
      if (pauseMs > 0) await swarm.pass(pauseMs);
    }
    for (const node of swarm.nodes.values()) {
      swarm.network.heal(node.addr);
      node.portTaken = false;
      node.startAgent();
    }
    const left = () =>
      IDS.map((id) => whatIsLeft(swarm, id))
        .filter((each) => each !== "")
        .join("\n");
    await swarm
      .until(() => left() === "", SETTLED_MS, left)
      .catch((error: unknown) => {
        throw new Error(`${String(error)}\nafter: ${history.join(", ")}`);
      });
    await swarm.pass(12_000);
    expect(left()).toBe("");
    expect(watch.broken).toEqual([]);
  } finally {
    swarm.stop();
  }
});
