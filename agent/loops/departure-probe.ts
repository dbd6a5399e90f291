// A real probe of a flow, from where the flow would begin: what became of it, and where it was seen on the way out.
import { formatIp, type Ip } from "../../common/address.js";
import {
  type DepartureInquiry,
  type InquiryPart,
  TraceProtocol,
  type TraceStep,
} from "../../proto/gen/control.js";
import type { Endpoint } from "../../proto/gen/types.js";
import { factsOf } from "../overlay/frame-facts.js";
import { portName } from "../reconcile/names.js";
import type { FrameTap, ProbeOutcome } from "../seams.js";
import {
  addressIn,
  doubt,
  dropSteps,
  dropsNow,
  type Flow,
  FRAMES_A_LOOK,
  flowName,
  HOST,
  innerFrame,
  LOOK_MS,
  opens,
  pass,
  stop,
  TAP,
  type TraceTools,
  told,
  udpPortOf,
  type Way,
  waitOf,
} from "./trace-steps.js";

/** Sends one packet of the flow, and follows it out of the sandbox and out of the machine. */
export async function* probe(
  tools: TraceTools,
  way: Way,
  { protocol, port, waitMs }: DepartureInquiry,
  to: Ip,
  targets: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<InquiryPart["part"]> {
  const { watcher, clock } = tools;
  const { from, network, place } = way;
  const sandbox = place?.sandbox ?? HOST;
  const tap = network && watcher.tapNetwork(network.vni, TAP);
  const wire = network && watcher.tapSandbox(HOST, TAP);
  const drops = network === undefined ? [] : dropsNow(tools.counters, network.id);
  try {
    const source = from === undefined ? undefined : addressIn(from, to.family);
    const flow = { from: source ?? "", to: new Set([...targets, formatIp(to)]), protocol, port };
    const over = AbortSignal.any([signal, AbortSignal.timeout(waitOf(waitMs))]);
    const sent =
      protocol === TraceProtocol.ICMP
        ? echo(tools, way, to, waitOf(waitMs), over)
        : watcher.probe(sandbox, to, protocol === TraceProtocol.TCP ? "tcp" : "udp", port, over);
    const left = from === undefined ? undefined : leaving(tools, flow, from, tap, wire);
    const outcome = await untilDone(sent, () => left?.look(), clock, signal);
    if (signal.aborted) return;
    left?.look();
    if (left !== undefined && tap !== undefined) yield told(...leftSteps(left, from));
    yield told(outcomeStep(outcome, flow, formatIp(to), left?.chosen));
    if (network !== undefined) {
      yield told(...dropSteps(drops, dropsNow(tools.counters, network.id)));
    }
  } finally {
    tap?.close();
    wire?.close();
  }
}

async function echo(
  { pinger, netnsOf }: TraceTools,
  { from }: Way,
  to: Ip,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const netns = from === undefined ? undefined : netnsOf(from.id);
  if (netns === "absent") return { kind: "failed", why: "the sandbox is gone", afterUs: 0 };
  const options = { count: 1, intervalMs: 0, timeoutMs, sizeBytes: 56 };
  const [outcome] = await pinger.ping(netns, [{ address: formatIp(to) }], options, signal);
  const [rttUs] = outcome?.rttsUs ?? [];
  if (rttUs !== undefined) return { kind: "answered", why: "", afterUs: rttUs };
  const why = outcome?.error ?? "";
  return { kind: why === "" ? "silent" : "failed", why, afterUs: 0 };
}

interface Left {
  look(): void;
  /** The destination with which it came out: the sandbox's rules have chosen then. */
  chosen: string | undefined;
  /** The device and the outer destination with which it left this machine. */
  sent: { readonly device: string; readonly to: string } | undefined;
}

/** Follows where the probe comes out of the sandbox, and out of the machine. */
function leaving(
  tools: TraceTools,
  flow: Flow,
  from: Endpoint,
  tap: FrameTap | undefined,
  wire: FrameTap | undefined,
): Left {
  const port = portName(from.id);
  const udpPort = udpPortOf(tools);
  return {
    chosen: undefined,
    sent: undefined,
    look() {
      for (const { data, device, outgoing } of tap?.read(FRAMES_A_LOOK) ?? []) {
        const facts = factsOf(data);
        if (outgoing || device !== port || !opens(flow, facts)) continue;
        this.chosen ??= facts?.ip?.to;
      }
      for (const { data, device, outgoing } of wire?.read(FRAMES_A_LOOK) ?? []) {
        const inner = outgoing ? innerFrame(data, udpPort) : undefined;
        if (inner === undefined || !opens(flow, factsOf(inner))) continue;
        this.sent ??= { device, to: factsOf(data)?.ip?.to ?? "" };
      }
    },
  };
}

async function untilDone<T>(
  work: Promise<T>,
  meanwhile: () => void,
  clock: TraceTools["clock"],
  signal: AbortSignal,
): Promise<T> {
  let done = false;
  const mark = () => {
    done = true;
  };
  work.then(mark, mark);
  while (!done) {
    meanwhile();
    await clock.sleep(LOOK_MS, signal).catch(() => {});
    if (signal.aborted) break;
  }
  return work;
}

export function leftSteps(
  { chosen, sent }: Pick<Left, "chosen" | "sent">,
  from: Endpoint | undefined,
): TraceStep[] {
  const name = from?.name ?? "";
  if (chosen === undefined) {
    const what = `The probe did not come out of the sandbox of ${name} by its port.`;
    return [doubt("seen", what, { where: "nowhere" })];
  }
  const what = `The probe left the sandbox of ${name} for ${chosen}.`;
  const steps = [pass("seen", what, { where: "port", chosen })];
  if (sent === undefined) return steps;
  const { device, to } = sent;
  const outer = `The outer packet of the probe left this machine by ${device} for ${to}.`;
  return [...steps, pass("seen", outer, { where: "underlay", device, vtep: to })];
}

export function outcomeStep(
  { kind, why, afterUs }: ProbeOutcome,
  { protocol, port }: Flow,
  to: string,
  chosen: string | undefined,
): TraceStep {
  const flow = flowName(protocol, port);
  // Of an echo the kernel says when it came; of others we know when we looked.
  const isEcho = protocol === TraceProtocol.ICMP;
  const soon = isEcho ? (afterUs / 1_000).toFixed(2) : `at most ${Math.ceil(afterUs / 1_000)}`;
  const facts = { outcome: kind, ...(chosen === undefined ? {} : { chosen }) };
  switch (kind) {
    case "answered":
      return pass("probe", `${to} answered ${flow} after ${soon} ms.`, facts);
    case "refused":
      return stop("probe", `${flow} to ${to} was refused after ${soon} ms.`, facts);
    case "failed":
      return stop("probe", `${flow} to ${to} failed: ${why}.`, facts);
    case "silent": {
      // Who gets a datagram need not answer.
      const isSure = protocol !== TraceProtocol.UDP;
      const what = `Nothing answered ${flow} to ${to}.`;
      return isSure ? stop("probe", what, facts) : doubt("probe", what, facts);
    }
  }
}
