// The MTU of a network follows the paths between its nodes: routers with smaller links, one that says nothing, and
// jumbo frames, on real daemons and a real kernel.
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab, run, until } from "./lab.js";

const BULK = join(import.meta.dirname, "bulk.mjs");
const OFFLOADS = join(import.meta.dirname, "offloads.mjs");
const NODE = process.execPath;
const HOSTS = ["h1", "h2", "h3"] as const;
const address = (host: string) => `192.168.33.1${Number(host[1]) - 1}`;
// IPv4 20 and ICMP 8.
const ECHO_HEADERS = 28;
const BULK_BYTES = 4 << 20;
const PATIENCE_MS = 60_000;

interface Box {
  readonly host: string;
  readonly address: string;
  /** Of its sandbox. */
  readonly netns: string;
}

let lab: Lab;
const boxes = new Map<string, Box>();

beforeAll(async () => {
  lab = await Lab.up("mtu", 3);
  await breakChecksums();
  await lab.swarm();
  await createNetwork("overnet");
  for (const host of HOSTS) boxes.set(host, await box(host, "overnet"));
  await router();
}, 120_000);
afterAll(() => lab?.down());

const createNetwork = (name: string, ...options: readonly string[]) =>
  lab.skein(...["h1", "network", "create", "-d", "overlay", "--attachable", ...options, name]);

async function box(host: string, network: string): Promise<Box> {
  const name = `on-${network}`;
  const run = ["run", "-d", "--name", name, "--network", network, "--", "sleep", "infinity"];
  const id = await lab.skein(host, ...run);
  const format = `{{.NetworkSettings.Networks.${network}.IPAddress}}`;
  const address = await lab.skein(host, "inspect", "--format", format, name);
  return { host, address, netns: `${lab.folder(host)}/run/netns/sb-${id.slice(0, 12)}` };
}

function on(host: string): Box {
  const found = boxes.get(host);
  if (found === undefined) throw new Error(`no box on ${host}`);
  return found;
}

async function ip(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run("ip", args);
  if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

/**
 * As an interface that puts wrong checksums into packets inside the tunnel: h1's eth0 has the kernel make those that are
 * left to it, and a rule changes what they are begun with (the sum of the addresses, the protocol and the length). Of
 * the test datagrams to h2 alone, for a rule cannot add.
 */
async function breakChecksums(): Promise<void> {
  const words = [...address("h1").split("."), ...address("h2").split(".")].map(Number);
  const begun = (bytes: number) => {
    const length = bytes + 8;
    let sum = 17 + length;
    for (let i = 0; i < words.length; i += 2) sum += ((words[i] ?? 0) << 8) | (words[i + 1] ?? 0);
    return ((sum & 0xffff) + (sum >>> 16)).toString(16);
  };
  // After UDP 8, VXLAN 8, Ethernet 14: the protocol is byte 9 of the IPv4 header inside; after its 20 bytes, the checksum
  // is bytes 6 and 7 of UDP's. Of TCP's these are in the sequence number, and what is sent again has the same.
  const inside = (8 + 8 + 14) * 8;
  const [isUdp, field] = [`@th,${inside + 9 * 8},8 17`, `@th,${inside + (20 + 6) * 8},16`];
  const hook = "type filter hook output priority 0;";
  const rules = [64, 501].map(
    (bytes) =>
      `ip daddr ${address("h2")} udp dport 4789 ${isUdp} ${field} 0x${begun(bytes)} ${field} set 0xbad;`,
  );
  await lab.ok("h1", NODE, OFFLOADS, "eth0", "checksum", "off");
  await lab.ok("h1", "nft", `table ip breaker { chain out { ${hook} ${rules.join(" ")} }; }`);
}

/** Beside the wire: a router with a link of its own to h3. Nothing goes by it yet. */
async function router(): Promise<void> {
  await lab.must("netns", "router");
  const [between, h3, wire] = [lab.netns("router"), lab.netns("h3"), `skein-${lab.name}`];
  const veth = (from: string, name: string, to: string, other: string) =>
    ip(
      ...["-n", from, "link", "add", "dev", name, "type", "veth"],
      ...["peer", "name", other, "netns", to],
    );
  await veth(between, "eth0", wire, "router");
  await veth(between, "far", h3, "far");
  await ip("-n", wire, "link", "set", "dev", "router", "master", "br0", "up");
  await ip("-n", between, "addr", "add", "192.168.33.100/24", "dev", "eth0");
  await ip("-n", between, "addr", "add", "198.18.0.1/24", "dev", "far");
  await ip("-n", h3, "addr", "add", "198.18.0.2/24", "dev", "far");
  for (const [netns, device] of [
    [between, "eth0"],
    [between, "far"],
    [h3, "far"],
  ] as const) {
    await ip("-n", netns, "link", "set", "dev", device, "up");
  }
  await lab.ok("h3", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0");
  const forward = ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"];
  await inRouter(...forward);
  await ip("-n", between, "route", "add", `${address("h3")}/32`, "dev", "far");
}

const inRouter = (...command: readonly string[]) =>
  run("nsenter", [`--net=/run/netns/${lab.netns("router")}`, ...command]);

/** From now on all between h3 and the others goes by the router, or no longer. */
async function byRouter(verb: "add" | "del"): Promise<void> {
  for (const host of ["h1", "h2"]) {
    const there = [`${address("h3")}/32`, "via", "192.168.33.100"];
    const back = [`${address(host)}/32`, "via", "198.18.0.1", "src", address("h3")];
    await ip("-n", lab.netns(host), "route", verb, ...there);
    await ip("-n", lab.netns("h3"), "route", verb, ...back);
  }
}

/** Both ends: a link has one MTU. */
async function farLink(mtu: number): Promise<void> {
  for (const name of ["router", "h3"])
    await ip("-n", lab.netns(name), "link", "set", "dev", "far", "mtu", String(mtu));
}

const inside = ({ netns }: Box, ...command: readonly string[]) =>
  run("nsenter", [`--net=${netns}`, ...command]);

async function mtuOf(box: Box): Promise<number> {
  const { stdout } = await inside(box, "ip", "-j", "link", "show", "dev", "eth0");
  return JSON.parse(stdout)[0].mtu;
}

async function allCarry(mtu: number, which: readonly Box[] = [...boxes.values()]): Promise<void> {
  await until(
    `every sandbox has an MTU of ${mtu}`,
    async () => (await Promise.all(which.map(mtuOf))).every((each) => each === mtu),
    PATIENCE_MS,
  );
}

const ping = (from: Box, to: Box, packetBytes: number, discover: "do" | "dont" = "do") =>
  inside(
    ...([from, "ping", "-M", discover, "-c", "1", "-W", "2"] as const),
    ...["-s", String(packetBytes - ECHO_HEADERS), to.address],
  );

async function bulk(from: Box, to: Box): Promise<string> {
  const enter = ["nsenter", `--net=${to.netns}`];
  const server = lab.start(to.host, ...enter, NODE, BULK, "serve", to.address);
  try {
    const port = await until("the server listens", () => /port (\d+)/.exec(server.output())?.[1]);
    const sent = await inside(from, NODE, BULK, "send", to.address, port, String(BULK_BYTES));
    return sent.stdout.trim();
  } finally {
    await server.stop();
  }
}

/** A packet of the MTU passes, one more byte does not, and a connection carries what it is given, both ways. */
async function carriesExactly(mtu: number): Promise<void> {
  for (const [from, to] of [
    [on("h1"), on("h3")],
    [on("h3"), on("h1")],
  ] as const) {
    await until(`${mtu} bytes pass`, async () => (await ping(from, to, mtu)).code === 0);
    expect((await ping(from, to, mtu + 1)).stderr).toContain(`message too long, mtu=${mtu}`);
    expect(await bulk(from, to)).toBe("same");
  }
}

/** What the manager's doctor says, once it says it. */
const doctor = (pattern: RegExp) =>
  until(
    `doctor says ${pattern}`,
    async () => {
      const { stdout } = await lab.on("h1", "skein", "doctor");
      return pattern.test(stdout) && stdout;
    },
    PATIENCE_MS,
  );

test("an interface that breaks checksums inside the tunnel is left none to make, and it is said", async () => {
  const said = await doctor(/The network interface of h1 puts wrong checksums into packets/);
  expect(said).toContain("where: h1 → h2");
  const makes = async (host: string, vni: number) => {
    const enter = `--net=${lab.folder(host)}/run/netns/net-${vni}`;
    const { stdout } = await run("nsenter", [enter, NODE, OFFLOADS, "vxlan0", "checksum"]);
    return stdout.trim();
  };
  await until("no checksum is left to it", async () => (await makes("h1", 4097)) === "off");
  expect(await makes("h2", 4097)).toBe("on");
  // What would go past that device goes by it.
  expect(said).toMatch(
    /^h1: data path kernel, --datapath auto\n {2}The accelerated data path is not/m,
  );
  expect(said).toMatch(/^h2: data path accelerated/m);
  const pairs = async (host: string) =>
    (await lab.ok(host, "ip", "-br", "link")).match(/sk-\w+-4097/g);
  await until("no program is left", async () => (await pairs("h1")) === null);
  expect(await pairs("h2")).toHaveLength(1);
  expect(await bulk(on("h1"), on("h2"))).toBe("same");
}, 120_000);

test("a wire of 1500 leaves 1450 on every node", async () => {
  await allCarry(1450);
  await carriesExactly(1450);
}, 120_000);

test("a router with a smaller link between two of three nodes makes it smaller on all three", async () => {
  await farLink(1400);
  await byRouter("add");
  await allCarry(1350);
  await carriesExactly(1350);
}, 120_000);

test("a network's own MTU is kept, and said not to fit", async () => {
  await createNetwork("large", "--opt", "com.docker.network.driver.mtu=1450");
  await allCarry(1450, [await box("h1", "large"), await box("h3", "large")]);
  const said = await doctor(/Network large was made with an MTU of 1450/);
  expect(said).toContain(
    "with 50 bytes of headers that is 1500, and the path from h1 to h3 carries 1400.",
  );
}, 120_000);

test("a packet that has become too large is answered, and one that may be cut in pieces arrives", async () => {
  await farLink(1300);
  // h3's programs hear of its own interface's new size from an event, which takes a moment.
  await until("it arrives in pieces", async () => {
    return (await ping(on("h1"), on("h3"), 1350, "dont")).code === 0;
  });
  await until("the sender is told", async () => {
    const { stdout, stderr } = await ping(on("h1"), on("h3"), 1350);
    return /Frag needed and DF set \(mtu = 1250\)|too long, mtu=1250/.test(stdout + stderr);
  });
  await allCarry(1250);
}, 120_000);

test("a router that drops without a word is found to do so, and everything passes", async () => {
  const hook = "type filter hook output priority 0; icmp type destination-unreachable drop;";
  const mute = `table ip mute { chain out { ${hook} }; }`;
  expect((await inRouter("nft", mute)).stderr).toBe("");
  await farLink(1280);
  const said = await doctor(/from h1 to h3 .*an MTU black hole/);
  expect(said).toContain("Packets of more than 1280 bytes from h1 to h3 are dropped on the way");
  expect(said).toContain("where: h1 → h3");
  await allCarry(1230);
  await carriesExactly(1230);
}, 120_000);

test("a router that lets no ICMP through at all is measured with the data path's own packets", async () => {
  const hook = "type filter hook forward priority 0; meta l4proto icmp drop;";
  const deaf = `table ip deaf { chain through { ${hook} }; }`;
  expect((await inRouter("nft", deaf)).stderr).toBe("");
  await farLink(1270);
  await allCarry(1220);
  await carriesExactly(1220);
  await doctor(/more than 1270 bytes from h1 to h3 .*an MTU black hole/);
}, 120_000);

test("a path that grows is found to have, and jumbo frames count where every node has them", async () => {
  await byRouter("del");
  await allCarry(1450);
  for (const host of ["h1", "h2"]) {
    await ip("-n", `skein-${lab.name}`, "link", "set", "dev", host, "mtu", "9000");
    await ip("-n", lab.netns(host), "link", "set", "dev", "eth0", "mtu", "9000");
  }
  await createNetwork("jumbo");
  const [one, two] = [await box("h1", "jumbo"), await box("h2", "jumbo")];
  await allCarry(8950, [one, two]);
  await until("8950 bytes pass", async () => (await ping(one, two, 8950)).code === 0);
  expect(await bulk(one, two)).toBe("same");
  await allCarry(1450);
  expect(await bulk(on("h1"), on("h3"))).toBe("same");
}, 120_000);
