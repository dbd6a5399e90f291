// Who may send what, on real kernels: what an endpoint forges, what strangers send, broadcast and multicast; and that
// what somebody takes away or changes is put back. docs/guard.md.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, statfsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DROPS } from "../../agent/guard/drops.js";
import { FLOOD_BURST } from "../../agent/guard/network.js";
import type { Stranger } from "../../agent/guard/strangers.js";
import { sendto, socket } from "../../agent/kernel/libc.js";
import { within } from "../../agent/kernel/namespace.js";
import { socketAddress } from "../../agent/kernel/socket-address.js";
import { AF_INET, AF_INET6 } from "../../agent/netlink/constants.js";
import { NOTED_MAX } from "../../agent/netlink/nftables.js";
import { portName } from "../../agent/reconcile/names.js";
import { ethernet, framesOf, ipv4, ipv6 } from "../fakes/guard-frames.js";
import { type Homes, hostWant, idOf, ipOf, networkWant, station, Tap, VNI } from "./guard-net.js";
import { type Host, inside, Lab } from "./kernel-lab.js";

const SOCK_DGRAM = 2;
// magic.h.
const NSFS_MAGIC = 0x6e736673;

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function pings(from: Host, n: number, to: string): Promise<number> {
  const netns = from.sandbox(idOf(n));
  const { outcomes } = await from.ask({ call: "ping", netns, targets: [to] });
  return outcomes?.[0]?.rttsUs.length ?? 0;
}

async function drops(host: Host): Promise<Readonly<Record<string, number>>> {
  return (await host.ask({ call: "drops" })).counts ?? {};
}

/** A program that has joined both groups; stopped by its own child's id. */
function listen(netns: string, group4: string, group6: string) {
  const script = `
    const dgram = require("dgram");
    const four = dgram.createSocket({ type: "udp4", reuseAddr: true });
    four.bind(9, () => four.addMembership("${group4}", "${station(4).ipv4}"));
    const six = dgram.createSocket({ type: "udp6", reuseAddr: true });
    six.bind(10, () => { six.addMembership("${group6}", "::%eth0"); console.log("joined"); });`;
  const child = spawn("nsenter", [`--net=${netns}`, process.execPath, "-e", script]);
  let said = "";
  child.stdout.on("data", (bytes) => {
    said += bytes;
  });
  return { ready: () => said.includes("joined"), stop: () => child.kill() };
}

/** A VXLAN frame as any program may send one. */
function sendOuter(from: Host, to: string, vni: number, frame: Buffer): void {
  const ip = ipOf(to);
  const fd = within(from.netns, () => socket(ip.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
  const header = Buffer.alloc(8);
  header.writeUInt8(0x08, 0);
  header.writeUInt32BE(vni * 256, 4);
  try {
    sendto(fd, Buffer.concat([header, frame]), 0, socketAddress(ip, 4789));
  } finally {
    closeSync(fd);
  }
}

describe("what somebody changes by hand", () => {
  let lab: Lab;
  let h1: Host;
  let homes: Homes;
  let sandbox: string;
  let net: string;
  beforeAll(async () => {
    // So long that only what the kernel reports can be the reason.
    process.env.SKEIN_TEST_RESYNC_MS = "60000";
    lab = new Lab(`${process.env.SKEIN_TEST_PREFIX ?? "skg"}r`, 2);
    h1 = lab.host(1);
    homes = new Map([
      [2, h1],
      [3, lab.host(2)],
    ]);
    for (const host of lab.hosts) {
      host.start();
      await host.set(hostWant(networkWant(host, homes)));
    }
    delete process.env.SKEIN_TEST_RESYNC_MS;
    sandbox = h1.sandbox(idOf(2));
    net = h1.net(VNI);
  });
  afterAll(() => lab?.down());

  const port = portName("endpoint2");
  const show = (netns: string, ...command: [string, ...string[]]) => inside(netns, ...command);
  const inSandbox = (...args: string[]) => show(sandbox, "ip", ...args);
  const inNet = (...args: string[]) => show(net, "ip", ...args);
  const cases: readonly {
    readonly what: string;
    readonly by: () => void;
    readonly isBack: () => boolean;
    readonly kind: string;
  }[] = [
    {
      what: "an interface in a sandbox that is set down",
      by: () => inSandbox("link", "set", "eth0", "down"),
      isBack: () => inSandbox("link", "show", "eth0").includes("state UP"),
      kind: "make-endpoint",
    },
    {
      what: "an address in a sandbox",
      by: () => inSandbox("addr", "del", "10.0.1.2/24", "dev", "eth0"),
      isBack: () => inSandbox("addr", "show", "eth0").includes("10.0.1.2/24"),
      kind: "make-endpoint",
    },
    {
      what: "a route in a sandbox",
      by: () => inSandbox("route", "del", "10.0.1.0/24"),
      isBack: () => inSandbox("route").includes("10.0.1.0/24"),
      kind: "make-endpoint",
    },
    {
      what: "the MTU of an interface in a sandbox",
      by: () => inSandbox("link", "set", "eth0", "mtu", "1280"),
      isBack: () => inSandbox("link", "show", "eth0").includes("mtu 1450"),
      kind: "make-endpoint",
    },
    {
      what: "the MAC of an interface in a sandbox",
      by: () => inSandbox("link", "set", "eth0", "address", "02:00:00:00:00:99"),
      isBack: () => inSandbox("link", "show", "eth0").includes(station(2).mac),
      kind: "make-endpoint",
    },
    {
      what: "the settings of a port",
      by: () => show(net, "bridge", "link", "set", "dev", port, "learning", "on", "isolated", "on"),
      isBack: () => /isolated off/.test(show(net, "bridge", "-d", "link", "show", "dev", port)),
      kind: "make-endpoint",
    },
    {
      what: "a port taken out of the bridge",
      by: () => inNet("link", "set", port, "nomaster"),
      isBack: () => inNet("link", "show", port).includes("master br0"),
      kind: "make-endpoint",
    },
    {
      what: "the bridge's groups",
      by: () => inNet("link", "set", "br0", "type", "bridge", "mcast_snooping", "0"),
      isBack: () => inNet("-d", "link", "show", "br0").includes("mcast_snooping 1"),
      kind: "make-network",
    },
    {
      what: "a row of the VXLAN device",
      by: () => show(net, "bridge", "fdb", "del", station(3).mac, "dev", "vxlan0", "self"),
      isBack: () =>
        show(net, "bridge", "fdb", "show", "dev", "vxlan0").includes(`${station(3).mac} dst`),
      kind: "put-rows",
    },
    {
      what: "a neighbour",
      by: () => inNet("neigh", "del", "10.0.1.3", "dev", "br0"),
      isBack: () => inNet("neigh", "show", "dev", "br0").includes("10.0.1.3"),
      kind: "put-rows",
    },
    {
      what: "the guard of a network",
      by: () => show(net, "nft", "flush", "ruleset"),
      isBack: () => show(net, "nft", "list", "ruleset").includes(station(3).mac),
      kind: "change-tables",
    },
    {
      what: "the guard of the machine",
      by: () => show(h1.netns, "nft", "flush", "ruleset"),
      isBack: () => show(h1.netns, "nft", "list", "ruleset").includes("192.0.2.2"),
      kind: "change-tables",
    },
    {
      what: "the VXLAN device set down",
      by: () => inNet("link", "set", "vxlan0", "down"),
      isBack: () => /vxlan0.*[<,]UP/.test(inNet("link", "show", "vxlan0")),
      kind: "make-vxlan",
    },
    {
      what: "a sandbox's namespace",
      by: () => execFileSync("umount", [sandbox]),
      isBack: () =>
        statfsSync(sandbox).type === NSFS_MAGIC && inSandbox("addr").includes("10.0.1.2/24"),
      kind: "make-sandbox",
    },
    {
      what: "the network's namespace",
      by: () => execFileSync("umount", [net]),
      isBack: () => statfsSync(net).type === NSFS_MAGIC && inNet("link").includes(port),
      kind: "make-network",
    },
  ];
  const tookMs: string[] = [];
  for (const { what, by, isBack, kind } of cases) {
    test(`${what} is put back, and counted`, async () => {
      const count = async () => (await h1.ask({ call: "repairs" })).counts?.[kind] ?? 0;
      const before = await count();
      by();
      const beganMs = performance.now();
      await until(what, () => {
        try {
          return isBack();
        } catch {
          // It is not there at all for a moment.
          return false;
        }
      }).catch(async (error) => {
        const now = await h1.ask({ call: "set", want: hostWant(networkWant(h1, homes)) });
        throw new Error(`${error.message} ${JSON.stringify(now)} ${inNet("link")}`);
      });
      tookMs.push(`${what}: ${Math.round(performance.now() - beganMs)} ms`);
      await until("it is counted", async () => (await count()) > before);
      await until("frames flow", async () => (await pings(h1, 2, "10.0.1.3")) === 3);
    });
  }

  test("a network card that goes down and comes up again", async () => {
    for (const state of ["down", "up"]) show(h1.netns, "ip", "link", "set", "ul0", state);
    await until("frames flow", async () => (await pings(h1, 2, "10.0.1.3")) === 3);
    console.log(tookMs.join("\n"));
  });
});

for (const family of [4, 6] as const) {
  describe(`three hosts, underlay IPv${family}`, () => {
    let lab: Lab;
    let h1: Host;
    let h2: Host;
    let h3: Host;
    let homes: Homes;
    beforeAll(async () => {
      lab = new Lab(`${process.env.SKEIN_TEST_PREFIX ?? "skg"}${family}`, 3, family);
      h1 = lab.host(1);
      h2 = lab.host(2);
      h3 = lab.host(3);
      homes = new Map([
        [2, h1],
        [3, h2],
        [4, h1],
      ]);
      for (const host of [h1, h2]) {
        host.start();
        expect(await host.set(hostWant(networkWant(host, homes)))).toHaveProperty("problems", {});
      }
    });
    afterAll(() => lab?.down());

    test("endpoints reach each other", async () => {
      expect(await pings(h1, 2, "10.0.1.3")).toBe(3);
      expect(await pings(h2, 3, "fd00:1::4")).toBe(3);
      expect(await pings(h1, 2, "fd00:1::4")).toBe(3);
    });

    test("a frame from a machine that is no node of the network is dropped and counted", async () => {
      const frame = ethernet(
        { from: station(3).mac, to: station(2).mac },
        ipv4("10.0.1.3", "10.0.1.2"),
      );
      const before = await drops(h1);
      const tap = new Tap(h1.sandbox(idOf(2)), "eth0");
      sendOuter(h3, h1.vtep, VNI, frame);
      sendOuter(h3, h1.vtep, VNI + 1, frame);
      sendOuter(h2, h1.vtep, VNI, frame);
      await until("the good one", () => tap.seen().includes(frame.toString("hex")));
      expect(tap.seen().filter((each) => each === frame.toString("hex"))).toHaveLength(1);
      tap.close();
      const after = await drops(h1);
      expect(after[DROPS.notAPeer]).toBe((before[DROPS.notAPeer] ?? 0) + 1);
      expect(after[DROPS.unknownVni]).toBe((before[DROPS.unknownVni] ?? 0) + 1);
    });

    test("strangers are known by name, as many as there is room for, and dropped beyond", async () => {
      const frame = ethernet(
        { from: station(3).mac, to: station(2).mac },
        ipv4("10.0.1.3", "10.0.1.2"),
      );
      const noted = async () => (await h1.ask({ call: "strangers" })).value as readonly Stranger[];
      const count = async (reason: string, vni: number) =>
        (await noted()).find((each) => each.reason === reason && each.vni === vni)?.frames ?? 0;
      const [known, unknown] = [
        await count("not-a-peer", VNI),
        await count("unknown-vni", VNI + 1),
      ];
      sendOuter(h3, h1.vtep, VNI, frame);
      sendOuter(h3, h1.vtep, VNI + 1, frame);
      await until("one is noted", async () => (await count("not-a-peer", VNI)) === known + 1);
      expect(await count("unknown-vni", VNI + 1)).toBe(unknown + 1);
      expect((await noted()).map(({ address }) => address)).toContain(h3.vtep);
      // A look finds nothing to put back in what the rules themselves wrote.
      const wanted = hostWant(networkWant(h1, homes));
      const repairs = (await h1.ask({ call: "repairs" })).counts;
      expect(await h1.set(wanted)).toHaveProperty("problems", {});
      expect((await h1.ask({ call: "repairs" })).counts).toEqual(repairs);
      expect(await count("not-a-peer", VNI)).toBe(known + 1);
      // More VNIs than are noted: all of them are counted.
      const before = (await drops(h1))[DROPS.unknownVni] ?? 0;
      for (let i = 1; i <= NOTED_MAX + 10; i++) sendOuter(h3, h1.vtep, VNI + 100 + i, frame);
      await until("all are counted", async () => {
        return ((await drops(h1))[DROPS.unknownVni] ?? 0) >= before + NOTED_MAX + 10;
      });
      expect((await noted()).filter(({ reason }) => reason === "unknown-vni")).toHaveLength(
        NOTED_MAX,
      );
      const dropped = (await drops(h1))[DROPS.notAPeer] ?? 0;
      sendOuter(h3, h1.vtep, VNI, frame);
      await until("it is still dropped", async () => {
        return (await drops(h1))[DROPS.notAPeer] === dropped + 1;
      });
    });

    test("a node that sends with an endpoint's MAC of this one, or with nobody's, is not believed", async () => {
      const before = await drops(h1);
      for (const from of [station(4).mac, "02:00:00:00:00:77"]) {
        sendOuter(
          h2,
          h1.vtep,
          VNI,
          ethernet({ from, to: station(2).mac }, ipv4("10.0.1.3", "10.0.1.2")),
        );
      }
      await until("both are counted", async () => {
        return (await drops(h1))[DROPS.spoofed] === (before[DROPS.spoofed] ?? 0) + 2;
      });
    });

    test("a group's frames go where somebody has asked for it, on each node", async () => {
      const at = new Map<number, Tap>();
      for (const [n, home] of homes) at.set(n, new Tap(home.sandbox(idOf(n)), "eth0"));
      const listener = listen(h1.sandbox(idOf(4)), "239.1.2.3", "ff15::1234");
      const groups = [
        {
          name: "IPv4",
          to: "01:00:5e:01:02:03",
          packet: ipv4("10.0.1.3", "239.1.2.3"),
          asked: true,
        },
        {
          name: "IPv6",
          to: "33:33:00:00:12:34",
          packet: ipv6("fd00:1::03", "ff15::1234"),
          asked: true,
        },
        // RFC 4541 section 2.1.2: what is of the link alone goes to everybody.
        {
          name: "mDNS",
          to: "01:00:5e:00:00:fb",
          packet: ipv4("10.0.1.3", "224.0.0.251"),
          asked: false,
        },
        {
          name: "VRRP",
          to: "01:00:5e:00:00:12",
          packet: ipv4("10.0.1.3", "224.0.0.18", 112),
          asked: false,
        },
      ];
      const from = { from: station(3).mac };
      const seen = (n: number, frame: Buffer) => at.get(n)?.seen().includes(frame.toString("hex"));
      try {
        await until("the listener is there", () => listener.ready());
        for (const { name, to, packet, asked } of groups) {
          const frame = ethernet({ ...from, to }, packet);
          // Until the bridge has asked and been answered, a group is everybody's.
          await until(
            `${name} comes to who asked, and ${asked ? "not " : ""}to who did not`,
            async () => {
              for (const n of [2, 4]) at.get(n)?.forget();
              at.get(3)?.send(frame);
              const last = ethernet(
                { ...from, to: "ff:ff:ff:ff:ff:ff" },
                { type: 0x88b8, bytes: Buffer.alloc(46) },
              );
              at.get(3)?.send(last);
              for (const n of [2, 4]) await until("the last one", () => seen(n, last) === true);
              return seen(4, frame) === true && seen(2, frame) === !asked;
            },
          );
        }
        expect(inside(h1.net(VNI), "bridge", "mdb", "show")).toContain("239.1.2.3");
      } finally {
        listener.stop();
        for (const tap of at.values()) tap.close();
      }
    });

    if (family === 6) return;

    test("what an endpoint may not send is dropped, and counted by reason and endpoint", async () => {
      const before = await drops(h1);
      const me = new Tap(h1.sandbox(idOf(2)), "eth0");
      const peer = new Tap(h1.sandbox(idOf(4)), "eth0");
      const frames = framesOf(station(2), station(4));
      const last = ethernet(
        { from: station(2).mac, to: station(4).mac },
        { type: 0x88b6, bytes: Buffer.alloc(46, 0x77) },
      );
      try {
        for (const { frame } of [...frames, { frame: last }]) me.send(frame);
        await until("the last one", () => peer.seen().includes(last.toString("hex")));
        const seen = new Set(peer.seen());
        for (const { name, frame, drop } of frames) {
          // To whom a group's frames go is for the next tests.
          const isToMany = (frame[0] ?? 0) & 1;
          const came = seen.has(frame.toString("hex"));
          if (drop !== undefined || !isToMany) expect([name, came]).toEqual([name, !drop]);
        }
      } finally {
        me.close();
        peer.close();
      }
      const want: Record<string, number> = {};
      for (const { drop } of frames) {
        if (drop === undefined) continue;
        const key = `${drop} endpoint2`;
        want[key] = (want[key] ?? before[key] ?? 0) + 1;
      }
      const after = await drops(h1);
      for (const [key, count] of Object.entries(want))
        expect([key, after[key]]).toEqual([key, count]);
    });

    test("one that floods is held to its rate, and what is not broadcast goes on", async () => {
      const me = new Tap(h1.sandbox(idOf(2)), "eth0");
      const before = await drops(h1);
      const flood = ethernet(
        { from: station(2).mac, to: "ff:ff:ff:ff:ff:ff" },
        { type: 0x88b7, bytes: Buffer.alloc(46, 0x55) },
      );
      const sent = 5 * FLOOD_BURST;
      for (let i = 0; i < sent; i++) me.send(flood);
      me.close();
      const key = `${DROPS.flood} endpoint2`;
      const dropped = ((await drops(h1))[key] ?? 0) - (before[key] ?? 0);
      expect(dropped).toBeGreaterThan(0);
      expect(dropped).toBeLessThanOrEqual(sent - FLOOD_BURST);
      expect(await pings(h1, 2, "10.0.1.3")).toBe(3);
    });
  });
}
