// What virtual addresses cost as they become many: connections a second from a sandbox through a VIP of 1, 10
// and 100 backends while the table has 10, 1,000 and 5,000 services, against the same connection without any
// table; and how long it takes until a change is in the kernel. The table is the agent's own, written by the agent's
// own code into a namespace; the backends are addresses of another. `sudo scripts/bench vip`.
//
//   RUNS=3               how often each thing is measured
//   SERVICES=10,1000,5000
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Balance } from "../agent/balance/tables.js";
import { LinuxKernel } from "../agent/kernel/kernel.js";
import { type Reach, reachOf } from "../agent/reach/reach.js";
import { plan } from "../agent/reconcile/plan.js";
import { EMPTY_WANT, type HostWant, type SandboxRef } from "../agent/reconcile/want.js";
import { Assignments, ServiceRow } from "../proto/gen/dispatcher.js";
import { Endpoint, EndpointKind, Network } from "../proto/gen/types.js";
import { run } from "../test/netns/lab.js";
import type { Dialled } from "./measure/dial.js";
import { median } from "./measure/table.js";

const RUNS = Number(process.env["RUNS"] ?? 3);
const SERVICES = (process.env["SERVICES"] ?? "10,1000,5000").split(",").map(Number);
const BACKENDS = [1, 10, 100];
// What every other service of the table has.
const OTHERS = 3;
const CONNECTIONS = "10000";
const CHANGES = 20;
const PORT = "7000";
const DIAL = join(fileURLToPath(new URL(".", import.meta.url)), "measure/dial.js");

const NETWORK = "bench";
const NODE = "node1";
const OWN = "own";
const netns = (name: string) => `skein-bench-vip-${process.pid}-${name}`;
// Who asks, who asks without any table, who answers both.
const [CLIENT, BARE, SERVER] = [netns("c"), netns("b"), netns("s")];

// One subnet: 10.50.0.1 asks (10.51.0.1 without a table); 10.50.1.1 and on are backends that answer, 10.50.64.0 and on those of other
// services, which nobody asks; VIPs are 10.50.128.0 and on.
const address = (block: number, i: number) => `10.50.${block + (i >> 8)}.${i & 255}/16`;
const live = (i: number) => address(1, i + 1);
const VIP = 128;
const DIRECT = "10.51.1.1/16";

function endpoint(id: string, kind: EndpointKind, serviceId: string, ipv4: string): Endpoint {
  const parts = { id, kind, serviceId, ipv4, ownerId: id, name: id, networkId: NETWORK };
  return Endpoint.fromPartial({ ...parts, nodeId: NODE, serving: kind === EndpointKind.TASK });
}

/** As a manager would tell it: the service that is asked, s0, has `backends`. */
function told(services: number, backends: number): Assignments {
  const endpoints = [endpoint(OWN, EndpointKind.TASK, "asks", "10.50.0.1/16")];
  let others = 0;
  for (let i = 0; i < services; i++) {
    endpoints.push(endpoint(`vip${i}`, EndpointKind.VIP, `s${i}`, address(VIP, i)));
    for (let j = 0; j < (i === 0 ? backends : OTHERS); j++) {
      const at = i === 0 ? live(j) : address(64, others++);
      endpoints.push(endpoint(`s${i}.${j}`, EndpointKind.TASK, `s${i}`, at));
    }
  }
  return Assignments.fromPartial({
    revision: 1,
    networks: [
      Network.fromPartial({
        id: NETWORK,
        spec: { name: NETWORK },
        subnets: [{ cidr: "10.50.0.0/16" }],
      }),
    ],
    endpoints,
    services: Array.from({ length: services }, (_, i) =>
      ServiceRow.fromPartial({ id: `s${i}`, name: `s${i}` }),
    ),
  });
}

const sandbox: SandboxRef = { kind: "foreign", path: `/run/netns/${CLIENT}` };

/** The node's own way from what it was told to tables. */
class Node1 {
  readonly #balance = new Balance(() => "skein");
  #reach: Reach | undefined;

  want(held: Assignments): HostWant {
    const reach = reachOf(held, NODE, this.#reach);
    this.#reach = reach;
    const network = reach.networks.get(NETWORK);
    const own = network?.own.get(OWN);
    if (network === undefined || own === undefined) throw new Error("the node is on the network");
    const insides = [{ network, endpoint: own, interfaceName: "eth0" }];
    const tables = this.#balance.tables(reach, [{ sandbox, insides, resolver: undefined }]);
    return { ...EMPTY_WANT, tables };
  }
}

/** The milliseconds of the look with its plan, and of the steps. */
async function converge(kernel: LinuxKernel, want: HostWant, trust: boolean) {
  const fromMs = performance.now();
  const { steps } = plan(want, await kernel.dump([sandbox], trust));
  const plannedMs = performance.now();
  for (const step of steps) await kernel.perform(step);
  const done = performance.now();
  return { lookMs: plannedMs - fromMs, stepsMs: done - plannedMs, steps: steps.length };
}

async function settle(kernel: LinuxKernel, want: HostWant): Promise<void> {
  for (let round = 0; round < 5; round++) {
    if ((await converge(kernel, want, false)).steps === 0) return;
  }
  throw new Error("the table does not come to rest");
}

const ip = (...words: readonly string[]) => execFileSync("ip", words, { stdio: "pipe" });

/** The namespaces, and who answers; its end. */
async function stage(): Promise<() => void> {
  for (const name of [CLIENT, BARE, SERVER]) {
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
  }
  for (const [name, own, end] of [
    [CLIENT, "10.50.0.1/16", "eth0"],
    [BARE, "10.51.0.1/16", "eth1"],
  ] as const) {
    const wire = ["type", "veth", "peer", "name", end, "netns", SERVER];
    ip("-n", name, "link", "add", "eth0", ...wire);
    ip("-n", name, "addr", "add", own, "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
    ip("-n", SERVER, "link", "set", end, "up");
  }
  for (let i = 0; i < Math.max(...BACKENDS); i++) {
    ip("-n", SERVER, "addr", "add", live(i), "dev", "eth0");
  }
  ip("-n", SERVER, "addr", "add", DIRECT, "dev", "eth1");
  const inServer = [`--net=/run/netns/${SERVER}`, process.execPath, DIAL, "accept", PORT];
  const server = spawn("nsenter", inServer, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => createInterface({ input: server.stdout }).once("line", resolve));
  return () => server.kill("SIGKILL");
}

async function dialled(from: string, host: string): Promise<Dialled> {
  const at = host.split("/")[0] ?? "";
  const words = [process.execPath, DIAL, "dial", at, PORT, CONNECTIONS];
  const result = await run("nsenter", [`--net=/run/netns/${from}`, ...words]);
  if (result.code !== 0) throw new Error(result.stderr);
  const answer = JSON.parse(result.stdout) as Dialled;
  const failures = Object.entries(answer.failures);
  if (failures.length > 0) throw new Error(`${at}: ${JSON.stringify(failures)} failed`);
  return answer;
}

const whole = (value: number) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });
const ms = (values: readonly number[]) => median(values).toFixed(2);

async function rates(kernel: LinuxKernel): Promise<void> {
  const bare: Dialled[] = [];
  console.log(
    "\n| connections a second through a VIP of … | 1 backend | 10 | 100 |\n|---|---|---|---|",
  );
  for (const services of SERVICES) {
    const cells: string[] = [];
    for (const backends of BACKENDS) {
      await settle(kernel, new Node1().want(told(services, backends)));
      const pairs: { readonly by: Dialled; readonly direct: Dialled }[] = [];
      for (let i = 0; i < RUNS; i++) {
        const direct = await dialled(BARE, DIRECT);
        pairs.push({ direct, by: await dialled(CLIENT, address(VIP, 0)) });
        bare.push(direct);
      }
      const rate = median(pairs.map(({ by }) => by.perSecond));
      const ratio = median(pairs.map(({ by, direct }) => by.perSecond / direct.perSecond));
      const addedUs = median(pairs.map(({ by, direct }) => by.p50Us - direct.p50Us));
      cells.push(`${whole(rate)} (${ratio.toFixed(2)}, +${addedUs.toFixed(1)} µs)`);
    }
    console.log(`| ${whole(services)} services in the table | ${cells.join(" | ")} |`);
  }
  const base = whole(median(bare.map(({ perSecond }) => perSecond)));
  const baseUs = median(bare.map(({ p50Us }) => p50Us)).toFixed(1);
  console.log(
    "\nIn brackets: of the rate to a program's own address, from a namespace without any table, in the same " +
      `seconds (median ${base} a second, ${baseUs} µs each), and what the median connection takes longer.`,
  );
}

async function updates(kernel: LinuxKernel): Promise<void> {
  console.log(
    "\n| a backend of ten goes or comes, ms | told → table | look and plan | into the kernel | the whole table, from none |",
  );
  console.log("|---|---|---|---|---|");
  for (const services of SERVICES) {
    const all = told(services, 10);
    const gone = new Set(["s0.4"]);
    const fewer = { ...all, endpoints: all.endpoints.filter(({ id }) => !gone.has(id)) };
    await settle(kernel, EMPTY_WANT);
    const node = new Node1();
    const startMs = performance.now();
    const first = node.want(all);
    await converge(kernel, first, false);
    const wholeMs = performance.now() - startMs;
    await settle(kernel, first);
    const times = { wantMs: [] as number[], lookMs: [] as number[], stepsMs: [] as number[] };
    for (let i = 0; i < CHANGES; i++) {
      const fromMs = performance.now();
      const want = node.want(i % 2 === 0 ? fewer : all);
      times.wantMs.push(performance.now() - fromMs);
      const { lookMs, stepsMs, steps } = await converge(kernel, want, true);
      if (steps === 0) throw new Error("a change that changes nothing");
      times.lookMs.push(lookMs);
      times.stepsMs.push(stepsMs);
    }
    const cells = [ms(times.wantMs), ms(times.lookMs), ms(times.stepsMs), wholeMs.toFixed(0)];
    console.log(`| ${whole(services)} services | ${cells.join(" | ")} |`);
  }
  await settle(kernel, EMPTY_WANT);
}

const folder = mkdtempSync(join(tmpdir(), "skein-bench-vip-"));
const kernel = new LinuxKernel({ runDir: folder });
let end = () => {};
try {
  end = await stage();
  await updates(kernel);
  await rates(kernel);
} finally {
  end();
  kernel.close();
  for (const name of [CLIENT, BARE, SERVER]) {
    await run("ip", ["netns", "del", name]);
  }
  rmSync(folder, { recursive: true, force: true });
}
