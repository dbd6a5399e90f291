// /services: asked of a manager; what a service is and whether it may be is the manager's to say.
import { systemRandom } from "../../common/random.js";
import type { ServiceStatus } from "../../proto/gen/control.js";
import type { Service, ServiceSpec } from "../../proto/gen/service.js";
import { newName } from "../task/names.js";
import { type Answer, empty, json } from "./answer.js";
import { type Call, param, queryFlag, queryNumber, queryText } from "./call.js";
import {
  type Filters,
  matchesExactly,
  matchesLabels,
  matchesPrefix,
  parseFilters,
} from "./filters.js";
import { badRequest } from "./http-error.js";
import { objectOf } from "./json.js";
import { ask, manager } from "./manager.js";
import { type Route, route } from "./router.js";
import { serviceJson } from "./service-json.js";
import { resolveNetworks } from "./service-networks.js";
import { serviceSpecFromJson } from "./service-spec.js";
import { findService } from "./swarm-find.js";
import type { ApiMinor } from "./version.js";

const FILTERS = ["id", "label", "mode", "name", "runtime"];
// Docker Engine API history: v1.41 adds `status`.
const STATUS_SINCE: ApiMinor = 41;
// X-Registry-Auth is base64 of JSON, and is handed on as it came.
const AUTH_LENGTH_MAX = 64 * 1024;

export const SERVICE_ROUTES: readonly Route[] = [
  route("GET", "/services", list),
  route("POST", "/services/create", create),
  route("GET", "/services/{id}", inspect),
  route("DELETE", "/services/{id}", remove),
  route("POST", "/services/{id}/update", update),
];

async function list(call: Call): Promise<Answer> {
  await manager(call);
  const filters = parseFilters(queryText(call, "filters"), FILTERS);
  const withStatus = queryFlag(call, "status") && call.version >= STATUS_SINCE;
  const { services, statuses } = await ask(
    call,
    (client) => client.listServices,
    { withStatus },
    true,
  );
  const statusOf = new Map(statuses.map((status) => [status.serviceId, status]));
  const wanted = services.filter((service) => isWanted(service, filters));
  return json(
    wanted.map((service) =>
      serviceJson(service, {
        insertDefaults: false,
        status: withStatus ? (statusOf.get(service.id) ?? noTasks(service.id)) : undefined,
      }),
    ),
  );
}

function noTasks(serviceId: string): ServiceStatus {
  return { serviceId, running: 0, desired: 0, completed: 0 };
}

function isWanted({ id, spec }: Service, filters: Filters): boolean {
  return (
    matchesPrefix(filters, "id", id) &&
    matchesPrefix(filters, "name", spec?.name ?? "") &&
    matchesLabels(filters, "label", spec?.labels ?? {}) &&
    matchesExactly(filters, "mode", modeWord(spec)) &&
    matchesExactly(filters, "runtime", spec?.task?.runtime || "container")
  );
}

function modeWord(spec: ServiceSpec | undefined): string {
  switch (spec?.mode?.$case) {
    case "global":
      return "global";
    case "replicatedJob":
      return "replicated-job";
    case "globalJob":
      return "global-job";
    default:
      return "replicated";
  }
}

async function inspect(call: Call): Promise<Answer> {
  const insertDefaults = boolIn(call, "insertDefaults");
  const service = await findService(call, param(call, "id"));
  return json(serviceJson(service, { insertDefaults, status: undefined }));
}

async function create(call: Call): Promise<Answer> {
  await manager(call);
  const asked = serviceSpecFromJson(objectOf(await call.body(), "ServiceSpec"), call.version);
  const named = asked.name === "" ? { ...asked, name: chosenName() } : asked;
  const spec = withAuth(await resolveNetworks(call, named), authOf(call));
  const { service, warnings } = await ask(call, (client) => client.createService, { spec });
  return json(
    { ID: service?.id ?? "", ...(warnings.length > 0 ? { Warnings: warnings } : {}) },
    201,
  );
}

/** As dockerd names a service that was given no name. */
function chosenName(): string {
  return newName(systemRandom, () => false);
}

async function update(call: Call): Promise<Answer> {
  await manager(call);
  const asked = serviceSpecFromJson(objectOf(await call.body(), "ServiceSpec"), call.version);
  const version = versionOf(call, "service");
  const rollback = queryText(call, "rollback");
  if (!["", "none", "previous"].includes(rollback)) {
    throw badRequest(`unrecognized rollback option ${rollback}`);
  }
  const authFrom = queryText(call, "registryAuthFrom");
  if (!["", "spec", "previous-spec"].includes(authFrom)) {
    throw badRequest("unsupported registryAuthFrom value");
  }
  const { id } = await findService(call, param(call, "id"));
  // Of a rollback, the spec is not looked at.
  const resolved = rollback === "previous" ? asked : await resolveNetworks(call, asked);
  const spec = withAuth(resolved, authOf(call));
  const { warnings } = await ask(call, (client) => client.updateService, {
    id,
    version,
    spec,
    rollback: rollback === "previous",
    authFromPrevious: authFrom === "previous-spec",
  });
  return json({ Warnings: warnings.length > 0 ? warnings : null });
}

async function remove(call: Call): Promise<Answer> {
  const { id } = await findService(call, param(call, "id"));
  await ask(call, (client) => client.removeService, { id });
  return empty(200);
}

export function versionOf(call: Call, kind: string): number {
  const version = queryNumber(call, "version", -1);
  if (version < 0) throw badRequest(`invalid ${kind} version '${queryText(call, "version")}'`);
  return version;
}

function authOf(call: Call): string {
  const auth = call.header("x-registry-auth");
  if (auth.length > AUTH_LENGTH_MAX) throw badRequest("X-Registry-Auth is too long");
  return auth;
}

function withAuth(spec: ServiceSpec, registryAuth: string): ServiceSpec {
  const { task } = spec;
  if (registryAuth === "" || !task?.container) return spec;
  return { ...spec, task: { ...task, container: { ...task.container, registryAuth } } };
}

// strconv.ParseBool, which is stricter here than the flags of other routes.
function boolIn(call: Call, name: string): boolean {
  const written = queryText(call, name);
  if (["", "0", "f", "F", "false", "FALSE", "False"].includes(written)) return false;
  if (["1", "t", "T", "true", "TRUE", "True"].includes(written)) return true;
  throw badRequest(
    `invalid value for ${name}: ${written}: strconv.ParseBool: parsing "${written}": invalid syntax`,
  );
}
