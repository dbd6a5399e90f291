// TaskTemplate of a service, and Spec of a task ↔ TaskSpec.
import type {
  GenericResource,
  NetworkAttachmentConfig,
  Placement,
  ResourceRequirements,
  Resources,
  RestartPolicy,
  TaskSpec,
} from "../../proto/gen/service.js";
import { mapIfAny, omitEmpty } from "./go-json.js";
import { badRequest, unserved } from "./http-error.js";
import {
  durationIn,
  type JsonObject,
  maybeObjectIn,
  numberIn,
  objectsIn,
  textIn,
  textMapIn,
  textsIn,
  unsignedIn,
} from "./json.js";
import { serviceContainerFromJson, serviceContainerJson } from "./service-container.js";
import { RESTART_CONDITIONS } from "./service-words.js";
import type { ApiMinor } from "./version.js";

// Docker Engine API history: v1.41 adds Limits.Pids.
const PIDS_SINCE: ApiMinor = 41;
const PROCESS_RUNTIME = "process";

export function taskSpecFromJson(json: JsonObject, version: ApiMinor): TaskSpec {
  const container = maybeObjectIn(json, "ContainerSpec");
  const runtime = textIn(json, "Runtime");
  refuseRuntime(json, runtime);
  if (!container) throw badRequest("mismatched Runtime and *Spec fields");
  const resources = maybeObjectIn(json, "Resources");
  const restart = maybeObjectIn(json, "RestartPolicy");
  const placement = maybeObjectIn(json, "Placement");
  const logDriver = maybeObjectIn(json, "LogDriver");
  const spec = serviceContainerFromJson(container, version);
  const kind = runtimeOf(spec.image, runtime);
  return {
    // Without its tag: who made the service may not have put one, and an update that does changes nothing.
    container: { ...spec, image: kind === PROCESS_RUNTIME ? PROCESS_RUNTIME : spec.image },
    resources: resources && resourcesFromJson(resources, version),
    restart: restart && restartFromJson(restart),
    placement: placement && placementFromJson(placement),
    networks: networksFromJson(json),
    logDriver: logDriver && {
      name: textIn(logDriver, "Name"),
      options: textMapIn(logDriver, "Options"),
    },
    forceUpdate: unsignedIn(json, "ForceUpdate") ?? 0,
    runtime: kind,
  };
}

/**
 * `Runtime` is a service's; a task is shown without, as dockerd does. It is "container" for a process too:
 * docker's client refuses to send back anything else beside a ContainerSpec, and the image says enough.
 */
export function taskSpecJson(spec: TaskSpec, of: "service" | "task"): object {
  const { container, resources, restart, placement, logDriver } = spec;
  return {
    ...(container ? { ContainerSpec: serviceContainerJson(container) } : {}),
    ...(resources ? { Resources: resourcesJson(resources) } : {}),
    ...(restart ? { RestartPolicy: restartJson(restart) } : {}),
    ...(placement ? { Placement: placementJson(placement) } : {}),
    ...omitEmpty({ Networks: spec.networks.map(networkJson) }),
    ...(logDriver
      ? { LogDriver: omitEmpty({ Name: logDriver.name, Options: mapIfAny(logDriver.options) }) }
      : {}),
    ForceUpdate: spec.forceUpdate,
    ...(of === "service" ? { Runtime: "container" } : {}),
  };
}

function refuseRuntime(json: JsonObject, runtime: string): void {
  if (runtime === "plugin" || maybeObjectIn(json, "PluginSpec")) {
    throw unserved("services of plugins are");
  }
  if (runtime === "attachment" || maybeObjectIn(json, "NetworkAttachmentSpec")) {
    throw badRequest('invalid task spec: spec type "attachment" not supported');
  }
  if (!["", "container", PROCESS_RUNTIME].includes(runtime))
    throw badRequest("unsupported runtime");
}

/** The image "process", with the tag that clients put behind every name, stands for the node's own commands. */
function runtimeOf(image: string, runtime: string): string {
  const isProcess = image === PROCESS_RUNTIME || image === `${PROCESS_RUNTIME}:latest`;
  if (isProcess || (image === "" && runtime === PROCESS_RUNTIME)) return PROCESS_RUNTIME;
  if (runtime !== PROCESS_RUNTIME) return "container";
  throw badRequest(
    `the process runtime runs a command of the node and takes no image: "${image}" must be "process"`,
  );
}

export function networksFromJson(json: JsonObject): readonly NetworkAttachmentConfig[] {
  return objectsIn(json, "Networks").map((each) => ({
    target: textIn(each, "Target"),
    aliases: textsIn(each, "Aliases"),
    driverOpts: textMapIn(each, "DriverOpts"),
  }));
}

function networkJson({ target, aliases, driverOpts }: NetworkAttachmentConfig): object {
  return omitEmpty({ Target: target, Aliases: aliases, DriverOpts: mapIfAny(driverOpts) });
}

function resourcesFromJson(json: JsonObject, version: ApiMinor): ResourceRequirements {
  const limits = maybeObjectIn(json, "Limits");
  const reservations = maybeObjectIn(json, "Reservations");
  return {
    limits: limits && {
      nanoCpus: unsignedIn(limits, "NanoCPUs") ?? 0,
      memoryBytes: unsignedIn(limits, "MemoryBytes") ?? 0,
      pids: version >= PIDS_SINCE ? (unsignedIn(limits, "Pids") ?? 0) : 0,
      generic: [],
    },
    reservations: reservations && {
      nanoCpus: unsignedIn(reservations, "NanoCPUs") ?? 0,
      memoryBytes: unsignedIn(reservations, "MemoryBytes") ?? 0,
      pids: 0,
      generic: objectsIn(reservations, "GenericResources").map(genericFromJson),
    },
    swapBytes: numberIn(json, "SwapBytes"),
    memorySwappiness: numberIn(json, "MemorySwappiness"),
  };
}

function resourcesJson(resources: ResourceRequirements): object {
  const { limits, reservations, swapBytes, memorySwappiness } = resources;
  return {
    ...(limits ? { Limits: { ...amounts(limits), ...omitEmpty({ Pids: limits.pids }) } } : {}),
    ...(reservations
      ? {
          Reservations: {
            ...amounts(reservations),
            ...omitEmpty({ GenericResources: reservations.generic.map(genericJson) }),
          },
        }
      : {}),
    ...(swapBytes === undefined ? {} : { SwapBytes: swapBytes }),
    ...(memorySwappiness === undefined ? {} : { MemorySwappiness: memorySwappiness }),
  };
}

function amounts({ nanoCpus, memoryBytes }: Resources): object {
  return omitEmpty({ NanoCPUs: nanoCpus, MemoryBytes: memoryBytes });
}

function genericFromJson(json: JsonObject): GenericResource {
  const named = maybeObjectIn(json, "NamedResourceSpec");
  const counted = maybeObjectIn(json, "DiscreteResourceSpec");
  const one = counted ?? named;
  if (!one) throw badRequest("invalid generic resource: it must be named or discrete");
  return {
    kind: textIn(one, "Kind"),
    value: counted ? (unsignedIn(counted, "Value") ?? 0) : 0,
    namedValue: counted ? "" : textIn(one, "Value"),
  };
}

export function genericJson({ kind, value, namedValue }: GenericResource): object {
  return namedValue === ""
    ? { DiscreteResourceSpec: omitEmpty({ Kind: kind, Value: value }) }
    : { NamedResourceSpec: omitEmpty({ Kind: kind, Value: namedValue }) };
}

function restartFromJson(json: JsonObject): RestartPolicy {
  return {
    condition: RESTART_CONDITIONS.valueOf(textIn(json, "Condition")),
    delayNs: durationIn(json, "Delay", "TaskSpec: restart-delay cannot be negative"),
    maxAttempts: unsignedIn(json, "MaxAttempts") ?? 0,
    windowNs: durationIn(json, "Window", "TaskSpec: restart-window cannot be negative") ?? 0,
  };
}

function restartJson(policy: RestartPolicy): object {
  return {
    Condition: RESTART_CONDITIONS.wordOf(policy.condition),
    ...(policy.delayNs === undefined ? {} : { Delay: policy.delayNs }),
    MaxAttempts: policy.maxAttempts,
    ...omitEmpty({ Window: policy.windowNs }),
  };
}

function placementFromJson(json: JsonObject): Placement {
  const spread = objectsIn(json, "Preferences").map((each) => {
    const over = maybeObjectIn(each, "Spread");
    if (!over) throw badRequest("invalid placement preference: it must be a spread");
    return textIn(over, "SpreadDescriptor");
  });
  return {
    constraints: textsIn(json, "Constraints"),
    spread,
    maxReplicas: unsignedIn(json, "MaxReplicas") ?? 0,
    platforms: objectsIn(json, "Platforms").map((each) => ({
      architecture: textIn(each, "Architecture"),
      os: textIn(each, "OS"),
    })),
  };
}

function placementJson(placement: Placement): object {
  return omitEmpty({
    Constraints: placement.constraints,
    Preferences: placement.spread.map((over) => ({ Spread: { SpreadDescriptor: over } })),
    MaxReplicas: placement.maxReplicas,
    Platforms: placement.platforms.map(({ architecture, os }) =>
      omitEmpty({ Architecture: architecture, OS: os }),
    ),
  });
}
