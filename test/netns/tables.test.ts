// Tables of sandboxes kept by the apply loop on a real kernel: they stand before endpoints, come back when somebody takes
// them, go when nobody wants them, and keep no namespace alive.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { forgetFlows } from "../../agent/kernel/flows.js";
import { LinuxKernel } from "../../agent/kernel/kernel.js";
import { isNamespace, removeNamespace, within } from "../../agent/kernel/namespace.js";
import { NetlinkSocket } from "../../agent/kernel/netlink-socket.js";
import { Applier } from "../../agent/loops/apply.js";
import { decodeFlow, dumpFlows, dumpFlowsAt, dumpFlowsTo } from "../../agent/netlink/conntrack.js";
import {
  NETLINK_NETFILTER,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
} from "../../agent/netlink/nftables-constants.js";
import type { NetlinkWriter } from "../../agent/netlink/writer.js";
import type { NamespaceTables, TableWant } from "../../agent/reconcile/table-want.js";
import type { HostWant, SandboxRef } from "../../agent/reconcile/want.js";
import { sandboxPath } from "../../agent/reconcile/want.js";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { packetOf } from "../fakes/nft-model.js";
import { vipTable } from "../fakes/nft-vips.js";
import { inside, ip } from "./kernel-lab.js";
import { CLIENT, NftLab } from "./nft-lab.js";

const PREFIX = process.env.SKEIN_TEST_PREFIX ?? "sknft-";
const VIP = "10.0.1.30";
const ID = "b".repeat(16);
const patience = () => AbortSignal.timeout(20_000);

let runDir: string;
let kernel: LinuxKernel;
let applier: Applier;
beforeAll(() => {
  runDir = mkdtempSync("/tmp/skein-tables-");
  kernel = new LinuxKernel({ runDir });
  applier = new Applier(kernel, systemClock, { ...DEFAULT_TIMING, resyncMs: 300 }, silentLogger());
});
afterAll(async () => {
  await applier?.close();
  kernel?.close();
  removeNamespace(sandboxPath(runDir, ID));
  rmSync(runDir, { recursive: true, force: true });
});

async function set(tables: readonly NamespaceTables[], sandboxes = [{ id: ID }]): Promise<void> {
  const want: HostWant = { sandboxes, networks: [], tables };
  applier.set(want);
  await applier.settled(patience());
  expect([...applier.problems()]).toEqual([]);
}
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`not in time: ${what}`);
}
const own: SandboxRef = { kind: "own", id: ID };
const table = (...backends: string[]): TableWant => vipTable([{ address: VIP, backends }]);

describe("of a sandbox of ours", () => {
  const nft = (...args: string[]) => inside(sandboxPath(runDir, ID), "nft", ...args);

  test("stand when it is ready, follow the want, and come back after a flush", async () => {
    await set([{ sandbox: own, tables: [table("10.0.1.3", "10.0.1.4")] }]);
    expect(nft("list", "ruleset")).toContain(`${VIP} : goto pick-2`);
    await set([{ sandbox: own, tables: [table("10.0.1.3")] }]);
    expect(nft("list", "ruleset")).toContain(`${VIP} : goto pick-1`);
    expect(nft("list", "ruleset")).not.toContain("pick-2");
    nft("flush", "ruleset");
    await until("the table is back", () => nft("list", "ruleset").includes(`${VIP} : goto pick-1`));
  });

  test("leave what is not theirs alone, and go when nobody wants them", async () => {
    nft("add", "table", "inet", "theirs");
    await set([]);
    expect(nft("list", "ruleset").trim()).toBe("table inet theirs {\n}");
  });

  test("keep no sandbox from going", async () => {
    await set([{ sandbox: own, tables: [table("10.0.1.3")] }]);
    await set([], []);
    expect(existsSync(sandboxPath(runDir, ID))).toBe(false);
  });
});

describe("of somebody else's namespace", () => {
  const name = `${PREFIX}f${process.pid}`;
  const path = `/run/netns/${name}`;
  const theirs: SandboxRef = { kind: "foreign", path };
  beforeEach(() => {
    if (!existsSync(path)) ip("netns", "add", name);
  });
  afterAll(() => {
    if (existsSync(path)) ip("netns", "del", name);
  });

  test("go when its last endpoint is gone", async () => {
    await set([{ sandbox: theirs, tables: [table("10.0.1.3")] }]);
    expect(inside(path, "nft", "list", "ruleset")).toContain("goto pick-1");
    await set([]);
    expect(inside(path, "nft", "list", "ruleset")).toBe("");
  });

  test("one that is gone, and one that comes in its place", async () => {
    await set([{ sandbox: theirs, tables: [table("10.0.1.3")] }]);
    ip("netns", "del", name);
    expect(isNamespace(path)).toBe(false);
    await set([{ sandbox: theirs, tables: [table("10.0.1.3")] }]);
    ip("netns", "add", name);
    await until("its table", () => inside(path, "nft", "list", "ruleset").includes("goto pick-1"));
    await set([]);
  });
});

describe("what the kernel follows", () => {
  let lab: NftLab;
  beforeAll(() => {
    lab = new NftLab(`${PREFIX}l`);
  });
  afterAll(() => lab?.close());

  const cases = [
    { name: "UDP flows to a backend that left go to another", protocol: 17, later: "10.0.1.4" },
    { name: "TCP connections to it drain", protocol: 6, later: "10.0.1.3" },
  ];
  test.each(cases)("$name", async ({ protocol, later }) => {
    const packets = [1, 2, 3].map((n) =>
      packetOf(CLIENT, VIP, { protocol, sourcePort: 2_000 + protocol * 10 + n }),
    );
    lab.write([table("10.0.1.3")]);
    const before = await lab.send(packets);
    expect(before.map((arrived) => arrived?.destination)).toEqual(packets.map(() => "10.0.1.3"));
    lab.write([table("10.0.1.4")]);
    const after = await lab.send(packets);
    expect(after.map((arrived) => arrived?.destination)).toEqual(packets.map(() => later));
  });

  test("is asked for by address or by port, and told no more than that", async () => {
    lab.write([table("10.0.1.5")]);
    await lab.send(
      [1, 2, 3].map((n) =>
        packetOf(CLIENT, n === 3 ? "10.0.1.6" : VIP, {
          ...{ protocol: 17, sourcePort: 3_000 + n, destinationPort: 5_000 + n },
        }),
      ),
    );
    const told = within(lab.path, () => new NetlinkSocket([], NETLINK_NETFILTER));
    const ports = (question: (writer: NetlinkWriter) => void) =>
      told.dump(question, decodeFlow).map(({ destinationPort }) => destinationPort);
    try {
      expect(ports((w) => dumpFlowsTo(w, "0a000105")).toSorted()).toEqual([5_001, 5_002]);
      expect(ports((w) => dumpFlowsAt(w, NFPROTO_IPV4, 17, 5_003))).toEqual([5_003]);
      expect(ports((w) => dumpFlowsAt(w, NFPROTO_IPV6, 17, 5_003))).toEqual([]);
      forgetFlows(told, [{ kind: "came-to", port: 5_001 }]);
      expect(ports((w) => dumpFlowsTo(w, "0a000105"))).toEqual([5_002]);
      const others = Array.from({ length: 20 }, (_, port) => ({ kind: "came-to", port }) as const);
      const to = { kind: "translated-to", address: "0a000105", protocols: "all" } as const;
      forgetFlows(told, [...others, to]);
      expect(ports((w) => dumpFlowsTo(w, "0a000105"))).toEqual([]);
      expect(ports(dumpFlows)).toContain(5_003);
    } finally {
      told.close();
    }
  });
});
