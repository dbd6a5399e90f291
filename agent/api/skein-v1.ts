// /skein/v1: what Docker has no word for. Shapes are in docs/api.md.
import type { ProbeResult } from "../../proto/gen/control.js";
import { type Endpoint, EndpointKind } from "../../proto/gen/types.js";
import type { Attachment } from "../seams.js";
import { type Answer, empty, json, stream, text } from "./answer.js";
import { type Call, param, queryText } from "./call.js";
import { badRequest, here } from "./http-error.js";
import { type JsonObject, numberIn, objectOf, textIn, textsIn } from "./json.js";
import { isManager, listEndpoints, listNodes, manager, whenUp } from "./manager.js";
import { findNetwork, idOf, type NetworkView, nameOf, networkViews } from "./network-view.js";
import { probe } from "./probe.js";
import { type Route, route } from "./router.js";
import { goTime } from "./times.js";

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

export const SKEIN_ROUTES: readonly Route[] = [
  route("GET", "/skein/v1/attachments", (call) =>
    json(call.node.attachments.list().map(attachmentJson)),
  ),
  route("POST", "/skein/v1/attachments", attach),
  route("DELETE", "/skein/v1/attachments/{ref}", detach),
  route("GET", "/skein/v1/endpoints", endpoints),
  route("POST", "/skein/v1/networks/{ref}/ping", ping),
  route("GET", "/skein/v1/raft", raft),
  route("GET", "/skein/v1/metrics", async (call) =>
    text(`${await call.node.metrics()}${call.apiMetrics()}`, PROMETHEUS),
  ),
];

async function attach(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "attachment");
  const network = textIn(body, "Network");
  if (network === "") throw badRequest("an attachment needs a network");
  const attachment = await call.node.attachments.attach({
    network,
    netns: textIn(body, "Netns"),
    name: textIn(body, "Name"),
    interfaceName: textIn(body, "Interface"),
    ipv4: textIn(body, "IPv4Address"),
    ipv6: textIn(body, "IPv6Address"),
    aliases: textsIn(body, "Aliases"),
  });
  return json(attachmentJson(here(attachment)), 201);
}

async function detach(call: Call): Promise<Answer> {
  here(await call.node.attachments.detach(param(call, "ref")));
  return empty(204);
}

function attachmentJson(attachment: Attachment): object {
  const { endpoint, network, wish } = attachment;
  return {
    ID: attachment.id,
    Name: wish.name || endpoint.name,
    Network: network.spec?.name ?? "",
    NetworkID: network.id,
    Netns: wish.netns,
    Interface: attachment.interfaceName,
    IPv4Address: endpoint.ipv4,
    IPv6Address: endpoint.ipv6,
    MacAddress: endpoint.mac,
    Created: goTime(attachment.createdAtMs),
    Problem: attachment.problem,
  };
}

/** All of the swarm's on a manager, this node's on a worker; `network` narrows. */
async function endpoints(call: Call): Promise<Answer> {
  const ref = queryText(call, "network");
  const views = ref === "" ? await networkViews(call) : [await findNetwork(call, ref)];
  const names = new Map(views.map((view) => [idOf(view), nameOf(view)]));
  const all = isManager(call.node)
    ? await listEndpoints(call, ref === "" ? "" : idOf(views[0] as NetworkView))
    : call.node.localNetworks().flatMap((each) => each.endpoints);
  return json(
    all
      .filter(({ networkId }) => names.has(networkId))
      .map((endpoint) => endpointJson(endpoint, names.get(endpoint.networkId) ?? "")),
  );
}

function endpointJson(endpoint: Endpoint, network: string): object {
  return {
    ID: endpoint.id,
    Name: endpoint.name,
    Aliases: endpoint.aliases,
    Kind: kindWord(endpoint.kind),
    Network: network,
    NetworkID: endpoint.networkId,
    NodeID: endpoint.nodeId,
    OwnerID: endpoint.ownerId,
    IPv4Address: endpoint.ipv4,
    IPv6Address: endpoint.ipv6,
    MacAddress: endpoint.mac,
    Created: goTime(endpoint.meta?.createdAtMs ?? 0),
  };
}

function kindWord(kind: EndpointKind): string {
  if (kind === EndpointKind.TASK) return "task";
  return kind === EndpointKind.VIP ? "vip" : "attachment";
}

// Choices, shown in the refusals: a measurement, not a load.
const COUNT_MAX = 1_000;
const TIMEOUT_MS_MAX = 60_000;
// RFC 791 section 3.1: a datagram of 65,535 bytes, less 20 of IPv4 and 8 of ICMP.
const SIZE_BYTES_MAX = 65_507;

async function ping(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "ping request");
  const client = await manager(call);
  const view = await findNetwork(call, param(call, "ref"));
  if (view.kind === "builtin") throw badRequest(`${view.name} is not a network of the swarm`);
  const request = {
    networkId: view.network.id,
    count: within(body, "Count", 3, 1, COUNT_MAX),
    timeoutMs: within(body, "TimeoutMs", 1_000, 1, TIMEOUT_MS_MAX),
    sizeBytes: within(body, "SizeBytes", 56, 0, SIZE_BYTES_MAX),
  };
  const [ends, { nodes }] = await Promise.all([
    listEndpoints(call, view.network.id),
    listNodes(call),
  ]);
  const head = {
    Network: { ID: view.network.id, Name: nameOf(view) },
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

async function raft(call: Call): Promise<Answer> {
  // Waits for a manager process that is being started again, and says so if it takes too long.
  const status = await whenUp(call, () => call.node.membership.managerStatus());
  return json({
    State: status.state,
    Message: status.message,
    RaftID: status.raftId,
    Term: status.term,
    LeaderNodeID: status.leaderNodeId,
    Commit: status.commit,
    Applied: status.applied,
    Members: status.members.map((member) => ({
      RaftID: member.raftId,
      NodeID: member.nodeId,
      Addr: member.addr,
      Learner: member.learner,
    })),
  });
}
