// Measures the control plane as a person waits for it: a lab of three hosts, the real docker CLI and skein's own,
// medians of several runs. `sudo scripts/bench control` runs it; BENCHMARKS.md says what it printed.
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { Lab, run, until } from "../test/netns/lab.js";

const RUNS = Number(process.env["RUNS"] ?? 5);
const LAB = "bench";

interface Row {
  readonly what: string;
  readonly ms: readonly number[];
}
const rows: Row[] = [];

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function report(what: string, ms: readonly number[]): void {
  rows.push({ what, ms });
  const format = (value: number) => (value < 100 ? value.toFixed(1) : value.toFixed(0));
  const range = `${format(Math.min(...ms))}-${format(Math.max(...ms))}`;
  console.log(`| ${what} | ${format(median(ms))} (${range}) | ${ms.length} |`);
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

/** Runs a client on a host without scripts/lab between, whose own start would be measured too. */
async function client(lab: Lab, host: string, program: "docker" | "skein", ...args: string[]) {
  const path = program === "skein" ? `/run/skein-lab/${lab.name}/bin/skein` : "docker";
  const endpoint = `unix://${lab.socket(host)}`;
  const result = await run(path, args, { env: { SKEIN_HOST: endpoint, DOCKER_HOST: endpoint } });
  if (result.code !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.stderr}`);
  return result.stdout.trim();
}

/** One call of the local API, with no client program around it. */
function api(
  lab: Lab,
  host: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: lab.socket(host), method, path }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on("end", () =>
        (answer.statusCode ?? 500) < 400 ? resolve(text) : reject(new Error(`${path}: ${text}`)),
      );
    });
    call.on("error", reject);
    if (body !== undefined) {
      call.setHeader("Content-Type", "application/json");
      call.write(JSON.stringify(body));
    }
    call.end();
  });
}

async function ready(lab: Lab, count: number): Promise<void> {
  await until(`${count} nodes are ready`, async () => {
    const nodes = JSON.parse(await api(lab, "h1", "GET", "/nodes")) as {
      Status: { State: string };
    }[];
    return nodes.filter((node) => node.Status.State === "ready").length === count;
  });
}

async function leaveAll(lab: Lab): Promise<void> {
  for (const host of ["h3", "h2", "h1"]) await lab.on(host, "skein", "swarm", "leave", "--force");
}

async function joins(lab: Lab): Promise<void> {
  const times: Record<string, number[]> = {
    init: [],
    worker: [],
    workerReady: [],
    manager: [],
    managerReady: [],
  };
  for (let i = 0; i < RUNS; i++) {
    times["init"]?.push(
      await timed(() =>
        client(lab, "h1", "docker", "swarm", "init", "--advertise-addr", "192.168.33.10"),
      ),
    );
    await ready(lab, 1);
    for (const [host, role, count] of [
      ["h2", "worker", 2],
      ["h3", "manager", 3],
    ] as const) {
      const token = await client(lab, "h1", "docker", "swarm", "join-token", "-q", role);
      const started = performance.now();
      await client(lab, host, "docker", "swarm", "join", "--token", token, "192.168.33.10:2377");
      times[role]?.push(performance.now() - started);
      await ready(lab, count);
      times[`${role}Ready`]?.push(performance.now() - started);
    }
    await leaveAll(lab);
  }
  report("`docker swarm init`", times["init"] ?? []);
  report("`docker swarm join`, worker", times["worker"] ?? []);
  report("- until the manager lists it Ready", times["workerReady"] ?? []);
  report("`docker swarm join`, manager", times["manager"] ?? []);
  report("- until the manager lists it Ready", times["managerReady"] ?? []);
}

async function networks(lab: Lab, managers: number): Promise<void> {
  const create: number[] = [];
  const skein: number[] = [];
  const direct: number[] = [];
  const remove: number[] = [];
  for (let i = 0; i < RUNS * 4; i++) {
    create.push(
      await timed(() =>
        client(
          lab,
          "h1",
          "docker",
          "network",
          "create",
          "-d",
          "overlay",
          "--attachable",
          "measured",
        ),
      ),
    );
    remove.push(await timed(() => client(lab, "h1", "docker", "network", "rm", "measured")));
    skein.push(
      await timed(() =>
        client(lab, "h1", "skein", "network", "create", "-d", "overlay", "measured"),
      ),
    );
    await api(lab, "h1", "DELETE", "/networks/measured");
    direct.push(
      await timed(() =>
        api(lab, "h1", "POST", "/networks/create", { Name: "measured", Driver: "overlay" }),
      ),
    );
    await api(lab, "h1", "DELETE", "/networks/measured");
  }
  report(`\`docker network create\`, ${managers} manager${managers > 1 ? "s" : ""}`, create);
  report("- `docker network rm`", remove);
  report("- `skein network create`", skein);
  report("- the API call alone", direct);
}

async function clientStart(lab: Lab): Promise<void> {
  const docker: number[] = [];
  for (let i = 0; i < RUNS * 2; i++)
    docker.push(await timed(() => client(lab, "h1", "docker", "version")));
  report("(`docker version`: what the client itself costs)", docker);
}

async function attachToPing(lab: Lab): Promise<void> {
  const times: number[] = [];
  await api(lab, "h1", "POST", "/networks/create", {
    Name: "overnet",
    Driver: "overlay",
    Attachable: true,
  });
  for (let i = 0; i < RUNS; i++) {
    await lab.skein("h1", "attach", "--network", "overnet", "--ip", "10.0.1.2");
    times.push(
      await timed(async () => {
        await api(lab, "h2", "POST", "/skein/v1/attachments", { Network: "overnet" });
        await lab.ok("h2", "ping", "-c", "1", "-W", "2", "10.0.1.2");
      }),
    );
    await lab.skein("h1", "detach", "overnet");
    await lab.skein("h2", "detach", "overnet");
    await until(
      "h1 and h2 have withdrawn it",
      async () =>
        (await lab.ok("h1", "ls", `${lab.folder("h1")}/run/netns`)) === "" &&
        (await lab.ok("h2", "ls", `${lab.folder("h2")}/run/netns`)) === "",
    );
  }
  report("`attach` on a second host to the first ping answered (its first endpoint there)", times);
}

async function arrivals(lab: Lab, total: number): Promise<void> {
  const hosts = lab.hosts.map(({ name }) => name);
  const namespaces = Array.from({ length: total }, (_, i) => `skein-${lab.name}-e${i}`);
  await run(
    "sh",
    ["-c", `for i in $(seq 0 ${total - 1}); do ip netns add skein-${lab.name}-e$i; done`],
    { timeoutMs: 300_000 },
  );
  try {
    await api(lab, "h1", "POST", "/networks/create", {
      Name: "large",
      Driver: "overlay",
      Attachable: true,
      IPAM: { Config: [{ Subnet: "10.77.0.0/20" }] },
    });
    const [network] = JSON.parse(await lab.skein("h1", "network", "inspect", "large"));
    const vni = network.Options["com.docker.network.driver.overlay.vxlanid_list"];
    const rowsOf = async (host: string) =>
      Number(
        await lab.ok(
          host,
          "sh",
          "-c",
          `nsenter --net=${lab.folder(host)}/run/netns/net-${vni} ip neigh show nud permanent | wc -l`,
        ),
      );
    const started = performance.now();
    const attached: number[] = [];
    await Promise.all(
      hosts.flatMap((host, h) => {
        const mine = namespaces.filter((_, i) => i % hosts.length === h);
        return Array.from({ length: 16 }, async () => {
          for (let next = mine.pop(); next; next = mine.pop()) {
            attached.push(
              await timed(() =>
                api(lab, host, "POST", "/skein/v1/attachments", { Network: "large", Netns: next }),
              ),
            );
          }
        });
      }),
    );
    await until(
      "every kernel has every row",
      async () => {
        for (const [h, host] of hosts.entries()) {
          const local = namespaces.filter((_, i) => i % hosts.length === h).length;
          if ((await rowsOf(host)) < total - local) return false;
        }
        return true;
      },
      120_000,
    );
    report(`${total} endpoints arrive at 3 hosts: until every kernel has all rows`, [
      performance.now() - started,
    ]);
    report("- one attach meanwhile (48 at once)", attached);
  } finally {
    await run(
      "sh",
      ["-c", `for i in $(seq 0 ${total - 1}); do ip netns del skein-${lab.name}-e$i; done`],
      { timeoutMs: 300_000 },
    );
  }
}

async function failover(lab: Lab): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const nodes = JSON.parse(await api(lab, "h1", "GET", "/nodes")) as {
      Description: { Hostname: string };
      ManagerStatus?: { Leader?: boolean };
    }[];
    const old = nodes.find((node) => node.ManagerStatus?.Leader)?.Description.Hostname ?? "h1";
    const other = lab.hosts.find(({ name }) => name !== old)?.name ?? "h1";
    await lab.must("kill", old, "manager");
    const started = performance.now();
    await until(
      "a write is taken",
      async () => {
        await api(lab, other, "POST", "/networks/create", {
          Name: `failover-${i}`,
          Driver: "overlay",
        });
        return true;
      },
      30_000,
    );
    times.push(performance.now() - started);
    await until(
      "all managers are back",
      async () => {
        const states = await lab.on("h1", "skein", "node", "ls", "--format", "{{.ManagerStatus}}");
        return (
          states.code === 0 &&
          /^(Leader|Reachable)\n(Leader|Reachable)\n(Leader|Reachable)\n$/.test(states.stdout)
        );
      },
      30_000,
    );
  }
  report("leader's manager kill -9, 3 managers: until another takes a `network create`", times);
}

/** CPU seconds and resident memory of the daemons of a host, from /proc. */
function cost(pid: string): { readonly cpuSeconds: number; readonly rssMiB: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  // proc(5): utime and stime are fields 14 and 15, in ticks of 1/100 s on Linux.
  return { cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100, rssMiB: Number(rss) / 1024 };
}

async function idle(lab: Lab): Promise<void> {
  const listing = await lab.must("ls");
  const daemons = [...listing.matchAll(/^(h\d+) .*agent (\d+) +manager (\d*)/gm)].flatMap(
    ([, host, agent, manager]) => [
      { name: `${host} agent`, pid: agent ?? "" },
      ...(manager ? [{ name: `${host} manager`, pid: manager }] : []),
    ],
  );
  const before = daemons.map(({ pid }) => cost(pid));
  const seconds = 20;
  await new Promise((wake) => setTimeout(wake, seconds * 1_000));
  console.log("\n| idle daemon | CPU, % of one core | RSS, MiB |\n|---|---|---|");
  for (const [i, { name, pid }] of daemons.entries()) {
    const after = cost(pid);
    const percent = ((after.cpuSeconds - (before[i]?.cpuSeconds ?? 0)) / seconds) * 100;
    console.log(`| ${name} | ${percent.toFixed(2)} | ${after.rssMiB.toFixed(0)} |`);
  }
}

const lab = await Lab.up(LAB, 3);
try {
  console.log("| what | ms, median (min-max) | runs |\n|---|---|---|");
  await clientStart(lab);
  await joins(lab);
  await lab.skein("h1", "swarm", "init", "--advertise-addr", "192.168.33.10");
  await networks(lab, 1);
  await leaveAll(lab);
  await lab.swarm("manager");
  await networks(lab, 3);
  await attachToPing(lab);
  await failover(lab);
  await arrivals(lab, Number(process.env["ENDPOINTS"] ?? 1000));
  await idle(lab);
} finally {
  await lab.down();
}
