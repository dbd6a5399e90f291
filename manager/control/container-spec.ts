// What is asked of a task's container, judged by itself: nothing here knows what else is in the swarm.
// Sentences are SwarmKit's and dockerd's (manager/controlapi/service.go, agent/exec) where they have one.
import { parseIp } from "../../common/address.js";
import { capabilityProblem } from "../../common/capabilities.js";
import { type Refusal, refuse } from "../../common/fault.js";
import type {
  ConfigReference,
  ContainerSpec,
  HealthConfig,
  Mount,
  SecretReference,
} from "../../proto/gen/service.js";
import { isImageReference } from "./image-reference.js";

const MINIMUM_NS = 1_000_000;
const MOUNT_TYPES = ["bind", "volume", "tmpfs"];

export function checkContainerSpec(spec: ContainerSpec): Refusal | undefined {
  return (
    checkImage(spec.image) ??
    checkMounts(spec.mounts) ??
    checkHealth(spec.healthcheck) ??
    checkTargets("secret", spec.secrets.map(ofSecret)) ??
    checkTargets("config", spec.configs.map(ofConfig)) ??
    checkCapabilities(spec) ??
    checkDns(spec.dns)
  );
}

function checkImage(image: string): Refusal | undefined {
  if (image === "") return wrong("ContainerSpec: image reference must be provided");
  if (isImageReference(image)) return undefined;
  return wrong(`ContainerSpec: ${JSON.stringify(image)} is not a valid repository/tag`);
}

/** dockerd's words, which it has when the task's container is made: nobody waits for that here. */
function checkCapabilities({ capabilityAdd, capabilityDrop }: ContainerSpec): Refusal | undefined {
  const problem =
    capabilityProblem("CapAdd", capabilityAdd) ?? capabilityProblem("CapDrop", capabilityDrop);
  return problem === undefined ? undefined : wrong(problem);
}

/** They become words of a line in resolv.conf, on the task's node. */
function checkDns(dns: ContainerSpec["dns"]): Refusal | undefined {
  const server = dns?.nameservers.find((address) => parseIp(address) === undefined);
  if (server !== undefined) return wrong(`invalid DNS server address: ${server}`);
  const word = [...(dns?.search ?? []), ...(dns?.options ?? [])].find(
    (text) => !/^[\x21-\x7e]{1,255}$/.test(text),
  );
  return word === undefined
    ? undefined
    : wrong(`invalid DNS search domain or option: ${JSON.stringify(word)}`);
}

function checkMounts(mounts: readonly Mount[]): Refusal | undefined {
  const targets = new Set<string>();
  for (const mount of mounts) {
    if (targets.has(mount.target)) {
      return wrong(`ContainerSpec: duplicate mount point: ${mount.target}`);
    }
    targets.add(mount.target);
    const refusal = checkMount(mount);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** Sources may hold templates, which only the task's node can fill in. */
function checkMount({ type, source, target }: Mount): Refusal | undefined {
  if (!MOUNT_TYPES.includes(type)) return wrong(`invalid mount type: ${type}`);
  if (!target.startsWith("/")) {
    return wrong(`invalid mount target, must be an absolute path: ${target}`);
  }
  if (source.includes("{{")) return undefined;
  if (type === "bind" && !source.startsWith("/")) {
    return wrong(`invalid bind mount source, must be an absolute path: ${source}`);
  }
  if (type === "volume" && source.startsWith("/")) {
    return wrong(`invalid volume mount source, must not be an absolute path: ${source}`);
  }
  if (type === "tmpfs" && source !== "") {
    return wrong("invalid tmpfs source, source must be empty");
  }
  return undefined;
}

function checkHealth(health: HealthConfig | undefined): Refusal | undefined {
  if (health === undefined) return undefined;
  const { intervalNs, timeoutNs, startPeriodNs, startIntervalNs } = health;
  const durations = [
    ["Interval", intervalNs],
    ["Timeout", timeoutNs],
    ["StartPeriod", startPeriodNs],
    ["StartInterval", startIntervalNs],
  ] as const;
  for (const [name, ns] of durations) {
    if (ns === 0 || ns >= MINIMUM_NS) continue;
    return wrong(`ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`);
  }
  return undefined;
}

interface Target {
  readonly name: string;
  readonly file: string | undefined;
  /** A config for the runtime (credential specs) becomes no file. */
  readonly runtime: boolean;
}

function ofSecret(reference: SecretReference): Target {
  return { name: reference.secretName, file: reference.file?.name, runtime: false };
}

function ofConfig(reference: ConfigReference): Target {
  const { configName, file, runtime } = reference;
  return { name: configName, file: file?.name, runtime };
}

function checkTargets(kind: string, targets: readonly Target[]): Refusal | undefined {
  const takenBy = new Map<string, string>();
  for (const { name, file, runtime } of targets) {
    if (name === "") return wrong(`malformed ${kind} reference`);
    if (runtime) continue;
    if (file === undefined) return wrong(`malformed ${kind} reference, no target provided`);
    if (file === "") {
      return wrong(`malformed file ${kind} reference, invalid target file name provided`);
    }
    const other = takenBy.get(file);
    if (other !== undefined) {
      return wrong(
        `${kind} references '${other}' and '${name}' have a conflicting target: '${file}'`,
      );
    }
    takenBy.set(file, name);
  }
  return undefined;
}

function wrong(sentence: string): Refusal {
  return refuse("invalid-argument", sentence);
}
