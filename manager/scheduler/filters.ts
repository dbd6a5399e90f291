// Whether a node takes a task, and if not, why: the first reason found, in SwarmKit's order.
import { canEncrypt } from "../../common/encrypted.js";
import { Availability, NodeState } from "../../proto/gen/types.js";
import { satisfies } from "./constraint.js";
import type { Demand } from "./demand.js";
import type { NodeInfo } from "./node-info.js";
import { hasPlatform } from "./platform.js";
import type { Reason } from "./reasons.js";

export interface Objection {
  readonly reason: Reason;
  readonly detail: string;
}

export function objectionTo(info: NodeInfo, demand: Demand): Objection | undefined {
  const { node } = info;
  if (node.state !== NodeState.READY || node.spec?.availability !== Availability.ACTIVE) {
    return because("unavailable");
  }
  if (demand.nanoCpus > 0 && demand.nanoCpus > info.nanoCpus) return because("cpu");
  if (demand.memoryBytes > 0 && demand.memoryBytes > info.memoryBytes) return because("memory");
  if (demand.generic.length > 0) {
    const choice = info.generic.choose(demand.generic);
    if ("short" in choice) return because("generic", choice.short);
  }
  if (!demand.plugins.every((plugin) => hasPlugin(info, plugin))) return because("plugin");
  if (!hasPlugin(info, { type: "Runtime", name: demand.runtime })) {
    return because("runtime", demand.runtime);
  }
  if (demand.encrypted && !canEncrypt(node.description)) return because("encryption");
  if (demand.constraints.length > 0 && !satisfies(node, demand.constraints)) {
    return because("constraints");
  }
  if (!hasPlatform(node, demand.platforms)) return because("platform");
  if (demand.hostPorts.some((port) => info.hasPort(port))) return because("host-port");
  if (demand.maxReplicas > 0 && info.tasksOf(demand.serviceId) >= demand.maxReplicas) {
    return because("max-replicas");
  }
  return undefined;
}

function because(reason: Reason, detail = ""): Objection {
  return { reason, detail };
}

/** A node that names no plugin of a type has not said what it has: it is not refused for that. */
function hasPlugin(info: NodeInfo, plugin: { readonly type: string; readonly name: string }) {
  const ofType = (info.node.description?.plugins ?? []).filter(({ type }) => type === plugin.type);
  return ofType.length === 0 || ofType.some(({ name }) => name === plugin.name);
}
