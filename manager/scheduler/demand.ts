// What a task asks of a node, worked out once for all tasks of the same template.
import { isEncrypted } from "../../common/encrypted.js";
import { isRefusal } from "../../common/fault.js";
import {
  type GenericResource,
  type PortConfig,
  PortProtocol,
  type Task,
} from "../../proto/gen/service.js";
import type { Platform } from "../../proto/gen/types.js";
import type { StoreView } from "../store/view.js";
import { type Constraint, parseConstraints } from "./constraint.js";

export interface Demand {
  readonly serviceId: string;
  /** Failures of this template count against a node. */
  readonly failureKey: string;
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly generic: readonly GenericResource[];
  readonly constraints: readonly Constraint[];
  readonly platforms: readonly Platform[];
  readonly plugins: readonly { readonly type: string; readonly name: string }[];
  readonly runtime: "containerd" | "process";
  /** It is on an encrypted network. */
  readonly encrypted: boolean;
  readonly hostPorts: readonly string[];
  /** 0: any number. */
  readonly maxReplicas: number;
  readonly spread: readonly string[];
}

export function demandOf(view: StoreView, task: Task): Demand {
  const { spec } = task;
  const reserved = spec?.resources?.reservations;
  const constraints = parseConstraints(spec?.placement?.constraints ?? []);
  return {
    serviceId: task.serviceId,
    failureKey: failureKeyOf(task),
    nanoCpus: reserved?.nanoCpus ?? 0,
    memoryBytes: reserved?.memoryBytes ?? 0,
    generic: reserved?.generic ?? [],
    // Control refuses what has no meaning; should there be any, no node fits.
    constraints: isRefusal(constraints) ? [{ key: "", equal: true, value: "" }] : constraints,
    platforms: spec?.placement?.platforms ?? [],
    plugins: pluginsOf(view, task),
    runtime: spec?.runtime === "process" ? "process" : "containerd",
    encrypted: (spec?.networks ?? []).some(({ target }) => isEncrypted(view.network(target))),
    hostPorts: hostPortsOf(task),
    maxReplicas: spec?.placement?.maxReplicas ?? 0,
    spread: spec?.placement?.spread ?? [],
  };
}

export function failureKeyOf({ serviceId, specVersion }: Task): string {
  return `${serviceId}/${specVersion}`;
}

/** Ports that the node chooses are never in another's way. */
export function hostPortsOf(task: Task): readonly string[] {
  return task.hostPorts.filter(({ publishedPort }) => publishedPort !== 0).map(keyOf);
}

function keyOf({ protocol, publishedPort }: PortConfig): string {
  return `${PortProtocol[protocol]}/${publishedPort}`;
}

// What every node has without saying so.
const BUILT_IN = new Set(["local", "none", ""]);

function pluginsOf(view: StoreView, { spec }: Task): Demand["plugins"] {
  const plugins: { type: string; name: string }[] = [];
  const need = (type: string, name: string) => {
    if (!BUILT_IN.has(name)) plugins.push({ type, name });
  };
  for (const { type, driverName } of spec?.container?.mounts ?? []) {
    if (type === "volume") need("Volume", driverName);
  }
  for (const { target } of spec?.networks ?? []) {
    need("Network", view.network(target)?.spec?.driver ?? "");
  }
  need("Log", spec?.logDriver?.name ?? "");
  return plugins;
}
