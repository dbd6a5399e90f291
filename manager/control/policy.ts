// Policies: on a network with the option skein.policy=deny, who may talk to which service.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { AllowPolicyRequest, RemoveRequest } from "../../proto/gen/control.js";
import type { Service } from "../../proto/gen/service.js";
import {
  type Network,
  type Policy,
  type PolicyPort,
  PolicyProtocol,
} from "../../proto/gen/types.js";
import type { Draft, StoreView } from "../store/view.js";
import type { Context } from "./context.js";
import { POLICY_OPTION } from "./driver-options.js";
import { findNetwork } from "./network-lookup.js";
import { findService } from "./work-lookup.js";

// Choice: an element in every receiving sandbox for each port and each allowed task.
const PORTS_MAX = 64;
// Choice: every node of the network is told all of them.
const POLICIES_MAX = 1_000;
const PORT_MAX = 65_535;

/** What is allowed already between the two gets the ports too: one policy a pair. */
export function allowPolicy(
  draft: Draft,
  request: AllowPolicyRequest,
  ctx: Context,
): Policy | Refusal {
  const wrong = request.ports.map(portProblem).find((problem) => problem !== undefined);
  if (wrong !== undefined) return refuse("invalid-argument", wrong);
  const to = findService(draft, request.to);
  if (isRefusal(to)) return to;
  const from = request.from === "" ? undefined : findService(draft, request.from);
  if (isRefusal(from)) return from;
  const network = networkFor(draft, request.network, to, from);
  if (isRefusal(network)) return network;
  const fromServiceId = from?.id ?? "";
  const onNetwork = [...draft.policiesOn(network.id)];
  const known = onNetwork.find(
    (policy) => policy.fromServiceId === fromServiceId && policy.toServiceId === to.id,
  );
  if (known === undefined && onNetwork.length >= POLICIES_MAX) {
    return refuse("resource-exhausted", `a network has at most ${POLICIES_MAX} policies`);
  }
  const ports = known === undefined ? once(request.ports) : joined(known.ports, request.ports);
  if (ports.length > PORTS_MAX) {
    return refuse("invalid-argument", `a policy names at most ${PORTS_MAX} ports`);
  }
  if (known !== undefined) {
    draft.update("policy", { ...known, ports });
    return draft.policy(known.id) ?? known;
  }
  const policy: Policy = {
    id: ctx.newId(),
    meta: undefined,
    networkId: network.id,
    fromServiceId,
    toServiceId: to.id,
    ports,
  };
  draft.create("policy", policy);
  return draft.policy(policy.id) ?? policy;
}

export function removePolicy(draft: Draft, { id }: RemoveRequest): Refusal | undefined {
  if (draft.policy(id) === undefined) return refuse("not-found", `policy ${id} not found`);
  draft.remove("policy", id);
  return undefined;
}

/** A policy goes with what it is about. */
export function dropPoliciesOf(draft: Draft, kind: "service" | "network", id: string): void {
  const policies = kind === "network" ? draft.policiesOn(id) : draft.policies();
  for (const policy of [...policies]) {
    const about = kind === "network" || policy.fromServiceId === id || policy.toServiceId === id;
    if (about) draft.remove("policy", policy.id);
  }
}

/** Those of networks that the service is no longer on. Its tasks that still leave them are new to nobody. */
export function dropPoliciesElsewhere(draft: Draft, service: Service): void {
  const { id } = service;
  for (const policy of [...draft.policies()]) {
    if (policy.fromServiceId !== id && policy.toServiceId !== id) continue;
    const network = draft.network(policy.networkId);
    if (network !== undefined && !isOn(service, network)) draft.remove("policy", policy.id);
  }
}

function denies(network: Network): boolean {
  return network.spec?.driverOpts[POLICY_OPTION] === "deny";
}

function networkFor(
  view: StoreView,
  ref: string,
  to: Service,
  from: Service | undefined,
): Network | Refusal {
  if (ref === "") {
    const shared = [...view.networks()].filter(
      (network) => denies(network) && isOn(to, network) && (!from || isOn(from, network)),
    );
    const [only] = shared;
    if (only !== undefined && shared.length === 1) return only;
    const which = shared.map(({ spec }) => spec?.name).join(", ");
    return only === undefined
      ? refuse("failed-precondition", "no network with skein.policy=deny that both services are on")
      : refuse("invalid-argument", `several networks with skein.policy=deny: ${which}; name one`);
  }
  const network = findNetwork(view, ref);
  if (isRefusal(network)) return network;
  const name = network.spec?.name;
  if (!denies(network)) {
    const sentence = `network ${name} denies nothing: it was made without --opt ${POLICY_OPTION}=deny`;
    return refuse("failed-precondition", sentence);
  }
  for (const service of [to, ...(from ? [from] : [])]) {
    if (isOn(service, network)) continue;
    const sentence = `service ${service.spec?.name} is not on network ${name}`;
    return refuse("invalid-argument", sentence);
  }
  return network;
}

function isOn(service: Service, network: Network): boolean {
  return service.spec?.task?.networks.some(({ target }) => target === network.id) === true;
}

/** No ports is every port, and swallows what is said beside it. */
function joined(a: readonly PolicyPort[], b: readonly PolicyPort[]): readonly PolicyPort[] {
  return a.length === 0 || b.length === 0 ? [] : once([...a, ...b]);
}

function once(ports: readonly PolicyPort[]): readonly PolicyPort[] {
  const key = ({ protocol, port }: PolicyPort) => `${protocol}/${port}`;
  return [...new Map(ports.map((port) => [key(port), port])).values()];
}

function portProblem({ protocol, port }: PolicyPort): string | undefined {
  if (!(protocol in PolicyProtocol)) return `unknown protocol ${protocol}`;
  if (Number.isInteger(port) && port >= 0 && port <= PORT_MAX) return undefined;
  return `invalid port ${port}`;
}
