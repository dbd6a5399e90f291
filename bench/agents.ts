// Managers with many agents: real manager processes and, in a few processes of their own, agents that are only their
// network side (certificate, connection, session, beats). How soon all of them have a change, what a manager costs while
// nothing happens, what it holds, and how each grows. `sudo scripts/bench agents`.
//
//   NODES=100,1000        how many agents there are, one size after the other in one swarm
//   MANAGERS=1            managers in the group; of three and more the leader is killed in the end
//   CHANGES=20            changes of each kind, one after the other
//   ENDPOINTS=10000       that are made at once on the network of 1,000 nodes
//   TOTAL=0               endpoints in the end, on networks of ten nodes
//   IDLE_SECONDS=8        how long is looked at while nothing happens
//   NODE_FLAGS=…          of the first manager's Node (--cpu-prof --cpu-prof-dir=…)
//   AGENT_FLAGS=…         of the agents' Nodes
//
// Changes go through the first manager's own socket, as its node's agent sends them. A change is heard when an agent's
// process has read the message with its revision. All share this machine's CPUs, so part of each figure is the agents'.
// As it is it takes about four minutes. The size that Skein is meant for takes ten:
//
//   NODES=1000,5000 TOTAL=100000 CHANGES=5 sudo -E scripts/bench agents
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isRefusal, Refused } from "../common/fault.js";
import {
  AllowPolicyRequest,
  CreateNetworkRequest,
  CreateServiceRequest,
} from "../proto/gen/control.js";
import { PolicyProtocol } from "../proto/gen/types.js";
import { TestManager } from "../test/manager/harness.js";
import { Crowd } from "./measure/agents.js";
import { quantile } from "./measure/table.js";

const numberOf = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise);
const SIZES = (process.env["NODES"] ?? "100,1000").split(",").map(Number);
const MANAGERS = numberOf("MANAGERS", 1);
const CHANGES = numberOf("CHANGES", 20);
const ENDPOINTS = numberOf("ENDPOINTS", 10_000);
const TOTAL = numberOf("TOTAL", 0);
const IDLE_SECONDS = numberOf("IDLE_SECONDS", 8);
const flagsOf = (name: string) => (process.env[name] ?? "").split(" ").filter(Boolean);
const NODE_FLAGS = flagsOf("NODE_FLAGS");
const AGENT_FLAGS = flagsOf("AGENT_FLAGS");
const MAIN = fileURLToPath(new URL("../manager/main.js", import.meta.url));
const PROCESSES = 2;
/** On the small network, whatever else there is. */
const FEW = Math.min(100, ...SIZES);
/** On the large one: one network of 1,000 nodes is what Skein is sized for. */
const MANY = 1_000;
const NODES_OF_OTHERS = 10;
// proc(5): utime and stime are in these, on every architecture that Linux has users of.
const TICKS_A_SECOND = 100;
/** Between two changes, so that each is a lone one. */
const PAUSE_MS = 1_500;
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const say = (text: string) => process.stderr.write(`${text}\n`);

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

function residentMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1_024;
}

const rows: string[] = [];
function row(what: string, size: number, figures: string): void {
  rows.push(`| ${what} | ${size.toLocaleString("en")} | ${figures} |`);
  say(rows.at(-1) ?? "");
}

class Swarm {
  readonly crowd = new Crowd(PROCESSES, AGENT_FLAGS);
  readonly managers: TestManager[] = [];
  #services = 0;
  #policies = 0;

  get first(): TestManager {
    const [manager] = this.managers;
    if (manager === undefined) throw new Error("there is no manager");
    return manager;
  }

  get addrs(): readonly string[] {
    return this.managers.map(({ addr }) => addr);
  }

  async begin(): Promise<void> {
    this.managers.push(await TestManager.start(MAIN, NODE_FLAGS));
    const made = await this.first.init();
    if (isRefusal(made)) throw new Refused(made);
    for (let i = 1; i < MANAGERS; i++) await this.addManager();
  }

  /** Until it has all that the others have, and votes. */
  async addManager(): Promise<void> {
    const manager = await TestManager.start(MAIN);
    this.managers.push(manager);
    await manager.joinManagers(this.first, await this.first.token("manager"));
  }

  async end(): Promise<void> {
    this.crowd.close();
    // SIGTERM lets Node write its profile.
    for (const manager of this.managers) await manager.kill("SIGTERM");
    for (const manager of this.managers) await manager.close();
  }

  async network(name: string, subnet: string, denies = false): Promise<void> {
    const driverOpts = denies ? { "skein.policy": "deny" } : {};
    const ipam = [{ subnet, gateway: "", ipRange: "", auxAddresses: {} }];
    const spec = { name, attachable: true, driver: "overlay", driverOpts, ipam };
    const { control } = this.first;
    await this.first.must(
      control,
      control.createNetwork,
      CreateNetworkRequest.fromPartial({ spec }),
    );
  }

  /** One without tasks: a virtual address and a name. Answers its id and revision. */
  async service(network: string) {
    const { control } = this.first;
    const name = `s${this.#services++}`;
    const networks = [{ target: network, aliases: [] }];
    const request = CreateServiceRequest.fromPartial({
      spec: {
        name,
        task: { container: { image: "none" }, networks },
        mode: { $case: "replicated", value: { replicas: 0 } },
      },
    });
    const { service } = await this.first.must(control, control.createService, request);
    return { id: service?.id ?? "", revision: Number(service?.meta?.version ?? 0) };
  }

  async policy(network: string, to: string): Promise<number> {
    const { control } = this.first;
    // With what is allowed already it would be no change.
    const ports = [{ protocol: PolicyProtocol.TCP, port: ++this.#policies }];
    const request = AllowPolicyRequest.fromPartial({ network, to, ports });
    const { meta } = await this.first.must(control, control.allowPolicy, request);
    return Number(meta?.version ?? 0);
  }
}

/**
 * Each change by itself, until all those agents have it: every agent's wait, and the last one's of each change. After
 * a pause: of changes that never stop a node hears once a second (manager/dispatch/pace.ts).
 */
async function changes(crowd: Crowd, to: number, change: () => Promise<number>) {
  const each: number[] = [];
  const last: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    await new Promise((wake) => setTimeout(wake, PAUSE_MS));
    await crowd.forget();
    const fromMs = nowMs();
    const revision = await change();
    const { atMs } = await crowd.heard(0, to, revision);
    const waits = atMs.map((at) => at - fromMs);
    each.push(...waits);
    last.push(Math.max(...waits));
  }
  const figures = [quantile(each, 0.5), quantile(each, 0.99), quantile(last, 0.5)];
  return `${figures.map((ms) => ms.toFixed(0)).join(" / ")} ms`;
}

async function idle(pids: readonly number[]): Promise<string> {
  const before = pids.map(cpuSeconds);
  await new Promise((wake) => setTimeout(wake, IDLE_SECONDS * 1_000));
  const share = pids.map((pid, i) => ((cpuSeconds(pid) - (before[i] ?? 0)) / IDLE_SECONDS) * 100);
  return `${share.map((each) => each.toFixed(1)).join(" + ")} %`;
}

async function burst(swarm: Swarm, to: number, size: number): Promise<void> {
  const { crowd, first } = swarm;
  await crowd.forget();
  const cpu = cpuSeconds(first.pid);
  const fromMs = nowMs();
  const revision = await crowd.attach(0, to, "many", ENDPOINTS / to);
  const attachedMs = nowMs();
  const { atMs, messages, rows: told } = await crowd.heard(0, to, revision);
  const seconds = (Math.max(...atMs) - fromMs) / 1_000;
  const busy = cpuSeconds(first.pid) - cpu;
  const answered = (attachedMs - fromMs) / 1_000;
  const figures = `${seconds.toFixed(1)} s, the last answered after ${answered.toFixed(1)} s; ${(told / 1e6).toFixed(1)} million rows in ${messages.toLocaleString("en")} messages; manager's CPU ${busy.toFixed(1)} s`;
  row(
    `${ENDPOINTS.toLocaleString("en")} endpoints on their network, all ${to} have all`,
    size,
    figures,
  );
}

async function fill(swarm: Swarm, size: number): Promise<void> {
  const networks = Math.floor(size / NODES_OF_OTHERS);
  const each = Math.max(1, Math.ceil((TOTAL - ENDPOINTS - FEW - MANY) / size));
  const fromMs = nowMs();
  for (let i = 0; i < networks; i++) {
    await swarm.network(`net${i}`, `10.${128 + (i >> 6)}.${(i & 63) * 4}.0/22`);
  }
  for (let i = 0; i < networks; i++) {
    await swarm.crowd.attach(i * NODES_OF_OTHERS, (i + 1) * NODES_OF_OTHERS, `net${i}`, each);
  }
  say(
    `${networks} networks, ${networks * NODES_OF_OTHERS * each} endpoints: ${((nowMs() - fromMs) / 1_000).toFixed(0)} s`,
  );
}

/** One more manager gets a snapshot of everything, while somebody writes without a pause. */
async function anotherManager(swarm: Swarm, size: number): Promise<void> {
  const fromMs = nowMs();
  const joined = swarm.addManager().then(() => nowMs());
  const state = { over: false };
  const end = () => {
    state.over = true;
  };
  joined.then(end, end);
  const waits: number[] = [];
  while (!state.over) {
    const askedMs = nowMs();
    await swarm.service("few");
    waits.push(nowMs() - askedMs);
  }
  const seconds = ((await joined) - fromMs) / 1_000;
  const slowest = Math.max(...waits).toFixed(0);
  const figures = `${seconds.toFixed(1)} s; ${waits.length} writes meanwhile, p50 ${quantile(waits, 0.5).toFixed(0)} ms, slowest ${slowest} ms`;
  row("one more manager joins and has all of it", size, figures);
}

/** The manager that leads is killed; the agents find the next one, each by asking one after the other. */
async function takeOver({ crowd, first }: Swarm, size: number): Promise<void> {
  const fromMs = nowMs();
  await first.kill("SIGKILL");
  const waits = (await crowd.sessions(fromMs)).map((at) => at - fromMs);
  const [p50, last] = [quantile(waits, 0.5), Math.max(...waits)];
  const figures = `${(p50 / 1_000).toFixed(1)} s / ${(last / 1_000).toFixed(1)} s`;
  row("the leader is killed, until sessions with the next: p50 / last", size, figures);
}

async function measure(swarm: Swarm, size: number): Promise<void> {
  const { crowd, first } = swarm;
  const pids = swarm.managers.map(({ pid }) => pid);
  const memory = () => `${pids.map((pid) => residentMib(pid).toFixed(0)).join(" + ")} MiB`;
  const many = Math.min(size, MANY);
  const before = crowd.count;
  const fromMs = nowMs();
  await crowd.grow(size, await first.token("worker"), swarm.addrs);
  const seconds = (nowMs() - fromMs) / 1_000;
  row("nodes that join, a second", size, ((size - before) / seconds).toFixed(0));
  if (before === 0) await crowd.attach(0, FEW, "few", 1);
  if (before < many) await crowd.attach(before, many, "many", 1);
  row(
    `a service, until ${FEW} nodes of its network have it: p50 / p99 / last`,
    size,
    await changes(crowd, FEW, async () => (await swarm.service("few")).revision),
  );
  if (many > FEW) {
    row(
      `- until ${many} have it`,
      size,
      await changes(crowd, many, async () => (await swarm.service("many")).revision),
    );
    row(
      "an endpoint, the same",
      size,
      await changes(crowd, many, async () => crowd.attach(0, PROCESSES, "many", 1)),
    );
    const { id } = await swarm.service("many");
    row("a policy, the same", size, await changes(crowd, many, () => swarm.policy("many", id)));
  }
  row("CPU while nothing happens", size, await idle(pids));
  row("memory, resident", size, memory());
  if (size === Math.min(MANY, Math.max(...SIZES))) {
    await burst(swarm, many, size);
    row("memory after that", size, memory());
  }
  if (size !== Math.max(...SIZES) || TOTAL <= ENDPOINTS) return;
  await fill(swarm, size);
  row(`memory with ${TOTAL.toLocaleString("en")} endpoints`, size, memory());
  row(
    `a service, until ${FEW} nodes have it`,
    size,
    await changes(crowd, FEW, async () => (await swarm.service("few")).revision),
  );
  row(
    `- until ${many} have it`,
    size,
    await changes(crowd, many, async () => (await swarm.service("many")).revision),
  );
  row("CPU while nothing happens", size, await idle(pids));
  row("memory, resident", size, memory());
  await anotherManager(swarm, size);
}

const swarm = new Swarm();
try {
  await swarm.begin();
  await swarm.network("few", "10.64.0.0/16");
  await swarm.network("many", "10.65.0.0/16", true);
  for (const size of SIZES) await measure(swarm, size);
  if (MANAGERS > 2) await takeOver(swarm, Math.max(...SIZES));
  console.log(`${MANAGERS} manager(s); agents in ${PROCESSES} processes on the same machine.\n`);
  console.log("| | nodes | |\n|---|---:|---|");
  for (const each of rows) console.log(each);
  console.log(
    `\nSessions and calls whose connection was lost, and that were begun again: ${swarm.crowd.lost}.`,
  );
} finally {
  await swarm.end();
}
