// The accelerated data path on real kernels: two hosts whose frames go by eBPF programs (one attaches them by tcx, one
// by clsact), one on the kernel path, and one that is nothing but a VXLAN device made by hand. What the programs count
// says which way frames went.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, unlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Reason } from "../../agent/bpf/reasons.js";
import type { DataPath } from "../../agent/overlay/data-path.js";
import type { HostWant } from "../../agent/reconcile/want.js";
import { parseVni, type Vni } from "../../common/ids.js";
import {
  frames,
  hostWant,
  idOf,
  macOf,
  more,
  NET,
  network,
  pings,
  SIZE,
  shortcut,
  transfer,
  until,
} from "./accelerated-lab.js";
import { type Host, inside, ip, Lab } from "./kernel-lab.js";

const OTHER = parseVni(4098) as Vni;
/** Who lives where on the network: the number of the host, by the last byte of the address. */
const HOMES: Readonly<Record<number, number>> = { 2: 1, 3: 2, 4: 3, 5: 4, 6: 1 };
/** The other network has the same addresses and MACs, the other way around. */
const OTHER_HOMES: Readonly<Record<number, number>> = { 2: 2, 3: 1 };

let lab: Lab;

function want(number: number, path: DataPath): HostWant {
  const networks = [network(number, NET, path, { hosts: lab, who: HOMES })];
  if (number < 3) networks.push(network(number, OTHER, path, { hosts: lab, who: OTHER_HOMES }));
  return hostWant(networks);
}

function sandbox(n: number, vni = NET): string {
  const home = (vni === NET ? HOMES : OTHER_HOMES)[n] ?? 0;
  return lab.host(home).sandbox(idOf(n, vni));
}

/** The host without Skein has this MAC, and knows the others. */
function plainIs(mac: string): void {
  const { netns } = lab.host(4);
  inside(netns, "ip", "link", "set", "vx0", "address", mac);
  // A device that gets another MAC forgets its neighbours.
  for (const [n, home] of Object.entries(HOMES)) {
    if (home === 4) continue;
    const [theirs, { vtep }] = [macOf(Number(n)), lab.host(home)];
    inside(netns, "bridge", "fdb", "replace", theirs, "dev", "vx0", "dst", vtep, "self");
    for (const each of [`10.0.1.${n}`, `fd00:1::${n}`]) {
      const row = [each, "lladdr", theirs, "dev", "vx0", "nud", "permanent"];
      inside(netns, "ip", "neigh", "replace", ...row);
    }
  }
}

beforeAll(async () => {
  lab = new Lab("ska", 4);
  const [h1, h2, h3, h4] = lab.hosts as [Host, Host, Host, Host];
  h1.start("tcx");
  h2.start("clsact");
  h3.start();
  const plain = h4.netns.slice("/run/netns/".length);
  const device = ["id", "4097", "dstport", "4789", "local", h4.vtep, "nolearning", "noudpcsum"];
  ip("-n", plain, "link", "add", "vx0", "mtu", "1450", "type", "vxlan", ...device);
  ip("-n", plain, "addr", "add", "10.0.1.5/24", "dev", "vx0");
  ip("-n", plain, "addr", "add", "fd00:1::5/64", "dev", "vx0", "nodad");
  ip("-n", plain, "link", "set", "vx0", "up");
  plainIs(macOf(5));
  const paths: readonly DataPath[] = ["accelerated", "accelerated", "kernel"];
  for (const [i, path] of paths.entries())
    expect(await lab.host(i + 1).set(want(i + 1, path))).toHaveProperty("problems", {});
});
afterAll(() => lab?.down());

describe("frames go by the programs", () => {
  test.each([
    ["an accelerated host, by clsact", 3],
    ["a host on the kernel path", 4],
    ["a VXLAN device made by hand", 5],
  ])("to and from %s, over IPv4 and IPv6", async (_what, n) => {
    const h1 = lab.host(1);
    for (const to of [`10.0.1.${n}`, `fd00:1::${n}`]) await shortcut(h1, sandbox(2), to);
    const received = await more(h1, "received", () => pings(sandbox(2), `fd00:1::${n}`));
    expect(received).toBeGreaterThanOrEqual(3);
  });

  test("from the host that attaches by clsact, too", async () => {
    await shortcut(lab.host(2), sandbox(3), "10.0.1.2");
    await shortcut(lab.host(2), sandbox(3), "10.0.1.4");
  });

  test("between two endpoints of one host", async () => {
    await until("the neighbour has a port", async () => {
      const sent = await more(lab.host(1), "sent-here", () => pings(sandbox(2), "10.0.1.6"));
      return sent >= 6;
    });
    expect(pings(sandbox(2), "fd00:1::6")).toBe(true);
  });

  test("in batches that TCP hands down whole, byte for byte", async () => {
    for (const [server, client] of [
      [3, 2],
      [2, 3],
      [4, 2],
      [2, 4],
    ] as const) {
      const h1 = lab.host(1);
      const before = (await h1.ask({ call: "carried" })).carried?.[NET];
      const to = { netns: sandbox(server), address: `10.0.1.${server}` };
      await transfer(to, sandbox(client), 5000 + server * 10 + client);
      const after = (await h1.ask({ call: "carried" })).carried?.[NET];
      const bytes = (reason: Reason) =>
        (after?.[reason].bytes ?? 0) - (before?.[reason].bytes ?? 0);
      expect(bytes(client === 2 ? "sent" : "received")).toBeGreaterThan(SIZE);
    }
  });
});

describe("nobody gets what is not theirs", () => {
  test("two networks with the same addresses on the same hosts never meet", async () => {
    const [h1, h2] = [lab.host(1), lab.host(2)];
    // On the one network .3 lives on h2, on the other on h1.
    await until("the other network is joined", () => pings(sandbox(2, OTHER), "10.0.1.3"));
    const received = await more(h2, "received", () => pings(sandbox(2), "10.0.1.3"), NET);
    expect(received).toBeGreaterThanOrEqual(3);
    expect(await more(h1, "received", () => pings(sandbox(2), "10.0.1.3"), OTHER)).toBe(0);
  });

  test("what an endpoint sends as another is left to the kernel path, whose guard drops it", async () => {
    inside(sandbox(2), "ip", "addr", "add", "10.0.1.99/32", "dev", "eth0");
    let well = true;
    const passed = await more(lab.host(1), "source-not-its-own", () => {
      well = pings(sandbox(2), "10.0.1.3", "-I", "10.0.1.99");
    });
    inside(sandbox(2), "ip", "addr", "del", "10.0.1.99/32", "dev", "eth0");
    expect(passed).toBeGreaterThanOrEqual(3);
    expect(well).toBe(false);
  });

  test("a frame from a node that its sender does not live on is not taken for it", async () => {
    const plain = lab.host(4).netns;
    plainIs(macOf(4));
    const wrong = await more(lab.host(1), "wrong-peer", () => pings(plain, "10.0.1.2"));
    plainIs(macOf(5));
    expect(wrong).toBeGreaterThanOrEqual(3);
    expect(pings(plain, "10.0.1.2")).toBe(true);
  });
});

describe("what is disturbed mends itself", () => {
  test("a killed agent loses no frame, and the next one finds what it left", async () => {
    const h1 = lab.host(1);
    const args = ["-i", "0.02", "-w", "60", "10.0.1.3"];
    const ping = spawn("nsenter", [`--net=${sandbox(2)}`, "ping", ...args]);
    let output = "";
    ping.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    await until("pings come back", () => output.split("\n").length > 5);
    const before = await frames(h1, "sent");
    await h1.kill();
    const lines = output.split("\n").length;
    await until("pings go on", () => output.split("\n").length > lines + 20);
    h1.start("tcx");
    expect(await h1.set(want(1, "accelerated"))).toHaveProperty("problems", {});
    const ended = new Promise((resolve) => ping.once("exit", resolve));
    ping.kill("SIGINT");
    await ended;
    expect(output).toMatch(/ 0% packet loss/);
    expect(await frames(h1, "sent"), "the counters are the old ones").toBeGreaterThan(before + 20);
  });

  test("a program that somebody takes away is put back", async () => {
    const [h1, h2] = [lab.host(1), lab.host(2)];
    const links = `${h1.runDir}/bpf/links`;
    for (const key of readdirSync(links)) unlinkSync(`${links}/${key}`);
    await until("all are there again", () => readdirSync(links).length >= 7);
    await shortcut(h1, sandbox(2), "10.0.1.3");
    inside(h2.netns, "tc", "filter", "del", "dev", "ul0", "ingress");
    await until("h2 receives by its program again", async () => {
      return (await more(h2, "received", () => pings(sandbox(2), "10.0.1.3"))) >= 3;
    });
  });

  test("the pair that frames cross by is made again", async () => {
    const h1 = lab.host(1);
    const name = /(sk-\w+-4097)@/.exec(inside(h1.netns, "ip", "-br", "link"))?.[1] ?? "";
    inside(h1.netns, "ip", "link", "del", name);
    await until("it is there", () => inside(h1.netns, "ip", "-br", "link").includes(name));
    await shortcut(h1, sandbox(2), "10.0.1.3");
  });

  test("rows that somebody changes are written again", async () => {
    const h1 = lab.host(1);
    const name = h1.netns.slice("/run/netns/".length);
    // The neighbour goes, so its row goes; the kernel path asks for it again, and it comes back.
    ip("-n", name, "neigh", "flush", "dev", "ul0");
    await shortcut(h1, sandbox(2), "10.0.1.4");
  });

  test("a peer whose MAC changes is followed", async () => {
    const [h1, h2] = [lab.host(1), lab.host(2)];
    // It says so itself, as a machine does that takes over an address.
    inside(h2.netns, "sysctl", "-qw", "net.ipv4.conf.ul0.arp_notify=1");
    inside(h2.netns, "ip", "link", "set", "ul0", "address", "02:00:00:00:02:02");
    await until("pings come back", () => pings(sandbox(2), "10.0.1.3"));
    await shortcut(h1, sandbox(2), "10.0.1.3");
    const row = inside(h1.netns, "ip", "neigh", "show", h2.vtep);
    expect(row).toContain("02:00:00:00:02:02");
  });
});

test("nothing of it is left when the node takes another path, and frames go on", async () => {
  const h1 = lab.host(1);
  expect(await h1.set(want(1, "kernel"))).toHaveProperty("problems", {});
  expect(existsSync(`${h1.runDir}/bpf`)).toBe(false);
  expect(inside(h1.netns, "ip", "-br", "link")).not.toContain("sk-");
  expect(inside(h1.net(NET), "ip", "-br", "link")).not.toContain("fast0");
  for (const n of [3, 4, 5]) expect(pings(sandbox(2), `10.0.1.${n}`)).toBe(true);
  expect(await h1.set(want(1, "accelerated"))).toHaveProperty("problems", {});
  await shortcut(h1, sandbox(2), "10.0.1.3");
  // By clsact there is nothing pinned but the tables, and filters do not go with those.
  const h2 = lab.host(2);
  expect(await h2.set(want(2, "kernel"))).toHaveProperty("problems", {});
  expect(inside(h2.netns, "tc", "filter", "show", "dev", "ul0", "ingress")).toBe("");
  expect(pings(sandbox(2), "10.0.1.3")).toBe(true);
});

test("over IPv6 the programs receive, and the kernel path sends", async () => {
  const six = new Lab("ska6", 2, 6);
  try {
    const who = { 2: 1, 3: 2 };
    for (const number of [1, 2]) {
      six.host(number).start("tcx");
      const wanted = hostWant([network(number, NET, "accelerated", { hosts: six, who })]);
      expect(await six.host(number).set(wanted)).toHaveProperty("problems", {});
    }
    const [h1, from] = [six.host(1), six.host(1).sandbox(idOf(2))];
    for (const to of ["10.0.1.3", "fd00:1::3"]) {
      await until(`${to} answers`, () => pings(from, to));
      const passed = await frames(h1, "no-next-hop");
      expect(await more(h1, "received", () => pings(from, to))).toBeGreaterThanOrEqual(3);
      expect((await frames(h1, "no-next-hop")) - passed).toBeGreaterThanOrEqual(3);
    }
    expect(await frames(h1, "sent")).toBe(0);
  } finally {
    await six.down();
  }
});
