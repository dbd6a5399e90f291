// Which service or task a person means, and what of it may be shown.
import { type Refusal, refuse } from "../../common/fault.js";
import type { ListTasksRequest, ServiceStatus } from "../../proto/gen/control.js";
import {
  type Service,
  type ServiceSpec,
  type Task,
  type TaskSpec,
  TaskState,
} from "../../proto/gen/service.js";
import { type Endpoint, NodeState } from "../../proto/gen/types.js";
import type { StoreView } from "../store/view.js";

/** By id, name or unambiguous beginning of an id, in this order. */
export function findService(view: StoreView, ref: string): Service | Refusal {
  return (
    view.service(ref) ?? view.serviceByName(ref) ?? findByPrefix("service", view.services(), ref)
  );
}

export function findTask(view: StoreView, ref: string): Task | Refusal {
  return view.task(ref) ?? findByPrefix("task", view.tasks(), ref);
}

// dockerd's words (daemon/cluster/helpers.go). It looks at all: nobody asks by prefix in a hurry.
function findByPrefix<T extends { readonly id: string }>(
  kind: string,
  objects: Iterable<T>,
  ref: string,
): T | Refusal {
  let found: T | undefined;
  let count = 0;
  if (ref !== "") {
    for (const object of objects) {
      if (!object.id.startsWith(ref)) continue;
      found = object;
      count++;
    }
  }
  if (found === undefined) return refuse("not-found", `${kind} ${ref} not found`);
  if (count === 1) return found;
  const sentence = `${kind} ${ref} is ambiguous (${count} matches found)`;
  return refuse("invalid-argument", sentence);
}

/** The tasks that the request names; of services by id, not by name. */
export function selectTasks(view: StoreView, request: ListTasksRequest): readonly Task[] {
  const { serviceIds, nodeId } = request;
  if (serviceIds.length === 0) return [...(nodeId === "" ? view.tasks() : view.tasksOn(nodeId))];
  const tasks = [...new Set(serviceIds)].flatMap((id) => [...view.tasksOf(id)]);
  return nodeId === "" ? tasks : tasks.filter((task) => task.nodeId === nodeId);
}

export function endpointsOfTasks(view: StoreView, tasks: readonly Task[]): readonly Endpoint[] {
  return tasks.flatMap(({ endpointIds }) =>
    endpointIds.map((id) => view.endpoint(id)).filter((endpoint) => endpoint !== undefined),
  );
}

/** Docker's counts (swarmkit manager/controlapi/service.go), but that a node that is down runs nothing. */
export function statusOf(view: StoreView, service: Service): ServiceStatus {
  const { jobStatus } = service;
  let running = 0;
  let wanted = 0;
  let completed = 0;
  for (const task of view.tasksOf(service.id)) {
    if (jobStatus !== undefined && task.jobIteration !== jobStatus.iteration) continue;
    const state = task.status?.state ?? TaskState.NEW;
    if (state === TaskState.COMPLETE) completed++;
    const isDown = view.node(task.nodeId)?.state === NodeState.DOWN;
    if (state === TaskState.RUNNING && !isDown) running++;
    if (task.desiredState === TaskState.COMPLETE && state !== TaskState.COMPLETE) wanted++;
    if (task.desiredState <= TaskState.RUNNING) wanted++;
  }
  const desired = countOf(service) ?? wanted;
  return { serviceId: service.id, running, desired, completed: jobStatus ? completed : 0 };
}

/** `undefined`: as many as there are nodes for it. */
function countOf({ spec }: Service): number | undefined {
  const mode = spec?.mode;
  if (mode?.$case === "replicated") return mode.value.replicas;
  return mode?.$case === "replicatedJob" ? mode.value.maxConcurrent : undefined;
}

// ---- What may be shown: all but credentials ------------------------------------------------------

export function shownService(service: Service): Service {
  const { spec, previousSpec } = service;
  if (!hasAuth(spec?.task) && !hasAuth(previousSpec?.task)) return service;
  return { ...service, spec: shownSpec(spec), previousSpec: shownSpec(previousSpec) };
}

export function shownTasks(tasks: readonly Task[]): readonly Task[] {
  // Tasks of one service share one spec.
  const shown = new Map<TaskSpec, TaskSpec>();
  return tasks.map((task) => {
    const { spec } = task;
    if (spec === undefined || !hasAuth(spec)) return task;
    const blanked = shown.get(spec) ?? withoutAuth(spec);
    shown.set(spec, blanked);
    return { ...task, spec: blanked };
  });
}

function shownSpec(spec: ServiceSpec | undefined): ServiceSpec | undefined {
  return spec?.task === undefined ? spec : { ...spec, task: withoutAuth(spec.task) };
}

function hasAuth(task: TaskSpec | undefined): boolean {
  return (task?.container?.registryAuth ?? "") !== "";
}

function withoutAuth(task: TaskSpec): TaskSpec {
  if (task.container === undefined || !hasAuth(task)) return task;
  return { ...task, container: { ...task.container, registryAuth: "" } };
}
