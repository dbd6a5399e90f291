import { expect, test } from "vitest";
import { formatIp } from "../../common/address.js";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { Topic } from "../../common/watch.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import type { PathProber } from "../seams.js";
import { Findings } from "./findings.js";
import { PathMtu } from "./path-mtu.js";

const H2 = "192.0.2.2";
const H3 = "192.0.2.3";

interface Way {
  carries: number;
  tells: boolean;
  up: boolean;
  /** Lets no ICMP through. */
  deaf: boolean;
  largest: number;
  hop: string;
  learned: number | undefined;
}

function started({ mtuBytes = 0, down = "" } = {}) {
  const clock = new ManualClock();
  const news = new Topic<void>();
  const findings = new Findings(clock);
  const ways = new Map<string, Way>(
    [H2, H3].map((vtep) => [
      vtep,
      {
        carries: 1500,
        tells: true,
        up: vtep !== down,
        deaf: false,
        largest: 1500,
        learned: undefined,
        hop: "eth0",
      },
    ]),
  );
  const way = (vtep: string) => ways.get(vtep) as Way;
  let packets = 0;
  const prober: PathProber = {
    known(_from, to) {
      const { largest, learned, hop } = way(formatIp(to));
      return { way: hop, largestBytes: largest, learnedBytes: learned };
    },
    async send(probes) {
      return probes.map(({ to, sizesBytes, tunnelPort }) => {
        const { carries, tells, deaf, ...rest } = way(formatIp(to));
        const up = rest.up && (!deaf || tunnelPort === 4789);
        packets += sizesBytes.length;
        const passed = sizesBytes.filter((size) => up && size <= carries);
        const isTold = up && tells && sizesBytes.some((size) => size > carries);
        return { passed, toldBytes: isTold ? carries : undefined };
      });
    },
  };
  const current = Assignments.fromPartial({
    networks: [{ id: "n1", spec: { name: "web" }, mtuBytes }],
    endpoints: [
      { id: "e1", networkId: "n1", nodeId: "node1" },
      { id: "e2", networkId: "n1", nodeId: "node2" },
      { id: "e3", networkId: "n1", nodeId: "node3" },
    ],
    peers: [
      { nodeId: "node2", dataPathAddr: H2, hostname: "h2" },
      { nodeId: "node3", dataPathAddr: H3, hostname: "h3" },
    ],
  });
  const told: (readonly (readonly [string, number])[])[] = [];
  const measured: (typeof loop.measured)[] = [];
  const loop: PathMtu = new PathMtu({
    hostname: "h1",
    member: () => ({
      record: { nodeId: "node1", dataPathAddr: "192.0.2.1", dataPathPort: 4789 },
      held: { current },
    }),
    prober,
    setPaths: (paths) => told.push([...paths]),
    remeasured: () => measured.push(loop.measured),
    follow: (listener) => news.subscribe(listener),
    findings,
    clock,
    timing: DEFAULT_TIMING,
    log: silentLogger(),
  });
  const stop = new AbortController();
  const running = loop.run(stop.signal);
  return {
    clock,
    news,
    way,
    told,
    measured,
    packets: () => packets,
    says: () => findings.list().map(({ subject, where }) => `${subject}: ${where}`),
    async end() {
      stop.abort();
      await running;
    },
  };
}

test("two paths are known at once, and asked for little afterwards", async () => {
  const { clock, told, measured, packets, end } = started();
  await clock.advance(0);
  expect(told).toEqual([
    [
      [H2, 1500],
      [H3, 1500],
    ],
  ]);
  expect(packets()).toBe(4);
  await clock.advance(60_000);
  expect(packets()).toBeLessThanOrEqual(4 + 2 * 6);
  expect(told).toHaveLength(1);
  expect(measured).toEqual([]);
  await end();
});

test("a path that shrinks silently is known within a check, and said to be a black hole", async () => {
  const { clock, told, measured, way, says, end } = started();
  await clock.advance(0);
  Object.assign(way(H3), { carries: 1400, tells: false });
  await clock.advance(11_000);
  expect(told.at(-1)).toEqual([
    [H2, 1500],
    [H3, 1400],
  ]);
  expect(says()).toEqual(["peer node3 black hole: h1 → h3"]);
  // And grows again: looked for after a minute.
  Object.assign(way(H3), { carries: 1500 });
  await clock.advance(61_000);
  expect(told.at(-1)).toEqual([
    [H2, 1500],
    [H3, 1500],
  ]);
  expect(says()).toEqual([]);
  expect(measured).toEqual([{ n1: 1400 }, {}]);
  await end();
});

test("another next hop is another path", async () => {
  const { clock, told, way, end } = started();
  Object.assign(way(H2), { carries: 1400 });
  await clock.advance(11_000);
  expect(told.at(-1)?.[0]).toEqual([H2, 1400]);
  Object.assign(way(H2), { carries: 1500, hop: "eth0 192.0.2.254" });
  await clock.advance(11_000);
  expect(told.at(-1)?.[0]).toEqual([H2, 1500]);
  await end();
});

test("a peer that ICMP does not reach is measured on the data path, and plainly again when it can be", async () => {
  const { clock, told, way, says, end } = started({ down: H3 });
  await clock.advance(0);
  Object.assign(way(H3), { up: true, deaf: true, tells: false, carries: 1400 });
  await clock.advance(11_000);
  expect(told.at(-1)?.[1]).toEqual([H3, 1400]);
  expect(says()).toEqual(["peer node3 black hole: h1 → h3"]);
  Object.assign(way(H3), { deaf: false, tells: true, carries: 1500 });
  await clock.advance(70_000);
  expect(told.at(-1)?.[1]).toEqual([H3, 1500]);
  await end();
});

test("what the kernel has learned from an answer is not waited for", async () => {
  const { clock, told, way, news, end } = started();
  await clock.advance(0);
  Object.assign(way(H2), { carries: 1400, learned: 1400 });
  news.publish();
  await settle();
  await clock.advance(0);
  expect(told.at(-1)?.[0]).toEqual([H2, 1400]);
  await end();
});

test("an interface that shrinks counts with the event", async () => {
  const { clock, told, way, news, says, end } = started();
  await clock.advance(0);
  for (const vtep of [H2, H3]) Object.assign(way(vtep), { carries: 1280, largest: 1280 });
  news.publish();
  await clock.advance(0);
  expect(told.at(-1)).toEqual([
    [H2, 1280],
    [H3, 1280],
  ]);
  expect(says()).toEqual([]);
  await end();
});

test("a peer that is down has no say until it comes", async () => {
  const { clock, told, way, end } = started({ down: H3 });
  await clock.advance(1_000);
  expect(told).toEqual([[[H2, 1500]]]);
  Object.assign(way(H3), { up: true, carries: 1400 });
  await clock.advance(11_000);
  expect(told.at(-1)).toEqual([
    [H2, 1500],
    [H3, 1400],
  ]);
  await end();
});

test("a network whose own MTU does not fit a path is said, with the figures", async () => {
  const { clock, way, says, end } = started({ mtuBytes: 1450 });
  await clock.advance(0);
  expect(says()).toEqual([]);
  Object.assign(way(H2), { carries: 1400 });
  await clock.advance(11_000);
  expect(says()).toEqual(["network n1 peer node2 mtu: web: h1 → h2"]);
  await end();
});
