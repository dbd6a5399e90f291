// /skein/v1/policies: on a network with the option skein.policy=deny, who may talk to which service.
// Shapes are in docs/api.md.
import type { Network, Policy, PolicyPort } from "../../proto/gen/types.js";
import { PolicyProtocol } from "../../proto/gen/types.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryText } from "./call.js";
import { type Filters, matchesExactly, matchesPrefix, parseFilters } from "./filters.js";
import { findOne } from "./find.js";
import { badRequest } from "./http-error.js";
import { type JsonObject, listIn, numberIn, objectOf, textIn } from "./json.js";
import { ask, listNetworks, manager } from "./manager.js";
import { type Route, route } from "./router.js";
import { goTime } from "./times.js";

const FILTERS = ["id", "network", "from", "to"];
/** Everybody on the network. No service can have this name. */
const EVERYBODY = "*";

const PROTOCOLS: Readonly<Record<string, PolicyProtocol>> = {
  any: PolicyProtocol.ANY,
  tcp: PolicyProtocol.TCP,
  udp: PolicyProtocol.UDP,
  sctp: PolicyProtocol.SCTP,
};
const PORT_MAX = 65_535;

export const POLICY_ROUTES: readonly Route[] = [
  route("GET", "/skein/v1/policies", list),
  route("POST", "/skein/v1/policies", allow),
  route("DELETE", "/skein/v1/policies/{id}", remove),
];

/** A policy with the names that people know its parts by. */
interface Shown {
  readonly policy: Policy;
  readonly network: string;
  readonly from: string;
  readonly to: string;
}

async function list(call: Call): Promise<Answer> {
  await manager(call);
  const filters = parseFilters(queryText(call, "filters"), FILTERS);
  const shown = await withNames(call, await listPolicies(call));
  return json(shown.filter((each) => isWanted(each, filters)).map(policyJson));
}

async function allow(call: Call): Promise<Answer> {
  await manager(call);
  const body = objectOf(await call.body(), "policy");
  const from = textIn(body, "From");
  const to = textIn(body, "To");
  if (from === "")
    throw badRequest(`a policy needs From: a service, or "${EVERYBODY}" for everybody`);
  if (to === "") throw badRequest("a policy needs To: a service");
  if (to === EVERYBODY) throw badRequest("a policy is for one service: To cannot be everybody");
  const policy = await ask(call, (client) => client.allowPolicy, {
    network: textIn(body, "Network"),
    from: from === EVERYBODY ? "" : from,
    to,
    ports: listIn(body, "Ports").map((each) => portOf(objectOf(each, "Ports"))),
  });
  const [shown] = await withNames(call, [policy]);
  return json(shown && policyJson(shown), 201);
}

async function remove(call: Call): Promise<Answer> {
  const all = await listPolicies(call);
  const found = findOne(param(call, "id"), all, ({ id }) => ({ id, names: [] }), {
    kind: "policy",
    ambiguousName: (matches) => `${matches} matches found`,
    ambiguousPrefix: (matches) => `${matches} matches found`,
  });
  await ask(call, (client) => client.removePolicy, { id: found.id });
  return empty(204);
}

async function listPolicies(call: Call): Promise<readonly Policy[]> {
  return (await ask(call, (client) => client.listPolicies, {}, true)).policies;
}

async function withNames(call: Call, policies: readonly Policy[]): Promise<readonly Shown[]> {
  if (policies.length === 0) return [];
  const [networks, { services }] = await Promise.all([
    listNetworks(call),
    ask(call, (client) => client.listServices, { withStatus: false }, true),
  ]);
  const networkNames = new Map(networks.map((each: Network) => [each.id, each.spec?.name ?? ""]));
  const serviceNames = new Map(services.map(({ id, spec }) => [id, spec?.name ?? ""]));
  return policies.map((policy) => ({
    policy,
    // What went away between the two questions has its id left.
    network: networkNames.get(policy.networkId) ?? policy.networkId,
    from:
      policy.fromServiceId === ""
        ? EVERYBODY
        : (serviceNames.get(policy.fromServiceId) ?? policy.fromServiceId),
    to: serviceNames.get(policy.toServiceId) ?? policy.toServiceId,
  }));
}

function isWanted({ policy, network, from, to }: Shown, filters: Filters): boolean {
  const either = (key: string, id: string, name: string) =>
    matchesExactly(filters, key, name) || (id !== "" && matchesExactly(filters, key, id));
  return (
    matchesPrefix(filters, "id", policy.id) &&
    either("network", policy.networkId, network) &&
    either("from", policy.fromServiceId, from) &&
    either("to", policy.toServiceId, to)
  );
}

function policyJson({ policy, network, from, to }: Shown): object {
  return {
    ID: policy.id,
    Network: network,
    NetworkID: policy.networkId,
    From: from,
    FromID: policy.fromServiceId,
    To: to,
    ToID: policy.toServiceId,
    Ports: policy.ports.map(portJson),
    Created: goTime(policy.meta?.createdAtMs ?? 0),
  };
}

function portJson({ protocol, port }: PolicyPort): object {
  const word = Object.keys(PROTOCOLS).find((each) => PROTOCOLS[each] === protocol);
  return { Protocol: word ?? "any", Port: port };
}

/** Port 0 is every port of the protocol. */
function portOf(json: JsonObject): PolicyPort {
  const word = textIn(json, "Protocol") || "tcp";
  const protocol = Object.hasOwn(PROTOCOLS, word) ? PROTOCOLS[word] : undefined;
  if (protocol === undefined) {
    throw badRequest(`invalid protocol "${word}": it is one of tcp, udp, sctp, any`);
  }
  const port = numberIn(json, "Port") ?? 0;
  if (!Number.isInteger(port) || port < 0 || port > PORT_MAX) {
    throw badRequest(`invalid port ${port}: it is 1 to ${PORT_MAX}, or 0 for all`);
  }
  return { protocol, port };
}
