// Measures the control plane as a person waits for it: a lab of three hosts, the real docker CLI and skein's
// own, medians of several runs. `sudo scripts/bench control` runs it; BENCHMARKS.md says what it printed.
//
//   RUNS=5            how often each thing is done
//   ENDPOINTS=1000    how many arrive, and how many networks there are, at the most
//   IDLE_SECONDS=30   how long the idle daemons are watched
import { Lab } from "../test/netns/lab.js";
import { client, createNetwork } from "./measure/clients.js";
import { idle } from "./measure/cost.js";
import { arrivals, attachToPing, containers, scriptedLinks } from "./measure/endpoints.js";
import { networkGrowth, networks } from "./measure/networks.js";
import { cutLink, failover, joins, leaveAll } from "./measure/swarm.js";
import { heading } from "./measure/table.js";
import { yardsticks } from "./measure/yardsticks.js";

const RUNS = Number(process.env["RUNS"] ?? 5);
const MANY = Number(process.env["ENDPOINTS"] ?? 1000);
const CONTAINERS = 50;
const steps = [10, 100, 1000].filter((count) => count <= MANY);

async function oneManager(lab: Lab): Promise<void> {
  await lab.swarm("worker");
  await networks(lab, 1, RUNS * 4);
  await networkGrowth(lab, steps);
  heading("on a host");
  await scriptedLinks(RUNS);
  await attachToPing(lab, RUNS);
  await containers(lab, RUNS);
  await cutLink(lab, Math.min(RUNS, 3));
  await idle(lab, "1 manager, 2 workers, no endpoint");
  await createNetwork(lab, "h1", "crowd", "10.97.0.0/24");
  for (let i = 0; i < CONTAINERS; i++) {
    const host = lab.hosts[i % lab.hosts.length]?.name ?? "h1";
    await client(lab, host, "skein", ..."run -d --network crowd -- sleep 1d".split(" "));
  }
  await idle(lab, `the same, ${CONTAINERS} containers on one network`);
}

async function threeManagers(lab: Lab): Promise<void> {
  await lab.swarm("manager");
  await networks(lab, 3, RUNS * 4);
  await failover(lab, RUNS);
  await idle(lab, "3 managers, no endpoint");
  await arrivals(lab, steps);
}

async function inLab(work: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await Lab.up("bench", 3);
  try {
    await work(lab);
  } finally {
    await lab.down();
  }
}

await yardsticks(RUNS * 2);
await inLab(async (lab) => {
  await joins(lab, RUNS);
  await leaveAll(lab);
});
await inLab(oneManager);
await inLab(threeManagers);
