// The kernel side of an agent on real kernels: two or three hosts, each programmed only by its own
// process, and nothing else in between.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  HostWant,
  LocalEndpoint,
  RemoteEndpoint,
  SandboxRef,
} from "../../agent/reconcile/want.js";
import { EMPTY_WANT } from "../../agent/reconcile/want.js";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import { Host, inside, ip, Lab } from "./kernel-lab.js";

const VNI = parseVni(4097) as Vni;
// magic.h.
const NSFS_MAGIC = 0x6e736673;
const address = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;
/** The nth endpoint of the network: 10.0.1.n, on node `at`. */
const macOf = (n: number) => parseMac(`02:42:0a:00:${hex(n >> 8)}:${hex(n & 255)}`) as Mac;
const hex = (byte: number) => byte.toString(16).padStart(2, "0");

function local(n: number, sandbox: SandboxRef, interfaceName = "eth0"): LocalEndpoint {
  const prefixes = [prefix(`10.0.1.${n}/24`), prefix(`fd00:1::${n}/64`)];
  return {
    endpointId: `endpoint${n}`,
    mac: macOf(n),
    prefixes,
    interfaceName,
    sandbox,
    version: n,
  };
}
function remote(n: number, vtep: string): RemoteEndpoint {
  const ips = [address(`10.0.1.${n}`), address(`fd00:1::${n}`)];
  return { endpointId: `endpoint${n}`, mac: macOf(n), ips, vtep: address(vtep), version: n };
}
function wantOf(host: Host, locals: LocalEndpoint[], remotes: RemoteEndpoint[]): HostWant {
  const sandboxes = locals.flatMap(({ sandbox }) =>
    sandbox.kind === "own" ? [{ id: sandbox.id }] : [],
  );
  const floodTo = [...new Set(remotes.map(({ vtep }) => vtep.value))].map(
    (value) => remotes.find(({ vtep }) => vtep.value === value)?.vtep as Ip,
  );
  const network = {
    networkId: "networknetworknetworkabcd",
    name: "overnet",
    vni: VNI,
    mtuBytes: 0,
    vtep: address(host.vtep),
    port: 4789,
    path: "kernel" as const,
    subnets: [prefix("10.0.1.0/24"), prefix("fd00:1::/64")],
    locals,
    remotes,
    floodTo,
  };
  return { sandboxes, networks: [network] };
}
const own = (id: string): SandboxRef => ({ kind: "own", id: id.padEnd(64, "0") });
const idOf = (id: string) => id.padEnd(64, "0");

/** How many of three echo requests came back. */
async function pings(from: Host, netns: string | undefined, to: string): Promise<number> {
  const { outcomes } = await from.ask({ call: "ping", netns, targets: [to] });
  return outcomes?.[0]?.rttsUs.length ?? 0;
}
const lines = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .sort();
/** Every namespace file and link that a host shows: what must be the same before and after. */
function traces(host: Host): string[] {
  const files = existsSync(`${host.runDir}/netns`) ? readdirSync(`${host.runDir}/netns`) : [];
  return [...files, ...lines(inside(host.netns, "ip", "-o", "-br", "link"))];
}
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** RFC 4861 section 4.3, in an Ethernet frame in hexadecimal: next header 58 (ICMPv6), type 135. */
function asksForNeighbour(frame: string): boolean {
  return frame.slice(40, 42) === "3a" && frame.slice(108, 110) === "87";
}

describe("two hosts", () => {
  let lab: Lab;
  let h1: Host;
  let h2: Host;
  let h3: Host;
  let before: string[];
  beforeAll(() => {
    lab = new Lab("skk", 3);
    h1 = lab.host(1);
    h2 = lab.host(2);
    h3 = lab.host(3);
    before = traces(h1);
    h1.start();
    h2.start();
  });
  afterAll(() => lab.down());

  const sandbox1 = () => h1.sandbox(idOf("a"));
  const sandbox2 = () => h2.sandbox(idOf("b"));
  const want1 = () => wantOf(h1, [local(2, own("a"))], [remote(3, h2.vtep), remote(4, h3.vtep)]);
  const want2 = () => wantOf(h2, [local(3, own("b"))], [remote(2, h1.vtep)]);

  test("ping each other, over IPv4 and IPv6, as soon as the endpoint is ready", async () => {
    expect(await h2.set(want2())).toHaveProperty("problems", {});
    expect(await h1.set(want1())).toHaveProperty("problems", {});
    await h1.ask({ call: "ready", endpointId: "endpoint2" });
    expect(await pings(h1, sandbox1(), "10.0.1.3")).toBe(3);
    expect(await pings(h2, sandbox2(), "fd00:1::2")).toBe(3);
  });

  test("the wire carries VXLAN on UDP 4789 with VNI 4097, and no ARP", async () => {
    await h1.ask({ call: "capture" });
    expect(await pings(h1, sandbox1(), "10.0.1.3")).toBe(3);
    const { payloads = [] } = await h1.ask({ call: "captured", port: 4789 });
    // RFC 7348 section 5: flags 08 (VNI valid), reserved, VNI 0x001001, reserved; then the inner frame.
    expect(payloads.length).toBeGreaterThanOrEqual(6);
    for (const payload of payloads) expect(payload.slice(0, 16)).toBe("0800000000100100");
    const frames = payloads.map((payload) => payload.slice(16));
    const ipv4 = frames.filter((frame) => frame.slice(24, 28) === "0800");
    expect(ipv4.length).toBeGreaterThanOrEqual(6);
    // What else there may be is an interface telling of itself over IPv6 (router solicitation, multicast
    // reports), which comes when the kernel likes.
    const others = frames.filter((frame) => !ipv4.includes(frame));
    for (const frame of others) {
      expect(frame.slice(24, 28)).toBe("86dd");
      expect(asksForNeighbour(frame)).toBe(false);
    }
  });

  test("IPv6: link-local and all nodes are reached, and an address that is tried is nobody else's business", async () => {
    expect(await pings(h1, sandbox1(), "fd00:1::3")).toBe(3);
    const twice = ["-c", "2", "-i", "0.05", "-W", "2", "-I", "eth0"];
    const [all, other] = ["ff02::1", "fe80::42:aff:fe00:3"].map((to) =>
      inside(sandbox1(), "ping", ...twice, to),
    );
    expect(all).toContain("from fe80::42:aff:fe00:3%eth0");
    expect(other).toMatch(/ 0% packet loss/);
    await h1.ask({ call: "capture" });
    // RFC 4862 section 5.4: duplicate address detection asks all who might have it.
    inside(sandbox1(), "sysctl", "-q", "net.ipv6.conf.eth0.accept_dad=1");
    inside(sandbox1(), "ip", "addr", "add", "fd00:1::77/64", "dev", "eth0");
    const tried = () => inside(sandbox1(), "ip", "addr", "show", "tentative").includes("::77");
    await until("the address is tried", () => !tried());
    const { payloads = [] } = await h1.ask({ call: "captured", port: 4789 });
    expect(payloads.map((payload) => payload.slice(16)).filter(asksForNeighbour)).toEqual([]);
    inside(sandbox1(), "ip", "addr", "del", "fd00:1::77/64", "dev", "eth0");
    inside(sandbox1(), "sysctl", "-q", "net.ipv6.conf.eth0.accept_dad=0");
  });

  test("the kernel's tables are the model's", () => {
    const net = h1.net(VNI);
    const shown = inside(net, "bridge", "fdb", "show", "dev", "vxlan0");
    const fdb = lines(shown.replaceAll("link-netnsid 0 ", ""));
    expect(fdb.filter((row) => row.includes("dst"))).toEqual([
      expect.stringMatching(/^00:00:00:00:00:00 dst 192.0.2.2 self permanent/),
      expect.stringMatching(/^00:00:00:00:00:00 dst 192.0.2.3 self permanent/),
      expect.stringMatching(/^02:42:0a:00:00:03 dst 192.0.2.2 self static/),
      expect.stringMatching(/^02:42:0a:00:00:04 dst 192.0.2.3 self static/),
    ]);
    const bridge = fdb.filter((row) => / master br0 static/.test(row));
    expect(bridge.map((row) => row.slice(0, 17))).toEqual([
      "02:42:0a:00:00:03",
      "02:42:0a:00:00:04",
    ]);
    const neighbours = lines(inside(net, "ip", "neigh", "show", "dev", "br0", "nud", "permanent"));
    expect(neighbours).toEqual([
      "10.0.1.3 lladdr 02:42:0a:00:00:03 PERMANENT",
      "10.0.1.4 lladdr 02:42:0a:00:00:04 PERMANENT",
      ...["3", "4"].map((n) => `fd00:1::${n} lladdr 02:42:0a:00:00:0${n} PERMANENT`),
    ]);
    const [vxlan] = JSON.parse(inside(net, "ip", "-d", "-j", "link", "show", "vxlan0")) as [
      LinkJson,
    ];
    expect(vxlan.mtu).toBe(1450);
    expect(vxlan.linkinfo.info_data).toMatchObject({ id: 4097, port: 4789, local: "192.0.2.1" });
    expect(vxlan.linkinfo.info_data.learning).toBeFalsy();
    expect(vxlan.linkinfo.info_slave_data).toMatchObject({
      learning: false,
      flood: false,
      neigh_suppress: true,
    });
  });

  test("a plain VXLAN device of the kernel, no Skein on its host, is understood and answered", async () => {
    const netns = h3.netns.slice("/run/netns/".length);
    ip(
      "-n",
      netns,
      "link",
      "add",
      "vx0",
      "address",
      "02:42:0a:00:00:04",
      "type",
      "vxlan",
      "id",
      "4097",
      "dstport",
      "4789",
      "local",
      h3.vtep,
      "remote",
      h1.vtep,
    );
    ip("-n", netns, "addr", "add", "10.0.1.4/24", "dev", "vx0");
    ip("-n", netns, "link", "set", "vx0", "up", "mtu", "1450");
    h3.start();
    // It knows nobody: it must ask by ARP, and be answered.
    expect(await pings(h3, undefined, "10.0.1.2")).toBe(3);
    expect(await pings(h1, sandbox1(), "10.0.1.4")).toBe(3);
  });

  test("a device that somebody deletes is made again", async () => {
    inside(h1.net(VNI), "ip", "link", "del", "vxlan0");
    await until(
      "the VXLAN device is back",
      async () => (await pings(h1, sandbox1(), "10.0.1.3")) === 3,
    );
    const [port = ""] = lines(inside(h1.net(VNI), "ip", "-o", "link", "show", "type", "veth"));
    inside(h1.net(VNI), "ip", "link", "del", port.split(/[ :@]+/)[1] ?? "");
    await until("the pair is back", async () => (await pings(h1, sandbox1(), "10.0.1.3")) === 3);
    inside(h1.net(VNI), "ip", "link", "del", "br0");
    await until("the bridge is back", async () => (await pings(h1, sandbox1(), "10.0.1.3")) === 3);
    inside(sandbox1(), "ip", "addr", "flush", "dev", "eth0");
    await until("the address is back", async () => (await pings(h1, sandbox1(), "10.0.1.3")) === 3);
    execFileSync("umount", [h1.net(VNI)]);
    await until("the namespace is back", () => statfsSync(h1.net(VNI)).type === NSFS_MAGIC);
    await until("the network is back", async () => (await pings(h1, sandbox1(), "10.0.1.3")) === 3);
  });

  test("a thousand remote rows come and go", async () => {
    const many = Array.from({ length: 1000 }, (_, i) => remote(i + 1000, h2.vtep));
    const rows = many.map((row, i) => ({
      ...row,
      ips: [address(`10.0.${4 + (i >> 8)}.${i & 255}`)],
    }));
    const want = wantOf(h1, [local(2, own("a"))], [remote(3, h2.vtep), ...rows]);
    const { ms, problems } = await h1.set(want);
    expect(problems).toEqual({});
    console.log(`1,000 remote endpoints: ${ms.toFixed(0)} ms from want to looked-again`);
    const static_ = () =>
      lines(inside(h1.net(VNI), "bridge", "fdb", "show", "dev", "vxlan0")).filter((row) =>
        /dst.*static/.test(row),
      );
    expect(static_()).toHaveLength(1001);
    expect(await pings(h1, sandbox1(), "10.0.1.3")).toBe(3);
    await h1.set(want1());
    expect(static_()).toHaveLength(2);
  });

  test("killed at any moment of its work, it converges when it is started again, and traffic flows on", async () => {
    for (const delayMs of [5, 10, 15, 20, 30, 45, 60, 90]) {
      await h1.set(EMPTY_WANT);
      h1.tell({ call: "set", want: want1() });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await h1.kill();
      h1.start();
      expect(await h1.set(want1())).toHaveProperty("problems", {});
      expect(await pings(h1, sandbox1(), "10.0.1.3")).toBe(3);
    }
    // And with nobody there at all: the kernel needs no process.
    await h1.kill();
    expect(await pings(h2, sandbox2(), "10.0.1.2")).toBe(3);
    h1.start();
    expect(await h1.set(want1())).toHaveProperty("problems", {});
  });

  test("the machine itself and somebody's namespace join, under the names they asked for", async () => {
    const foreign = `${h1.netns}f`;
    ip("netns", "add", foreign.slice("/run/netns/".length));
    try {
      ip("-n", foreign.slice("/run/netns/".length), "link", "add", "eth0", "type", "bridge");
      const here = local(5, { kind: "host" }, "sk-overnet");
      const there = local(6, { kind: "foreign", path: foreign }, "eth1");
      expect(await h1.set(wantOf(h1, [here, there], [remote(3, h2.vtep)]))).toMatchObject({
        problems: {},
      });
      await h2.set(wantOf(h2, [local(3, own("b"))], [remote(5, h1.vtep), remote(6, h1.vtep)]));
      expect(await pings(h1, undefined, "10.0.1.3")).toBe(3);
      expect(await pings(h1, foreign, "10.0.1.3")).toBe(3);
      expect(await pings(h1, foreign, "10.0.1.5")).toBe(3);
      expect(inside(h1.netns, "ip", "-d", "link", "show", "sk-overnet")).toContain(
        "alias skein:endpoint5",
      );

      // A name that is taken is refused in words, and what has the name is left alone.
      const clash = local(7, { kind: "foreign", path: foreign }, "eth0");
      const answer = await h1.set(wantOf(h1, [here, clash], [remote(3, h2.vtep)]));
      expect(answer.problems).toEqual({
        endpoint7: `${foreign} already has an interface named eth0.`,
      });
      expect(await h1.ask({ call: "ready", endpointId: "endpoint7" })).toMatchObject({
        error: `${foreign} already has an interface named eth0.`,
      });
      expect(lines(inside(foreign, "ip", "-o", "link", "show", "type", "bridge"))).toHaveLength(1);
      expect(lines(inside(foreign, "ip", "-o", "link", "show", "type", "veth"))).toEqual([]);
      expect(await pings(h1, undefined, "10.0.1.3")).toBe(3);
    } finally {
      ip("netns", "del", foreign.slice("/run/netns/".length));
    }
    const gone = local(6, { kind: "foreign", path: foreign }, "eth1");
    const answer = await h1.set(wantOf(h1, [gone], []));
    expect(answer.problems).toEqual({
      endpoint6: `The network namespace ${foreign} is gone or is no network namespace.`,
    });
  });

  test("a VNI that somebody else's device has is named, with its holder, and comes when it is free", async () => {
    await h1.set(EMPTY_WANT);
    await h2.set(want2());
    const netns = h1.netns.slice("/run/netns/".length);
    ip("-n", netns, "link", "add", "theirs", "type", "vxlan", "id", "4097", "dstport", "4789");
    const { problems } = await h1.set(want1());
    expect(problems).toEqual({
      networknetworknetworkabcd:
        "VNI 4097 on UDP port 4789 is already used by the VXLAN device theirs of this machine, which is not Skein's.",
    });
    expect(inside(h1.netns, "ip", "link", "show", "theirs")).toContain("theirs");
    ip("-n", netns, "link", "del", "theirs");
    await until("the ping", async () => (await pings(h1, sandbox1(), "10.0.1.3")) === 3);
  });

  test("a VNI that another Skein on the same machine has is named with its run directory", async () => {
    const other = new Host(h1.netns.slice("/run/netns/".length), h1.vtep);
    other.start();
    try {
      expect((await other.set(want1())).problems).toEqual({
        networknetworknetworkabcd: `VNI 4097 on UDP port 4789 is already used by another Skein on this machine (its run directory is ${h1.runDir}).`,
      });
      await other.set(EMPTY_WANT);
      expect(await pings(h1, sandbox1(), "10.0.1.3")).toBe(3);
    } finally {
      await other.kill();
      rmSync(other.runDir, { recursive: true });
    }
  });

  test("a data port that another program has is named", async () => {
    expect(await h3.ask({ call: "port", local: h3.vtep, port: 4790 })).not.toHaveProperty(
      "problem",
    );
    const script = 'require("dgram").createSocket("udp4").bind(4790, () => console.log("bound"))';
    const taker = spawn("nsenter", [`--net=${h3.netns}`, process.execPath, "-e", script]);
    try {
      await new Promise((resolve) => taker.stdout.once("data", resolve));
      expect((await h3.ask({ call: "port", local: h3.vtep, port: 4790 })).problem).toBe(
        "UDP port 4790, the data path port, is taken by another program on this machine.",
      );
    } finally {
      taker.kill();
    }
  });

  test("an address that no interface has is said, and nothing is made", async () => {
    await h1.set(EMPTY_WANT);
    const want = want1();
    const networks = want.networks.map((network) => ({
      ...network,
      vtep: address("198.51.100.1"),
    }));
    expect((await h1.set({ ...want, networks })).problems).toEqual({
      networknetworknetworkabcd:
        "The data path address 198.51.100.1 is on no interface of this machine.",
    });
  });

  test("with nothing wanted nothing is left, and what was there before is as it was", async () => {
    await h1.set(want1());
    await h1.set(EMPTY_WANT);
    expect(traces(h1)).toEqual(before);
  });
});

describe("an underlay of IPv6", () => {
  let lab: Lab;
  beforeAll(() => {
    lab = new Lab("skk6", 2, 6);
  });
  afterAll(() => lab.down());

  test("carries the same network, with an MTU of 1430", async () => {
    const [h1, h2] = [lab.host(1), lab.host(2)];
    h1.start();
    h2.start();
    await h1.set(wantOf(h1, [local(2, own("a"))], [remote(3, h2.vtep)]));
    await h2.set(wantOf(h2, [local(3, own("b"))], [remote(2, h1.vtep)]));
    expect(await pings(h1, h1.sandbox(idOf("a")), "10.0.1.3")).toBe(3);
    expect(inside(h1.sandbox(idOf("a")), "ip", "link", "show", "eth0")).toContain("mtu 1430");
  });
});

interface LinkJson {
  readonly mtu: number;
  readonly linkinfo: {
    readonly info_data: { readonly learning: boolean };
    readonly info_slave_data: object;
  };
}
