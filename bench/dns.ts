// Answers about names of ours, against Debian's dnsmasq and unbound with the same names, in turn on the same
// machine: each on a port of 127.0.0.11 in one sandbox, each asked by dnsperf from within it.
// `sudo scripts/bench dns`; BENCHMARKS.md says what it printed.
//
//   NAMES=5000    services, each with a VIP
//   SECONDS=4     how long one measurement takes
//   RUNS=3        how often each is measured
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createNamespace, removeNamespace } from "../agent/kernel/namespace.js";
import { sandboxPath } from "../agent/reconcile/want.js";
import { median, quantile } from "./measure/table.js";

const NAMES = Number(process.env["NAMES"] ?? 5000);
const SECONDS = Number(process.env["SECONDS"] ?? 4);
const RUNS = Number(process.env["RUNS"] ?? 3);
// What p99 is taken at: well below what any of them can do.
const CALM_RATE = 5_000;
const SANDBOX = "bench".padEnd(12, "0");
const SERVE = join(fileURLToPath(new URL(".", import.meta.url)), "measure/names.js");
const PACKAGES = { dnsperf: "dnsperf", "dnsmasq-base": "dnsmasq", unbound: "unbound" } as const;
// sysconf(_SC_CLK_TCK) on Linux.
const TICKS_A_SECOND = 100;

const addressOf = (i: number) => `10.9.${i >> 8}.${i & 255}`;
const nameOf = (i: number) => `service-${i}`;

interface Server {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

function needPackages(): void {
  const has = (program: string) => {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };
  const lacking = Object.entries(PACKAGES).filter(([, program]) => !has(program));
  if (lacking.length === 0) return;
  const names = lacking.map(([name]) => name);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // No service of theirs is started by it: what is measured is started here.
  execFileSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...names], {
    env: { ...env, RUNLEVEL: "1" },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function begin(netns: string, folder: string): readonly Server[] {
  const all = Array.from({ length: NAMES }, (_, i) => i);
  const inside = (program: string, ...args: readonly string[]) =>
    spawn("nsenter", [`--net=${netns}`, program, ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  const hosts = join(folder, "hosts");
  writeFileSync(hosts, all.map((i) => `${addressOf(i)} ${nameOf(i)}\n`).join(""));
  const conf = join(folder, "unbound.conf");
  writeFileSync(
    conf,
    [
      "server:",
      ...["interface: 127.0.0.11@5302", "access-control: 127.0.0.0/8 allow", "do-daemonize: no"],
      ...['chroot: ""', 'username: ""', 'pidfile: ""', "use-syslog: no", "num-threads: 1"],
      ...["verbosity: 0", `directory: "${folder}"`, 'local-zone: "." static'],
      ...all.map((i) => `local-data: "${nameOf(i)}. 1 IN A ${addressOf(i)}"`),
      "remote-control:\n control-enable: no\n",
    ].join("\n"),
  );
  const quiet = [
    "--keep-in-foreground",
    "--no-resolv",
    "--no-hosts",
    "--local-ttl=1",
    "--pid-file=",
  ];
  const listen = ["--listen-address=127.0.0.11", "--bind-interfaces", "--port=5301", "--user=root"];
  return [
    {
      name: "Skein",
      port: 26_553,
      process: spawn("node", [SERVE, folder, SANDBOX, String(NAMES)], {
        stdio: ["ignore", "ignore", "inherit"],
      }),
    },
    {
      name: "dnsmasq",
      port: 5301,
      process: inside(
        "dnsmasq",
        ...quiet,
        ...listen,
        "--cache-size=10000",
        `--addn-hosts=${hosts}`,
      ),
    },
    { name: "unbound", port: 5302, process: inside("unbound", "-d", "-c", conf) },
  ];
}

const perf = promisify(execFile);
async function dnsperf(netns: string, port: number, questions: string, ...more: readonly string[]) {
  const words = [
    "-s",
    "127.0.0.11",
    "-p",
    String(port),
    "-d",
    questions,
    "-l",
    String(SECONDS),
    ...more,
  ];
  const { stdout } = await perf("nsenter", [`--net=${netns}`, "dnsperf", ...words], {
    maxBuffer: 1 << 28,
  });
  return stdout;
}

/** User and system time that the process has used, in seconds (proc_pid_stat(5)). */
function cpuOf({ process: { pid } }: Server): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

async function ready(netns: string, { port }: Server, questions: string): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const said = await dnsperf(netns, port, questions, "-l", "0.1", "-t", "0.2").catch(() => "");
    if (/Queries completed:\s+[1-9]/.test(said)) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Error(`nothing answers on port ${port}`);
}

async function main(): Promise<void> {
  needPackages();
  const folder = mkdtempSync(join(tmpdir(), "skein-dns-"));
  const netns = sandboxPath(folder, SANDBOX);
  createNamespace(netns, () => {});
  execFileSync("nsenter", [`--net=${netns}`, "ip", "link", "set", "lo", "up"]);
  const questions = join(folder, "questions");
  // In an order that is not the servers' own.
  const asked = Array.from(
    { length: NAMES },
    (_, i) => `${nameOf((i * 2_654_435_761) % NAMES)} A\n`,
  );
  writeFileSync(questions, asked.join(""));
  const servers = begin(netns, folder);
  try {
    const rows = new Map(
      servers.map(({ name }) => [
        name,
        { rate: [] as number[], cpu: [] as number[], p50: [] as number[], p99: [] as number[] },
      ]),
    );
    for (const server of servers) await ready(netns, server, questions);
    for (let run = 0; run < RUNS; run++) {
      for (const server of servers) {
        const row = rows.get(server.name);
        const before = cpuOf(server);
        const said = await dnsperf(netns, server.port, questions, "-c", "8", "-q", "64");
        const answers = Number(/Queries completed:\s+(\d+)/.exec(said)?.[1]);
        const lost = Number(/Queries lost:\s+(\d+)/.exec(said)?.[1]);
        if (lost > 0) console.error(`${server.name}: ${lost} lost`);
        row?.rate.push(Number(/Queries per second:\s+([\d.]+)/.exec(said)?.[1]));
        row?.cpu.push(((cpuOf(server) - before) / answers) * 1e6);
        const calm = await dnsperf(netns, server.port, questions, "-Q", String(CALM_RATE), "-v");
        const us = [...calm.matchAll(/^> NOERROR \S+ A ([\d.]+)$/gm)].map(
          ([, s]) => Number(s) * 1e6,
        );
        row?.p50.push(quantile(us, 0.5));
        row?.p99.push(quantile(us, 0.99));
      }
    }
    console.log(
      `| ${NAMES} names, 8 clients, 1 thread each | answers a second | processor time an answer | at ${CALM_RATE} a second: p50 | p99 |`,
    );
    console.log("|---|---|---|---|---|");
    for (const [name, { rate, cpu, p50, p99 }] of rows) {
      const shown = [
        median(rate).toFixed(0),
        `${median(cpu).toFixed(1)} µs`,
        `${median(p50).toFixed(0)} µs`,
        `${median(p99).toFixed(0)} µs`,
      ];
      console.log(`| ${name} | ${shown.join(" | ")} |`);
    }
  } finally {
    for (const { process: child } of servers) child.kill("SIGKILL");
    removeNamespace(netns);
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
