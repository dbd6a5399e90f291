// How much a service may ask for: of each list and map a number that nobody needs more of, for every node
// that runs a task of it, or reaches it, carries them. Strings are bounded by the size of the whole spec.
import { type Refusal, refuse } from "../../common/fault.js";
import {
  EndpointMode,
  FailureAction,
  PortProtocol,
  PublishMode,
  RestartCondition,
  type ServiceSpec,
  UpdateOrder,
} from "../../proto/gen/service.js";
import { checkAliases } from "./names.js";

// Choices.
const FEW = 64;
const MANY = 1_000;
const NETWORKS_MAX = 32;
const LINES_MAX = 10_000;
// A label on each publication of a port (a proxy's) makes them the most that services have.
const LABELS_MAX = 2_000;

type Sized = readonly unknown[] | Readonly<Record<string, unknown>> | undefined;

export function checkBounds(spec: ServiceSpec): Refusal | undefined {
  for (const [what, sized, most] of countsOf(spec)) {
    const count = Object.keys(sized ?? {}).length;
    if (count > most) return wrong(`${count} ${what} are more than ${most}`);
  }
  for (const { aliases } of spec.task?.networks ?? []) {
    const refusal = checkAliases(aliases);
    if (refusal !== undefined) return refusal;
  }
  return checkWords(spec);
}

function* countsOf({ labels, task, endpoint }: ServiceSpec): Iterable<[string, Sized, number]> {
  const container = task?.container;
  yield ["labels", labels, LABELS_MAX];
  yield ["ports", endpoint?.ports, MANY];
  yield ["networks", task?.networks, NETWORKS_MAX];
  for (const { driverOpts } of task?.networks ?? []) yield ["driver options", driverOpts, FEW];
  yield ["placement constraints", task?.placement?.constraints, FEW];
  yield ["placement preferences", task?.placement?.spread, FEW];
  yield ["platforms", task?.placement?.platforms, MANY];
  yield ["generic resources", task?.resources?.reservations?.generic, FEW];
  yield ["generic resources", task?.resources?.limits?.generic, FEW];
  yield ["log options", task?.logDriver?.options, MANY];
  yield ["container labels", container?.labels, LABELS_MAX];
  yield ["arguments", [...(container?.command ?? []), ...(container?.args ?? [])], LINES_MAX];
  yield ["environment variables", container?.env, LINES_MAX];
  yield ["groups", container?.groups, MANY];
  yield ["hosts", container?.hosts, MANY];
  yield ["nameservers", container?.dns?.nameservers, FEW];
  yield ["DNS search domains", container?.dns?.search, FEW];
  yield ["DNS options", container?.dns?.options, FEW];
  yield ["secrets", container?.secrets, MANY];
  yield ["configs", container?.configs, MANY];
  yield ["sysctls", container?.sysctls, MANY];
  yield ["capabilities", container?.capabilityAdd, FEW];
  yield ["capabilities", container?.capabilityDrop, FEW];
  yield ["ulimits", container?.ulimits, FEW];
  yield ["mounts", container?.mounts, MANY];
  for (const mount of container?.mounts ?? []) {
    yield ["volume labels", mount.labels, MANY];
    yield ["volume driver options", mount.driverOptions, MANY];
    yield ["option groups", mount.optionGroups, FEW];
  }
}

/** Words of a newer release would mean the first of ours to whoever does not know them. */
function checkWords({ task, endpoint, update, rollback }: ServiceSpec): Refusal | undefined {
  const isKnown = (words: object, value: number | undefined) =>
    value === undefined || (value >= 0 && Object.hasOwn(words, value));
  if (!isKnown(EndpointMode, endpoint?.mode)) return wrong("unknown endpoint mode");
  for (const { protocol, publishMode } of endpoint?.ports ?? []) {
    if (!isKnown(PortProtocol, protocol)) return wrong("unknown protocol of a port");
    if (!isKnown(PublishMode, publishMode)) return wrong("unknown publish mode of a port");
  }
  for (const config of [update, rollback]) {
    if (!isKnown(FailureAction, config?.failureAction)) return wrong("unknown failure action");
    if (!isKnown(UpdateOrder, config?.order)) return wrong("unknown update order");
  }
  return isKnown(RestartCondition, task?.restart?.condition)
    ? undefined
    : wrong("unknown restart condition");
}

function wrong(sentence: string): Refusal {
  return refuse("invalid-argument", sentence);
}
