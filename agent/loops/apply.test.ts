import { afterEach, expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { systemClock } from "../../common/clock.js";
import { parseMac, parseVni } from "../../common/ids.js";
import { silentLogger } from "../../common/log.js";
import { FakeKernel } from "../../test/fakes/kernel.js";
import { vipTable } from "../../test/fakes/nft-vips.js";
import { portName } from "../reconcile/names.js";
import { egressChain } from "../reconcile/rule-words.js";
import {
  EMPTY_WANT,
  type HostWant,
  type LocalEndpoint,
  type NetworkWant,
} from "../reconcile/want.js";
import { Applier } from "./apply.js";

const ip = (text: string) => parseIp(text) as Ip;
const ID = "aaaaaaaaaaaaaaaa";
function want(remotes: readonly number[] = [10]): HostWant {
  const locals: LocalEndpoint[] = [
    {
      endpointId: "e1",
      mac: parseMac("02:42:0a:00:01:02") as LocalEndpoint["mac"],
      prefixes: [parsePrefix("10.0.1.2/24") as Prefix],
      interfaceName: "eth0",
      sandbox: { kind: "own", id: ID },
      version: 1,
    },
  ];
  const network: NetworkWant = {
    networkId: "n1",
    name: "overnet",
    vni: parseVni(4097) as NetworkWant["vni"],
    mtuBytes: 0,
    vtep: ip("192.0.2.1"),
    port: 4789,
    path: "kernel",
    subnets: [parsePrefix("10.0.1.0/24") as Prefix],
    locals,
    remotes: remotes.map((n) => ({
      endpointId: `r${n}`,
      mac: parseMac(`02:42:0a:00:01:${n}`) as LocalEndpoint["mac"],
      ips: [ip(`10.0.1.${n}`)],
      vtep: ip("192.0.2.2"),
      version: n,
    })),
    floodTo: [ip("192.0.2.2")],
  };
  return { sandboxes: [{ id: ID }], networks: [network] };
}

let applier: Applier;
function start(kernel: FakeKernel, resyncMs = 60_000, clock = systemClock): Applier {
  applier = new Applier(kernel, clock, { retryMinMs: 1, retryMaxMs: 4, resyncMs }, silentLogger());
  return applier;
}
const soon = () => AbortSignal.timeout(15_000);
afterEach(() => applier.close());

test("nothing is done before somebody said what is wanted", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).look();
  await systemClock.sleep(5, soon());
  expect(kernel.dumps).toBe(0);
});

test("ready waits for an endpoint that is not wanted yet, and for every row of its network", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel);
  const ready = applier.ready("e1", soon());
  applier.set(want([10, 11]));
  await ready;
  expect(kernel.networks.get(4097)?.fdb.size).toBe(2);
  expect(kernel.insides.get("sb-aaaaaaaaaaaa")?.links.map(({ name }) => name)).toEqual(["eth0"]);
});

const tables = [
  {
    sandbox: { kind: "own", id: ID } as const,
    tables: [
      vipTable([{ address: "10.0.1.9", backends: ["10.0.1.3"] }]),
      {
        ...{ family: "netdev" as const, name: "skein", maps: [] },
        chains: [egressChain("egress", ["eth0"], [])],
      },
    ],
  },
];

test("ready is when the sandbox's tables stand too, before the endpoint and on its interface", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).set({ ...want(), tables });
  await applier.ready("e1", soon());
  const kinds = kernel.performed.map((step) =>
    step.kind === "change-tables" ? step.layer : step.kind,
  );
  expect(kinds.slice(kinds.indexOf("tables"))).toEqual(["tables", "make-endpoint", "hooks"]);
});

test("where the tables cannot be written, nothing is plugged in, and it is said why", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  const why = "This machine's kernel has no nf_tables.";
  kernel.refuse = ({ kind }) => (kind === "change-tables" ? why : undefined);
  start(kernel).set({ ...want(), tables });
  await expect(applier.ready("e1", soon())).rejects.toThrow(why);
  expect(kernel.performed.map(({ kind }) => kind)).not.toContain("make-endpoint");
});

test("ready covers what was set before it was asked", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).set(want([10]));
  await applier.settled(soon());
  applier.set(want([10, 11]));
  await applier.ready("e1", soon());
  expect(kernel.networks.get(4097)?.fdb.size).toBe(2);
});

test("reached is when the rows are written, whatever else takes its time", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).set(want([10]));
  await applier.settled(soon());
  applier.set(want([10, 11]));
  kernel.refuse = (step) => (step.kind === "put-rows" ? "no" : undefined);
  let over = false;
  const reached = applier.reached(soon()).then(() => (over = true));
  await expect.poll(() => applier.problems().size).toBeGreaterThan(0);
  kernel.refuse = () => undefined;
  await reached;
  expect(over).toBe(true);
});

test("a step that keeps failing is told in its own words; when it works again the problem is over", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  kernel.refuse = (step) => (step.kind === "make-vxlan" ? "VNI 4097 is taken." : undefined);
  start(kernel).set(want());
  await expect(applier.ready("e1", soon())).rejects.toThrow(/^VNI 4097 is taken\.$/);
  expect(applier.problems().get("n1")).toBe("VNI 4097 is taken.");
  expect(kernel.performed.some(({ kind }) => kind === "make-endpoint")).toBe(false);
  kernel.refuse = () => undefined;
  for (;;) {
    if (applier.problems().size === 0) break;
    await systemClock.sleep(1, soon());
  }
  await applier.ready("e1", soon());
});

test("a fresh endpoint that fails is taken back; the sandbox that others may use stays", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  kernel.refuse = (step) => (step.kind === "make-endpoint" ? "no" : undefined);
  start(kernel).set(want());
  await applier.settled(soon());
  expect(kernel.performed.at(-1)?.kind).toBe("remove-endpoint");
  expect(kernel.insides.has("sb-aaaaaaaaaaaa")).toBe(true);
});

test("what somebody breaks is mended when the kernel says so, and at the next look if it does not", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel, 20).set(want());
  await applier.settled(soon());
  for (const tell of [() => kernel.meddled(), () => undefined]) {
    const network = kernel.networks.get(4097);
    if (network) kernel.removeLink(network, "vxlan0");
    tell();
    for (;;) {
      if (kernel.networks.get(4097)?.fdb.size === 1) break;
      await systemClock.sleep(1, soon());
    }
  }
});

test("what is put back is counted by kind, and nothing else is", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel);
  applier.set(want([10]));
  await applier.settled(soon());
  applier.set(want([10, 11]));
  await applier.settled(soon());
  expect([...applier.counts.repairs]).toEqual([]);
  kernel.networks.get(4097)?.fdb.clear();
  kernel.meddled();
  await systemClock.sleep(20, soon());
  expect(kernel.networks.get(4097)?.fdb.size).toBe(2);
  expect([...applier.counts.repairs]).toEqual([["put-rows", 1]]);
});

test("who waits for an interface to go does not wait for its network to go after it", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).set(want());
  await applier.settled(soon());
  const gate = new AbortController();
  const perform = kernel.perform.bind(kernel);
  kernel.perform = async (step) => {
    if (step.kind === "remove-network") {
      await new Promise((go) => gate.signal.addEventListener("abort", go));
    }
    await perform(step);
  };
  applier.set({ ...want(), networks: [] });
  await applier.settled(soon(), [portName("e1")]);
  expect(kernel.networks.has(4097)).toBe(true);
  gate.abort();
  await applier.settled(soon());
  expect(kernel.networks.has(4097)).toBe(false);
});

test("our own steps are no reason to look again", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).set(want());
  await applier.settled(soon());
  await systemClock.sleep(20, soon());
  expect(kernel.dumps).toBe(2);
});

test("with nothing wanted nothing is left", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).set(want());
  await applier.settled(soon());
  applier.set(EMPTY_WANT);
  await applier.settled(soon());
  expect([...kernel.networks.keys(), ...kernel.insides.keys()]).toEqual(["host"]);
});

test("who waits when it closes is told", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel);
  const ready = applier.ready("never", soon());
  const told = expect(ready).rejects.toThrow("APPLIER_CLOSED");
  await applier.close();
  await told;
});

test("on a machine so slow that a pause is over before it is looked at, the step is tried again", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  kernel.refuse = (step) => (step.kind === "make-vxlan" ? "VNI 4097 is taken." : undefined);
  let nowMs = 0;
  const slow = {
    ...systemClock,
    monotonicMs: () => {
      nowMs += 50;
      return nowMs;
    },
  };
  start(kernel, 60_000, slow).set(want());
  await expect(applier.ready("e1", AbortSignal.timeout(2_000))).rejects.toThrow(/^VNI 4097/);
});

test("only the first look, and one because of somebody else, goes into sandboxes that nothing touched", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  start(kernel).set(want([10]));
  await applier.settled(soon());
  applier.set(want([10, 11]));
  await applier.settled(soon());
  expect(kernel.trusted[0]).toBe(false);
  expect(kernel.trusted.slice(1).every((trust) => trust)).toBe(true);
  const before = kernel.dumps;
  kernel.meddled();
  while (kernel.dumps === before) await systemClock.sleep(1, soon());
  expect(kernel.trusted[before]).toBe(false);
});

/** Endpoint after endpoint comes, or goes, and each step takes its time: the want is never reached as a whole. */
test("what is wanted first is there, and what is unwanted gone, though the want goes on changing", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  const lines: string[] = [];
  const log = { ...silentLogger(), warn: (_fields: object, text: string) => lines.push(text) };
  const timing = { retryMinMs: 1, retryMaxMs: 4, resyncMs: 60_000 };
  applier = new Applier(kernel, systemClock, timing, log as never);
  const first = want();
  const [network] = first.networks;
  const [local] = network?.locals ?? [];
  if (network === undefined || local === undefined) throw new Error("no endpoint");
  const all: LocalEndpoint[] = [];
  const set = () =>
    applier.set({
      sandboxes: all.map(({ endpointId }) => ({ id: endpointId })),
      networks: [{ ...network, locals: [...all] }],
    });
  let next = 0;
  const more = () => {
    const endpointId = `${String(next++).padStart(4, "0")}aaaaaaaaaaaa`;
    const mac = parseMac(`02:42:0a:00:02:${next.toString(16).padStart(2, "0")}`);
    const sandbox = { kind: "own", id: endpointId } as const;
    all.push({ ...local, endpointId, mac: mac ?? local.mac, sandbox });
    set();
  };
  more();
  let goingOn = true;
  // At each step of the kernel's the want is another.
  kernel.refuse = () => {
    if (goingOn && next < 200) more();
    return undefined;
  };
  await applier.ready(all[0]?.endpointId ?? "", soon());
  expect(next).toBeLessThan(200);
  const [gone] = all.splice(0, 1);
  set();
  await applier.settled(soon(), [portName(gone?.endpointId ?? "")]);
  expect(kernel.networks.get(4097)?.links.has(portName(gone?.endpointId ?? ""))).toBe(false);
  goingOn = false;
  await applier.settled(soon());
  expect(lines).toEqual([]);
});

test("new things do not wait for all that is to go", async () => {
  const kernel = new FakeKernel("192.0.2.1/24");
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  start(kernel, 60_000, clock);
  const many = Array.from({ length: 100 }, (_, i) => ({
    id: `${String(i).padStart(4, "0")}bbbbbbbb`,
  }));
  applier.set({ ...EMPTY_WANT, sandboxes: many });
  await applier.settled(soon());
  kernel.refuse = () => {
    nowMs += 10;
    return undefined;
  };
  applier.set(want());
  const began = kernel.performed.length;
  await applier.ready("e1", soon());
  const removed = kernel.performed.slice(began).filter(({ kind }) => kind === "remove-sandbox");
  expect(removed.length).toBeLessThan(10);
  await applier.settled(soon());
  expect([...kernel.insides.keys()].sort()).toEqual(["host", "sb-aaaaaaaaaaaa"]);
});
