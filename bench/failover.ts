// Fail-over: from the moment the leading manager is killed (-9), stopped or cut off until another manager
// acknowledges a write, in a lab of 3 and of 5 managers. Every write that was acknowledged is looked for at the end.
//
//   sudo scripts/bench failover [--runs=N] [--managers=3,5] [--faults=kill,stop,cut]
//
// Each run takes four to six seconds: the default, 10 of each kind, is five minutes; `--runs=100
// --managers=3 --faults=kill` is ten.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Lab, run, until } from "../test/netns/lab.js";
import { callApi, getJson } from "../test/netns/local-api.js";
import { type NodeView, nodes } from "./measure/clients.js";
import { quantile } from "./measure/table.js";

type Fault = "kill" | "stop" | "cut";
const FAULTS: Record<Fault, string> = {
  kill: "leader's manager killed (-9)",
  stop: "leader's manager stopped (SIGSTOP)",
  cut: "leader's host cut off",
};

interface Cell {
  readonly fault: Fault;
  readonly managers: number;
  readonly ms: number[];
}

class Bench {
  readonly #acknowledged: string[] = [];
  #writes = 0;

  constructor(private readonly lab: Lab) {}

  /** One fault and its end. Answers how long no write was acknowledged, in ms. */
  async once(fault: Fault): Promise<number> {
    const leader = await this.#leader();
    const survivors = this.lab.hosts.filter(({ name }) => name !== leader);
    const asked = survivors[this.#writes % survivors.length]?.name ?? "";
    const pid = await this.#managerOf(leader);
    const from = performance.now();
    await this.#begin(fault, leader, pid);
    await this.#write(asked);
    const took = performance.now() - from;
    await this.#end(fault, leader, pid);
    await this.#follows(leader);
    await this.#allReachable(asked);
    // So that the next fault comes at any moment between two heartbeats.
    await sleep(Math.random() * 500);
    process.stderr.write(`${fault}: ${took.toFixed(0)} ms\n`);
    return took;
  }

  async lost(): Promise<readonly string[]> {
    const socket = this.lab.socket("h1");
    const configs = await getJson<{ Spec: { Name: string } }[]>(socket, "/configs");
    const names = new Set(configs.map(({ Spec }) => Spec.Name));
    return this.#acknowledged.filter((name) => !names.has(name));
  }

  async #begin(fault: Fault, host: string, pid: number): Promise<void> {
    if (fault === "kill") process.kill(pid, "SIGKILL");
    else if (fault === "stop") process.kill(pid, "SIGSTOP");
    else await run("ip", ["-n", `skein-${this.lab.name}`, "link", "set", host, "down"]);
  }

  async #end(fault: Fault, host: string, pid: number): Promise<void> {
    // One that was killed is started again by its agent.
    if (fault === "stop") process.kill(pid, "SIGCONT");
    if (fault === "cut")
      await run("ip", ["-n", `skein-${this.lab.name}`, "link", "set", host, "up"]);
  }

  /** As a client that wants it written: asks again until it is. */
  async #write(host: string): Promise<void> {
    const name = `failover-${++this.#writes}`;
    await until(
      "a write is acknowledged",
      async () => {
        const body = { Name: name, Data: Buffer.from(name).toString("base64") };
        const { status } = await callApi(this.lab.socket(host), "POST", "/configs/create", body);
        // 409: it was made by an attempt whose answer was lost.
        return status === 201 || status === 409;
      },
      60_000,
    );
    this.#acknowledged.push(name);
  }

  async #leader(): Promise<string> {
    const isLeader = (node: NodeView) => node.ManagerStatus?.Leader === true;
    return until("there is a leader", async () => {
      return (await nodes(this.lab)).find(isLeader)?.Description.Hostname;
    });
  }

  async #managerOf(host: string): Promise<number> {
    const lines = (await this.lab.must("ls")).split("\n").map((line) => line.trim().split(/\s+/));
    const line = lines.find(([name]) => name === host) ?? [];
    const pid = Number(line[MANAGER_COLUMN]);
    if (!(pid > 1)) throw new Error(`no manager runs on ${host}: ${line.join(" ")}`);
    return pid;
  }

  /**
   * That manager itself knows of a leader. The leader takes some seconds to miss one, and an agent starts a manager that
   * is killed again and again after pauses that grow: with the next killed meanwhile there would be no majority.
   */
  async #follows(host: string): Promise<void> {
    await until(
      `the manager of ${host} is back`,
      async () => {
        const own = await getJson<{ LeaderNodeID?: string }>(this.lab.socket(host), RAFT);
        return own.LeaderNodeID !== undefined && own.LeaderNodeID !== "";
      },
      60_000,
    );
  }

  async #allReachable(host: string): Promise<void> {
    await until(
      "all managers are back",
      async () => {
        const all = (await nodes(this.lab, host)).map((node) => node.ManagerStatus?.Reachability);
        return all.length === this.lab.hosts.length && all.every((each) => each === "reachable");
      },
      60_000,
    );
  }
}

/** What a manager itself believes. */
const RAFT = "/skein/v1/raft";
// Of `scripts/lab ls`: the host, its address, "agent" and its pid, "manager" and its pid.
const MANAGER_COLUMN = 5;

async function measure(managers: number, faults: readonly Fault[], runs: number): Promise<Cell[]> {
  const lab = await Lab.up("failover", managers);
  try {
    await lab.swarm("manager");
    const bench = new Bench(lab);
    await bench.once("kill");
    const cells = faults.map((fault): Cell => ({ fault, managers, ms: [] }));
    for (const cell of cells) {
      for (let i = 0; i < runs; i++) cell.ms.push(await bench.once(cell.fault));
    }
    const lost = await bench.lost();
    if (lost.length > 0) throw new Error(`acknowledged and lost: ${lost.join(", ")}`);
    return cells;
  } finally {
    await lab.down();
  }
}

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10" },
    managers: { type: "string", default: "3,5" },
    faults: { type: "string", default: "kill,stop,cut" },
  },
});
const faults = values.faults.split(",").filter((each): each is Fault => each in FAULTS);
console.log(
  "| fault, until another manager acknowledges a write | managers | p50 ms | p90 ms | p99 ms | most ms | runs |",
);
console.log("|---|---:|---:|---:|---:|---:|---:|");
for (const managers of values.managers.split(",").map(Number)) {
  for (const { fault, ms } of await measure(managers, faults, Number(values.runs))) {
    const at = (share: number) => Math.round(quantile(ms, share));
    const most = Math.round(Math.max(...ms));
    console.log(
      `| ${FAULTS[fault]} | ${managers} | ${at(0.5)} | ${at(0.9)} | ${at(0.99)} | ${most} | ${ms.length} |`,
    );
  }
}
console.log("\nOf the writes that were acknowledged, none was lost.");
