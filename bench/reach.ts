// What it costs to be reached by VIP and through the mesh, against the same without them: a lab of two hosts,
// a service on the second, a client in a sandbox of the first and one outside. All ways in turn, several times,
// so that ratios are of the same minutes. `sudo scripts/bench reach`; BENCHMARKS.md says what it printed.
//
//   RUNS=3        how often each way is measured
//   SECONDS=3     how long one measurement of throughput takes
//   HELD=20000    connections at once from one client address
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Lab, run, until } from "../test/netns/lab.js";
import type { Dialled, Held, Talked } from "./measure/dial.js";
import { median } from "./measure/table.js";

const RUNS = Number(process.env["RUNS"] ?? 3);
const SECONDS = process.env["SECONDS"] ?? "3";
const HELD = Number(process.env["HELD"] ?? 20_000);
const CONNECTIONS = "10000";
const EXCHANGES = "20000";

const DIAL = join(fileURLToPath(new URL(".", import.meta.url)), "measure/dial.js");
const PORTS = { accept: 7000, echo: 7001, iperf: 7002, keep: 7003 } as const;
type Purpose = keyof typeof PORTS;
/** What a port is published as. */
const PUBLISHED = 10_000;
// Choice: a program may often have no more than 20,000 files open, so there are several at both ends.
const KEEPERS = 4;

interface Way {
  readonly name: string;
  /** Words before a command, so that it runs where the client is. */
  readonly at: readonly string[];
  readonly host: string;
  readonly shift: number;
}

interface Figures {
  readonly talked: Talked;
  readonly dialled: Dialled;
  readonly gbits: number;
}

const serveAll = [
  `node ${DIAL} accept ${PORTS.accept} &`,
  `node ${DIAL} echo ${PORTS.echo} &`,
  `iperf3 -s -p ${PORTS.iperf} >/dev/null &`,
  ...Array.from({ length: KEEPERS }, () => `node ${DIAL} accept ${PORTS.keep} keep &`),
  "wait",
].join(" ");

async function output(words: readonly string[], patienceMs = 60_000): Promise<string> {
  const [program = "", ...args] = words;
  const result = await run(program, args, { timeoutMs: patienceMs });
  if (result.code !== 0) throw new Error(`${words.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

function portOf({ shift }: Way, purpose: Purpose): string {
  return String(PORTS[purpose] + shift);
}

async function dialled<T>(way: Way, verb: string, purpose: Purpose, count: string): Promise<T> {
  const words = [...way.at, "node", DIAL, verb, way.host];
  return JSON.parse(await output([...words, portOf(way, purpose), count], 120_000)) as T;
}

async function throughput(way: Way): Promise<number> {
  const words = [...way.at, "iperf3", "-J", "-t", SECONDS, "-c", way.host];
  const answer = JSON.parse(await output([...words, "-p", portOf(way, "iperf")])) as {
    readonly end: { readonly sum_received: { readonly bits_per_second: number } };
  };
  return answer.end.sum_received.bits_per_second / 1e9;
}

async function figures(way: Way): Promise<Figures> {
  return {
    talked: await dialled<Talked>(way, "talk", "echo", EXCHANGES),
    dialled: await dialled<Dialled>(way, "dial", "accept", CONNECTIONS),
    gbits: await throughput(way),
  };
}

/** A namespace on the wire that is no node: its address, and the words to run something in it. */
async function outside(lab: Lab): Promise<readonly string[]> {
  await lab.must("netns", "outside");
  const [wire, netns] = [`skein-${lab.name}`, `skein-${lab.name}-outside`];
  const ip = (...words: readonly string[]) => output(["ip", ...words]);
  await ip("-n", netns, "link", "set", "lo", "up");
  await ip(
    ...["-n", netns, "link", "add", "eth0", "type", "veth"],
    ...["peer", "name", "outside", "netns", wire],
  );
  await ip("-n", netns, "addr", "add", "192.168.33.200/24", "dev", "eth0");
  await ip("-n", netns, "link", "set", "eth0", "up");
  await ip("-n", wire, "link", "set", "outside", "master", "br0", "up");
  return ["nsenter", `--net=/run/netns/${netns}`];
}

async function ways(lab: Lab): Promise<readonly Way[]> {
  await lab.docker("h1", "network", "create", "-d", "overlay", "--attachable", "overnet");
  const publish = Object.values(PORTS).flatMap((port) => ["-p", `${port + PUBLISHED}:${port}`]);
  await lab.docker(
    ...["h1", "service", "create", "-q", "--name", "far", "--network", "overnet", ...publish],
    ...["--stop-grace-period", "1s", "--constraint", "node.hostname==h2"],
    ...["process", "sh", "-c", serveAll],
  );
  lab.start("h2", "sh", "-c", serveAll);
  await lab.skein("h1", "run", "-d", "--name", "near", "--network", "overnet", "--", "sleep", "1d");
  const pid = await lab.docker("h1", "inspect", "-f", "{{.State.Pid}}", "near");
  const far = await lab.docker("h2", "ps", "-q");
  const format = '{{(index .NetworkSettings.Networks "overnet").IPAddress}}';
  const task = await lab.docker("h2", "inspect", "-f", format, far);
  const inspected = JSON.parse(await lab.docker("h1", "service", "inspect", "far")) as {
    readonly Endpoint: {
      readonly VirtualIPs: readonly { readonly NetworkID: string; Addr: string }[];
    };
  }[];
  const overnet = await lab.docker("h1", "network", "inspect", "-f", "{{.Id}}", "overnet");
  const vips = inspected[0]?.Endpoint.VirtualIPs ?? [];
  const vip = vips.find(({ NetworkID }) => NetworkID === overnet)?.Addr.split("/")[0] ?? "";
  const inside = ["nsenter", `--net=/proc/${pid}/ns/net`];
  const from = await outside(lab);
  const [h1 = "", h2 = ""] = lab.hosts.map(({ address }) => address);
  return [
    { name: "inside, h1 → task on h2, directly", at: inside, host: task, shift: 0 },
    { name: "- by its VIP", at: inside, host: vip, shift: 0 },
    { name: "outside → a program of h2 itself", at: from, host: h2, shift: 0 },
    { name: "- published port of h2, task there", at: from, host: h2, shift: PUBLISHED },
    { name: "- published port of h1, task on h2", at: from, host: h1, shift: PUBLISHED },
  ];
}

/** The way that each is compared with. */
const baseOf = [0, 0, 2, 2, 2];

function table(all: readonly Way[], measured: readonly (readonly Figures[])[]): void {
  console.log("\n| TCP, 2 hosts | µs there and back, p50 | p99 | connections/s | Gbit/s |");
  console.log("|---|---|---|---|---|");
  const cell = (i: number, of: (each: Figures) => number, digits: number) => {
    const at = (j: number) => median((measured[j] ?? []).map(of));
    const base = baseOf[i] ?? 0;
    const ratio = i === base ? "" : ` (${(at(i) / at(base)).toFixed(2)})`;
    return `${at(i).toLocaleString("en-US", { maximumFractionDigits: digits })}${ratio}`;
  };
  for (const [i, { name }] of all.entries()) {
    const cells = [
      cell(i, ({ talked }) => talked.p50Us, 1),
      cell(i, ({ talked }) => talked.p99Us, 1),
      cell(i, ({ dialled: { perSecond } }) => perSecond, 0),
      cell(i, ({ gbits }) => gbits, 2),
    ];
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
  console.log(`\nMedians of ${RUNS} runs; in brackets, how many times the direct one above.`);
  const failed = measured.flat().flatMap(({ dialled: { failures } }) => Object.entries(failures));
  console.log(`Connections that failed: ${failed.length === 0 ? "none" : JSON.stringify(failed)}`);
}

/** What it has opened stays open until `end`. */
function holder(way: Way, count: string) {
  const [program = "", ...words] = way.at;
  const command = [...words, "node", DIAL, "hold", way.host, portOf(way, "keep"), count];
  const child = spawn(program, command, { stdio: ["pipe", "pipe", "inherit"] });
  const said = new Promise<Held>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line)));
    child.once("exit", () =>
      reject(new Error(`${way.name}: it ended before it had said anything`)),
    );
  });
  return { said, end: () => child.stdin.end() };
}

async function held(way: Way): Promise<void> {
  const each = String(HELD / KEEPERS);
  const holders = Array.from({ length: KEEPERS }, () => holder(way, each));
  const parts = await Promise.all(holders.map(({ said }) => said));
  for (const { end } of holders) end();
  const open = parts.reduce((sum, part) => sum + part.open, 0).toLocaleString("en-US");
  const seconds = Math.max(...parts.map((part) => part.seconds)).toFixed(1);
  const failed = parts.flatMap(({ failures }) => Object.entries(failures));
  const failures = failed.length === 0 ? "none" : failed.map((one) => one.join(" ")).join(", ");
  console.log(
    `| ${way.name.replace(/^- /, "")} | ${open} open after ${seconds} s, refused: ${failures} |`,
  );
}

const lab = await Lab.up("bench", 2);
try {
  await lab.swarm();
  const all = await ways(lab);
  for (const way of all) {
    await until(`${way.name} answers`, () => dialled(way, "talk", "echo", "10").then(() => true));
  }
  const measured: Figures[][] = all.map(() => []);
  for (let i = 0; i < RUNS; i++) {
    for (const [j, way] of all.entries()) measured[j]?.push(await figures(way));
  }
  table(all, measured);
  console.log(`\n| ${HELD.toLocaleString("en-US")} connections from one address | |\n|---|---|`);
  for (const i of [1, 4]) {
    const way = all[i];
    if (way !== undefined) await held(way);
  }
} finally {
  await lab.down();
}
