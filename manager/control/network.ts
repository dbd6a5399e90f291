// Networks: made whole, with subnets and VNI, in the transaction of the request; removed when unused.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { CreateNetworkRequest, RemoveRequest } from "../../proto/gen/control.js";
import { type Service, type TaskSpec, TaskState } from "../../proto/gen/service.js";
import {
  type Endpoint,
  EndpointKind,
  type Network,
  type NetworkSpec,
} from "../../proto/gen/types.js";
import { planSubnets } from "../ipam/subnets.js";
import { takeVni } from "../ipam/vni.js";
import type { Draft, StoreView } from "../store/view.js";
import type { Context } from "./context.js";
import { POLICY_OPTION, parseDriverOptions } from "./driver-options.js";
import { describeEndpoint } from "./endpoint.js";
import { checkNetworkName, checkTexts } from "./names.js";
import { endNetwork } from "./network-end.js";
import { usesIngress } from "./service-ports.js";

// Choice: each is looked for in all the others, and at most one of a family gives addresses.
const SUBNETS_MAX = 64;

export function createNetwork(
  draft: Draft,
  request: CreateNetworkRequest,
  ctx: Context,
): Network | Refusal {
  const { spec } = request;
  if (spec === undefined) return refuse("invalid-argument", "a network needs a spec");
  const cluster = draft.cluster();
  if (cluster === undefined) return refuse("failed-precondition", "there is no swarm yet");
  const refusal =
    checkNetworkName(spec.name) ??
    checkExtent(spec) ??
    checkDriver(spec) ??
    checkUnique(draft, spec);
  if (refusal !== undefined) return refusal;
  if (spec.ingress && spec.noIpv4) {
    const why = "published ports are led over it by IPv4 addresses";
    return refuse("invalid-argument", `the ingress network needs IPv4: ${why}`);
  }
  const subnets = planSubnets(draft, spec, cluster, (length) => ctx.randomBytes(length));
  if (isRefusal(subnets)) return subnets;
  const hasIpv6 = subnets.some((subnet) => subnet.cidr.includes(":"));
  const options = parseDriverOptions(spec.driverOpts, subnets.length, hasIpv6);
  if (isRefusal(options)) return options;
  if (spec.ingress && spec.driverOpts[POLICY_OPTION] === "deny") {
    const sentence = "the ingress network carries what is published to everybody: it cannot deny";
    return refuse("invalid-argument", sentence);
  }
  const vni = takeVni(draft, options.vnis, spec.ingress);
  if (isRefusal(vni)) return vni;
  const network: Network = {
    id: ctx.newId(),
    meta: undefined,
    spec: { ...spec, driver: "overlay", ipamDriver: "default", ipv6: hasIpv6 },
    vni,
    subnets,
    mtuBytes: options.mtuBytes,
  };
  draft.create("network", network);
  return draft.network(network.id) ?? network;
}

function checkExtent({ labels, driverOpts, ipamOptions, ipam }: NetworkSpec): Refusal | undefined {
  if (ipam.length > SUBNETS_MAX) {
    return refuse("invalid-argument", `${ipam.length} subnets are more than ${SUBNETS_MAX}`);
  }
  const aux = ipam.flatMap(({ auxAddresses }) => Object.entries(auxAddresses).flat());
  return (
    checkTexts("labels", labels) ??
    checkTexts("options", { ...driverOpts, ...ipamOptions }) ??
    checkTexts("auxiliary addresses", { aux: aux.join() })
  );
}

function checkDriver(spec: NetworkSpec): Refusal | undefined {
  if (spec.driver !== "" && spec.driver !== "overlay") {
    return refuse("not-found", `plugin "${spec.driver}" not found`);
  }
  if (spec.ipamDriver !== "" && spec.ipamDriver !== "default") {
    return refuse("not-found", `plugin "${spec.ipamDriver}" not found`);
  }
  if (spec.ingress && spec.attachable) {
    return refuse("invalid-argument", "ingress network cannot be attachable");
  }
  return undefined;
}

function checkUnique(view: StoreView, spec: NetworkSpec): Refusal | undefined {
  if (view.networkByName(spec.name) !== undefined) {
    return refuse("already-exists", `network with name ${spec.name} already exists`);
  }
  const ingress = spec.ingress ? view.ingressNetwork() : undefined;
  if (ingress === undefined) return undefined;
  return refuse("already-exists", `ingress network (${ingress.id}) is already present`);
}

/**
 * Refused while anything is on it, naming one thing. Tasks that are to end are not waited for: they keep it for
 * their last words, and it goes with the last of them.
 */
export function removeNetwork(
  draft: Draft,
  request: RemoveRequest,
  ctx: Context,
): Refusal | undefined {
  const network = draft.network(request.id);
  if (network === undefined || network.leaving)
    return refuse("not-found", `network ${request.id} not found`);
  const inUse = checkServices(draft, network);
  if (inUse !== undefined) return inUse;
  const endpoints = [...draft.endpointsOn(network.id)];
  const users = endpoints.filter((endpoint) => !isLeaving(draft, endpoint));
  const [user] = users;
  if (user !== undefined) {
    const more = users.length === 1 ? "" : ` and ${users.length - 1} more`;
    return refuse(
      "failed-precondition",
      `network ${network.id} is in use by ${describeEndpoint(draft, user)}${more}`,
    );
  }
  if (endpoints.length === 0) endNetwork(draft, network, ctx.nowMs);
  else draft.update("network", { ...network, leaving: true });
  return undefined;
}

/** Of a task that is to end, or whose service has been removed a moment ago. */
function isLeaving(view: StoreView, { kind, ownerId }: Endpoint): boolean {
  if (kind !== EndpointKind.TASK) return false;
  const task = view.task(ownerId);
  if (task === undefined || task.desiredState > TaskState.RUNNING) return true;
  return view.service(task.serviceId) === undefined;
}

// SwarmKit's words (manager/controlapi/network.go).
function checkServices(view: StoreView, network: Network): Refusal | undefined {
  const id = network.id;
  if (network.spec?.ingress) {
    for (const service of view.services()) {
      if (!usesIngress(service)) continue;
      const sentence = `ingress network cannot be removed because service ${service.id} depends on it`;
      return refuse("failed-precondition", sentence);
    }
    return undefined;
  }
  for (const service of view.usersOf("network", id)) {
    if (!isUser(view, service, id)) continue;
    return refuse("failed-precondition", `network ${id} is in use by service ${service.id}`);
  }
  return undefined;
}

/** By its spec, or by a task that is to run; one that is to end is leaving. */
function isUser(view: StoreView, { id, spec }: Service, networkId: string): boolean {
  const refers = (task: TaskSpec | undefined) =>
    task?.networks.some(({ target }) => target === networkId) ?? false;
  if (refers(spec?.task)) return true;
  for (const task of view.tasksOf(id)) {
    const isToRun = task.desiredState <= TaskState.RUNNING;
    const isOver = (task.status?.state ?? TaskState.NEW) > TaskState.RUNNING;
    if (isToRun && !isOver && refers(task.spec)) return true;
  }
  return false;
}
