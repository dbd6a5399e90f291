// A plan, done: in one transaction, so that no task is stopped without the one that takes its place.
import { isRefusal, type Refusal } from "../../common/fault.js";
import { UpdateState } from "../../proto/gen/service.js";
import type { Context } from "../control/context.js";
import { updateService } from "../control/service.js";
import { withEndpointsAligned, withoutEndpoints } from "../control/task-endpoints.js";
import { versionOf } from "../store/objects.js";
import type { Draft } from "../store/view.js";
import type { Plan } from "./plan.js";

export function applyPlan(
  draft: Draft,
  serviceId: string,
  plan: Plan,
  ctx: Context,
): Refusal | undefined {
  for (const { kind, task } of plan.tasks) {
    if (kind === "create") draft.create("task", task);
    else if (kind === "update") draft.update("task", withEndpointsAligned(draft, task, ctx.nowMs));
    else {
      withoutEndpoints(draft, task, ctx.nowMs);
      draft.remove("task", task.id);
    }
  }
  if (plan.rollback !== undefined) return rollBack(draft, serviceId, plan.rollback, ctx);
  const service = draft.service(serviceId);
  if (service !== undefined && plan.updateStatus !== undefined) {
    draft.update("service", { ...service, updateStatus: plan.updateStatus });
  }
  return undefined;
}

/** As a person's rollback, but for the message; and there is nothing to go back to after it. */
function rollBack(
  draft: Draft,
  serviceId: string,
  message: string,
  ctx: Context,
): Refusal | undefined {
  const before = draft.service(serviceId);
  if (before === undefined) return undefined;
  const request = {
    id: serviceId,
    version: versionOf(before),
    spec: undefined,
    rollback: true,
    authFromPrevious: false,
  };
  const refusal = updateService(draft, request, ctx);
  if (isRefusal(refusal)) return pauseInstead(draft, serviceId, message, refusal);
  const after = draft.service(serviceId);
  if (after?.updateStatus === undefined) return undefined;
  const updateStatus = { ...after.updateStatus, message };
  draft.update("service", { ...after, previousSpec: undefined, updateStatus });
  return undefined;
}

/** What the previous spec needs is not there any more (a secret, a port): the update stops where it is. */
function pauseInstead(draft: Draft, serviceId: string, message: string, why: Refusal): undefined {
  const service = draft.service(serviceId);
  if (service?.updateStatus === undefined) return undefined;
  draft.update("service", {
    ...service,
    updateStatus: {
      ...service.updateStatus,
      state: UpdateState.PAUSED,
      message: `${message.replace("rolled back", "paused")}; it cannot be rolled back: ${why.message}`,
    },
  });
  return undefined;
}
