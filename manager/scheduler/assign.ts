// Gives a task to a node: its state, its resources and its addresses change together or not at all.
import { isRefusal, type Refusal } from "../../common/fault.js";
import { taskName } from "../../common/template/task-template.js";
import {
  type GenericResource,
  PublishMode,
  type Service,
  type Task,
  TaskState,
  TaskStatus,
} from "../../proto/gen/service.js";
import { type Endpoint, EndpointKind, type Network } from "../../proto/gen/types.js";
import type { Context } from "../control/context.js";
import { type GivenAddresses, takeAddresses } from "../ipam/addresses.js";
import type { Draft } from "../store/view.js";

export interface Assignment {
  readonly nodeId: string;
  readonly generic: readonly GenericResource[];
}

/** SwarmKit's words; the second for a task that had its node from the beginning. */
const ASSIGNED = "scheduler assigned task to node";
const CONFIRMED = "scheduler confirmed task can run on preassigned node";

/** Refused when a network has no address left; nothing is changed then. */
export function assignTask(
  draft: Draft,
  service: Service,
  task: Task,
  { nodeId, generic }: Assignment,
  ctx: Context,
): Refusal | undefined {
  const endpoints = endpointsFor(draft, service, task, nodeId, ctx);
  if (isRefusal(endpoints)) return endpoints;
  for (const endpoint of endpoints) draft.create("endpoint", endpoint);
  draft.update("task", {
    ...task,
    nodeId,
    genericResources: generic,
    endpointIds: endpoints.map(({ id }) => id),
    status: statusWith(task, {
      state: TaskState.ASSIGNED,
      atMs: ctx.nowMs,
      message: task.nodeId === "" ? ASSIGNED : CONFIRMED,
      err: "",
    }),
  });
  return undefined;
}

/** It waits, and says why; writes nothing when it has said so before. */
export function explainTask(draft: Draft, task: Task, why: string, nowMs: number): void {
  if (task.status?.err === why) return;
  const status = statusWith(task, { state: TaskState.PENDING, atMs: nowMs, err: why });
  draft.update("task", { ...task, status });
}

function statusWith(task: Task, changes: Partial<TaskStatus>): TaskStatus {
  return { ...(task.status ?? TaskStatus.create()), ...changes };
}

function endpointsFor(
  draft: Draft,
  service: Service,
  task: Task,
  nodeId: string,
  ctx: Context,
): readonly Endpoint[] | Refusal {
  const endpoints: Endpoint[] = [];
  for (const { network, aliases } of networksOf(draft, service, task)) {
    const given = takeAddresses(draft, network, { ipv4: "", ipv6: "" });
    if (isRefusal(given)) return given;
    endpoints.push(endpointOf(task, nodeId, network, aliases, given, ctx.newId()));
  }
  return endpoints;
}

interface Joined {
  readonly network: Network;
  readonly aliases: readonly string[];
}

/** A node's own networks (bridge, host) have no object, and no address here. Each is named once. */
function networksOf(draft: Draft, service: Service, task: Task): readonly Joined[] {
  const joined: Joined[] = [];
  const ingress = draft.ingressNetwork();
  const publishes = service.ports.some((port) => port.publishMode === PublishMode.INGRESS);
  if (publishes && ingress !== undefined) joined.push({ network: ingress, aliases: [] });
  for (const { target, aliases } of task.spec?.networks ?? []) {
    const network = draft.network(target);
    if (network === undefined || joined.some((other) => other.network.id === target)) continue;
    joined.push({ network, aliases: [...new Set([task.serviceName, ...aliases])] });
  }
  return joined;
}

function endpointOf(
  task: Task,
  nodeId: string,
  network: Network,
  aliases: readonly string[],
  given: GivenAddresses,
  id: string,
): Endpoint {
  const hostname = task.spec?.container?.hostname ?? "";
  return {
    id,
    meta: undefined,
    networkId: network.id,
    nodeId,
    kind: EndpointKind.TASK,
    // As its container is called there.
    name: taskName({ ...task, nodeId }),
    aliases,
    ownerId: task.id,
    // What the node fills in is not known here.
    hostname: hostname.includes("{{") ? "" : hostname,
    serviceId: task.serviceId,
    serving: false,
    ...given,
  };
}
