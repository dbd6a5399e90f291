// Measures services and containers as a person waits for them: a lab of three hosts with containerd, the real
// docker CLI, medians of several runs. `sudo scripts/bench services` runs it; BENCHMARKS.md says what it printed.
//
//   RUNS=3            how often each thing is done
//   SIZES=10,50,200   what a service of two is scaled to
//   IDLE_SECONDS=30   how long the idle daemons are watched
//   ONLY=updates,cuts only these parts (containers, growth, shrinking, updates, replacement, drains, cuts, idle)
import { Lab } from "../test/netns/lab.js";
import { createNetwork } from "./measure/clients.js";
import { idle } from "./measure/cost.js";
import {
  cuts,
  drains,
  growth,
  replacement,
  runs,
  shrinking,
  startIdle,
  stopIdle,
  updates,
} from "./measure/services.js";
import { heading } from "./measure/table.js";
import { ctrRun, yardsticks } from "./measure/yardsticks.js";

const RUNS = Number(process.env["RUNS"] ?? 3);
const SIZES = (process.env["SIZES"] ?? "10,50,200").split(",").map(Number);
const IDLE_TASKS = 50;

const ALL: Record<string, (lab: Lab) => Promise<void>> = {
  containers: (lab) => runs(lab, RUNS * 2),
  growth: (lab) => growth(lab, RUNS, SIZES),
  shrinking: (lab) => shrinking(lab, RUNS),
  updates: (lab) => updates(lab, RUNS),
  replacement: (lab) => replacement(lab, RUNS),
  drains: (lab) => drains(lab, RUNS),
  cuts: (lab) => cuts(lab, RUNS),
  idle: async (lab) => {
    await startIdle(lab, IDLE_TASKS);
    await idle(lab, `1 manager, 2 workers, ${IDLE_TASKS} tasks`);
    await stopIdle(lab);
  },
};

const only = process.env["ONLY"]?.split(",") ?? Object.keys(ALL);

await yardsticks(RUNS * 2);
const lab = await Lab.up("bench", 3);
try {
  await lab.must("images", "alpine");
  await ctrRun(lab, RUNS * 2);
  await lab.swarm("worker");
  await createNetwork(lab, "h1", "overnet", "10.96.0.0/20");
  for (const [name, part] of Object.entries(ALL)) {
    if (!only.includes(name)) continue;
    if (name !== "containers" && name !== "idle") heading(`services: ${name}`);
    await part(lab);
  }
} finally {
  await lab.down();
}
