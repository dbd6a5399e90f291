// /networks: see network-view.ts for which ones a node can name.
import { type NetworkSpec, Role } from "../../proto/gen/types.js";
import { GATEWAY_NETWORK } from "../localnet/networks.js";
import { onHostNetwork, onNoNetwork } from "../task/words.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryFlag, queryText } from "./call.js";
import { endpointWish } from "./container-request.js";
import {
  type Filters,
  flagFilter,
  lacksLabels,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  parseFilters,
} from "./filters.js";
import { badRequest, HttpError, here, refusedHere } from "./http-error.js";
import { flagIn, objectIn, objectOf, textIn } from "./json.js";
import { ask, isManager, listEndpoints } from "./manager.js";
import { networkJson } from "./network-json.js";
import { networkSpecFromJson } from "./network-request.js";
import type { SwarmWide } from "./network-services.js";
import {
  driverOf,
  findNetwork,
  idOf,
  isBuiltin,
  labelsOf,
  localViews,
  type NetworkView,
  nameOf,
  networkViews,
  scopeOf,
} from "./network-view.js";
import { nodeNames } from "./nodes.js";
import { type Route, route } from "./router.js";
import { predefinedJson } from "./service-networks.js";
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
  const dangling = danglingOf(filters);
  const views = (await networkViews(call)).filter((view) => isWanted(view, filters));
  const used = dangling === undefined ? new Set<string>() : await networksInUse(call);
  return json(
    views
      .filter((view) => dangling === undefined || isDangling(view, used) === dangling)
      .map((view) => networkJson(view, call.node, call.version, { kind: "summary" })),
  );
}

function isWanted(view: NetworkView, filters: Filters): boolean {
  const type = isBuiltin(view) ? "builtin" : "custom";
  return (
    matchesExactly(filters, "driver", driverOf(view)) &&
    matchesExactly(filters, "scope", scopeOf(view)) &&
    matchesExactly(filters, "type", isIngress(view) ? "builtin" : type) &&
    matchesPattern(filters, "id", idOf(view)) &&
    matchesPattern(filters, "name", nameOf(view)) &&
    matchesLabels(filters, "label", labelsOf(view))
  );
}

function danglingOf(filters: Filters): boolean | undefined {
  try {
    return flagFilter(filters, "dangling");
  } catch {
    throw badRequest(
      (filters.get("dangling") ?? []).length > 1
        ? 'got more than one value for filter key "dangling"'
        : `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`,
    );
  }
}

function checkType(filters: Filters): void {
  const wrong = filters.get("type")?.find((type) => type !== "builtin" && type !== "custom");
  if (wrong !== undefined) throw badRequest(`invalid filter: 'type'='${wrong}'`);
}

function isIngress(view: NetworkView): boolean {
  return view.kind === "swarm" && (view.network.spec?.ingress ?? false);
}

function isDangling(view: NetworkView, used: ReadonlySet<string>): boolean {
  if (view.kind === "swarm") return !used.has(view.network.id);
  // Containers on the swarm's networks find docker_gwbridge there whenever they come.
  return !isBuiltin(view) && nameOf(view) !== GATEWAY_NETWORK && view.endpoints.length === 0;
}

async function networksInUse(call: Call): Promise<ReadonlySet<string>> {
  const endpoints = (await isManager(call))
    ? await listEndpoints(call)
    : call.node.localNetworks().flatMap((each) => each.endpoints);
  return new Set(endpoints.map(({ networkId }) => networkId));
}

async function inspect(call: Call): Promise<Answer> {
  const scope = queryText(call, "scope");
  const predefined = scope === "swarm" ? predefinedJson(param(call, "id")) : undefined;
  if (predefined && (await isManager(call))) return json(predefined);
  const view = await findNetwork(
    call,
    param(call, "id"),
    (each) => scope === "" || scopeOf(each) === scope,
  );
  const wide = queryFlag(call, "verbose") ? await swarmWide(call, view) : undefined;
  return json(networkJson(view, call.node, call.version, { kind: "full", wide }));
}

async function swarmWide(call: Call, view: NetworkView): Promise<SwarmWide | undefined> {
  if (view.kind === "local") return undefined;
  const endpoints = (await isManager(call))
    ? await listEndpoints(call, view.network.id)
    : (view.local?.endpoints ?? []);
  return { endpoints, nodes: await nodeNames(call) };
}

async function create(call: Call): Promise<Answer> {
  const spec = networkSpecFromJson(objectOf(await call.body(), "network create request"));
  if (spec.driver === "bridge") return createLocal(call, spec);
  const { state, role } = call.node.membership.status();
  if (state === "active" && role !== Role.MANAGER) {
    throw new HttpError(
      403,
      "Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
    );
  }
  const sentence = `network with name ${spec.name} already exists`;
  if (localViews(call.node).some((view) => nameOf(view) === spec.name)) {
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

async function createLocal(call: Call, spec: NetworkSpec): Promise<Answer> {
  if ((await networkViews(call)).some((view) => nameOf(view) === spec.name)) {
    throw new HttpError(409, `network with name ${spec.name} already exists`);
  }
  const network = here(await call.node.localNets.create(spec));
  return json({ Id: network.id, Warning: "" }, 201);
}

async function remove(call: Call): Promise<Answer> {
  await removeView(call, await findNetwork(call, param(call, "id")));
  return empty(204);
}

async function removeView(call: Call, view: NetworkView): Promise<void> {
  const { id } = view.network;
  if (view.kind === "local") here(await call.node.localNets.remove(id));
  else await ask(call, (client) => client.removeNetwork, { id });
}

async function prune(call: Call): Promise<Answer> {
  const filters = parseFilters(queryText(call, "filters"), PRUNE_FILTERS);
  const [until, more] = filters.get("until") ?? [];
  if (more !== undefined) throw badRequest("more than one until filter specified");
  const untilNs = parseWhen(until ?? "", call.clock.nowMs(), "filter 'until'");
  const used = await networksInUse(call);
  // The swarm's are not a worker's to remove.
  const views = (await isManager(call)) ? await networkViews(call) : localViews(call.node);
  const unused = views.filter(
    (view) =>
      isDangling(view, used) &&
      !isIngress(view) &&
      isBefore(view, untilNs) &&
      matchesLabels(filters, "label", labelsOf(view)) &&
      lacksLabels(filters, "label!", labelsOf(view)),
  );
  const removed: string[] = [];
  for (const view of unused) {
    if (await tryRemove(call, view)) removed.push(nameOf(view));
  }
  return json({ NetworksDeleted: removed.length > 0 ? removed : null });
}

/** False when something came onto the network in between; that is no error of a prune. */
async function tryRemove(call: Call, view: NetworkView): Promise<boolean> {
  try {
    await removeView(call, view);
    return true;
  } catch (error) {
    if (error instanceof HttpError && [400, 403, 404].includes(error.status)) return false;
    throw error;
  }
}

function isBefore(view: NetworkView, untilNs: bigint | undefined): boolean {
  if (untilNs === undefined) return true;
  return BigInt(view.network.meta?.createdAtMs ?? 0) * 1_000_000n <= untilNs;
}

async function connect(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "network connect request");
  const { id, spec } = here(call.node.containers.get(textIn(body, "Container")));
  const view = await findNetwork(call, param(call, "id"));
  if (nameOf(view) === "host" && spec.networkMode !== "host") throw refusedHere(onHostNetwork());
  if (nameOf(view) === "none" && spec.networkMode !== "none") throw refusedHere(onNoNetwork());
  const wish = endpointWish(nameOf(view), objectIn(body, "EndpointConfig"));
  here(await call.node.containers.connect(id, wish));
  return empty(200);
}

async function disconnect(call: Call): Promise<Answer> {
  const body = objectOf(await call.body(), "network disconnect request");
  const { id } = here(call.node.containers.get(textIn(body, "Container")));
  const view = await findNetwork(call, param(call, "id"));
  here(await call.node.containers.disconnect(id, nameOf(view), flagIn(body, "Force")));
  return empty(200);
}
