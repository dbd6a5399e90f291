// A service's own addresses: one on each of its networks, and one on ingress while it publishes ports there.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import {
  EndpointMode,
  type PortConfig,
  type ServiceSpec,
  type VirtualIp,
} from "../../proto/gen/service.js";
import { type Endpoint, EndpointKind, type Network } from "../../proto/gen/types.js";
import { takeAddresses } from "../ipam/addresses.js";
import type { Draft, StoreView } from "../store/view.js";
import type { Context } from "./context.js";
import { removeEndpoint } from "./endpoint.js";
import { isIngress } from "./service-ports.js";

interface Wanted {
  readonly network: Network;
  readonly aliases: readonly string[];
}

/** Makes the endpoints that are missing, frees those that are not wanted any more, and lists the rest. */
export function alignVips(
  draft: Draft,
  serviceId: string,
  spec: ServiceSpec,
  ports: readonly PortConfig[],
  before: readonly VirtualIp[],
  ctx: Context,
): readonly VirtualIp[] | Refusal {
  const wanted = wantedVips(draft, spec, ports);
  if (isRefusal(wanted)) return wanted;
  const kept = new Map(before.map((vip) => [vip.networkId, vip]));
  const vips: VirtualIp[] = [];
  for (const { network, aliases } of wanted) {
    const vip = kept.get(network.id);
    const endpoint = vip && draft.endpoint(vip.endpointId);
    kept.delete(network.id);
    if (vip !== undefined && endpoint !== undefined) {
      vips.push(vip);
      if (!sameTexts(endpoint.aliases, aliases)) draft.update("endpoint", { ...endpoint, aliases });
      continue;
    }
    const made = makeVip(draft, serviceId, spec.name, { network, aliases }, ctx);
    if (isRefusal(made)) return made;
    vips.push(made);
  }
  freeVips(draft, [...kept.values()], ctx.nowMs);
  return vips;
}

/** Their addresses rest, as those of all endpoints. */
export function freeVips(draft: Draft, vips: readonly VirtualIp[], nowMs: number): void {
  for (const { endpointId } of vips) {
    const endpoint = draft.endpoint(endpointId);
    if (endpoint !== undefined) removeEndpoint(draft, endpoint, nowMs);
  }
}

/** Ingress first, as Docker lists them. */
function wantedVips(
  view: StoreView,
  spec: ServiceSpec,
  ports: readonly PortConfig[],
): readonly Wanted[] | Refusal {
  if (spec.endpoint?.mode === EndpointMode.DNSRR) return [];
  const wanted: Wanted[] = [];
  if (ports.some(isIngress)) {
    const network = view.ingressNetwork();
    if (network === undefined) {
      const sentence = "service needs ingress network, but no ingress network is present";
      return refuse("failed-precondition", sentence);
    }
    wanted.push({ network, aliases: [] });
  }
  for (const { target, aliases } of spec.task?.networks ?? []) {
    // A node's own networks have no object, and no VIP.
    const network = view.network(target);
    if (network !== undefined) wanted.push({ network, aliases });
  }
  return wanted;
}

function makeVip(
  draft: Draft,
  ownerId: string,
  name: string,
  { network, aliases }: Wanted,
  ctx: Context,
): VirtualIp | Refusal {
  const given = takeAddresses(draft, network, { ipv4: "", ipv6: "" });
  if (isRefusal(given)) return given;
  const endpoint: Endpoint = {
    id: ctx.newId(),
    meta: undefined,
    networkId: network.id,
    nodeId: "",
    kind: EndpointKind.VIP,
    name,
    aliases,
    ownerId,
    hostname: "",
    serviceId: ownerId,
    serving: false,
    ...given,
  };
  draft.create("endpoint", endpoint);
  const { ipv4, ipv6 } = given;
  const addresses = ipv4 && ipv6 ? { addr: ipv4, addrIpv6: ipv6 } : { addr: ipv4 || ipv6 };
  return { networkId: network.id, ...addresses, endpointId: endpoint.id };
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
