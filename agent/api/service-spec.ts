// ServiceSpec ↔ Docker's (engine-api.yaml).
import type {
  EndpointSpec,
  PortConfig,
  ServiceSpec,
  UpdateConfig,
} from "../../proto/gen/service.js";
import { omitEmpty, sortedMap } from "./go-json.js";
import { badRequest } from "./http-error.js";
import {
  decimalIn,
  durationIn,
  type JsonObject,
  maybeObjectIn,
  objectIn,
  objectsIn,
  textIn,
  textMapIn,
  unsignedIn,
} from "./json.js";
import { networksFromJson, taskSpecFromJson, taskSpecJson } from "./service-task.js";
import {
  ENDPOINT_MODES,
  FAILURE_ACTIONS,
  PROTOCOLS,
  PUBLISH_MODES,
  UPDATE_ORDERS,
} from "./service-words.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: v1.41 adds jobs. dockerd drops the modes from older clients, which makes the
// service a replicated one; we do not run a job for ever, and refuse it.
const JOBS_SINCE: ApiMinor = 41;

export function serviceSpecFromJson(json: JsonObject, version: ApiMinor): ServiceSpec {
  const task = taskSpecFromJson(objectIn(json, "TaskTemplate"), version);
  const update = maybeObjectIn(json, "UpdateConfig");
  const rollback = maybeObjectIn(json, "RollbackConfig");
  const endpoint = maybeObjectIn(json, "EndpointSpec");
  return {
    name: textIn(json, "Name"),
    labels: textMapIn(json, "Labels"),
    // Where networks stood before API 1.25; dockerd still takes them from there.
    task: task.networks.length > 0 ? task : { ...task, networks: networksFromJson(json) },
    mode: modeFromJson(objectIn(json, "Mode"), version),
    update: update && updateFromJson(update, "update"),
    rollback: rollback && updateFromJson(rollback, "rollback"),
    endpoint: endpoint && {
      mode: ENDPOINT_MODES.valueOf(textIn(endpoint, "Mode")),
      ports: objectsIn(endpoint, "Ports").map(portFromJson),
    },
  };
}

export function serviceSpecJson(spec: ServiceSpec): object {
  return {
    Name: spec.name,
    Labels: sortedMap(spec.labels),
    TaskTemplate: spec.task ? taskSpecJson(spec.task, "service") : {},
    Mode: modeJson(spec.mode),
    ...(spec.update ? { UpdateConfig: updateJson(spec.update) } : {}),
    ...(spec.rollback ? { RollbackConfig: updateJson(spec.rollback) } : {}),
    ...(spec.endpoint ? { EndpointSpec: endpointSpecJson(spec.endpoint) } : {}),
  };
}

function modeFromJson(json: JsonObject, version: ApiMinor): ServiceSpec["mode"] {
  const modes = ["Global", "Replicated", "ReplicatedJob", "GlobalJob"] as const;
  const given = modes.filter((mode) => maybeObjectIn(json, mode) !== undefined);
  if (given.length > 1) throw badRequest("must specify only one service mode");
  const [mode = "Replicated"] = given;
  const value = objectIn(json, mode);
  if (mode.endsWith("Job") && version < JOBS_SINCE) {
    throw badRequest(`jobs need API version 1.${JOBS_SINCE}; this client speaks 1.${version}`);
  }
  switch (mode) {
    case "Global":
      return { $case: "global", value: {} };
    case "GlobalJob":
      return { $case: "globalJob", value: {} };
    case "Replicated":
      return { $case: "replicated", value: { replicas: unsignedIn(value, "Replicas") ?? 1 } };
    case "ReplicatedJob": {
      const maxConcurrent = unsignedIn(value, "MaxConcurrent") ?? 1;
      const totalCompletions = unsignedIn(value, "TotalCompletions") ?? maxConcurrent;
      return { $case: "replicatedJob", value: { maxConcurrent, totalCompletions } };
    }
  }
}

function modeJson(mode: ServiceSpec["mode"]): object {
  switch (mode?.$case) {
    case "global":
      return { Global: {} };
    case "globalJob":
      return { GlobalJob: {} };
    case "replicatedJob":
      return {
        ReplicatedJob: {
          MaxConcurrent: mode.value.maxConcurrent,
          TotalCompletions: mode.value.totalCompletions,
        },
      };
    default:
      return { Replicated: { Replicas: mode?.value.replicas ?? 1 } };
  }
}

function updateFromJson(json: JsonObject, what: "update" | "rollback"): UpdateConfig {
  const duration = (key: string) =>
    durationIn(json, key, `TaskSpec: ${what}-${key.toLowerCase()} cannot be negative`) ?? 0;
  return {
    parallelism: unsignedIn(json, "Parallelism") ?? 0,
    delayNs: duration("Delay"),
    failureAction: FAILURE_ACTIONS.valueOf(textIn(json, "FailureAction")),
    monitorNs: duration("Monitor"),
    maxFailureRatio: decimalIn(json, "MaxFailureRatio"),
    order: UPDATE_ORDERS.valueOf(textIn(json, "Order")),
  };
}

function updateJson(config: UpdateConfig): object {
  return {
    Parallelism: config.parallelism,
    ...omitEmpty({ Delay: config.delayNs }),
    FailureAction: FAILURE_ACTIONS.wordOf(config.failureAction),
    ...omitEmpty({ Monitor: config.monitorNs }),
    MaxFailureRatio: config.maxFailureRatio,
    Order: UPDATE_ORDERS.wordOf(config.order),
  };
}

export function endpointSpecJson({ mode, ports }: EndpointSpec): object {
  return { Mode: ENDPOINT_MODES.wordOf(mode), ...omitEmpty({ Ports: ports.map(portJson) }) };
}

function portFromJson(json: JsonObject): PortConfig {
  return {
    name: textIn(json, "Name"),
    protocol: PROTOCOLS.valueOf(textIn(json, "Protocol")),
    targetPort: portNumberIn(json, "TargetPort"),
    publishedPort: portNumberIn(json, "PublishedPort"),
    publishMode: PUBLISH_MODES.valueOf(textIn(json, "PublishMode")),
  };
}

function portNumberIn(json: JsonObject, key: string): number {
  const port = unsignedIn(json, key) ?? 0;
  if (port >= 2 ** 16) throw badRequest(`invalid ${key} ${port}: it must be at most 65535`);
  return port;
}

export function portJson(port: PortConfig): object {
  return omitEmpty({
    Name: port.name,
    Protocol: PROTOCOLS.wordOf(port.protocol),
    TargetPort: port.targetPort,
    PublishedPort: port.publishedPort,
    PublishMode: PUBLISH_MODES.wordOf(port.publishMode),
  });
}
