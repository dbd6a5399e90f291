// Services: made, changed and taken away whole, with their addresses and ports, in the transaction of the
// request. Tasks are the orchestrator's; here only their wish to live ends with their service.
import { isDeepStrictEqual } from "node:util";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type {
  CreateServiceRequest,
  RemoveRequest,
  UpdateServiceRequest,
} from "../../proto/gen/control.js";
import {
  type JobStatus,
  type Service,
  type ServiceSpec,
  Task,
  type TaskSpec,
  TaskState,
  UpdateState,
  type UpdateStatus,
} from "../../proto/gen/service.js";
import { versionOf } from "../store/objects.js";
import type { Draft, StoreView } from "../store/view.js";
import type { Context } from "./context.js";
import { dropPoliciesElsewhere, dropPoliciesOf } from "./policy.js";
import { planPorts } from "./service-ports.js";
import { resolveReferences } from "./service-references.js";
import { checkServiceSpec, isJob } from "./service-spec.js";
import { alignVips, freeVips } from "./service-vips.js";
import { withEndpointsAligned } from "./task-endpoints.js";

export function createService(
  draft: Draft,
  request: CreateServiceRequest,
  ctx: Context,
): Service | Refusal {
  if (request.spec === undefined) return refuse("invalid-argument", "a service needs a spec");
  const refusal = checkServiceSpec(request.spec);
  if (refusal !== undefined) return refusal;
  const spec = resolveReferences(draft, request.spec);
  if (isRefusal(spec)) return spec;
  const ports = planPorts(draft, spec, undefined);
  if (isRefusal(ports)) return ports;
  const id = ctx.newId();
  const virtualIps = alignVips(draft, id, spec, ports, [], ctx);
  if (isRefusal(virtualIps)) return virtualIps;
  const service: Service = {
    id,
    meta: undefined,
    spec,
    previousSpec: undefined,
    specVersion: 1,
    ports,
    virtualIps,
    updateStatus: undefined,
    jobStatus: isJob(spec) ? { iteration: 0, lastExecutionMs: ctx.nowMs } : undefined,
  };
  draft.create("service", service);
  return draft.service(id) ?? service;
}

export function updateService(
  draft: Draft,
  request: UpdateServiceRequest,
  ctx: Context,
): Service | Refusal {
  const before = draft.service(request.id);
  const current = before?.spec;
  if (before === undefined || current === undefined) {
    return refuse("not-found", `service ${request.id} not found`);
  }
  const wanted = request.rollback ? before.previousSpec : withCredentials(request, before);
  if (wanted === undefined) {
    return request.rollback
      ? refuse("failed-precondition", `service ${before.id} does not have a previous spec`)
      : refuse("invalid-argument", "a service needs a spec");
  }
  const refusal = checkServiceSpec(wanted);
  if (refusal !== undefined) return refusal;
  const spec = resolveReferences(draft, wanted);
  if (isRefusal(spec)) return spec;
  const forbidden = checkChange(current, spec);
  if (forbidden !== undefined) return forbidden;
  if (request.version !== versionOf(before)) {
    return refuse("failed-precondition", "update out of sequence");
  }
  const ports = planPorts(draft, spec, before);
  if (isRefusal(ports)) return ports;
  const virtualIps = alignVips(draft, before.id, spec, ports, before.virtualIps, ctx);
  if (isRefusal(virtualIps)) return virtualIps;
  const specVersion = before.specVersion + (replacesTasks(current, spec) ? 1 : 0);
  const after: Service = {
    ...before,
    spec,
    previousSpec: current,
    specVersion,
    ports,
    virtualIps,
    updateStatus: beginUpdate(draft, before, spec, specVersion, request.rollback, ctx.nowMs),
    jobStatus: jobStatusAfter(before, specVersion, ctx.nowMs),
  };
  draft.update("service", after);
  dropPoliciesElsewhere(draft, after);
  return draft.service(before.id) ?? after;
}

/** Its tasks outlive it only until their nodes have reported their end. */
export function removeService(
  draft: Draft,
  request: RemoveRequest,
  ctx: Context,
): Refusal | undefined {
  const service = draft.service(request.id);
  if (service === undefined) return refuse("not-found", `service ${request.id} not found`);
  freeVips(draft, service.virtualIps, ctx.nowMs);
  dropPoliciesOf(draft, "service", service.id);
  draft.remove("service", service.id);
  condemnTasks(draft, service.id, ctx.nowMs);
  return undefined;
}

// Choice: far below what an entry of the log may be (manager/raft/limits.ts). The rest follow in further
// transactions.
const CONDEMNED_BYTES = 512 * 1024;
// About what an endpoint with a few aliases takes.
const ENDPOINT_BYTES = 512;

/** Tells tasks of a service that is gone to go too: as many as one transaction takes. Answers whether any are left. */
export function condemnTasks(draft: Draft, serviceId: string, nowMs: number): boolean {
  if (draft.service(serviceId) !== undefined) return false;
  const doomed = [...draft.tasksOf(serviceId)].filter(
    (task) => task.desiredState < TaskState.REMOVE,
  );
  let bytes = 0;
  for (const task of doomed) {
    if (bytes > CONDEMNED_BYTES) return true;
    // The log leaves out the spec.
    bytes += Task.encode({ ...task, spec: undefined }).finish().length;
    bytes += task.endpointIds.length * ENDPOINT_BYTES;
    const doom = { ...task, desiredState: TaskState.REMOVE };
    draft.update("task", withEndpointsAligned(draft, doom, nowMs));
  }
  return false;
}

/** Credentials that the request does not bring are kept from the spec that it names. */
function withCredentials(request: UpdateServiceRequest, before: Service): ServiceSpec | undefined {
  const { spec } = request;
  const container = spec?.task?.container;
  if (spec?.task === undefined || container === undefined) return spec;
  if (container.registryAuth !== "") return spec;
  const source = request.authFromPrevious ? before.previousSpec : before.spec;
  const registryAuth = source?.task?.container?.registryAuth ?? "";
  return { ...spec, task: { ...spec.task, container: { ...container, registryAuth } } };
}

// SwarmKit's words: the orchestrator makes tasks by mode, and names are in tasks and DNS.
function checkChange(before: ServiceSpec, after: ServiceSpec): Refusal | undefined {
  if (before.mode?.$case !== after.mode?.$case) {
    return refuse("unimplemented", "service mode change is not allowed");
  }
  if (before.name !== after.name) {
    return refuse("unimplemented", "renaming services is not supported");
  }
  return undefined;
}

/** Whether a task of the one is not a task of the other. Credentials are for pulling, and make no difference. */
function replacesTasks(before: ServiceSpec, after: ServiceSpec): boolean {
  return !(
    isDeepStrictEqual(withoutAuth(before.task), withoutAuth(after.task)) &&
    isDeepStrictEqual(before.endpoint, after.endpoint)
  );
}

function withoutAuth(task: TaskSpec | undefined): TaskSpec | undefined {
  if (task?.container === undefined) return task;
  return { ...task, container: { ...task.container, registryAuth: "" } };
}

/**
 * Where the orchestrator begins. An update that leaves every task as it is (a scale) has none; one that
 * comes while another is under way, or paused, begins it anew.
 */
function beginUpdate(
  view: StoreView,
  before: Service,
  spec: ServiceSpec,
  specVersion: number,
  rollback: boolean,
  nowMs: number,
): UpdateStatus | undefined {
  if (isJob(spec)) return undefined;
  const began = { startedAtMs: nowMs, completedAtMs: 0 };
  if (rollback) {
    const message = "manually requested rollback";
    return { ...began, state: UpdateState.ROLLBACK_STARTED, message };
  }
  for (const task of view.tasksOf(before.id)) {
    if (task.desiredState > TaskState.RUNNING || task.specVersion === specVersion) continue;
    return { ...began, state: UpdateState.UPDATING, message: "update in progress" };
  }
  return undefined;
}

function jobStatusAfter(
  before: Service,
  specVersion: number,
  nowMs: number,
): JobStatus | undefined {
  const { jobStatus } = before;
  if (jobStatus === undefined || specVersion === before.specVersion) return jobStatus;
  return { iteration: jobStatus.iteration + 1, lastExecutionMs: nowMs };
}
