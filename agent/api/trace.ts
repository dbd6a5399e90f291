// /skein/v1/trace: how a flow fares, step by step, as JSON lines. The node that it comes to watches before the one that
// it leaves from sends the probe.
import { Signal } from "../../common/watch.js";
import {
  type ArrivalInquiry,
  type InquiryPart,
  TraceProtocol,
  type TraceStep,
  TraceVerdict,
} from "../../proto/gen/control.js";
import type { Endpoint, Node } from "../../proto/gen/types.js";
import { type Answer, stream } from "./answer.js";
import { type Call, queryNumber, queryText } from "./call.js";
import { badRequest } from "./http-error.js";
import { inquire } from "./inquire.js";
import { manager } from "./manager.js";
import { type Route, route } from "./router.js";
import {
  addressesOf,
  chooseEnds,
  type Ends,
  findEnd,
  parseTarget,
  readSwarm,
  type Swarm,
  type Target,
} from "./trace-ends.js";

export const TRACE_ROUTES: readonly Route[] = [route("GET", "/skein/v1/trace", trace)];

const WAIT_MS = 2_000;
const WAIT_MAX_MS = 30_000;
// Choice: of the backends of one service that may get the probe, this many are watched.
const WATCHED_MAX = 32;
const READY_MS = 5_000;
/** What the far side sees comes a moment after the near side is done. */
const LATE_MS = 1_000;

async function trace(call: Call): Promise<Answer> {
  await manager(call);
  const waitMs = queryNumber(call, "wait", WAIT_MS);
  if (waitMs < 1 || waitMs > WAIT_MAX_MS) {
    throw badRequest(`wait ${waitMs} is not between 1 and ${WAIT_MAX_MS}`);
  }
  const fromRef = queryText(call, "from");
  const target = parseTarget(queryText(call, "to"));
  const swarm = await readSwarm(call);
  const from = findEnd(call, swarm, fromRef);
  const ends = chooseEnds(swarm, from, findEnd(call, swarm, target.ref), [fromRef, target.ref]);
  return stream("application/json", lines(call, swarm, ends, target, waitMs));
}

async function* lines(
  call: Call,
  swarm: Swarm,
  ends: Ends,
  target: Target,
  waitMs: number,
): AsyncGenerator<string> {
  const line = (value: object) => `${JSON.stringify(value)}\n`;
  const hostnames = new Map(
    swarm.nodes.map((node) => [node.id, node.description?.hostname || node.id]),
  );
  const hostOf = (nodeId: string) => hostnames.get(nodeId) ?? nodeId;
  const fromNodeId = ends.fromIsNode ? ends.from.id : (ends.from as Endpoint).nodeId;
  yield line({
    From: { ...endJson(ends.from, ends.fromIsNode), Node: hostOf(fromNodeId) },
    To: {
      Name: target.ref,
      Address: ends.address,
      Protocol: wordOf(target.protocol),
      Port: target.port,
    },
  });
  const stop = new AbortController();
  const signal = AbortSignal.any([call.signal, stop.signal]);
  const arrivals = arrivalsOf(call, swarm, ends, target, waitMs, fromNodeId, signal);
  const steps: Told[] = [];
  try {
    await Promise.all(arrivals.map(({ ready }) => ready));
    const departure = {
      $case: "departure",
      value: {
        endpointId: ends.fromIsNode ? "" : ends.from.id,
        address: ends.address,
        name: ends.name,
        protocol: target.protocol,
        port: target.port,
        waitMs,
      },
    } as const;
    for await (const { part } of inquire(call, [fromNodeId], { question: departure }, signal)) {
      for (const step of stepsOf(part)) {
        const told = { node: hostOf(fromNodeId), step };
        steps.push(told);
        yield line(stepJson(told, "from"));
      }
    }
    const arrival = arrivalThat(arrivals, steps, ends);
    if (arrival !== undefined) {
      await Promise.race([arrival.done, call.clock.sleep(LATE_MS, signal).catch(() => {})]);
      for (const step of [...arrival.steps, ...missing(arrival, steps, hostOf)]) {
        const told = { node: hostOf(arrival.nodeId), step };
        steps.push(told);
        yield line(stepJson(told, "to"));
      }
    }
    yield line(conclusion(steps, hostOf(fromNodeId)));
  } finally {
    stop.abort();
    await Promise.allSettled(arrivals.map(({ done }) => done));
  }
}

function endJson(end: Endpoint | Node, isNode: boolean): object {
  if (isNode)
    return {
      Name: (end as Node).description?.hostname ?? end.id,
      Address: (end as Node).dataPathAddr,
    };
  const endpoint = end as Endpoint;
  return { Name: endpoint.name, Address: addressesOf(endpoint)[0] ?? "" };
}

function wordOf(protocol: TraceProtocol): string {
  return protocol === TraceProtocol.TCP ? "tcp" : protocol === TraceProtocol.UDP ? "udp" : "icmp";
}

// ---- The far side

interface Arrival {
  readonly nodeId: string;
  readonly endpoint: Endpoint | undefined;
  readonly steps: TraceStep[];
  /** It watches, or will not. */
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
}

function arrivalsOf(
  call: Call,
  swarm: Swarm,
  ends: Ends,
  { protocol, port }: Target,
  waitMs: number,
  fromNodeId: string,
  signal: AbortSignal,
): readonly Arrival[] {
  const vtep = swarm.nodes.find(({ id }) => id === fromNodeId)?.dataPathAddr ?? "";
  const own = ends.fromIsNode ? [vtep] : addressesOf(ends.from as Endpoint);
  const to: readonly (Endpoint | undefined)[] =
    ends.toNode === undefined ? ends.to.slice(0, WATCHED_MAX) : [undefined];
  return to.flatMap((endpoint) => {
    const nodeId = endpoint?.nodeId ?? ends.toNode?.id ?? "";
    const addresses = endpoint === undefined ? [] : addressesOf(endpoint);
    const isV6 = ends.address.includes(":") || (addresses[0]?.includes(":") ?? false);
    const fromAddress = own.find((each) => each.includes(":") === isV6) ?? own[0] ?? "";
    const asked: ArrivalInquiry = {
      ...{ endpointId: endpoint?.id ?? "", fromAddress, protocol, port },
      // Longer than the probe may take, which begins when all are ready.
      waitMs: Math.min(waitMs + READY_MS, WAIT_MAX_MS),
      fromVtep: nodeId === fromNodeId ? "" : vtep,
    };
    return [watchArrival(call, nodeId, endpoint, asked, signal)];
  });
}

function watchArrival(
  call: Call,
  nodeId: string,
  endpoint: Endpoint | undefined,
  asked: ArrivalInquiry,
  signal: AbortSignal,
): Arrival {
  const begun = new Signal();
  const steps: TraceStep[] = [];
  const follow = async () => {
    try {
      const question = { $case: "arrival", value: asked } as const;
      for await (const { part } of inquire(call, [nodeId], { question }, signal)) {
        steps.push(...stepsOf(part));
        if (part?.$case !== "begun") begun.notify();
      }
    } catch (error) {
      if (!signal.aborted) steps.push(failed(error instanceof Error ? error.message : ""));
    } finally {
      begun.notify();
    }
  };
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]);
  const done = follow();
  return { nodeId, endpoint, steps, ready: begun.wait(inTime).catch(() => {}), done };
}

/** The one that the probe was for, as the source's rules chose it; else the first that could be meant. */
function arrivalThat(
  arrivals: readonly Arrival[],
  steps: readonly Told[],
  { address }: Ends,
): Arrival | undefined {
  const chosen = steps.map(({ step }) => step.facts["chosen"]).find((each) => each !== undefined);
  const at = (wanted: string | undefined) =>
    arrivals.find(({ endpoint }) => endpoint && addressesOf(endpoint).includes(wanted ?? ""));
  // Without a sandbox of ours to watch, there is only one.
  return at(chosen) ?? at(address) ?? arrivals[0];
}

// ---- Steps

interface Told {
  readonly node: string;
  readonly step: TraceStep;
}

function stepsOf(part: InquiryPart["part"]): readonly TraceStep[] {
  if (part?.$case === "steps") return part.value.steps;
  return part?.$case === "failed" ? [failed(part.value)] : [];
}

function failed(why: string): TraceStep {
  const what = `The node cannot be asked: ${why}.`;
  return { at: "node", verdict: TraceVerdict.DOUBT, what, facts: {} };
}

const WORDS: Readonly<Record<number, string>> = {
  [TraceVerdict.PASS]: "pass",
  [TraceVerdict.STOP]: "stop",
  [TraceVerdict.DOUBT]: "doubt",
};

function stepJson({ node, step }: Told, side: "from" | "to"): object {
  const { at, verdict, what, facts } = step;
  return {
    Node: node,
    Side: side,
    At: at,
    Verdict: WORDS[verdict] ?? "doubt",
    What: what,
    Facts: facts,
  };
}

/** What the far side would have seen. */
function missing(
  arrival: Arrival,
  near: readonly Told[],
  hostOf: (nodeId: string) => string,
): readonly TraceStep[] {
  const was = (where: string) =>
    arrival.steps.some(({ at, facts }) => at === "seen" && facts["where"] === where);
  // It did not watch, or nothing was sent.
  const watched = !arrival.steps.some(({ at }) => at === "node" || at === "sandbox");
  const left = near.some(({ step }) => step.facts["chosen"] !== undefined);
  const answered = near.some(({ step }) => step.facts["outcome"] === "answered");
  if (was("sandbox") || !watched || !left || answered) return [];
  const node = hostOf(arrival.nodeId);
  const what = was("network")
    ? `The probe came into the network on ${node}, and not into the sandbox that it is for.`
    : was("underlay")
      ? `The outer packet came to ${node}, and the probe not into the network there: a packet filter on ${node} drops it, or its guard.`
      : `No probe came to ${node}: it is lost between the two nodes, or in the first one's packet filter.`;
  return [{ at: "seen", verdict: TraceVerdict.STOP, what, facts: { where: "nowhere" } }];
}

/** Whether it arrives is what the probe says; why it does not, the first that stops it. */
function conclusion(steps: readonly Told[], fromNode: string): object {
  const outcome = steps.map(({ step }) => step.facts["outcome"]).find((each) => each !== undefined);
  if (outcome === "answered") return { Result: "arrives", Node: "", Why: "" };
  const stops = steps.filter(({ step }) => step.verdict === TraceVerdict.STOP);
  const isTable = ({ step }: Told) => !["probe", "seen"].includes(step.at);
  const first =
    stops.find((each) => isTable(each) && each.node === fromNode) ??
    steps.find(({ step }) => step.at === "guard") ??
    stops.find(({ step }) => step.at === "seen") ??
    stops.find(isTable) ??
    stops[0] ??
    steps.find(({ step }) => step.verdict === TraceVerdict.DOUBT);
  if (first === undefined) return { Result: "unknown", Node: "", Why: "No probe was answered." };
  const isSure = first.step.verdict === TraceVerdict.STOP || first.step.at === "guard";
  return { Result: isSure ? "stops" : "unknown", Node: first.node, Why: first.step.what };
}
