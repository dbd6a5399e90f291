// What a person does to a node: change what is wanted of it, or take it out of the swarm.
import { type Refusal, refuse } from "../../common/fault.js";
import type { RemoveNodeRequest, UpdateNodeRequest } from "../../proto/gen/control.js";
import { Availability, type Node, type NodeSpec, NodeState, Role } from "../../proto/gen/types.js";
import { barred } from "../ca/barred.js";
import { isManager } from "../store/node-index.js";
import { versionOf } from "../store/objects.js";
import type { Draft, StoreView } from "../store/view.js";
import type { Context } from "./context.js";
import { removeEndpoint } from "./endpoint.js";
import { checkName, checkTexts } from "./names.js";
import { orphanTask } from "./task-status.js";

/** SwarmKit's words (manager/controlapi/node.go). */
const NODE_DELETED = "Task belonged to a node that has been deleted";

/** What the Raft group would lose without this member, as a sentence; undefined: no quorum. */
export type QuorumLoss = (withoutRaftId: number, name: string) => string | undefined;

export function updateNode(
  draft: Draft,
  request: UpdateNodeRequest,
  quorumLoss: QuorumLoss,
): Node | Refusal {
  const node = draft.node(request.id);
  if (node === undefined) return refuse("not-found", `node ${request.id} not found`);
  const { spec } = request;
  if (spec === undefined) return refuse("invalid-argument", "a node needs a spec");
  if (request.version !== versionOf(node)) {
    return refuse("failed-precondition", "update out of sequence");
  }
  const refusal = checkSpec(spec) ?? checkDemotion(draft, node, request, quorumLoss);
  if (refusal !== undefined) return refusal;
  const { seatForced, ...rest } = node;
  const insisted = spec.role === Role.WORKER && (seatForced || request.force);
  draft.update("node", { ...rest, spec, ...(insisted && { seatForced: true }) });
  return draft.node(node.id) ?? node;
}

function checkSpec(spec: NodeSpec): Refusal | undefined {
  if (![Role.WORKER, Role.MANAGER].includes(spec.role)) {
    return refuse("invalid-argument", `invalid Role: "${spec.role}"`);
  }
  const known = [Availability.ACTIVE, Availability.PAUSE, Availability.DRAIN];
  if (!known.includes(spec.availability)) {
    return refuse("invalid-argument", `invalid Availability: "${spec.availability}"`);
  }
  return checkName("node name", spec.name) ?? checkTexts("labels", spec.labels);
}

function checkDemotion(
  view: StoreView,
  node: Node,
  { spec, force }: UpdateNodeRequest,
  quorumLoss: QuorumLoss,
): Refusal | undefined {
  if (node.spec?.role !== Role.MANAGER || spec?.role === Role.MANAGER) return undefined;
  const others = [...view.managers()].filter(
    (other) => other.id !== node.id && other.spec?.role === Role.MANAGER && isMember(other),
  );
  if (others.length === 0) {
    const sentence = "attempting to demote the last manager of the swarm";
    return refuse("failed-precondition", sentence);
  }
  if (node.manager === undefined || force) return undefined;
  const loss = quorumLoss(node.manager.raftId, node.description?.hostname || node.id);
  return loss === undefined ? undefined : refuse("failed-precondition", loss);
}

function isMember(node: Node): boolean {
  return node.manager !== undefined;
}

/** A node that is down, or any worker with `force`; its endpoints go with it. */
export function removeNode(
  draft: Draft,
  request: RemoveNodeRequest,
  ctx: Context,
): Refusal | undefined {
  const node = draft.node(request.id);
  if (node === undefined) return refuse("not-found", `node ${request.id} not found`);
  if (isManager(node)) {
    return refuse(
      "failed-precondition",
      `node ${node.id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
    );
  }
  if (node.state === NodeState.READY && !request.force) {
    return refuse("failed-precondition", `node ${node.id} is not down and can't be removed`);
  }
  forgetNode(draft, node, ctx.nowMs);
  return undefined;
}

/** A node that was admitted and gave up before anybody heard it was never one. Answers whether it is gone. */
export function forgetUnheard(draft: Draft, nodeId: string, nowMs: number): boolean {
  const node = draft.node(nodeId);
  if (node === undefined) return true;
  if (node.state !== NodeState.UNKNOWN || node.manager !== undefined) return false;
  forgetNode(draft, node, nowMs);
  return true;
}

/** Its tasks are over, its endpoints go with it, and its certificate opens nothing any more. */
function forgetNode(draft: Draft, node: Node, nowMs: number): void {
  for (const task of [...draft.tasksOn(node.id)]) orphanTask(draft, task, NODE_DELETED, nowMs);
  for (const endpoint of [...draft.endpointsOf(node.id)]) removeEndpoint(draft, endpoint, nowMs);
  draft.remove("node", node.id);
  const cluster = draft.cluster();
  if (cluster === undefined) return;
  draft.update("cluster", barred(cluster, node.id, nowMs));
}
