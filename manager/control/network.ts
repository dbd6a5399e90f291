// Networks: made whole, with subnets and VNI, in the transaction of the request; removed when unused.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { CreateNetworkRequest, RemoveRequest } from "../../proto/gen/control.js";
import type { Network, NetworkSpec } from "../../proto/gen/types.js";
import { restVni } from "../ipam/quarantine.js";
import { planSubnets } from "../ipam/subnets.js";
import { takeVni } from "../ipam/vni.js";
import type { Draft, StoreView } from "../store/view.js";
import type { Context } from "./context.js";
import { parseDriverOptions } from "./driver-options.js";
import { describeEndpoint } from "./endpoint.js";
import { checkNetworkName } from "./names.js";

export function createNetwork(
  draft: Draft,
  request: CreateNetworkRequest,
  ctx: Context,
): Network | Refusal {
  const { spec } = request;
  if (spec === undefined) return refuse("invalid-argument", "a network needs a spec");
  const cluster = draft.cluster();
  if (cluster === undefined) return refuse("failed-precondition", "there is no swarm yet");
  const refusal = checkNetworkName(spec.name) ?? checkDriver(spec) ?? checkUnique(draft, spec);
  if (refusal !== undefined) return refusal;
  const subnets = planSubnets(draft, spec, cluster, (length) => ctx.randomBytes(length));
  if (isRefusal(subnets)) return subnets;
  const hasIpv6 = subnets.some((subnet) => subnet.cidr.includes(":"));
  const options = parseDriverOptions(spec.driverOpts, subnets.length, hasIpv6);
  if (isRefusal(options)) return options;
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

/** Refused while anything is on it, naming one thing. */
export function removeNetwork(
  draft: Draft,
  request: RemoveRequest,
  ctx: Context,
): Refusal | undefined {
  const network = draft.network(request.id);
  if (network === undefined) return refuse("not-found", `network ${request.id} not found`);
  const users = [...draft.endpointsOn(network.id)];
  const [user] = users;
  if (user !== undefined) {
    const more = users.length === 1 ? "" : ` and ${users.length - 1} more`;
    return refuse(
      "failed-precondition",
      `network ${network.id} is in use by ${describeEndpoint(draft, user)}${more}`,
    );
  }
  for (const quarantine of [...draft.resting(network.id)])
    draft.remove("quarantine", quarantine.id);
  draft.remove("network", network.id);
  restVni(draft, network.vni, ctx.nowMs);
  return undefined;
}
