// The userspace data path on real kernels: two hosts that switch their frames themselves, one with the kernel's VXLAN
// device, and one that has a VXLAN device and no Skein. All of them are on one network.
import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DataPath } from "../../agent/overlay/data-path.js";
import type { HostWant, LocalEndpoint, RemoteEndpoint } from "../../agent/reconcile/want.js";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseVni, type Vni } from "../../common/ids.js";
import { type Host, inside, ip, Lab } from "./kernel-lab.js";

const VNI = parseVni(4097) as Vni;
const STREAM = new URL("./stream.mjs", import.meta.url).pathname;
const PLAIN = 4;
const PATHS: readonly DataPath[] = ["userspace", "kernel", "userspace"];
const address = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;
const macOf = (n: number) => `02:42:0a:00:01:0${n}` as Mac;
const idOf = (n: number) => String(n).repeat(64);
const v4 = (n: number) => `10.0.1.${n}`;
const v6 = (n: number) => `fd00:1::${n}`;

/** Endpoint n lives on host n. */
function local(n: number): LocalEndpoint {
  return {
    endpointId: `endpoint${n}`,
    mac: macOf(n),
    prefixes: [prefix(`${v4(n)}/24`), prefix(`${v6(n)}/64`)],
    interfaceName: "eth0",
    sandbox: { kind: "own", id: idOf(n) },
    version: n,
  };
}
function remote(n: number): RemoteEndpoint {
  const ips = [address(v4(n)), address(v6(n))];
  return {
    endpointId: `endpoint${n}`,
    mac: macOf(n),
    ips,
    vtep: address(`192.0.2.${n}`),
    version: n,
  };
}
function wantOf(n: number, path: DataPath, port = 4789): HostWant {
  const remotes = [1, 2, 3, PLAIN].filter((other) => other !== n).map(remote);
  const network = {
    networkId: "networknetworknetworkabcd",
    name: "overnet",
    vni: VNI,
    mtuBytes: 0,
    vtep: address(`192.0.2.${n}`),
    port,
    path,
    subnets: [prefix("10.0.1.0/24"), prefix("fd00:1::/64")],
    locals: [local(n)],
    remotes,
    floodTo: remotes.map(({ vtep }) => vtep),
  };
  return { sandboxes: [{ id: idOf(n) }], networks: [network] };
}

describe("a network of every kind of host", () => {
  let lab: Lab;
  const host = (n: number): Host => lab.host(n);
  const sandbox = (n: number) => (n === PLAIN ? host(n).netns : host(n).sandbox(idOf(n)));

  beforeAll(async () => {
    lab = new Lab("sku", 4);
    for (const [i, path] of PATHS.entries()) {
      host(i + 1).start();
      expect(await host(i + 1).set(wantOf(i + 1, path))).toHaveProperty("problems", {});
    }
    plainVxlan(host(PLAIN));
    host(PLAIN).start();
  });
  afterAll(() => lab?.down());

  async function pings(from: number, to: string): Promise<number> {
    const netns = from === PLAIN ? undefined : sandbox(from);
    const { outcomes } = await host(from).ask({ call: "ping", netns, targets: [to] });
    return outcomes?.[0]?.rttsUs.length ?? 0;
  }
  async function counted(n: number): Promise<Record<string, number>> {
    const { value } = await host(n).ask({ call: "switched", vni: VNI });
    return value as Record<string, number>;
  }
  const link = (n: number) =>
    JSON.parse(inside(host(n).net(VNI), "ip", "-d", "-j", "link", "show", "vxlan0"))[0];

  test("the device of the same name is a TAP that stays, and the bridge knows it as it knew the other", () => {
    expect(link(2).linkinfo.info_kind).toBe("vxlan");
    expect(link(1).linkinfo).toMatchObject({
      info_kind: "tun",
      info_data: { type: "tap", pi: false, vnet_hdr: true, persist: true },
      info_slave_data: { learning: false, flood: false, neigh_suppress: true },
    });
    expect(link(1).mtu).toBe(link(2).mtu);
    const shown = inside(host(1).net(VNI), "bridge", "fdb", "show", "dev", "vxlan0");
    expect(shown.match(/02:42:0a:00:01:0[234] master br0 static/g)).toHaveLength(3);
  });

  const pairs = [
    [1, 3],
    [1, 2],
    [2, 1],
    [1, PLAIN],
    [PLAIN, 3],
  ] as const;
  test.for(pairs)("host %i reaches host %i: small and large, IPv4 and IPv6", async ([from, to]) => {
    // An address is used a moment after it was given: nobody else must have it.
    for (const to_ of [v4(to), v6(to)])
      await until(`${to_} answers`, async () => (await pings(from, to_)) === 3);
    // These go in fragments.
    for (const to_ of [v4(to), v6(to)]) {
      const said = inside(
        sandbox(from),
        "ping",
        "-c",
        "2",
        "-i",
        "0.05",
        "-W",
        "9",
        "-s",
        "8000",
        to_,
      );
      expect(said).toMatch(/ 2 received/);
    }
  });

  const streams = [
    [1, 3, v4(3), 50],
    [3, 1, v6(1), 50],
    [1, 2, v4(2), 50],
    [2, 1, v6(1), 50],
    [1, PLAIN, v6(PLAIN), 20],
    [PLAIN, 1, v4(1), 20],
  ] as const;
  test.for(streams)(
    "%i → %i: a stream to %s arrives as it was sent",
    async ([from, to, ip_, mib]) => {
      const taking = node(sandbox(to), "take", ip_, "7000");
      await taking.line("ready");
      const given = await node(sandbox(from), "give", ip_, "7000", String(mib)).text();
      expect(given).toMatch(new RegExp(`^${mib > 20 ? "52" : "20"}\\d+ [0-9a-f]{64}$`));
      expect(await taking.line(/^\d+ /)).toBe(given);
      taking.end();
    },
  );

  test("datagrams of every size arrive, and what is longer than the MTU in fragments", async () => {
    for (const size of [1, 100, 1_000, 1_422, 3_000]) {
      const counting = node(sandbox(3), "count", "7001", "40");
      await counting.line("ready");
      await node(sandbox(1), "blast", v4(3), "7001", "40", String(size)).text();
      expect(Number(await counting.line(/^\d+$/))).toBe(40);
    }
  });

  test("broadcast reaches every other host of the network", async () => {
    const counting = [2, 3].map((n) => node(sandbox(n), "count", "7002", "10"));
    for (const each of counting) await each.line("ready");
    // A busy machine may lose some; nobody sends them again.
    await until("all have ten", async () => {
      await node(sandbox(1), "blast", "10.0.1.255", "7002", "10", "64").text();
      return counting.every((each) => each.hasEnded());
    });
    for (const each of counting) expect(await each.line(/^\d+$/)).toBe("10");
  });

  test("ARP and neighbour discovery are answered on the node, and never cross", async () => {
    inside(sandbox(1), "ip", "neigh", "flush", "all");
    await host(3).ask({ call: "capture" });
    expect(await pings(1, v4(3))).toBe(3);
    expect(await pings(1, v6(3))).toBe(3);
    const { payloads = [] } = await host(3).ask({ call: "captured", port: 4789 });
    expect(payloads.length).toBeGreaterThanOrEqual(6);
    const frames = payloads.map((payload) => payload.slice(16));
    expect(frames.filter((frame) => frame.slice(24, 28) === "0806")).toEqual([]);
  });

  test("what is not of the network, from no node of it, or from another's MAC is dropped and counted", async () => {
    const before = await counted(1);
    before["not-a-peer"] = 0;
    const frame = (source: Mac, destination: Mac) =>
      `${`${destination}${source}`.replaceAll(":", "")}0800${"00".repeat(60)}`;
    const vxlan = (vni: number) =>
      `0800000000${vni.toString(16).padStart(4, "0")}00`.padStart(16, "0");
    const send = (from: string, hex: string) =>
      inside(host(PLAIN).netns, process.execPath, "-e", ROGUE, from, hex);
    ip("-n", netnsOf(host(PLAIN)), "addr", "add", "192.0.2.99/24", "dev", "ul0");
    send("192.0.2.4", vxlan(0x1234) + frame(macOf(PLAIN), macOf(1)));
    send("192.0.2.4", `00${vxlan(VNI).slice(2)}${frame(macOf(PLAIN), macOf(1))}`);
    send("192.0.2.4", "08");
    send("192.0.2.99", vxlan(VNI) + frame(macOf(PLAIN), macOf(1)));
    send("192.0.2.4", vxlan(VNI) + frame(macOf(3), macOf(1)));
    send("192.0.2.4", vxlan(VNI) + frame(macOf(1), macOf(1)));
    send("192.0.2.4", vxlan(VNI) + frame("02:42:0a:00:01:77" as Mac, macOf(1)));
    send("192.0.2.4", vxlan(VNI) + frame(macOf(PLAIN), "02:42:0a:00:01:77" as Mac));
    send("192.0.2.4", vxlan(VNI) + frame(macOf(PLAIN), macOf(1)).slice(0, 20));
    const wanted = {
      "unknown-vni": 1,
      "not-vxlan": 2,
      "not-a-peer": 1,
      "source-spoofed": 2,
      "unknown-source": 1,
      "not-here": 1,
      malformed: 1,
    };
    // Where the machine has a packet filter, it drops what comes from strangers before the switch sees it.
    await until("all of them are counted", async () => {
      const now = await counted(1);
      const { counts } = await host(1).ask({ call: "drops" });
      now["not-a-peer"] = (now["not-a-peer"] ?? 0) + (counts?.["not-a-peer"] ?? 0);
      return Object.entries(wanted).every(
        ([kind, n]) => (now[kind] ?? 0) - (before[kind] ?? 0) >= n,
      );
    });
    // Each once, whoever noted it: what the filter lets through the switch sees, too.
    const { value } = await host(1).ask({ call: "strangers" });
    expect(value).toEqual(
      expect.arrayContaining([
        { reason: "not-a-peer", address: "192.0.2.99", vni: VNI, frames: 1 },
        { reason: "unknown-vni", address: "192.0.2.4", vni: 0x1234, frames: 1 },
      ]),
    );
    expect(value).toHaveLength(2);
  });

  test("a TAP that somebody deletes is made again", async () => {
    inside(host(1).net(VNI), "ip", "link", "del", "vxlan0");
    await until("the TAP is back", async () => (await pings(1, v4(3))) === 3);
    expect(await pings(2, v6(1))).toBe(3);
  });

  test("killed under load it is back within two seconds of its start; sandboxes keep their link", async () => {
    const taking = node(sandbox(3), "take", v4(3), "7003");
    await taking.line("ready");
    const giving = node(sandbox(1), "give", v4(3), "7003", "200");
    const veth = () => inside(sandbox(1), "cat", "/sys/class/net/eth0/ifindex");
    const before = veth();
    await until("frames flow", async () => ((await counted(1))["frames-out"] ?? 0) > 5_000);
    await host(1).kill();
    expect(link(1).linkinfo.info_data.persist).toBe(true);
    expect(inside(sandbox(1), "cat", "/sys/class/net/eth0/carrier").trim()).toBe("1");
    host(1).start();
    const answer = await host(1).set(wantOf(1, "userspace"));
    expect(answer).toHaveProperty("problems", {});
    expect(await pings(1, v4(3))).toBe(3);
    console.log(`userspace: ${answer.ms.toFixed(0)} ms from a start's want to looked-again`);
    // The stream itself only waited.
    expect(await giving.text()).toBe(await taking.line(/^\d+ /));
    expect(veth()).toBe(before);
    taking.end();
  });

  test("a minute's worth of frames leaves the heap as it was", async () => {
    const before = await counted(1);
    const taking = node(sandbox(3), "take", v4(3), "7004");
    await taking.line("ready");
    await node(sandbox(1), "give", v4(3), "7004", "300").text();
    taking.end();
    const after = await counted(1);
    expect((after["frames-out"] ?? 0) - (before["frames-out"] ?? 0)).toBeGreaterThan(150_000);
    expect((after["heapUsed"] ?? 0) - (before["heapUsed"] ?? 0)).toBeLessThan(2 << 20);
  });

  test("a host changes its path, there and back, and no sandbox loses its link", async () => {
    const index = () => inside(sandbox(3), "cat", "/sys/class/net/eth0/ifindex");
    const before = index();
    for (const path of ["kernel", "userspace"] as const) {
      await host(3).kill();
      host(3).start();
      expect(await host(3).set(wantOf(3, path))).toHaveProperty("problems", {});
      expect(link(3).linkinfo.info_kind).toBe(path === "kernel" ? "vxlan" : "tun");
      expect(await pings(1, v4(3))).toBe(3);
      expect(await pings(3, v6(2))).toBe(3);
    }
    expect(index()).toBe(before);
  });

  test("a port that another program has is said, and taken once it is free", async () => {
    const script = `require("dgram").createSocket("udp4").bind(5999, () => console.log("ready"))`;
    const holder = spawn("nsenter", [`--net=${host(3).netns}`, process.execPath, "-e", script]);
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const { problems } = await host(3).set(wantOf(3, "userspace", 5999));
    expect(Object.values(problems ?? {})).toEqual([
      expect.stringMatching(/^UDP port 5999.*is taken/),
    ]);
    holder.kill();
    await until("the port is taken", async () => {
      const { problems: left } = await host(3).set(wantOf(3, "userspace", 5999));
      return Object.keys(left ?? {}).length === 0;
    });
    await host(3).set(wantOf(3, "userspace"));
    expect(await pings(1, v4(3))).toBe(3);
  });

  test("nothing is left of a network that is not wanted", async () => {
    await host(1).set({ sandboxes: [], networks: [] });
    expect(inside(host(1).netns, "ss", "-Hlun")).toBe("");
  });
});

/** As somebody would make it by hand who knows nothing of Skein. */
function plainVxlan(host: Host): void {
  const on = ["-n", netnsOf(host)];
  const way = [
    "type",
    "vxlan",
    "id",
    String(VNI),
    "dstport",
    "4789",
    "local",
    host.vtep,
    "nolearning",
  ];
  ip(...on, "link", "add", "vx0", "address", macOf(PLAIN), "mtu", "1450", ...way);
  ip(...on, "addr", "add", `${v4(PLAIN)}/24`, "dev", "vx0");
  ip(...on, "addr", "add", `${v6(PLAIN)}/64`, "dev", "vx0", "nodad");
  ip(...on, "link", "set", "vx0", "up");
  for (const n of [1, 2, 3]) {
    for (const mac of [macOf(n), "00:00:00:00:00:00"]) {
      inside(host.netns, "bridge", "fdb", "append", mac, "dev", "vx0", "dst", `192.0.2.${n}`);
    }
  }
}

const netnsOf = (host: Host) => host.netns.slice("/run/netns/".length);

// argv: the address to send from, the datagram in hexadecimal.
const ROGUE = `const s = require("dgram").createSocket("udp4");
s.bind(0, process.argv[1], () => s.send(Buffer.from(process.argv[2], "hex"), 4789, "192.0.2.1", () => s.close()))`;

/** stream.mjs in a network namespace, read line by line. */
function node(netns: string, ...args: readonly string[]) {
  const child: ChildProcess = spawn(
    "nsenter",
    [`--net=${netns}`, process.execPath, STREAM, ...args],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let text = "";
  let ended = false;
  child.stdout?.on("data", (bytes) => (text += bytes));
  child.once("close", () => (ended = true));
  const lines = () => text.split("\n").filter(Boolean);
  return {
    async line(wanted: string | RegExp): Promise<string> {
      const find = () =>
        lines().find((line) => (wanted instanceof RegExp ? wanted.test(line) : line === wanted));
      await until(`${args.join(" ")}: ${wanted}`, () => find() !== undefined || ended);
      return find() ?? "";
    },
    async text(): Promise<string> {
      await until(`${args.join(" ")} ends`, () => ended);
      return text.trim();
    },
    hasEnded: () => ended,
    end: () => void child.kill(),
  };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
