// `insertDefaults=true`: what a service would do where its spec says nothing (SwarmKit's api/defaults),
// so that a person sees it. Nothing of it is stored.
import {
  FailureAction,
  RestartCondition,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
  UpdateOrder,
} from "../../proto/gen/service.js";

const SECOND_NS = 1_000_000_000;
const GRACE_NS = 10 * SECOND_NS;
const RESTART_DELAY_NS = 5 * SECOND_NS;
const UPDATE: UpdateConfig = {
  parallelism: 1,
  delayNs: 0,
  failureAction: FailureAction.PAUSE,
  monitorNs: 5 * SECOND_NS,
  maxFailureRatio: 0,
  order: UpdateOrder.STOP_FIRST,
};

export function withDefaults(spec: ServiceSpec): ServiceSpec {
  return {
    ...spec,
    task: spec.task && taskWithDefaults(spec.task),
    update: updateWithDefaults(spec.update),
    rollback: updateWithDefaults(spec.rollback),
  };
}

function taskWithDefaults(task: TaskSpec): TaskSpec {
  const { container, restart } = task;
  const nothing = { nanoCpus: 0, memoryBytes: 0, pids: 0, generic: [] };
  return {
    ...task,
    container: container && {
      ...container,
      stopGracePeriodNs: container.stopGracePeriodNs ?? GRACE_NS,
      dns: container.dns ?? { nameservers: [], search: [], options: [] },
    },
    resources: task.resources ?? { limits: nothing, reservations: nothing },
    restart: restart
      ? { ...restart, delayNs: restart.delayNs ?? RESTART_DELAY_NS }
      : {
          condition: RestartCondition.ANY,
          delayNs: RESTART_DELAY_NS,
          maxAttempts: 0,
          windowNs: 0,
        },
    placement: task.placement ?? { constraints: [], spread: [], maxReplicas: 0, platforms: [] },
  };
}

function updateWithDefaults(config: UpdateConfig | undefined): UpdateConfig {
  if (!config) return UPDATE;
  return { ...config, monitorNs: config.monitorNs || UPDATE.monitorNs };
}
