// Measures on a manager's behalf: from each endpoint of one network here to every other endpoint of it,
// and from this machine's underlay to the other nodes' VTEPs.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { ProbeResult } from "../../proto/gen/control.js";
import type { Assignments, Probe, ProbeReport } from "../../proto/gen/dispatcher.js";
import { type Endpoint, EndpointKind } from "../../proto/gen/types.js";
import type { Pinger, PingOutcome } from "../seams.js";

/** What a probe may cost, whatever it asks for. */
const COUNT_MAX = 100;
const SIZE_MAX_BYTES = 8_972;
const TIMEOUT_MAX_MS = 10_000;
const DEFAULT = { count: 3, timeoutMs: 1_000, sizeBytes: 56 };
// Choice: this many namespaces at once, and this many targets to one ping call.
const SOURCES_AT_ONCE = 4;
const TARGETS_AT_ONCE = 64;
const INTERVAL_MS = 50;
// Every pair is a row on either side of the kernel's table of neighbours, which takes 1024 for all namespaces of a
// machine together (net.ipv4.neigh.default.gc_thresh3) and gives none up for half a minute (base_reachable_time: its
// timer holds it). Beyond that, what is sent is lost. Choice: a quarter of it at once, then as many a second as go.
const TARGETS_AT_FIRST = 250;
const TARGETS_A_SECOND = 15;

export interface ProbeContext {
  readonly nodeId: string;
  readonly assignments: Assignments;
  /** The namespace that the endpoint lives in; "absent" when nothing here owns it now. */
  readonly netnsOf: (endpointId: string) => string | undefined | "absent";
  readonly pinger: Pinger;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Source {
  readonly endpointId: string;
  readonly netns: string | undefined;
  readonly targets: readonly Target[];
}
interface Target {
  readonly nodeId: string;
  readonly endpointId: string;
  readonly address: string;
}

/** Reports as results come; the last report is `done`. */
export async function runProbe(
  probe: Probe,
  context: ProbeContext,
  report: (report: ProbeReport) => void,
  signal: AbortSignal,
): Promise<void> {
  const options = {
    count: clamp(probe.count, DEFAULT.count, COUNT_MAX),
    timeoutMs: clamp(probe.timeoutMs, DEFAULT.timeoutMs, TIMEOUT_MAX_MS),
    sizeBytes: clamp(probe.sizeBytes, DEFAULT.sizeBytes, SIZE_MAX_BYTES),
    intervalMs: INTERVAL_MS,
  };
  const waiting = sourcesOf(probe.networkId, context).flatMap(split);
  const startMs = context.clock.monotonicMs();
  let begun = 0;
  const work = async () => {
    for (let source = waiting.shift(); source && !signal.aborted; source = waiting.shift()) {
      begun += source.targets.length;
      const dueMs = startMs + ((begun - TARGETS_AT_FIRST) * 1_000) / TARGETS_A_SECOND;
      const earlyMs = dueMs - context.clock.monotonicMs();
      if (earlyMs > 0) await context.clock.sleep(earlyMs, signal).catch(() => {});
      if (signal.aborted) return;
      const outcomes = await context.pinger.ping(source.netns, source.targets, options, signal);
      const results = source.targets.map((target, index) =>
        resultOf(context.nodeId, source.endpointId, target, outcomes[index]),
      );
      report({ probeId: probe.probeId, results, done: false });
    }
  };
  await Promise.all(Array.from({ length: SOURCES_AT_ONCE }, work));
  if (!signal.aborted) report({ probeId: probe.probeId, results: [], done: true });
}

function sourcesOf(networkId: string, context: ProbeContext): Source[] {
  const { assignments, nodeId } = context;
  // A service's VIP is an address that nothing has.
  const endpoints = assignments.endpoints.filter(
    ({ networkId: on, kind }) => on === networkId && kind !== EndpointKind.VIP,
  );
  const sources: Source[] = [];
  for (const own of endpoints.filter((endpoint) => endpoint.nodeId === nodeId)) {
    const netns = context.netnsOf(own.id);
    if (netns === "absent") continue;
    const targets = endpoints
      .filter((other) => other.id !== own.id)
      .flatMap((other) => targetsOf(other, own));
    if (targets.length > 0) sources.push({ endpointId: own.id, netns, targets });
  }
  const nodes = new Set(endpoints.map((endpoint) => endpoint.nodeId));
  const vteps = assignments.peers
    .filter((peer) => nodes.has(peer.nodeId) && peer.nodeId !== nodeId && peer.dataPathAddr !== "")
    .map((peer) => ({ nodeId: peer.nodeId, endpointId: "", address: peer.dataPathAddr }));
  if (vteps.length > 0) sources.push({ endpointId: "", netns: undefined, targets: vteps });
  return sources;
}

/** The addresses of `endpoint` that `own` has one of the same family for. */
function targetsOf(endpoint: Endpoint, own: Endpoint): Target[] {
  const pairs = [
    [endpoint.ipv4, own.ipv4],
    [endpoint.ipv6, own.ipv6],
  ];
  return pairs.flatMap(([to = "", from]) => {
    const [address] = to.split("/");
    if (!address || !from) return [];
    return [{ nodeId: endpoint.nodeId, endpointId: endpoint.id, address }];
  });
}

function split(source: Source): Source[] {
  const parts: Source[] = [];
  for (let at = 0; at < source.targets.length; at += TARGETS_AT_ONCE) {
    parts.push({ ...source, targets: source.targets.slice(at, at + TARGETS_AT_ONCE) });
  }
  return parts;
}

function resultOf(
  fromNodeId: string,
  fromEndpointId: string,
  to: Target,
  outcome: PingOutcome | undefined,
): ProbeResult {
  const rtts = outcome?.rttsUs ?? [];
  const sum = rtts.reduce((total, rtt) => total + rtt, 0);
  return {
    fromNodeId,
    fromEndpointId,
    toNodeId: to.nodeId,
    toEndpointId: to.endpointId,
    toAddress: to.address,
    sent: outcome?.sent ?? 0,
    received: rtts.length,
    rttMinUs: rtts.length === 0 ? 0 : Math.min(...rtts),
    rttAvgUs: rtts.length === 0 ? 0 : sum / rtts.length,
    rttMaxUs: rtts.length === 0 ? 0 : Math.max(...rtts),
    error: outcome?.error ?? "not measured",
  };
}

function clamp(value: number, fallback: number, max: number): number {
  return value === 0 ? fallback : Math.min(value, max);
}
