// The second half of a trace, on the node that the flow comes to: what its tables do with it, who listens, and where a
// probe of it is seen.
import { Refused, refuse } from "../../common/fault.js";
import {
  type ArrivalInquiry,
  type InquiryPart,
  TraceProtocol,
  type TraceStep,
} from "../../proto/gen/control.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import { factsOf } from "../overlay/frame-facts.js";
import type { Owner } from "../reconcile/want.js";
import type { FrameTap, Listener } from "../seams.js";
import {
  addressesOf,
  addressIn,
  answerTo,
  doubt,
  type Flow,
  FRAMES_A_LOOK,
  flowName,
  HOST,
  innerFrame,
  LOOK_MS,
  NOTHING_HELD,
  networkName,
  opens,
  pass,
  protocolName,
  stop,
  TAP,
  type TraceTools,
  told,
  udpPortOf,
  waitOf,
} from "./trace-steps.js";
import { localRowSteps, policyOf, portSteps } from "./trace-tables.js";

export async function* arrive(
  tools: TraceTools,
  asked: ArrivalInquiry,
  signal: AbortSignal,
): AsyncGenerator<InquiryPart["part"]> {
  const { endpoints, networks } = tools.member()?.held.current ?? NOTHING_HELD;
  const endpoint = endpoints.find(({ id }) => id === asked.endpointId);
  const network = networks.find(({ id }) => id === endpoint?.networkId);
  if (asked.endpointId !== "" && (endpoint === undefined || network === undefined)) {
    throw new Refused(refuse("not-found", "this node was not told of the endpoint"));
  }
  const place = endpoint && tools.placeOf(endpoint.id);
  if (endpoint !== undefined && place === undefined) {
    yield told(
      stop("sandbox", `Nothing on ${tools.hostname} is ${endpoint.name}: its sandbox is gone.`),
    );
    return;
  }
  const sandbox = place?.sandbox ?? HOST;
  const taps: Taps = {
    underlay: asked.fromVtep === "" ? undefined : tools.watcher.tapSandbox(HOST, TAP),
    network: network && tools.watcher.tapNetwork(network.vni, TAP),
    inside: tools.watcher.tapSandbox(sandbox, TAP),
  };
  try {
    // Only now, so that who hears of it may send.
    yield told();
    yield told(...tableSteps(tools, asked, endpoint, network, place));
    const own = endpoint === undefined ? vtepsOf(tools) : addressesIn(endpoint);
    const flow: Flow = { ...asked, from: asked.fromAddress, to: own };
    for await (const step of watch(tools, asked, flow, taps, signal)) yield told(step);
  } finally {
    for (const tap of Object.values(taps)) tap?.close();
  }
}

function addressesIn(endpoint: Endpoint): ReadonlySet<string> {
  return new Set(([4, 6] as const).flatMap((family) => addressIn(endpoint, family) ?? []));
}

function vtepsOf({ member }: TraceTools): ReadonlySet<string> {
  const own = member()?.record.dataPathAddr;
  return new Set(own === undefined ? [] : [own]);
}

function tableSteps(
  tools: TraceTools,
  asked: ArrivalInquiry,
  endpoint: Endpoint | undefined,
  network: Network | undefined,
  place: Owner | undefined,
): TraceStep[] {
  const { watcher, problem } = tools;
  const steps: TraceStep[] = [];
  if (endpoint !== undefined && network !== undefined && place !== undefined) {
    const trouble = problem(endpoint.id) ?? problem(network.id);
    if (trouble !== undefined) steps.push(doubt("kernel", `The agent says: ${trouble}`));
    const have = watcher.network(network.vni);
    if (have === undefined) {
      const name = networkName(network);
      steps.push(
        stop("rows", `The namespace of network ${name} does not stand on ${tools.hostname}.`),
      );
      return steps;
    }
    // On the same node the way to here has told of it.
    if (asked.fromVtep !== "")
      steps.push(...portSteps(have, network, endpoint), ...localRowSteps(have, endpoint));
    steps.push(...insideSteps(tools, endpoint, place));
    const tables = watcher.tables(place.sandbox) ?? [];
    const { fromAddress, protocol, port } = asked;
    const verdict = policyOf(tables, place.interfaceName, fromAddress, protocol, port);
    const flow = `${flowName(protocol, port)} from ${fromAddress}`;
    if (verdict.kind === "denied") {
      const what = `No policy of network ${networkName(network)} allows ${flow}: the sandbox refuses it.`;
      steps.push(stop("policy", what, { verdict: "denied" }));
    } else if (verdict.kind === "allowed") {
      steps.push(pass("policy", `A policy allows ${flow}: ${verdict.by}.`, { verdict: "allowed" }));
    } else {
      const what = `Network ${networkName(network)} denies nothing: every node's endpoints may come.`;
      steps.push(pass("policy", what, { verdict: "open" }));
    }
  }
  steps.push(...listenerSteps(tools, asked, endpoint, place));
  return steps;
}

/** The interface inside has to be up and have the address. */
function insideSteps({ watcher }: TraceTools, endpoint: Endpoint, place: Owner): TraceStep[] {
  const { interfaceName, sandbox } = place;
  const inside = watcher.inside(sandbox);
  if (inside === undefined)
    return [stop("sandbox", `The sandbox of ${endpoint.name} does not stand.`)];
  const link = inside.links.find(({ name }) => name === interfaceName);
  if (link === undefined) {
    return [stop("sandbox", `${endpoint.name} has no interface ${interfaceName} in its sandbox.`)];
  }
  if (!link.up)
    return [stop("sandbox", `${interfaceName} in the sandbox of ${endpoint.name} is down.`)];
  const missing =
    addressesOf(endpoint).length === 0
      ? []
      : [...addressesIn(endpoint)].filter(
          (address) =>
            !inside.addresses.some(
              ({ prefix, ifindex }) => ifindex === link.ifindex && prefix.split("/")[0] === address,
            ),
        );
  if (missing.length > 0) {
    const what = `${interfaceName} in the sandbox of ${endpoint.name} does not have ${missing.join(" and ")}.`;
    return [stop("sandbox", what)];
  }
  if (link.mac !== endpoint.mac) {
    const what = `${interfaceName} of ${endpoint.name} has MAC ${link.mac}; others were told ${endpoint.mac}.`;
    return [stop("sandbox", what)];
  }
  return [];
}

function listenerSteps(
  { watcher }: TraceTools,
  { protocol, port }: ArrivalInquiry,
  endpoint: Endpoint | undefined,
  place: Owner | undefined,
): TraceStep[] {
  if (protocol === TraceProtocol.ICMP) return [];
  const name = endpoint?.name ?? "the node";
  const flow = flowName(protocol, port);
  const all = watcher.listeners(place?.sandbox ?? HOST);
  if (all === undefined)
    return [doubt("listener", `Whether ${name} listens on ${flow} is not known.`)];
  const here = all.filter((each) => each.protocol === protocolName(protocol) && each.port === port);
  if (here.length === 0) {
    // The resolver has a port of its own in there.
    const others = all
      .filter((each) => each.protocol === protocolName(protocol) && !isLoopback(each))
      .map((l) => l.port);
    const known = [...new Set(others)].sort((a, b) => a - b).slice(0, 10);
    const instead = known.length === 0 ? "" : `; it listens on ${known.join(", ")}`;
    return [stop("listener", `Nothing in ${name} listens on ${flow}${instead}.`)];
  }
  const open = here.filter((each) => !isLoopback(each));
  if (open.length === 0) {
    const what = `${name} listens on ${flow} at ${here[0]?.address} alone: it is not to be reached from outside.`;
    return [stop("listener", what)];
  }
  const at = open.map(({ address }) => address).join(", ");
  return [pass("listener", `${name} listens on ${flow} at ${at}.`, { address: at })];
}

function isLoopback({ address }: Listener): boolean {
  return address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");
}

interface Taps {
  readonly underlay: FrameTap | undefined;
  readonly network: FrameTap | undefined;
  readonly inside: FrameTap | undefined;
}

/** Where the probe is seen, each once and as soon as it is. */
async function* watch(
  tools: TraceTools,
  asked: ArrivalInquiry,
  flow: Flow,
  taps: Taps,
  signal: AbortSignal,
): AsyncGenerator<TraceStep> {
  const { clock, hostname } = tools;
  const udpPort = udpPortOf(tools);
  const endMs = clock.monotonicMs() + waitOf(asked.waitMs);
  const seen = new Set<string>();
  const first = (where: string) => !seen.has(where) && seen.add(where).size > 0;
  while (!signal.aborted && clock.monotonicMs() < endMs && !seen.has("answer")) {
    for (const { data, device, outgoing } of taps.underlay?.read(FRAMES_A_LOOK) ?? []) {
      const inner = outgoing ? undefined : innerFrame(data, udpPort);
      if (inner === undefined || !opens(flow, factsOf(inner)) || !first("underlay")) continue;
      const what = `The outer packet of the probe came to ${hostname} by ${device}.`;
      yield pass("seen", what, { where: "underlay", device });
    }
    for (const { data, device, outgoing } of taps.network?.read(FRAMES_A_LOOK) ?? []) {
      if (outgoing || !opens(flow, factsOf(data)) || !first("network")) continue;
      const what = `The probe came into the network on ${hostname} by ${device}.`;
      yield pass("seen", what, { where: "network", device });
    }
    for (const { data, outgoing } of taps.inside?.read(FRAMES_A_LOOK) ?? []) {
      const facts = factsOf(data);
      const answer = outgoing ? answerTo(flow, facts) : undefined;
      if (answer !== undefined && first("answer")) {
        yield pass("seen", `It answered with ${answer}.`, { where: "answer" });
      }
      if (outgoing || !opens(flow, facts) || !first("sandbox")) continue;
      const isNode = asked.endpointId === "";
      const what = `The probe came ${isNode ? `to ${hostname}` : "into the sandbox that it is for"}.`;
      yield pass("seen", what, { where: "sandbox" });
    }
    await clock.sleep(LOOK_MS, signal).catch(() => {});
  }
}
