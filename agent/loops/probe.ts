// Measures on a manager's behalf: from each endpoint of one network here to every other endpoint of it,
// and from this machine's underlay to the other nodes' VTEPs.
import type { Logger } from "../../common/log.js";
import type { ProbeResult } from "../../proto/gen/control.js";
import type { Assignments, Probe, ProbeReport } from "../../proto/gen/dispatcher.js";
import type { Endpoint } from "../../proto/gen/types.js";
import type { Pinger, PingOutcome } from "../seams.js";

/** What a probe may cost, whatever it asks for. */
const COUNT_MAX = 100;
const SIZE_MAX_BYTES = 8_000;
const TIMEOUT_MAX_MS = 10_000;
const DEFAULT = { count: 3, timeoutMs: 1_000, sizeBytes: 56 };
// Choice: this many namespaces at once, and this many targets to one ping call.
const SOURCES_AT_ONCE = 4;
const TARGETS_AT_ONCE = 64;
const INTERVAL_MS = 50;

export interface ProbeContext {
  readonly nodeId: string;
  readonly assignments: Assignments;
  /** The namespace that the endpoint lives in; "absent" when nothing here owns it now. */
  readonly netnsOf: (endpointId: string) => string | undefined | "absent";
  readonly pinger: Pinger;
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
  const work = async () => {
    for (let source = waiting.shift(); source && !signal.aborted; source = waiting.shift()) {
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
  const endpoints = assignments.endpoints.filter((endpoint) => endpoint.networkId === networkId);
  const sources: Source[] = [];
  for (const own of endpoints.filter((endpoint) => endpoint.nodeId === nodeId)) {
    const netns = context.netnsOf(own.id);
    if (netns === "absent") continue;
    const targets = endpoints.filter((other) => other.id !== own.id).flatMap(targetsOf);
    if (targets.length > 0) sources.push({ endpointId: own.id, netns, targets });
  }
  const nodes = new Set(endpoints.map((endpoint) => endpoint.nodeId));
  const vteps = assignments.peers
    .filter((peer) => nodes.has(peer.nodeId) && peer.nodeId !== nodeId && peer.dataPathAddr !== "")
    .map((peer) => ({ nodeId: peer.nodeId, endpointId: "", address: peer.dataPathAddr }));
  if (vteps.length > 0) sources.push({ endpointId: "", netns: undefined, targets: vteps });
  return sources;
}

function targetsOf(endpoint: Endpoint): Target[] {
  const [address] = (endpoint.ipv4 || endpoint.ipv6).split("/");
  return address ? [{ nodeId: endpoint.nodeId, endpointId: endpoint.id, address }] : [];
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
