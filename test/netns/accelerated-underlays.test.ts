// The accelerated path where the VTEP is not on a network card itself: on a bridge whose port the card is, a macvlan, a
// VLAN, a bond. Its frames go and come there like any others. A kernel that lacks a kind of device leaves that one out.
import { describe, expect, test } from "vitest";
import {
  frames,
  hostWant,
  idOf,
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

const HOMES = { 2: 1, 3: 2 };

interface Underlay {
  readonly what: string;
  /** Commands of ip(8), one a line: `up0`, over the card `ul0`, which has no address any more. */
  readonly made: string;
}
const UNDERLAYS: readonly Underlay[] = [
  {
    what: "bridge",
    made: `link add up0 type bridge
           link set ul0 master up0`,
  },
  { what: "macvlan", made: "link add link ul0 name up0 type macvlan mode bridge" },
  { what: "vlan", made: "link add link ul0 name up0 type vlan id 5" },
  {
    what: "bond",
    made: `link add up0 type bond mode active-backup
           link set ul0 down
           link set ul0 master up0`,
  },
];

/** Each host has its address on such a device, in place of the card. */
function relaid(lab: Lab, { made }: Underlay): void {
  for (const { netns, vtep } of lab.hosts) {
    const name = netns.slice("/run/netns/".length);
    ip("-n", name, "addr", "flush", "dev", "ul0");
    for (const line of made.split("\n")) ip("-n", name, ...line.trim().split(" "));
    ip("-n", name, "link", "set", "ul0", "up");
    ip("-n", name, "link", "set", "dev", "up0", "up");
    // Linux answers ARP for an address by every device that hears it: the card below a macvlan would, and get the frames.
    inside(netns, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1");
    ip("-n", name, "addr", "add", `${vtep}/24`, "dev", "up0");
  }
}

function kernelHas(kind: string): boolean {
  const name = `sku${process.pid}`;
  ip("netns", "add", name);
  try {
    ip("-n", name, "link", "add", "ul0", "type", "veth", "peer", "name", "ul1");
    const over = kind === "vlan" || kind === "macvlan" ? ["link", "ul0"] : [];
    const more = kind === "vlan" ? ["id", "5"] : [];
    ip("-n", name, "link", "add", ...over, "name", "up0", "type", kind, ...more);
    return true;
  } catch {
    return false;
  } finally {
    ip("netns", "del", name);
  }
}

async function start(host: Host, hooks: "tcx" | "clsact", number: number, lab: Lab) {
  host.start(hooks);
  const wanted = network(number, NET, "accelerated", { hosts: lab, who: HOMES });
  expect(await host.set(hostWant([wanted]))).toHaveProperty("problems", {});
}

for (const underlay of UNDERLAYS) {
  describe.skipIf(!kernelHas(underlay.what))(`the VTEP on a ${underlay.what}`, () => {
    test("frames go by the programs, both ways, by tcx and by clsact", async () => {
      const lab = new Lab(`sku${underlay.what.slice(0, 2)}`, 2);
      try {
        relaid(lab, underlay);
        const [h1, h2] = [lab.host(1), lab.host(2)];
        await start(h1, "tcx", 1, lab);
        await start(h2, "clsact", 2, lab);
        const [from, to] = [h1.sandbox(idOf(2)), h2.sandbox(idOf(3))];
        await shortcut(h1, from, "10.0.1.3");
        await shortcut(h2, to, "fd00:1::2");
        for (const host of [h1, h2]) {
          // IPv4: kernels before 6.3 leave IPv6 in IPv4 to their own path.
          const received = await more(host, "received", () => pings(from, "10.0.1.3"));
          expect(received).toBeGreaterThanOrEqual(3);
        }
        // Batches, too, both ways: none is left to the kernel path for its size.
        const bytes = async () => {
          const { carried } = await h1.ask({ call: "carried" });
          return carried?.[NET];
        };
        const before = await bytes();
        await transfer({ netns: to, address: "10.0.1.3" }, from, 5001);
        await transfer({ netns: from, address: "10.0.1.2" }, to, 5002);
        const after = await bytes();
        for (const way of ["sent", "received"] as const)
          expect((after?.[way].bytes ?? 0) - (before?.[way].bytes ?? 0)).toBeGreaterThan(SIZE);
        expect(await frames(h1, "too-large")).toBe(0);
      } finally {
        await lab.down();
      }
    });
  });
}

test("where a peer is reached by a tunnel, frames take the kernel path, and it is said", async () => {
  const lab = new Lab("skutn", 2);
  try {
    const ends = lab.hosts.map((_, i) => `198.51.100.${i + 1}`);
    for (const [i, { netns, vtep }] of lab.hosts.entries()) {
      const name = netns.slice("/run/netns/".length);
      ip("-n", name, "addr", "flush", "dev", "ul0");
      ip("-n", name, "addr", "add", `${ends[i]}/24`, "dev", "ul0");
      const tunnel = [
        "id",
        "7",
        "dstport",
        "4800",
        "local",
        `${ends[i]}`,
        "remote",
        `${ends[1 - i]}`,
      ];
      ip("-n", name, "link", "add", "up0", "type", "vxlan", ...tunnel);
      ip("-n", name, "link", "set", "dev", "up0", "up");
      // Linux answers ARP for an address by every device that hears it: the card below a macvlan would, and get the frames.
      inside(netns, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1");
      ip("-n", name, "addr", "add", `${vtep}/24`, "dev", "up0");
    }
    for (const [i, host] of lab.hosts.entries()) {
      host.start("tcx");
      const wanted = network(i + 1, NET, "accelerated", { hosts: lab, who: HOMES });
      const { problems } = await host.set(hostWant([wanted]));
      expect(Object.values(problems ?? {})).toEqual([
        "It is reached by up0, a device of kind vxlan. Frames to it take the kernel path.",
      ]);
    }
    const [h1, from] = [lab.host(1), lab.host(1).sandbox(idOf(2))];
    await until("the peer answers", () => pings(from, "10.0.1.3"));
    expect(await more(h1, "no-next-hop", () => pings(from, "10.0.1.3"))).toBeGreaterThanOrEqual(3);
    expect([await frames(h1, "sent"), await frames(h1, "received")]).toEqual([0, 0]);
  } finally {
    await lab.down();
  }
});
