// The words of the Engine API for the closed sets of proto/service.proto, both ways. An empty word is
// Docker's default, but for those that have none; a word that is in no set is refused in dockerd's words.
import {
  EndpointMode,
  FailureAction,
  PortProtocol,
  PublishMode,
  RestartCondition,
  TaskState,
  UpdateOrder,
  UpdateState,
} from "../../proto/gen/service.js";
import { badRequest } from "./http-error.js";

export interface Words<T extends number> {
  wordOf(value: T): string;
  /** The first of the set for an empty word. */
  valueOf(word: string): T;
}

function words<T extends number>(
  table: readonly (readonly [word: string, value: T])[],
  refusal: (word: string) => string,
): Words<T> {
  const first = table[0]?.[1] as T;
  return {
    wordOf: (value) => table.find(([, each]) => each === value)?.[0] ?? "",
    valueOf: (word) => {
      if (word === "") return first;
      const found = table.find(([each]) => each === word);
      if (found === undefined) throw badRequest(refusal(word));
      return found[1];
    },
  };
}

export const FAILURE_ACTIONS = words<FailureAction>(
  [
    ["pause", FailureAction.PAUSE],
    ["continue", FailureAction.CONTINUE],
    ["rollback", FailureAction.ROLLBACK],
  ],
  (word) => `unrecognized update failure action ${word}`,
);

export const UPDATE_ORDERS = words<UpdateOrder>(
  [
    ["stop-first", UpdateOrder.STOP_FIRST],
    ["start-first", UpdateOrder.START_FIRST],
  ],
  (word) => `unrecognized update order ${word}`,
);

export const RESTART_CONDITIONS = words<RestartCondition>(
  [
    ["any", RestartCondition.ANY],
    ["on-failure", RestartCondition.ON_FAILURE],
    ["none", RestartCondition.NONE],
  ],
  (word) => `invalid RestartCondition: "${word}"`,
);

export const ENDPOINT_MODES = words<EndpointMode>(
  [
    ["vip", EndpointMode.VIP],
    ["dnsrr", EndpointMode.DNSRR],
  ],
  (word) => `invalid resolution mode: "${word}"`,
);

// dockerd takes an unknown protocol or publish mode for the first of the set; we say that it is unknown.
export const PROTOCOLS = words<PortProtocol>(
  [
    ["tcp", PortProtocol.TCP],
    ["udp", PortProtocol.UDP],
    ["sctp", PortProtocol.SCTP],
  ],
  (word) => `invalid protocol "${word}": it must be tcp, udp or sctp`,
);

export const PUBLISH_MODES = words<PublishMode>(
  [
    ["ingress", PublishMode.INGRESS],
    ["host", PublishMode.HOST],
  ],
  (word) => `invalid publish mode "${word}": it must be ingress or host`,
);

export const UPDATE_STATES = words<UpdateState>(
  [
    ["", UpdateState.NONE],
    ["updating", UpdateState.UPDATING],
    ["paused", UpdateState.PAUSED],
    ["completed", UpdateState.COMPLETED],
    ["rollback_started", UpdateState.ROLLBACK_STARTED],
    ["rollback_paused", UpdateState.ROLLBACK_PAUSED],
    ["rollback_completed", UpdateState.ROLLBACK_COMPLETED],
  ],
  (word) => `invalid update state "${word}"`,
);

export const TASK_STATES = words<TaskState>(
  [
    ["new", TaskState.NEW],
    ["pending", TaskState.PENDING],
    ["assigned", TaskState.ASSIGNED],
    ["accepted", TaskState.ACCEPTED],
    ["preparing", TaskState.PREPARING],
    ["ready", TaskState.READY],
    ["starting", TaskState.STARTING],
    ["running", TaskState.RUNNING],
    ["complete", TaskState.COMPLETE],
    ["shutdown", TaskState.SHUTDOWN],
    ["failed", TaskState.FAILED],
    ["rejected", TaskState.REJECTED],
    ["remove", TaskState.REMOVE],
    ["orphaned", TaskState.ORPHANED],
  ],
  (word) => `Invalid desired-state filter: '${word}'`,
);
