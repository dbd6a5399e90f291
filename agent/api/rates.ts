// /skein/v1/networks/{ref}/rates: who on a network sends how much to whom, a JSON line for each node and interval.
import type { InquiryPart, Rates } from "../../proto/gen/control.js";
import { type Endpoint, EndpointKind } from "../../proto/gen/types.js";
import { type Answer, stream } from "./answer.js";
import { type Call, param, queryNumber } from "./call.js";
import { badRequest } from "./http-error.js";
import { inquire } from "./inquire.js";
import { isManager, listEndpoints, listNodes } from "./manager.js";
import { findNetwork, idOf, type NetworkView, nameOf } from "./network-view.js";
import { type Route, route } from "./router.js";
import { addressesOf } from "./trace-ends.js";

export const RATE_ROUTES: readonly Route[] = [
  route("GET", "/skein/v1/networks/{ref}/rates", rates),
];

const INTERVAL_MS = 1_000;
const INTERVAL_MIN_MS = 100;
const INTERVAL_MAX_MS = 60_000;

interface Known {
  readonly endpoints: readonly Endpoint[];
  readonly hostnames: ReadonlyMap<string, string>;
  readonly nodeIds: readonly string[];
}

async function rates(call: Call): Promise<Answer> {
  const view = await findNetwork(call, param(call, "ref"));
  if (view.kind === "local") throw badRequest(`${nameOf(view)} is not a network of the swarm`);
  const intervalMs = queryNumber(call, "interval", INTERVAL_MS);
  if (intervalMs < INTERVAL_MIN_MS || intervalMs > INTERVAL_MAX_MS) {
    const bounds = `${INTERVAL_MIN_MS} and ${INTERVAL_MAX_MS}`;
    throw badRequest(`interval ${intervalMs} is not between ${bounds}`);
  }
  const known = await whatIsKnown(call, view);
  return stream("application/json", lines(call, view, known, intervalMs));
}

/** All of the network's on a manager; on a worker this node's own. */
async function whatIsKnown(call: Call, view: NetworkView): Promise<Known> {
  const own = call.node.membership.status().nodeId;
  if (!(await isManager(call))) {
    const local = view.kind === "swarm" ? view.local : undefined;
    return {
      endpoints: local?.endpoints ?? [],
      hostnames: new Map([[own, call.node.host().hostname]]),
      nodeIds: [own],
    };
  }
  const [all, { nodes }] = await Promise.all([listEndpoints(call, idOf(view)), listNodes(call)]);
  const endpoints = all.filter(({ kind }) => kind !== EndpointKind.VIP);
  return {
    endpoints,
    hostnames: new Map(nodes.map(({ id, description }) => [id, description?.hostname ?? id])),
    nodeIds: [...new Set(endpoints.map(({ nodeId }) => nodeId))].filter((id) => id !== ""),
  };
}

async function* lines(
  call: Call,
  view: NetworkView,
  known: Known,
  intervalMs: number,
): AsyncGenerator<string> {
  const names = new Map(
    known.endpoints.flatMap((each) => addressesOf(each).map((ip) => [ip, each.name] as const)),
  );
  const hostOf = (nodeId: string) => known.hostnames.get(nodeId) ?? nodeId;
  const head = {
    Network: { ID: idOf(view), Name: nameOf(view) },
    Nodes: known.nodeIds.map(hostOf),
  };
  yield `${JSON.stringify(head)}\n`;
  const question = { $case: "rates", value: { networkId: idOf(view), intervalMs } } as const;
  try {
    for await (const { nodeId, part } of inquire(call, known.nodeIds, { question })) {
      const line = lineOf(part, known, names);
      if (line !== undefined) yield `${JSON.stringify({ Node: hostOf(nodeId), ...line })}\n`;
    }
  } catch (error) {
    if (call.signal.aborted) return;
    yield `${JSON.stringify({ message: error instanceof Error ? error.message : "" })}\n`;
  }
}

function lineOf(
  part: InquiryPart["part"],
  known: Known,
  names: ReadonlyMap<string, string>,
): object | undefined {
  if (part?.$case === "failed") return { Error: part.value };
  return part?.$case === "rates" ? ratesJson(part.value, known, names) : undefined;
}

function ratesJson(
  { intervalMs, ports, pairs, drops, lookedAt, came }: Rates,
  { endpoints }: Known,
  names: ReadonlyMap<string, string>,
): object {
  const a = (count: number) => Math.round((count * 1_000) / Math.max(intervalMs, 1));
  return {
    IntervalMs: Math.round(intervalMs),
    Endpoints: ports.map((port) => {
      const endpoint = endpoints.find(({ id }) => id === port.endpointId);
      return {
        ID: port.endpointId,
        Name: endpoint?.name ?? "",
        Address: endpoint === undefined ? "" : (addressesOf(endpoint)[0] ?? ""),
        SentFrames: a(port.sentFrames),
        SentBytes: a(port.sentBytes),
        ReceivedFrames: a(port.gotFrames),
        ReceivedBytes: a(port.gotBytes),
      };
    }),
    Pairs: pairs.map(({ from, to, frames, bytes }) => ({
      ...{ From: from, FromName: names.get(from) ?? "", To: to, ToName: names.get(to) ?? "" },
      ...{ Frames: a(frames), Bytes: a(bytes) },
    })),
    Drops: drops.map(({ reason, where, count, more }) => ({
      ...{ Reason: reason, Where: where, Count: count, PerSecond: a(more) },
    })),
    LookedAt: lookedAt,
    Came: came,
  };
}
