// Raft under loss, delay, duplication, partitions, crashes and membership changes. To replay a seed:
//   RAFT_SEED=17 npx vitest run --project sim test/sim/raft-sim.test.ts
// RAFT_SEEDS=n runs n seeds of each kind instead of the default.
import { afterEach, describe, expect, test } from "vitest";
import { RaftLog } from "../../manager/raft/log.js";
import { makeMessage } from "../../manager/raft/message.js";
import { Raft } from "../../manager/raft/raft.js";
import { MessageKind } from "../../proto/gen/raft.js";
import { type Faults, RaftWorld } from "./raft-world.js";

const ONE_SEED = process.env["RAFT_SEED"];
const SEEDS = Number(process.env["RAFT_SEEDS"] ?? 100);
const STEPS = 5_000;

const kinds: { readonly name: string; readonly members: number; readonly faults: Faults }[] = [
  {
    name: "three members, a bad network",
    members: 3,
    faults: {
      lossPercent: 10,
      duplicatePercent: 10,
      delayMax: 40,
      crashes: false,
      partitions: true,
      changes: false,
    },
  },
  {
    name: "five members that crash",
    members: 5,
    faults: {
      lossPercent: 5,
      duplicatePercent: 5,
      delayMax: 20,
      crashes: true,
      partitions: true,
      changes: false,
    },
  },
  {
    name: "three members that crash, come and go",
    members: 3,
    faults: {
      lossPercent: 3,
      duplicatePercent: 3,
      delayMax: 15,
      crashes: true,
      partitions: true,
      changes: true,
    },
  },
];

function run(seed: number, members: number, faults: Faults): RaftWorld {
  const world = new RaftWorld(seed, members, faults);
  try {
    for (let i = 0; i < STEPS; i++) {
      world.step();
      if (i % 50 === 0) world.checkLogs();
    }
    world.checkLogs();
    // Liveness: when the faults end, there is a leader, and what it is asked for is done everywhere.
    const led = world.calm(() => world.leader()?.raft?.settled === true);
    if (!led) throw new Error("no leader after the faults ended");
    const everywhere = () => {
      const leader = world.leader()?.raft;
      const ids = leader?.members.map(({ raftId }) => raftId) ?? [];
      const all = world.members.filter(({ id }) => ids.includes(id));
      return all.length > 0 && all.every(({ applied }) => applied.includes("the end"));
    };
    // A transfer from before may still move leadership, so it may take asking twice.
    let done = false;
    for (let attempt = 0; attempt < 3 && !done; attempt++) {
      world.propose("the end");
      done = world.calm(everywhere, 50);
    }
    if (!done) throw new Error("the members do not agree after the faults ended");
    world.checkLogs();
  } catch (error) {
    const trace = world.trace.slice(-60).join("\n");
    throw new Error(`seed ${seed}: ${String(error)}\n${trace}\nreplay: RAFT_SEED=${seed}`, {
      cause: error,
    });
  }
  return world;
}

describe("a group of managers", () => {
  for (const { name, members, faults } of kinds) {
    test(`keeps Raft's promises: ${name}`, () => {
      const seeds = ONE_SEED === undefined ? SEEDS : 1;
      let committed = 0;
      for (let i = 0; i < seeds; i++) {
        const world = run(ONE_SEED === undefined ? i : Number(ONE_SEED), members, faults);
        committed += world.committed.length;
      }
      // The simulation does something: entries are committed in spite of the faults.
      expect(committed / seeds).toBeGreaterThan(10);
    }, 120_000);
  }
});

// A check that cannot fail checks nothing: each of these bugs must be seen.
describe("the simulation sees", () => {
  const { isUpToDate } = RaftLog.prototype;
  const { readIndex } = Raft.prototype;
  afterEach(() => {
    RaftLog.prototype.isUpToDate = isUpToDate;
    Raft.prototype.readIndex = readIndex;
  });

  const crashing = kinds[1]?.faults;
  const calmer = kinds[0]?.faults;
  const bugs: {
    readonly name: string;
    readonly faults: Faults | undefined;
    readonly plant?: () => void;
  }[] = [
    {
      name: "votes that a crash forgets (Raft section 5.2)",
      faults: crashing && { ...crashing, crashForgets: "votes" },
    },
    {
      name: "entries that a crash forgets (figure 2, persistent state)",
      faults: crashing && { ...crashing, crashForgets: "entries" },
    },
    {
      name: "votes for a log that is behind (section 5.4.1)",
      faults: crashing,
      plant: () => {
        RaftLog.prototype.isUpToDate = () => true;
      },
    },
    {
      name: "reads that nobody confirmed (dissertation section 6.4)",
      faults: calmer,
      plant: () => {
        // A leader answers from what it has, without asking whether it still leads.
        Raft.prototype.readIndex = function (context) {
          const { id, term, commit: index } = this;
          if (this.role !== "leader") return readIndex.call(this, context);
          const kind = MessageKind.READ_INDEX_RESPONSE;
          this.step(makeMessage(kind, id, id, term, { context, index }));
          return true;
        };
      },
    },
  ];
  for (const { name, faults, plant } of bugs) {
    test(name, () => {
      plant?.();
      if (faults === undefined) throw new Error("no faults to run with");
      const found = Array.from({ length: 200 }, (_, seed) => seed).some((seed) => {
        try {
          run(seed, 5, faults);
          return false;
        } catch (error) {
          return String(error).includes("invariant violated");
        }
      });
      expect(found).toBe(true);
    }, 120_000);
  }
});
