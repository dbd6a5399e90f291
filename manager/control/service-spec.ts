// What is asked of a service, judged by itself. Sentences are SwarmKit's (manager/controlapi/service.go)
// where it has one; bounds of our own say that they are.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { templateProblem } from "../../common/template/task-template.js";
import {
  type ContainerSpec,
  EndpointMode,
  type EndpointSpec,
  PortProtocol,
  PublishMode,
  type ResourceRequirements,
  type Resources,
  ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from "../../proto/gen/service.js";
import { parseConstraints } from "../scheduler/constraint.js";
import { checkContainerSpec } from "./container-spec.js";
import { checkBounds } from "./service-bounds.js";
import { checkReachLabels } from "./service-labels.js";

// Choice: every task carries its spec, in the log and to its node; what is larger belongs in a config.
const SPEC_BYTES_MAX = 256 * 1024;
// Choice: twice what this release is measured with.
const TASKS_MAX = 100_000;
const PORT_MAX = 65_535;
// RFC 1035 section 2.3.4: a label has at most 63 octets.
const NAME_MAX = 63;
const NAME = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/;
const NANO_CPUS_MIN = 1_000_000;
const MEMORY_MIN = 4 * 1024 * 1024;

export function checkServiceSpec(spec: ServiceSpec): Refusal | undefined {
  return (
    checkServiceName(spec.name) ??
    checkSize(spec) ??
    checkBounds(spec) ??
    checkReachLabels(spec.labels) ??
    checkTask(spec.task) ??
    checkUpdate("update", spec.update) ??
    checkUpdate("rollback", spec.rollback) ??
    checkEndpoint(spec.endpoint) ??
    checkMode(spec)
  );
}

function checkServiceName(name: string): Refusal | undefined {
  if (name === "") return wrong("meta: name must be provided");
  if (!NAME.test(name)) return wrong("name must be valid as a DNS name component");
  if (name.length > NAME_MAX) return wrong("name must be 63 characters or fewer");
  return undefined;
}

function checkTask(task: TaskSpec | undefined): Refusal | undefined {
  if (task === undefined) return wrong("TaskSpec: missing runtime");
  const refusal = checkResources(task.resources) ?? checkPlacement(task);
  if (refusal !== undefined) return refusal;
  const { container, runtime } = task;
  if (container === undefined) return wrong("TaskSpec: missing runtime");
  switch (runtime) {
    case "":
    case "container":
      return checkContainerSpec(container) ?? checkTemplates(container);
    case "process":
      if (container.command.length > 0 || container.args.length > 0)
        return checkTemplates(container);
      return wrong("TaskSpec: a task of runtime process needs a command");
    default:
      return refuse("unimplemented", "RuntimeSpec: unimplemented runtime in service spec");
  }
}

function checkTemplates(container: ContainerSpec): Refusal | undefined {
  const problem = templateProblem(container);
  return problem === undefined ? undefined : wrong(problem);
}

function checkPlacement(task: TaskSpec): Refusal | undefined {
  const constraints = parseConstraints(task.placement?.constraints ?? []);
  return isRefusal(constraints) ? constraints : undefined;
}

function checkResources(resources: ResourceRequirements | undefined): Refusal | undefined {
  for (const each of [resources?.limits, resources?.reservations]) {
    const refusal = each === undefined ? undefined : checkAmounts(each);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function checkAmounts({ nanoCpus, memoryBytes, generic }: Resources): Refusal | undefined {
  if (nanoCpus !== 0 && nanoCpus < NANO_CPUS_MIN) {
    return wrong(`invalid cpu value ${nanoCpus / 1e9}: Must be at least 0.001`);
  }
  if (memoryBytes !== 0 && memoryBytes < MEMORY_MIN) {
    return wrong(`invalid memory value ${memoryBytes}: Must be at least 4MiB`);
  }
  const nameless = generic.some(({ kind }) => kind === "");
  return nameless ? wrong("a generic resource needs a kind") : undefined;
}

function checkUpdate(what: string, config: UpdateConfig | undefined): Refusal | undefined {
  if (config === undefined) return undefined;
  const { maxFailureRatio } = config;
  if (maxFailureRatio >= 0 && maxFailureRatio <= 1) return undefined;
  return wrong(`TaskSpec: ${what}-maxfailureratio cannot be less than 0 or bigger than 1`);
}

function checkEndpoint(endpoint: EndpointSpec | undefined): Refusal | undefined {
  const taken = new Set<string>();
  for (const { protocol, targetPort, publishedPort, publishMode } of endpoint?.ports ?? []) {
    if (endpoint?.mode === EndpointMode.DNSRR && publishMode === PublishMode.INGRESS) {
      return wrong("EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
    }
    if (targetPort < 1 || targetPort > PORT_MAX) {
      return wrong(`EndpointSpec: target port ${targetPort} is not between 1 and ${PORT_MAX}`);
    }
    if (publishedPort > PORT_MAX) {
      return wrong(`EndpointSpec: published port ${publishedPort} is not at most ${PORT_MAX}`);
    }
    if (publishedPort === 0) continue;
    const key = `${PortProtocol[protocol]}/${publishedPort}`;
    if (taken.has(key)) return wrong("EndpointSpec: duplicate published ports provided");
    taken.add(key);
  }
  return undefined;
}

function checkMode(spec: ServiceSpec): Refusal | undefined {
  const { mode } = spec;
  switch (mode?.$case) {
    case "replicated":
      return checkCount("replicas", mode.value.replicas);
    case "global":
      return undefined;
    case "replicatedJob":
      return (
        checkJob(spec) ??
        checkCount("completions", mode.value.totalCompletions) ??
        checkCount("concurrent tasks", mode.value.maxConcurrent)
      );
    case "globalJob":
      return checkJob(spec);
    case undefined:
      return wrong("Unrecognized service mode");
  }
}

function checkJob(spec: ServiceSpec): Refusal | undefined {
  if (spec.update === undefined) return undefined;
  return wrong("job-mode services may not have update configuration");
}

function checkCount(what: string, count: number): Refusal | undefined {
  if (count <= TASKS_MAX) return undefined;
  return wrong(`Number of ${what} must be at most ${TASKS_MAX}`);
}

function checkSize(spec: ServiceSpec): Refusal | undefined {
  const bytes = ServiceSpec.encode(spec).finish().length;
  if (bytes <= SPEC_BYTES_MAX) return undefined;
  return wrong(`the service's spec has ${bytes} bytes, which is more than ${SPEC_BYTES_MAX}`);
}

export function isJob(spec: ServiceSpec | undefined): boolean {
  return spec?.mode?.$case === "replicatedJob" || spec?.mode?.$case === "globalJob";
}

function wrong(sentence: string): Refusal {
  return refuse("invalid-argument", sentence);
}
