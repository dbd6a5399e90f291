// Virtual addresses on real daemons and a real kernel: three hosts, a service on them, callers in sandboxes and on
// the machines themselves.
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Lab, until } from "./lab.js";

const CALLER = join(import.meta.dirname, "caller.mjs");
const NODE = process.execPath;
const HOSTS = ["h1", "h2", "h3"];
const PORT = "80";
// SKEIN_VIP_UPDATES: fifty are what is promised.
const UPDATES = Number(process.env["SKEIN_VIP_UPDATES"] ?? 6);

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up("vip", 3);
  await lab.must("images", "alpine");
  await lab.swarm("worker");
  const create = ["network", "create", "-d", "overlay", "--attachable"];
  await lab.docker("h1", ...create, "over");
  await lab.docker("h1", ...create, "other");
  const six = ["--ipv6", "--subnet", "10.66.0.0/24", "--subnet", "fd66::/64"];
  await lab.docker("h1", ...create, ...six, "six");
  const on = ["--network", "over", "--network", "six", "--network", "other"];
  for (const host of HOSTS)
    await lab.skein(host, "run", "-d", "--name", "client", ...on, "--", "sleep", "1d");
  await lab.skein("h1", "attach", "--network", "over");
}, 120_000);
afterAll(() => lab?.down());

afterEach(async () => {
  const ids = (await lab.docker("h1", "service", "ls", "-q")).split("\n").filter(Boolean);
  if (ids.length > 0) await lab.docker("h1", "service", "rm", ...ids);
  const tasks = async (host: string) => await lab.docker(host, "ps", "-aq", "--filter", "name=web");
  await until(
    "all tasks are gone",
    async () => (await Promise.all(HOSTS.map(tasks))).every((ids) => ids === ""),
    60_000,
  );
}, 90_000);

interface Wish {
  readonly replicas?: number;
  readonly network?: string;
  readonly flags?: readonly string[];
  readonly drainMs?: number;
}

/** Tasks that say their slot's number; resolves when all of them run. */
async function serve(name: string, { replicas = 3, network = "over", flags = [], drainMs }: Wish) {
  const drain = drainMs === undefined ? [] : [String(drainMs)];
  await lab.skein(
    ...["h1", "service", "create", "-d", "-q", "--name", name, "--runtime", "process"],
    ...["--network", network, "--replicas", String(replicas), "--env", "NAME={{.Task.Slot}}"],
    ...[...flags, "--", NODE, CALLER, "serve", PORT, ...drain],
  );
  await runs(name, replicas);
}

async function runs(name: string, replicas: number) {
  await until(
    `${replicas} of ${name} run`,
    async () => {
      const format = ["--format", "{{.CurrentState}}", "--filter", "desired-state=running"];
      const states = await lab.docker("h1", "service", "ps", ...format, name);
      return states.split("\n").filter((state) => state.startsWith("Running")).length === replicas;
    },
    60_000,
  );
}

async function scale(name: string, replicas: number) {
  await lab.docker("h1", "service", "scale", "-d", `${name}=${replicas}`);
  await runs(name, replicas);
}

async function vips(name: string): Promise<readonly string[]> {
  const format = "{{range .Endpoint.VirtualIPs}}{{.Addr}} {{end}}";
  const said = await lab.docker("h1", "service", "inspect", "--format", format, name);
  return said
    .split(" ")
    .filter(Boolean)
    .map((prefix) => prefix.split("/")[0] ?? "");
}

const inClient = (...args: readonly string[]) => [
  "skein",
  "exec",
  "-i",
  "client",
  NODE,
  CALLER,
  ...args,
];

type Counts = Readonly<Record<string, number>>;
async function count(host: string, vip: string, times: number): Promise<Counts> {
  return JSON.parse(await lab.ok(host, ...inClient("count", vip, PORT, String(times))));
}
async function names(host: string, vip: string, times = 30): Promise<readonly string[]> {
  return Object.keys(await count(host, vip, times)).sort();
}
/** Until new connections from everywhere go to exactly these. */
async function leadsTo(vip: string, want: readonly string[]) {
  for (const host of HOSTS) {
    await until(`${host} is led to ${want}`, async () => {
      const found = await names(host, vip, 60);
      return found.join() === want.join();
    });
  }
}

describe("a service", () => {
  test("answers at its VIP from every node and from a machine by TCP, UDP and ping", async () => {
    await serve("web", {});
    const [vip = ""] = await vips("web");
    await leadsTo(vip, ["1", "2", "3"]);
    for (const host of HOSTS) {
      expect(
        await lab.ok(
          host,
          "skein",
          "exec",
          "client",
          "ping",
          "-c",
          "3",
          "-i",
          "0.2",
          "-W",
          "1",
          vip,
        ),
      ).toMatch(/ 0% packet loss/);
      const udp = hold(host, "udp", vip);
      await said(udp, "?", /^\d\n/);
      await udp.stop();
    }
    const machine = JSON.parse(await lab.ok("h1", NODE, CALLER, "count", vip, PORT, "60"));
    expect(Object.keys(machine).sort()).toEqual(["1", "2", "3"]);
    expect(await lab.ok("h1", "ping", "-c", "1", "-W", "1", vip)).toMatch(/ 0% packet loss/);
  });

  test("is spread evenly over its tasks", async () => {
    await serve("web", { replicas: 4 });
    const [vip = ""] = await vips("web");
    await leadsTo(vip, ["1", "2", "3", "4"]);
    const total = 800;
    const counts = Object.values(await count("h2", vip, total));
    const expected = total / counts.length;
    const chi = counts.reduce((sum, each) => sum + (each - expected) ** 2 / expected, 0);
    expect(counts).toHaveLength(4);
    // The 99.9 % quantile of chi-squared with 3 degrees of freedom.
    expect(chi).toBeLessThan(16.27);
  });

  test("keeps a connection where it is, also when backends come; UDP too", async () => {
    await serve("web", { replicas: 2 });
    const [vip = ""] = await vips("web");
    await leadsTo(vip, ["1", "2"]);
    const tcp = hold("h3", "tcp", vip);
    const udp = hold("h3", "udp", vip);
    await said(udp, "?", /^\d\n/);
    const first = udp.output().trim();
    await scale("web", 4);
    await leadsTo(vip, ["1", "2", "3", "4"]);
    await said(tcp, "still here", /still here/);
    for (let i = 2; i < 12; i++) await said(udp, "?", new RegExp(`^(\\d\\n){${i}}$`));
    expect(new Set(udp.output().trim().split("\n"))).toEqual(new Set([first]));
    await Promise.all([tcp.stop(), udp.stop()]);
  });

  test("with skein.affinity=client leads each client to one task, which stays when others go", async () => {
    await serve("web", {
      replicas: 4,
      network: "six",
      flags: ["--label", "skein.affinity=client"],
    });
    const addresses = await vips("web");
    const [four = "", six = ""] = [...addresses].sort((a, b) => a.length - b.length);
    for (const host of HOSTS) {
      const first = await until("it is one", async () => {
        const found = await names(host, four);
        return found.length === 1 && /^\d$/.test(found[0] ?? "") && found;
      });
      expect(await names(host, four)).toEqual(first);
      if (six !== "") expect(await names(host, six)).toEqual(first);
    }
  });

  test("can be called by its own tasks, each reaching all of them", async () => {
    await serve("web", { replicas: 2 });
    const [vip = ""] = await vips("web");
    await leadsTo(vip, ["1", "2"]);
    let asked = 0;
    for (const host of HOSTS) {
      const ids = await lab.docker(host, "ps", "-q", "--filter", "name=web");
      for (const id of ids.split("\n").filter(Boolean)) {
        const said = await lab.ok(
          host,
          "skein",
          "exec",
          id,
          NODE,
          CALLER,
          "count",
          vip,
          PORT,
          "60",
        );
        expect(Object.keys(JSON.parse(said)).sort()).toEqual(["1", "2"]);
        asked++;
      }
    }
    expect(asked).toBe(2);
  });

  test("without a task refuses at once", async () => {
    await serve("web", { replicas: 0 });
    const [vip = ""] = await vips("web");
    for (const host of HOSTS) {
      await until(
        "the refusal is there",
        async () => (await names(host, vip, 1))[0] === "ECONNREFUSED",
      );
      const beganMs = performance.now();
      expect(await count(host, vip, 20)).toEqual({ ECONNREFUSED: 20 });
      expect(performance.now() - beganMs).toBeLessThan(1000);
    }
    const beganMs = performance.now();
    const machine = await lab.on("h1", NODE, CALLER, "count", vip, PORT, "20");
    expect(JSON.parse(machine.stdout)).toEqual({ ECONNREFUSED: 20 });
    expect((await lab.on("h1", "ping", "-c", "1", "-W", "3", vip)).code).not.toBe(0);
    expect(performance.now() - beganMs).toBeLessThan(1000);
  });

  test("scaled up and down has new connections where its tasks are", async () => {
    await serve("web", { replicas: 1 });
    const [vip = ""] = await vips("web");
    await leadsTo(vip, ["1"]);
    await scale("web", 3);
    await leadsTo(vip, ["1", "2", "3"]);
    await scale("web", 2);
    for (const host of HOSTS) {
      await until("two answer", async () => {
        const found = await names(host, vip, 60);
        return found.length === 2 && found.every((name) => /^\d$/.test(name));
      });
    }
  });

  test("whose tasks all go resets what is open, and refuses what is new", async () => {
    await serve("web", { replicas: 2 });
    const [vip = ""] = await vips("web");
    await leadsTo(vip, ["1", "2"]);
    const open = HOSTS.map((host) => hold(host, "tcp", vip));
    for (const each of open) await until("it is open", () => /^\d\n/.test(each.output()));
    await lab.docker("h1", "service", "scale", "-d", "web=0");
    for (const each of open) {
      await until("it ended", () => {
        each.write("anybody?");
        return /ECONNRESET|EPIPE|ended/.test(each.output());
      });
      await each.stop();
    }
    await leadsTo(vip, ["ECONNREFUSED"]);
  });

  test("on an IPv6 network has a VIP of both families", async () => {
    await serve("web", { network: "six" });
    const addresses = await vips("web");
    for (const vip of addresses) await leadsTo(vip, ["1", "2", "3"]);
    const inspected = await lab.docker("h1", "network", "inspect", "six", "--format", "{{json .}}");
    expect(inspected).toContain("fd66::");
    expect(addresses.map((each) => each.replace(/\w+$/, ""))).toEqual(["10.66.0.", "fd66::"]);
    const v6 = await lab.ok(
      "h1",
      "nsenter",
      `--net=${await clientNetns("h1")}`,
      "nft",
      "list",
      "ruleset",
    );
    expect(v6).toMatch(/fd66::\w+ : goto pick6-3/);
    const vip6 = /(fd66::\w+) : goto pick6-3/.exec(v6)?.[1] ?? "";
    await leadsTo(vip6, ["1", "2", "3"]);
  });

  test("on two networks is reached on each by that network's addresses", async () => {
    await serve("web", { replicas: 2, flags: ["--network", "other"] });
    const addresses = await vips("web");
    expect(addresses).toHaveLength(2);
    for (const vip of addresses) await leadsTo(vip, ["1", "2"]);
  });

  test("with --endpoint-mode dnsrr has no VIP", async () => {
    await serve("web", { flags: ["--endpoint-mode", "dnsrr"] });
    expect(await vips("web")).toEqual([]);
  });

  test("of containers is reached the same way", async () => {
    const httpd = "hostname >/tmp/index.html && exec httpd -f -p 80 -h /tmp";
    await lab.docker(
      ...(["h1", "service", "create", "-d", "-q", "--name", "web", "--network", "over"] as const),
      // It does not hear SIGTERM.
      ...["--stop-grace-period", "1s", "--replicas", "3", "alpine", "sh", "-c", httpd],
    );
    await runs("web", 3);
    const [vip = ""] = await vips("web");
    const heard = new Set<string>();
    await until("all three answer", async () => {
      const said = await lab.on("h2", ...inClient("get", `http://${vip}/`));
      if (said.code === 0) heard.add(said.stdout.trim());
      return heard.size === 3;
    });
  });
});

test(
  `${UPDATES} rolling updates under constant load lose no TCP request, and no UDP one twice`,
  async () => {
    const flags = [
      "--update-parallelism",
      "1",
      "--update-delay",
      "0s",
      // Docker's default is 5 s after each update, in which nothing moves.
      "--update-monitor",
      "500ms",
      "--stop-grace-period",
      "5s",
      // A task that runs does not listen yet; only its check says when it does.
      "--health-cmd",
      `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${PORT}'`,
      "--health-interval",
      "200ms",
    ];
    await serve("web", { flags, drainMs: 200 });
    const [vip = ""] = await vips("web");
    await leadsTo(vip, ["1", "2", "3"]);
    const loads = HOSTS.map((host) => lab.start(host, ...inClient("load", vip, PORT)));
    for (const load of loads) await until("it calls", () => load.output().startsWith("ready"));
    for (let i = 1; i <= UPDATES; i++) {
      await lab.docker("h1", "service", "update", "-d", "--env-add", `ROUND=${i}`, "web");
      await until(
        `update ${i} is completed`,
        async () => {
          const format = "{{.UpdateStatus.State}}";
          const state = await lab.docker("h1", "service", "inspect", "--format", format, "web");
          if (state !== "completed") return false;
          const env = "{{range .Spec.TaskTemplate.ContainerSpec.Env}}{{.}} {{end}}";
          return (await lab.docker("h1", "service", "inspect", "--format", env, "web")).includes(
            `ROUND=${i}`,
          );
        },
        60_000,
      );
    }
    for (const load of loads) {
      load.end();
      const line = await until("it has told", () => /^ready\n(.+)\n/.exec(load.output())?.[1]);
      const report = JSON.parse(line);
      process.stdout.write(`${line}\n`);
      expect(report.tcp).toBeGreaterThan(100 * UPDATES);
      expect(report.udp).toBeGreaterThan(50 * UPDATES);
      expect(report.failed).toEqual([]);
      expect(report.unanswered).toBe(0);
      // One flow: it moves at most once for each task that leaves.
      expect(report.retried).toBeLessThanOrEqual(3 * UPDATES);
      await load.stop();
    }
  },
  120_000 + UPDATES * 20_000,
);

// ---- Own

function hold(host: string, protocol: "tcp" | "udp", vip: string) {
  return lab.start(host, ...inClient("hold", protocol, vip, PORT));
}

/** Sends a line, again and again, until what was heard matches. */
async function said(call: ReturnType<typeof hold>, line: string, want: RegExp) {
  const heard = call.output();
  call.write(line);
  await until(`it says ${want}`, () => call.output() !== heard && want.test(call.output()));
}

async function clientNetns(host: string): Promise<string> {
  const id = await lab.docker(host, "ps", "-q", "--no-trunc", "--filter", "name=client");
  return `${lab.folder(host)}/run/netns/sb-${id.slice(0, 12)}`;
}
