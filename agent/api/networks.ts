// /networks: see network-view.ts for which ones a node can name.
import { Role } from "../../proto/gen/types.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import {
  type Filters,
  flagFilter,
  lacksLabels,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  parseFilters,
} from "./filters.js";
import { badRequest, HttpError, here, unserved } from "./http-error.js";
import { objectOf, textIn } from "./json.js";
import { ask, isManager, listEndpoints } from "./manager.js";
import { networkJson, type SwarmWide } from "./network-json.js";
import { networkSpecFromJson } from "./network-request.js";
import {
  builtins,
  driverOf,
  findNetwork,
  idOf,
  labelsOf,
  type NetworkView,
  nameOf,
  networkViews,
  scopeOf,
} from "./network-view.js";
import { nodeNames } from "./nodes.js";
import { type Route, route } from "./router.js";
import { parseWhen } from "./times.js";

const LIST_FILTERS = ["dangling", "driver", "id", "label", "name", "scope", "type"];
const PRUNE_FILTERS = ["label", "label!", "until"];

export const NETWORK_ROUTES: readonly Route[] = [
  route("GET", "/networks", list),
  // Docker has both, for the sake of old clients.
  route("GET", "/networks/", list),
  route("GET", "/networks/{id}", inspect),
  route("POST", "/networks/create", create),
  route("POST", "/networks/prune", prune),
  route("POST", "/networks/{id}/connect", connect),
  route("POST", "/networks/{id}/disconnect", disconnect),
  route("DELETE", "/networks/{id}", remove),
];

async function list(call: Call): Promise<Answer> {
  const filters = parseFilters(queryText(call, "filters"), LIST_FILTERS);
  checkType(filters);
  const dangling = flagFilter(filters, "dangling");
  const views = (await networkViews(call)).filter((view) => isWanted(view, filters));
  const used = dangling === undefined ? new Set<string>() : await networksInUse(call);
  return json(
    views
      .filter((view) => dangling === undefined || isDangling(view, used) === dangling)
      .map((view) => networkJson(view, call.node, call.version, { kind: "summary" })),
  );
}

function isWanted(view: NetworkView, filters: Filters): boolean {
  const type = view.kind === "builtin" ? "builtin" : "custom";
  return (
    matchesExactly(filters, "driver", driverOf(view)) &&
    matchesExactly(filters, "scope", scopeOf(view)) &&
    matchesExactly(filters, "type", isIngress(view) ? "builtin" : type) &&
    matchesPattern(filters, "id", idOf(view)) &&
    matchesPattern(filters, "name", nameOf(view)) &&
    matchesLabels(filters, "label", labelsOf(view))
  );
}

function checkType(filters: Filters): void {
  const wrong = filters.get("type")?.find((type) => type !== "builtin" && type !== "custom");
  if (wrong !== undefined) throw badRequest(`invalid filter: 'type'='${wrong}'`);
}

function isIngress(view: NetworkView): boolean {
  return view.kind === "swarm" && (view.network.spec?.ingress ?? false);
}

function isDangling(view: NetworkView, used: ReadonlySet<string>): boolean {
  return view.kind === "swarm" && !used.has(view.network.id);
}

async function networksInUse(call: Call): Promise<ReadonlySet<string>> {
  const endpoints = isManager(call.node)
    ? await listEndpoints(call)
    : call.node.localNetworks().flatMap((each) => each.endpoints);
  return new Set(endpoints.map(({ networkId }) => networkId));
}

async function inspect(call: Call): Promise<Answer> {
  const scope = queryText(call, "scope");
  const view = await findNetwork(
    call,
    param(call, "id"),
    (each) => scope === "" || scopeOf(each) === scope,
  );
  const wide = queryFlag(call, "verbose") ? await swarmWide(call, view) : undefined;
  return json(networkJson(view, call.node, call.version, { kind: "full", wide }));
}

async function swarmWide(call: Call, view: NetworkView): Promise<SwarmWide | undefined> {
  if (view.kind === "builtin") return undefined;
  const endpoints = isManager(call.node)
    ? await listEndpoints(call, view.network.id)
    : (view.local?.endpoints ?? []);
  return { endpoints, nodes: await nodeNames(call) };
}

async function create(call: Call): Promise<Answer> {
  const spec = networkSpecFromJson(objectOf(await call.body(), "network create request"));
  const { state, role } = call.node.membership.status();
  if (state === "active" && role !== Role.MANAGER) {
    throw new HttpError(
      403,
      "Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
    );
  }
  const sentence = `network with name ${spec.name} already exists`;
  if (builtins(call.node).some((view) => nameOf(view) === spec.name)) {
    throw new HttpError(409, sentence);
  }
  // The swarm's own names are the manager's to compare, in the transaction; dockerd's sentence has no "rpc error".
  const network = await ask(call, (client) => client.createNetwork, { spec }).catch(
    (error: unknown) => {
      const taken = error instanceof HttpError && error.message.endsWith(sentence);
      throw taken ? new HttpError(409, sentence) : error;
    },
  );
  return json({ Id: network.id, Warning: "" }, 201);
}

async function remove(call: Call): Promise<Answer> {
  const view = await findNetwork(call, param(call, "id"));
  if (view.kind === "builtin") {
    throw new HttpError(403, `${view.name} is a pre-defined network and cannot be removed`);
  }
  await ask(call, (client) => client.removeNetwork, { id: view.network.id });
  return empty(204);
}

async function prune(call: Call): Promise<Answer> {
  const filters = parseFilters(queryText(call, "filters"), PRUNE_FILTERS);
  const [until, more] = filters.get("until") ?? [];
  if (more !== undefined) throw badRequest("more than one until filter specified");
  const untilNs = parseWhen(until ?? "", call.clock.nowMs(), "filter 'until'");
  // A worker has no network of its own to remove, so nothing is what it removes.
  if (!isManager(call.node)) return json({ NetworksDeleted: null });
  const used = await networksInUse(call);
  const unused = (await networkViews(call)).filter(
    (view) =>
      isDangling(view, used) &&
      !isIngress(view) &&
      isBefore(view, untilNs) &&
      matchesLabels(filters, "label", labelsOf(view)) &&
      lacksLabels(filters, "label!", labelsOf(view)),
  );
  const removed: string[] = [];
  for (const view of unused) {
    if (await tryRemove(call, idOf(view))) removed.push(nameOf(view));
  }
  return json({ NetworksDeleted: removed.length > 0 ? removed : null });
}

/** False when something came onto the network in between; that is no error of a prune. */
async function tryRemove(call: Call, id: string): Promise<boolean> {
  try {
    await ask(call, (client) => client.removeNetwork, { id });
    return true;
  } catch (error) {
    if (error instanceof HttpError && [400, 404].includes(error.status)) return false;
    throw error;
  }
}

function isBefore(view: NetworkView, untilNs: bigint | undefined): boolean {
  if (untilNs === undefined || view.kind === "builtin") return true;
  return BigInt(view.network.meta?.createdAtMs ?? 0) * 1_000_000n <= untilNs;
}

async function connect(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "network connect request");
  here(call.node.containers.get(textIn(body, "Container")));
  await findNetwork(call, param(call, "id"));
  throw unserved("connecting a container that exists to another network is");
}

async function disconnect(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "network disconnect request");
  const container = here(call.node.containers.get(textIn(body, "Container")));
  const view = await findNetwork(call, param(call, "id"));
  if (!container.endpoints.some(({ network }) => network.id === idOf(view))) {
    const sentence = `container ${container.id} is not connected to network ${nameOf(view)}`;
    throw new HttpError(403, sentence);
  }
  throw unserved("taking a container off one of its networks is");
}
