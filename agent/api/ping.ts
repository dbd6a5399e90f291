// /skein/v1/networks/{ref}/ping: what every endpoint hears of every other, line by line.
import type { ProbeResult } from "../../proto/gen/control.js";
import { EndpointKind } from "../../proto/gen/types.js";
import { type Answer, stream } from "./answer.js";
import { type Call, param } from "./call.js";
import { findOne, NODE_WORDS } from "./find.js";
import { badRequest } from "./http-error.js";
import { type JsonObject, numberIn, objectOf, textIn } from "./json.js";
import { listEndpoints, listNodes, manager } from "./manager.js";
import { findNetwork, nameOf } from "./network-view.js";
import { probe } from "./probe.js";
import { type Route, route } from "./router.js";

export const PING_ROUTES: readonly Route[] = [route("POST", "/skein/v1/networks/{ref}/ping", ping)];

// Choices, shown in the refusals: a measurement, not a load.
const COUNT_MAX = 100;
const TIMEOUT_MS_MAX = 10_000;
// Jumbo frames. What is more than a network's MTU takes is not cut to pieces but told.
const SIZE_BYTES_MAX = 8_972;

async function ping(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "ping request");
  const client = await manager(call);
  const view = await findNetwork(call, param(call, "ref"));
  if (view.kind === "local") throw badRequest(`${nameOf(view)} is not a network of the swarm`);
  const { nodes } = await listNodes(call);
  const from = textIn(body, "From");
  const named = (node: (typeof nodes)[number]) => ({
    id: node.id,
    names: [node.description?.hostname ?? ""],
  });
  const request = {
    networkId: view.network.id,
    fromNodeIds: from === "" ? [] : [findOne(from, nodes, named, NODE_WORDS).id],
    count: within(body, "Count", 3, 1, COUNT_MAX),
    timeoutMs: within(body, "TimeoutMs", 1_000, 1, TIMEOUT_MS_MAX),
    sizeBytes: within(body, "SizeBytes", 56, 0, SIZE_BYTES_MAX),
  };
  const all = await listEndpoints(call, view.network.id);
  // A service's VIP is no end of anything; its tasks are.
  const ends = all.filter(({ kind }) => kind !== EndpointKind.VIP);
  const head = {
    Network: { ID: view.network.id, Name: nameOf(view) },
    From: request.fromNodeIds,
    Nodes: nodes.map((node) => ({
      ID: node.id,
      Hostname: node.description?.hostname ?? "",
      Addr: node.dataPathAddr || node.addr,
    })),
    Endpoints: ends.map((end) => ({
      ID: end.id,
      Name: end.name,
      NodeID: end.nodeId,
      IPv4Address: end.ipv4,
      IPv6Address: end.ipv6,
    })),
  };
  return stream("application/json", pingLines(head, probe(client, request, call.signal)));
}

async function* pingLines(
  head: object,
  results: AsyncIterable<ProbeResult>,
): AsyncGenerator<string> {
  yield `${JSON.stringify(head)}\n`;
  for await (const result of results) yield `${JSON.stringify(probeJson(result))}\n`;
}

function probeJson(result: ProbeResult): object {
  return {
    FromNode: result.fromNodeId,
    FromEndpoint: result.fromEndpointId,
    ToNode: result.toNodeId,
    ToEndpoint: result.toEndpointId,
    ToAddress: result.toAddress,
    Sent: result.sent,
    Received: result.received,
    RttMinUs: result.rttMinUs,
    RttAvgUs: result.rttAvgUs,
    RttMaxUs: result.rttMaxUs,
    Error: result.error,
  };
}

function within(body: JsonObject, key: string, absent: number, min: number, max: number): number {
  const value = numberIn(body, key) ?? absent;
  if (value >= min && value <= max) return value;
  throw badRequest(`${key} ${value} is not between ${min} and ${max}`);
}
