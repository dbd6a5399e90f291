// What must be true of services, tasks and nodes after every entry of the log, whatever went wrong before.
import { planService } from "../../manager/orchestrator/plan.js";
import type { StoreView } from "../../manager/store/view.js";
import { isOver } from "../../manager/store/work-index.js";
import { TaskState, UpdateOrder, UpdateState } from "../../proto/gen/service.js";
import { EndpointKind, NodeState } from "../../proto/gen/types.js";

/** Sentences; none: all is well. `mayRun`: tasks that their agents may have started, and can be told to stop. */
export function violations(view: StoreView, mayRun: ReadonlySet<string>): readonly string[] {
  return [...crowdedSlots(view, mayRun), ...overfullNodes(view), ...strayEndpoints(view)];
}

/** A slot has one task that may run; start-first services have two while one takes over. */
function* crowdedSlots(view: StoreView, mayRun: ReadonlySet<string>): Iterable<string> {
  for (const service of view.services()) {
    const most = service.spec?.update?.order === UpdateOrder.START_FIRST ? 2 : 1;
    const live = new Map<string, number>();
    for (const task of view.tasksOf(service.id)) {
      if (isOver(task) || !mayRun.has(task.id)) continue;
      const slot = task.slot > 0 ? String(task.slot) : task.nodeId;
      live.set(slot, (live.get(slot) ?? 0) + 1);
    }
    for (const [slot, count] of live) {
      if (count > most) yield `slot ${slot} of ${service.spec?.name} has ${count} live tasks`;
    }
  }
}

/** No node has more than it offers, nor one port twice. */
function* overfullNodes(view: StoreView): Iterable<string> {
  for (const node of view.nodes()) {
    let cpus = 0;
    const ports = new Set<number>();
    for (const task of view.tasksOn(node.id)) {
      if (isOver(task) || (task.status?.state ?? 0) < TaskState.ASSIGNED) continue;
      cpus += task.spec?.resources?.reservations?.nanoCpus ?? 0;
      for (const { publishedPort } of task.hostPorts) {
        if (ports.has(publishedPort)) yield `${node.id} has port ${publishedPort} twice`;
        ports.add(publishedPort);
      }
    }
    if (cpus > (node.description?.nanoCpus ?? 0)) yield `${node.id} has promised ${cpus} CPUs`;
  }
}

/** A task has its addresses from when it is given to a node until it is over. */
function* strayEndpoints(view: StoreView): Iterable<string> {
  for (const endpoint of view.endpoints()) {
    if (endpoint.kind !== EndpointKind.TASK) continue;
    const task = view.task(endpoint.ownerId);
    if (task === undefined || isOver(task) || !task.endpointIds.includes(endpoint.id)) {
      yield `endpoint ${endpoint.id} belongs to no task that lives`;
      continue;
    }
    const { status, desiredState } = task;
    const runsWell = status?.state === TaskState.RUNNING && status.err === "";
    const serves = runsWell && desiredState <= TaskState.COMPLETE;
    if (endpoint.serving !== serves) {
      yield `endpoint ${endpoint.id} is ${serves ? "not " : ""}served by task ${task.id}`;
    }
  }
  for (const task of view.tasks()) {
    if (isOver(task) || (task.status?.state ?? 0) < TaskState.ASSIGNED) continue;
    const wanted = (task.spec?.networks ?? []).length;
    if (task.endpointIds.length < wanted) yield `task ${task.id} lacks an address`;
  }
}

/** Planning what was planned asks for nothing more. */
export function* unsettled(view: StoreView, nowMs: number): Iterable<string> {
  const ids = new Set([...view.services()].map(({ id }) => id));
  for (const { serviceId } of view.tasks()) ids.add(serviceId);
  for (const id of ids) {
    const plan = planService(view, id, { nowMs, newId: () => "again" });
    for (const { kind, task } of plan.tasks) yield `${id} would ${kind} task ${task.id} again`;
    if (plan.updateStatus !== undefined) yield `${id} would set its update status again`;
    if (plan.rollback !== undefined) yield `${id} would roll back again`;
  }
}

/** Long after the last fault: all is as it was asked for. `limit`: tasks kept for each slot. */
export function* unconverged(view: StoreView, limit: number): Iterable<string> {
  for (const task of view.tasks()) {
    if (view.service(task.serviceId) === undefined) yield `task ${task.id} has no service`;
    if (task.desiredState >= TaskState.SHUTDOWN && !isOver(task)) yield `${task.id} still stops`;
  }
  for (const service of view.services()) {
    const name = service.spec?.name;
    const state = service.updateStatus?.state;
    if (state === UpdateState.UPDATING || state === UpdateState.ROLLBACK_STARTED) {
      yield `${name} is still being updated`;
    }
    const tasks = [...view.tasksOf(service.id)];
    const running = tasks.filter(({ status }) => status?.state === TaskState.RUNNING);
    const wanted = wantedTasks(view, service.spec?.mode);
    if (running.length !== wanted) yield `${name} has ${running.length} of ${wanted} tasks`;
    const slots = new Map<string, number>();
    for (const task of tasks) {
      const slot = task.slot > 0 ? String(task.slot) : task.nodeId;
      slots.set(slot, (slots.get(slot) ?? 0) + 1);
    }
    for (const [slot, count] of slots) {
      if (count > limit) yield `slot ${slot} of ${name} keeps ${count} tasks`;
    }
  }
}

function wantedTasks(
  view: StoreView,
  mode: { readonly $case: string; readonly value: object } | undefined,
): number {
  if (mode?.$case === "replicated" && "replicas" in mode.value) return Number(mode.value.replicas);
  const active = (id: string) => view.node(id)?.spec?.availability === 0;
  return [...view.nodes()].filter(({ id, state }) => state === NodeState.READY && active(id))
    .length;
}
