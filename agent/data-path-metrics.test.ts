import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { ManualClock } from "../test/fakes/manual-clock.js";
import { ApiCounters } from "./api/counters.js";
import type { Measured } from "./data-path-metrics.js";
import type { Applier } from "./loops/apply.js";
import { ApplyCounts } from "./loops/apply-counts.js";
import type { MembershipLoop } from "./loops/membership.js";
import { agentMetrics } from "./metrics.js";

const clock = new ManualClock();
const applied = new ApplyCounts(clock);
const NETWORK = { id: "n1", spec: { name: "shop" } } as ReturnType<Measured["networks"]>[number];
const MEASURED: Measured = {
  counts: () => ({
    traffic: [
      {
        ...{ source: "device", networkId: "n1", peer: "" },
        ...{ frames: { in: 3, out: 4 }, bytes: { in: 300, out: 400 } },
      },
    ],
    drops: [
      { source: "filter", networkId: "n1", peer: "192.0.2.2", reason: "not-a-peer", frames: 7 },
    ],
  }),
  peers: () => [
    {
      ...{ nodeId: "n2", hostname: "h2", address: "192.0.2.2", silent: false },
      underlay: { sent: 10, lost: 0, rttUs: 150 },
      data: { sent: 10, lost: 10, rttUs: undefined },
    },
  ],
  findings: () => [],
  networks: () => [NETWORK],
  applied,
  dataPath: () => ({ wish: "auto", path: "kernel", why: [] }),
};

let text = "";
beforeAll(async () => {
  applied.wanted(1);
  await clock.advance(40);
  applied.settled(1);
  applied.repaired({ kind: "remove-sandbox", file: "sb-1" });
  const membership = { member: undefined, managerStatus: async () => undefined };
  const applier = { problems: () => new Map() };
  const api = new ApiCounters();
  api.answered(200);
  const metrics = agentMetrics(
    membership as unknown as MembershipLoop,
    applier as unknown as Applier,
    () => undefined,
    MEASURED,
  );
  text = `${await metrics.text()}${api.text()}`;
});

test("what is counted is labelled by network and peer, as people call them", () => {
  const lines = [
    'skein_datapath_frames_total{source="device",network="shop",peer="",direction="in"} 3',
    'skein_datapath_bytes_total{source="device",network="shop",peer="",direction="out"} 400',
    'skein_datapath_drops_total{source="filter",network="shop",peer="h2",reason="not-a-peer"} 7',
    'skein_peer_rtt_seconds{peer="h2",way="underlay"} 0.00015',
    'skein_peer_probes_lost_total{peer="h2",way="data"} 10',
    'skein_repairs_total{step="remove-sandbox"} 1',
    'skein_datapath_info{path="kernel",wish="auto"} 1',
    'skein_programming_seconds_bucket{le="0.025"} 0',
    'skein_programming_seconds_bucket{le="0.05"} 1',
    'skein_programming_seconds_bucket{le="+Inf"} 1',
    "skein_programming_seconds_sum 0.04",
    "skein_findings 0",
  ];
  for (const line of lines) expect(text.split("\n")).toContain(line);
  // A peer that does not answer has no round trip.
  expect(text).not.toContain('skein_peer_rtt_seconds{peer="h2",way="data"}');
});

/** As Prometheus stores them: a histogram's parts have names of their own. */
function served(): ReadonlySet<string> {
  const samples = text.split("\n").map((line) => /^[a-z_]+/.exec(line)?.[0] ?? "");
  const types = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => name);
  return new Set([...samples, ...types].filter(Boolean));
}

test("the board's panels ask for nothing that is not served", () => {
  const board = JSON.parse(readFileSync("docs/grafana/skein.json", "utf8"));
  const asked = [...JSON.stringify(board).matchAll(/\bskein_[a-z_]+/g)].map(([name]) => name);
  expect(asked.length).toBeGreaterThan(20);
  const names = served();
  expect(asked.filter((name) => !names.has(name))).toEqual([]);
  const ids = board.panels.map(({ id }: { id: number }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("docs/metrics.md lists all that is served, and nothing else", () => {
  const page = readFileSync("docs/metrics.md", "utf8");
  const listed = new Set([...page.matchAll(/`(skein_[a-z_]+)`/g)].map(([, name]) => name));
  const types = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
  expect([...types].filter((name) => !listed.has(name))).toEqual([]);
  expect([...listed].filter((name) => !types.has(name))).toEqual([]);
});
