// Asking why, on three hosts: ping, capture, trace and top of networks that work, and of what does not.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, run, until } from "./lab.js";

const ECHO = new URL("echo.mjs", import.meta.url).pathname;
const PORT = "5432";
// A line for each packet socket of a namespace, below a heading (proc(5)).
const PACKET = "/proc/net/packet";

let lab: Lab;
let folder: string;
/** Of the container that is called so. */
let far: string;

beforeAll(async () => {
  lab = await Lab.up("why", 3);
  folder = await mkdtemp(join(tmpdir(), "skein-why-"));
  await lab.swarm();
  const dual = "-d overlay --attachable --ipv6 --subnet 10.9.0.0/24 --subnet fd09::/64 both";
  await lab.docker("h1", "network", "create", ...dual.split(" "));
  const shop = "-d overlay --attachable --opt skein.policy=deny shop";
  await lab.docker("h1", "network", "create", ...shop.split(" "));
  for (const [host, name] of [
    ["h1", "near"],
    ["h3", "far"],
  ] as const) {
    await lab.skein(host, "run", "-d", "--name", name, "--network", "both", "--", "sleep", "1000");
  }
  const address = '{{(index .NetworkSettings.Networks "both").IPAddress}}';
  far = await lab.docker("h3", "inspect", "-f", address, "far");
  const service = async (name: string, host: string, ...more: string[]) =>
    lab.docker(
      ...["h1", "service", "create", "-d", "-q", "--name", name, "--network", "shop", ...more],
      ...["--constraint", `node.hostname==${host}`, "process", "node", ECHO, "serve", name, PORT],
    );
  await service("db", "h2");
  await service("web", "h1");
  await service("none", "h1", "--replicas", "0");
  await until("db and web serve", async () => {
    const states = await lab.docker("h1", "service", "ls", "--format", "{{.Replicas}}");
    return states.split("\n").filter((each) => each === "1/1").length === 2;
  });
}, 120_000);
afterAll(async () => {
  await lab?.down();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

const skein = (host: string, line: string) => lab.on(host, "skein", ...line.split(" "));

describe("ping", () => {
  test("measures both families between all endpoints, and the machines beside them", async () => {
    const { stdout, code } = await skein("h1", "ping both");
    expect(stdout).toMatch(/Network both over IPv4 .*\n.*near@h1\s+far@h3\n/);
    expect(stdout).toMatch(/Network both over IPv6 .*\n.*near@h1\s+far@h3\n\s+fd09::/);
    expect(stdout).toMatch(/Underlay .*\n.*h1\s+h3\n/);
    expect(stdout).not.toMatch(/lost|failed|…/);
    expect(code).toBe(0);
  });

  test("asks one node alone, and tells what does not fit the MTU", async () => {
    const fits = await skein("h1", "ping --from h3 --size 1402 both");
    expect([fits.code, fits.stdout.match(/^near@h1 .*-/m)]).toEqual([0, null]);
    const { stdout, code } = await skein("h1", "ping --from h3 --size 1403 both");
    expect(stdout).toMatch(/far@h3 fd09\S+ → near@h1 fd09\S+: 1403 bytes of data are more than/);
    expect(code).toBe(1);
  });

  test("ends with Ctrl-C, shows what it knows, and leaves a terminal in order", async () => {
    const script = "script -qec 'skein ping --count 100 both' /dev/null";
    const ping = lab.start("h1", "sh", "-c", `exec ${script}`);
    await until("a matrix is drawn", () => ping.output().includes("near@h1"));
    // As the terminal would: the key comes to the program as SIGINT.
    ping.write("\u0003");
    await until("it has ended", () => ping.output().trimEnd().endsWith("\u001b[J"));
    await ping.stop();
    const told = "skein ping --count 100 both & p=$!; read x; kill -INT $p; wait $p; echo code $?";
    const interrupted = lab.start("h1", "sh", "-c", told);
    await until("it is under way", async () => (await pairs("h1")) > 0);
    interrupted.write("");
    await until("it says its code", () => /Underlay[\s\S]*code 130/.test(interrupted.output()));
  });

  test("names what there is not", async () => {
    expect((await skein("h1", "ping nowhere")).stderr).toContain("network nowhere not found");
    expect((await skein("h1", "ping --from h9 both")).stderr).toContain("node h9 not found");
  });
});

/** How many pairs send something now. */
async function pairs(host: string): Promise<number> {
  const lines = (await skein(host, "top both --once --json")).stdout.trim().split("\n");
  return lines.flatMap((line) => (JSON.parse(line) as { Pairs?: object[] }).Pairs ?? []).length;
}

describe("capture", () => {
  /** What `tcpdump -r` says of a file. */
  const read = async (file: string) => {
    const { stdout, stderr, code } = await run("tcpdump", ["-n", "-e", "-r", file]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("link-type EN10MB (Ethernet)")]);
    return stdout.trim().split("\n");
  };

  test("writes another node's frames, each once, to a file that is its owner's alone", async () => {
    const file = join(folder, "far.pcap");
    const command = `capture --host h3 -w ${file} --count 4 both icmp and dst host ${far}`;
    const capture = lab.start("h1", "skein", ...command.split(" "));
    await until("it has begun", () => capture.output().includes("capturing on both of h3"));
    await skein("h1", "ping both");
    await until("it has ended", () => capture.output().includes("4 frames captured"));
    expect(capture.output()).toMatch(/\n0 frames dropped by kernel\n/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const lines = await read(file);
    // Three requests and one reply, or the like: none of them twice.
    expect(lines.length).toBe(4);
    const seen = lines.map((line) => line.replace(/^\S+ /, ""));
    expect(new Set(seen).size).toBe(4);
    expect(readFileSync(file).readUInt32LE(0)).toBe(0xa1b23c4d);
  });

  test("goes into a pipe, and when nobody reads any more the socket is gone", async () => {
    const sockets = async (host: string) => {
      const folder = `${lab.folder(host)}/run/netns`;
      const networks = readdirSync(folder).filter((file) => file.startsWith("net-"));
      const counts = networks.map(async (file) => {
        const { stdout } = await run("nsenter", [`--net=${folder}/${file}`, "cat", PACKET]);
        return stdout.trim().split("\n").length - 1;
      });
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    };
    await until("nothing captures any more", async () => (await sockets("h3")) === 0);
    const piped = "skein capture --host h3 -w - both 2>/dev/null | tcpdump -l -n -c 3 -r - 2>&1";
    const capture = lab.start("h1", "sh", "-c", piped);
    await until("the socket is there", async () => (await sockets("h3")) > 0);
    await skein("h1", "ping both");
    await until("tcpdump has read", () => /ICMP6?,? echo re/.test(capture.output()));
    await until("the socket is gone", async () => {
      // Something has to be written for the end of the pipe to be noticed.
      await skein("h1", "ping both");
      return (await sockets("h3")) === 0;
    });
    await capture.stop();
  });

  test("shows lines, ends with Ctrl-C, and says why it cannot", async () => {
    const capture = lab.start("h3", "skein", "capture", "both", "icmp6");
    await until("it has begun", () => capture.output().includes("capturing on both"));
    await skein("h1", "ping both");
    await until("lines are there", () => /fd09\S+ > fd09\S+: ICMPv6 echo/.test(capture.output()));
    expect(await capture.stop("SIGINT")).toMatch(
      /\n\d+ frames captured\n[\s\S]*dropped by kernel\n$/,
    );
    expect(capture.output()).not.toMatch(/ICMP echo/);
    for (const [host, line, why] of [
      ["h1", "capture both nonsense", '"nonsense" is not understood'],
      ["h1", "capture --host h2 both", "the network is not on this node"],
      ["h3", "capture --host h1 both", "not a swarm manager"],
    ] as const) {
      expect((await skein(host, line)).stderr).toContain(why);
    }
  });
});

describe("trace", () => {
  const verdict = (stdout: string) => stdout.trim().split("\n").at(-1);

  test("a flow that arrives is shown on each table and where its probe was seen", async () => {
    const { stdout, code } = await skein("h1", "trace near far");
    const steps = stdout.split("\n").flatMap((line) => line.match(/^(h\d +\w+ +ok)/)?.[1] ?? []);
    expect(steps.map((step) => step.replace(/ +/g, " "))).toEqual([
      ...["h1 name ok", "h1 route ok", "h1 port ok", "h1 neighbour ok", "h1 rows ok"],
      ...["h1 underlay ok", "h1 seen ok", "h1 seen ok", "h1 probe ok"],
      ...["h3 port ok", "h3 rows ok", "h3 policy ok"],
      ...["h3 seen ok", "h3 seen ok", "h3 seen ok", "h3 seen ok"],
    ]);
    expect([code, verdict(stdout)]).toEqual([0, "It arrives, and is answered."]);
  });

  test("a policy, a port, a name and a service that stand in the way are named", async () => {
    const denied = await skein("h1", `trace web db:${PORT}`);
    expect(denied.stdout).toMatch(/^h1 +balance +ok .* is the VIP of db; .* goes to 10\./m);
    expect(verdict(denied.stdout)).toMatch(/^It stops on h2: No policy of network shop allows TCP/);
    expect(denied.code).toBe(1);
    await lab.skein("h1", "policy", "allow", "web", "db", "--port", PORT);
    await until("the policy holds", async () => {
      return (await skein("h1", `trace web.1 db:${PORT}`)).code === 0;
    });
    await lab.skein("h1", "policy", "allow", "web", "db");
    await until("nothing listens", async () =>
      /^It stops on h2: Nothing in db\.1\.\w+ listens on TCP port 9;/.test(
        verdict((await skein("h1", "trace web db:9")).stdout) ?? "",
      ),
    );
    expect(verdict((await skein("h1", "trace web none:80")).stdout)).toMatch(
      /^It stops on h1: \S+ is the VIP of none, which has no task that serves/,
    );
    expect(verdict((await skein("h1", "trace near 10.9.0.99")).stdout)).toBe(
      "It stops on h1: Nothing on network both has the address 10.9.0.99.",
    );
    expect((await skein("h1", "trace nobody web")).stderr).toContain(
      "no such container, task, service, address or node: nobody",
    );
  });

  test("a filter on the far side is told from a loss on the way", async () => {
    const h3 = lab.netns("h3");
    const rules = (hook: string, match: string) =>
      `add table inet lost; add chain inet lost x { type filter hook ${hook} priority -300; }; ` +
      `add rule inet lost x udp dport 4789 ${match} drop`;
    const nft = (host: string, text: string) => run("ip", ["netns", "exec", host, "nft", text]);
    const filtered = async () =>
      verdict((await skein("h1", "trace --timeout 500ms near far")).stdout);
    const h1 = lab.netns("h1");
    expect((await nft(h3, rules("input", ""))).code).toBe(0);
    // The programs of the accelerated path do not come by there, and what is told is what happens.
    expect(await filtered()).toBe("It arrives, and is answered.");
    for (const host of ["h1", "h3"]) await lab.restart(host, "kernel");
    await until("it stops where the filter is", async () =>
      /^It stops on h3: The outer packet came to h3, and the probe/.test((await filtered()) ?? ""),
    );
    await nft(h3, "delete table inet lost");
    expect((await nft(h1, rules("output", ""))).code).toBe(0);
    expect(await filtered()).toMatch(/^It stops on h3: No probe came to h3/);
    await nft(h1, "delete table inet lost");
    for (const host of ["h1", "h3"]) await lab.restart(host, "");
    await until("it arrives again", async () => (await filtered())?.startsWith("It arrives"));
  });

  test("nodes are ends too, and JSON has what the lines say", async () => {
    const { stdout, code } = await skein("h1", "trace --json h1 h3");
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines[0]).toMatchObject({ From: { Name: "h1" }, To: { Protocol: "icmp" } });
    expect(lines.at(-1)).toEqual({ Result: "arrives", Node: "", Why: "" });
    expect(code).toBe(0);
  });
});

test("top shows who sends to whom, exactly by endpoint, and nothing of a container's", async () => {
  const ping = lab.start("h1", "skein", "exec", "near", "ping", "-i", "0.05", far);
  await until("pings come back", () => ping.output().includes("bytes from"));
  const { stdout, stderr, code } = await skein("h1", "top --once both");
  await ping.stop();
  expect(code, stderr + stdout).toBe(0);
  expect(stdout).toMatch(/\nnear \S+ +far \S+ +[\d.]+\S*B +\d+\n/);
  expect(stdout).toMatch(/\nfar \S+ +near \S+ +[\d.]+\S*B +\d+\n/);
  const [, sent, received] = /\nnear \S+ +h1 +\S+ +(\d+) +\S+ +(\d+)\n/.exec(stdout) ?? [];
  expect(Number(sent)).toBeGreaterThan(5);
  expect(Number(received)).toBeGreaterThan(5);
  expect((await skein("h1", "top --once nowhere")).stderr).toContain("network nowhere not found");
});

test("top goes on when a node opens its session anew", async () => {
  const top = lab.start("h1", "skein", "top", "--json", "both");
  const told = () => top.output().match(/"Node":"h3"/g)?.length ?? 0;
  await until("h3 tells", () => told() > 0);
  const opened = async () =>
    (await lab.ok("h3", "grep", "-c", "session open", join(lab.folder("h3"), "agent.log"))).trim();
  const before = await opened();
  await lab.skein("h3", "node", "set-addr", "self", "192.168.33.12");
  await until("its session is another", async () => (await opened()) !== before);
  const sofar = told();
  await until("h3 goes on", () => told() > sofar + 1);
  await top.stop();
  expect(top.output()).not.toContain("Error");
});
