import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import type { ProbeReport } from "../../proto/gen/dispatcher.js";
import { Endpoint, EndpointKind } from "../../proto/gen/types.js";
import { NOTHING } from "../assignments/merge.js";
import type { Pinger } from "../seams.js";
import { runProbe } from "./probe.js";

const endpoint = (id: string, nodeId: string, ipv4: string, networkId = "n") =>
  Endpoint.create({ id, nodeId, networkId, ipv4 });
const assignments = {
  ...NOTHING,
  endpoints: [
    endpoint("mine", "me", "10.0.1.2/24"),
    endpoint("lost", "me", "10.0.1.3/24"),
    endpoint("theirs", "x", "10.0.1.4/24"),
    { ...endpoint("vip", "", "10.0.1.5/24"), kind: EndpointKind.VIP },
    endpoint("elsewhere", "y", "10.0.2.4/24", "other"),
  ],
  peers: [
    { nodeId: "x", dataPathAddr: "192.0.2.2", hostname: "x", version: 1, silent: false },
    { nodeId: "y", dataPathAddr: "192.0.2.3", hostname: "y", version: 1, silent: false },
  ],
};
const probe = { probeId: 5, networkId: "n", count: 0, timeoutMs: 0, sizeBytes: 1_000_000 };

test("each endpoint here pings all others of the network, and the node its peers' VTEPs", async () => {
  const calls: unknown[] = [];
  const pinger: Pinger = {
    ping: async (netns, targets, options) => {
      calls.push([netns, targets.map(({ address }) => address), options.count, options.sizeBytes]);
      return targets.map(({ address }) => ({ address, sent: 3, rttsUs: [10, 20, 60], error: "" }));
    },
  };
  const reports: ProbeReport[] = [];
  const netnsOf = (id: string) => (id === "mine" ? "/run/netns/a" : ("absent" as const));
  const context = {
    nodeId: "me",
    assignments,
    netnsOf,
    pinger,
    clock: systemClock,
    log: silentLogger(),
  };
  await runProbe(probe, context, (report) => reports.push(report), new AbortController().signal);
  expect(calls).toEqual([
    ["/run/netns/a", ["10.0.1.3", "10.0.1.4"], 3, 8_972],
    [undefined, ["192.0.2.2"], 3, 8_972],
  ]);
  expect(reports.flatMap((report) => report.results)).toMatchObject([
    { fromEndpointId: "mine", toEndpointId: "lost", toNodeId: "me", received: 3, rttAvgUs: 30 },
    { fromEndpointId: "mine", toEndpointId: "theirs", toNodeId: "x", rttMinUs: 10, rttMaxUs: 60 },
    { fromEndpointId: "", toEndpointId: "", toNodeId: "x", sent: 3 },
  ]);
  expect(reports.map((report) => report.done)).toEqual([false, false, true]);
});
