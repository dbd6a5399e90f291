// /skein/v1: what Docker has no word for. Shapes are in docs/api.md.
import { type Endpoint, EndpointKind } from "../../proto/gen/types.js";
import type { Attachment } from "../seams.js";
import { type Answer, empty, json, text } from "./answer.js";
import { type Call, param, queryText } from "./call.js";
import { doctor } from "./doctor.js";
import { badRequest, here } from "./http-error.js";
import { objectOf, textIn, textsIn } from "./json.js";
import { isManager, listEndpoints } from "./manager.js";
import { findNetwork, idOf, type NetworkView, nameOf, networkViews } from "./network-view.js";
import { raft } from "./raft.js";
import { type Route, route } from "./router.js";
import { goTime } from "./times.js";

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

export const SKEIN_ROUTES: readonly Route[] = [
  route("GET", "/skein/v1/attachments", (call) =>
    json(call.node.attachments.list().map(attachmentJson)),
  ),
  route("POST", "/skein/v1/attachments", attach),
  route("DELETE", "/skein/v1/attachments/{ref}", detach),
  route("GET", "/skein/v1/doctor", doctor),
  route("GET", "/skein/v1/endpoints", endpoints),
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
  const all = (await isManager(call))
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
