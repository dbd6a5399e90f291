// What is to be done for one service so that it becomes what was asked for: a function of the store and
// the leader's clock alone. Planning again after the changes are applied changes nothing more, so a new
// leader, or one that missed something, goes on where things stand.
import { type Service, TaskState, type UpdateStatus } from "../../proto/gen/service.js";
import type { StoreView } from "../store/view.js";
import { planGlobal } from "./global.js";
import { planGlobalJob, planReplicatedJob } from "./jobs.js";
import { endOrphans, reapHistory, reapRemoved } from "./reap.js";
import { releaseSlot } from "./release.js";
import { planReplicated } from "./replicated.js";
import { type Slot, slotsOf } from "./slots.js";
import { judgeUpdate, planUpdate } from "./update.js";
import { type PlanContext, type TaskChange, Work } from "./work.js";

export interface Plan {
  readonly tasks: readonly TaskChange[];
  /** Absent: it stays as it is. */
  readonly updateStatus: UpdateStatus | undefined;
  /** The service's spec goes back to the previous one, for this reason; takes the place of updateStatus. */
  readonly rollback: string | undefined;
  /** Plan again then, if nothing happens before. */
  readonly wakeAtMs: number | undefined;
  /** `room` was too small for all: plan again at once. */
  readonly unfinished: boolean;
}

/** `room`: about how many tasks may be changed. The service may be gone, and its tasks still there. */
export function planService(
  view: StoreView,
  serviceId: string,
  ctx: PlanContext,
  room = Number.POSITIVE_INFINITY,
): Plan {
  const service = view.service(serviceId);
  const work = new Work(view, service, view.tasksOf(serviceId), ctx, room);
  endOrphans(work);
  if (service === undefined) removeAll(work);
  else planTasks(work, service);
  reapRemoved(work);
  const status = work.updateStatus;
  return {
    tasks: work.changes(),
    updateStatus: status === service?.updateStatus ? undefined : status,
    rollback: work.rollback,
    wakeAtMs: work.wakeAtMs,
    unfinished: work.unfinished,
  };
}

function removeAll(work: Work): void {
  for (const task of work.tasks()) {
    if (!work.hasRoom()) return;
    work.desire(task, TaskState.REMOVE);
  }
}

function planTasks(work: Work, service: Service): void {
  const all = slotsOf(work, service);
  if (judgeUpdate(work, service, all)) return;
  const slots = slotsFor(work, service, all);
  for (const slot of new Set([...slots, ...all])) {
    releaseSlot(work, service, slot);
    reapHistory(work, slot);
  }
}

function slotsFor(work: Work, service: Service, all: readonly Slot[]): readonly Slot[] {
  const mode = service.spec?.mode;
  switch (mode?.$case) {
    case "global": {
      const slots = planGlobal(work, service, all);
      planUpdate(work, service, slots);
      return slots;
    }
    case "replicatedJob":
      return planReplicatedJob(work, service, mode.value, all);
    case "globalJob":
      return planGlobalJob(work, service, all);
    default: {
      // Docker's default mode and number.
      const replicas = mode?.$case === "replicated" ? mode.value.replicas : 1;
      const slots = planReplicated(work, service, replicas, all);
      planUpdate(work, service, slots);
      return slots;
    }
  }
}
