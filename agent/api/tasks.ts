// /tasks: what services are running, ran and will run. Managers only.
import type { ListTasksResponse } from "../../proto/gen/control.js";
import type { Service, Task } from "../../proto/gen/service.js";
import { type Answer, json } from "./answer.js";
import { type Call, param, queryText } from "./call.js";
import {
  type Filters,
  flagFilter,
  matchesExactly,
  matchesLabels,
  matchesPrefix,
  parseFilters,
} from "./filters.js";
import { ask, listEndpoints, listNetworks, manager } from "./manager.js";
import { findNode } from "./nodes.js";
import { type Route, route } from "./router.js";
import { TASK_STATES } from "./service-words.js";
import { findService, findTask } from "./swarm-find.js";
import { grouped, type TaskContext, taskJson } from "./task-json.js";
import { isUpToDate } from "./up-to-date.js";

const FILTERS = [
  // Whether the task is made of its service's current spec: not documented, and what the CLI's progress asks.
  "_up-to-date",
  "desired-state",
  "id",
  "label",
  "name",
  "node",
  "runtime",
  "service",
];

export const TASK_ROUTES: readonly Route[] = [
  route("GET", "/tasks", list),
  route("GET", "/tasks/{id}", inspect),
];

async function list(call: Call): Promise<Answer> {
  await manager(call);
  const filters = parseFilters(queryText(call, "filters"), FILTERS);
  // Said before anything is asked; "remove" and other words of no state are refused in dockerd's words.
  for (const state of filters.get("desired-state") ?? []) TASK_STATES.valueOf(state);
  const named = await Promise.all(
    (filters.get("service") ?? []).map((ref) => findService(call, ref)),
  );
  const nodes = await Promise.all((filters.get("node") ?? []).map((ref) => findNode(call, ref)));
  const [onlyNode] = nodes.length === 1 ? nodes : [];
  const request = { serviceIds: named.map(({ id }) => id), nodeId: onlyNode?.id ?? "" };
  const [answer, services] = await Promise.all([
    ask(call, (client) => client.listTasks, request, true),
    named.length > 0 ? named : listServices(call),
  ]);
  const nodeIds = new Set(nodes.map(({ id }) => id));
  const serviceOf = new Map(services.map((service) => [service.id, service]));
  const upToDate = flagFilter(filters, "_up-to-date");
  const tasks = answer.tasks.filter(
    (task) =>
      isWanted(task, filters) &&
      (nodeIds.size === 0 || nodeIds.has(task.nodeId)) &&
      (upToDate === undefined || isUpToDate(task, serviceOf.get(task.serviceId)) === upToDate),
  );
  const context = await contextOf(call, answer, services);
  return json(tasks.map((task) => taskJson(task, context)));
}

async function inspect(call: Call): Promise<Answer> {
  const task = await findTask(call, param(call, "id"));
  const [services, endpoints] = await Promise.all([
    listServices(call),
    task.endpointIds.length > 0 ? listEndpoints(call) : [],
  ]);
  return json(taskJson(task, await contextOf(call, { tasks: [task], endpoints }, services)));
}

async function listServices(call: Call): Promise<readonly Service[]> {
  return (await ask(call, (client) => client.listServices, { withStatus: false }, true)).services;
}

async function contextOf(
  call: Call,
  { endpoints }: ListTasksResponse,
  services: readonly Service[],
): Promise<TaskContext> {
  const networks = endpoints.length > 0 ? await listNetworks(call) : [];
  const isJob = ({ spec }: Service) =>
    spec?.mode?.$case === "replicatedJob" || spec?.mode?.$case === "globalJob";
  return {
    networks: new Map(networks.map((network) => [network.id, network])),
    endpoints: grouped(endpoints, ({ ownerId }) => ownerId),
    jobs: new Set(services.filter(isJob).map(({ id }) => id)),
  };
}

function isWanted(task: Task, filters: Filters): boolean {
  return (
    matchesPrefix(filters, "id", task.id) &&
    matchesPrefix(filters, "name", nameOf(task)) &&
    matchesLabels(filters, "label", task.serviceLabels) &&
    matchesExactly(filters, "desired-state", TASK_STATES.wordOf(task.desiredState)) &&
    matchesExactly(filters, "runtime", task.spec?.runtime || "container")
  );
}

/** "web.1.ID", and for a task of a global service "web.NODE.ID". */
function nameOf(task: Task): string {
  return `${task.serviceName}.${task.slot === 0 ? task.nodeId : task.slot}.${task.id}`;
}
