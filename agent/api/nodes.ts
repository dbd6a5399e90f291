// /nodes: the machines of the swarm. Managers only.
import { isRefusal } from "../../common/fault.js";
import { type Node, Role } from "../../proto/gen/types.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryFlag, queryNumber, queryText } from "./call.js";
import {
  type Filters,
  matchesExactly,
  matchesLabels,
  matchesPrefix,
  mustBeOneOf,
  parseFilters,
} from "./filters.js";
import { findOne, NODE_WORDS } from "./find.js";
import { badRequest, here } from "./http-error.js";
import { objectOf, textIn } from "./json.js";
import { ask, getCluster, listNodes, manager } from "./manager.js";
import { type NodeContext, nodeJson, nodeSpecFromJson, roleWord } from "./node-json.js";
import { type Route, route } from "./router.js";

const FILTERS = ["id", "label", "membership", "name", "node.label", "role"];

export const NODE_ROUTES: readonly Route[] = [
  route("GET", "/nodes", list),
  route("GET", "/nodes/{id}", inspect),
  route("POST", "/nodes/{id}/update", update),
  route("DELETE", "/nodes/{id}", remove),
  route("POST", "/skein/v1/nodes/{id}/addr", setAddr),
];

async function list(call: Call): Promise<Answer> {
  await manager(call);
  const filters = parseFilters(queryText(call, "filters"), FILTERS);
  mustBeOneOf(filters, "role", ["manager", "worker"], (role) => `Invalid role filter: '${role}'`);
  mustBeOneOf(
    filters,
    "membership",
    ["accepted", "pending"],
    (membership) => `Invalid membership filter: '${membership}'`,
  );
  const { nodes, context } = await load(call);
  return json(
    nodes.filter((node) => isWanted(node, filters)).map((node) => nodeJson(node, context)),
  );
}

async function inspect(call: Call): Promise<Answer> {
  const { nodes, context } = await load(call);
  return json(nodeJson(find(nodes, param(call, "id")), context));
}

async function update(call: Call): Promise<Answer> {
  await manager(call);
  const spec = nodeSpecFromJson(objectOf(await call.body(), "NodeSpec"));
  const version = queryNumber(call, "version", -1);
  if (version < 0) throw badRequest(`invalid node version '${queryText(call, "version")}'`);
  const { id } = find((await listNodes(call)).nodes, param(call, "id"));
  await ask(call, (client) => client.updateNode, {
    id,
    version,
    spec,
    force: queryFlag(call, "force"),
  });
  return empty(200);
}

async function remove(call: Call): Promise<Answer> {
  const { id } = find((await listNodes(call)).nodes, param(call, "id"));
  await ask(call, (client) => client.removeNode, { id, force: queryFlag(call, "force") });
  return empty(200);
}

/** Also without a leader, and on a worker: then the node is named by its id. */
async function setAddr(call: Call): Promise<Answer> {
  const { membership } = call.node;
  const body = objectOf(await call.body(), "address");
  const id = await nodeIdOf(call, param(call, "id"));
  const set = here(await membership.setAddr(id, textIn(body, "Addr")));
  return json({ ID: id, Addr: set.addr, HereOnly: set.hereOnly });
}

async function nodeIdOf(call: Call, ref: string): Promise<string> {
  const { membership } = call.node;
  const { nodeId, managers } = membership.status();
  if (ref === "self" || ref === nodeId || ref === call.node.host().hostname) return nodeId;
  const status = await membership.managerStatus();
  const ids = [...managers, ...(status?.members ?? [])].map((each) => each.nodeId);
  const byId = [...new Set(ids)].filter((id) => id !== "" && id.startsWith(ref));
  if (ref !== "" && byId.length === 1) return byId[0] ?? ref;
  return isRefusal(membership.control()) ? ref : (await findNode(call, ref)).id;
}

async function load(call: Call): Promise<{ nodes: readonly Node[]; context: NodeContext }> {
  const [{ nodes, ...seen }, cluster] = await Promise.all([listNodes(call), getCluster(call)]);
  return { nodes, context: { ...seen, cluster } };
}

function find(nodes: readonly Node[], ref: string): Node {
  return findOne(ref, nodes, (node) => ({ id: node.id, names: namesOf(node) }), NODE_WORDS);
}

function namesOf(node: Node): readonly string[] {
  return [...new Set([node.spec?.name ?? "", node.description?.hostname ?? ""])].filter(Boolean);
}

function isWanted(node: Node, filters: Filters): boolean {
  const names = filters.get("name") ?? [];
  const membership = filters.get("membership") ?? [];
  return (
    matchesPrefix(filters, "id", node.id) &&
    matchesExactly(filters, "role", roleWord(node.spec?.role ?? Role.WORKER)) &&
    (names.length === 0 ||
      names.some((name) => namesOf(node).some((own) => own.startsWith(name)))) &&
    // Every node here was accepted when it joined.
    (membership.length === 0 || membership.includes("accepted")) &&
    matchesLabels(filters, "label", node.description?.engineLabels ?? {}) &&
    matchesLabels(filters, "node.label", node.spec?.labels ?? {})
  );
}

/** HttpError in dockerd's words when there is none, or more than one. */
export async function findNode(call: Call, ref: string): Promise<Node> {
  return find((await listNodes(call)).nodes, ref);
}

/** Host names and data path addresses by node id; empty on a worker, which knows no more than its peers. */
export async function nodeNames(call: Call): Promise<ReadonlyMap<string, Node>> {
  if (isRefusal(call.node.membership.control())) return new Map();
  return new Map((await listNodes(call)).nodes.map((node) => [node.id, node]));
}
