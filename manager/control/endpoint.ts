// Endpoints: an address on a network for something on a node, and its return.
import { canEncrypt, isEncrypted, whyNotEncrypt } from "../../common/encrypted.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import type { AttachRequest, AttachResponse } from "../../proto/gen/dispatcher.js";
import { type Endpoint, EndpointKind } from "../../proto/gen/types.js";
import { takeAddresses } from "../ipam/addresses.js";
import { restAddress } from "../ipam/quarantine.js";
import { addressesOf } from "../store/network-index.js";
import type { Draft, StoreView } from "../store/view.js";
import { checkAliases, checkName } from "./names.js";
import { endIfLeft } from "./network-end.js";
import { findNetwork } from "./network-lookup.js";

// Local ids are 64 hexadecimal digits; this leaves room for whoever makes other ones.
const ENDPOINT_ID = /^[0-9a-zA-Z_.-]{1,128}$/;

/** For the node that asks. Asking again with the same endpoint id answers the same endpoint. */
export function attach(
  draft: Draft,
  request: AttachRequest,
  nodeId: string,
): AttachResponse | Refusal {
  const node = draft.node(nodeId);
  if (node === undefined) return refuse("not-found", `node ${nodeId} not found`);
  const known = draft.endpoint(request.endpointId);
  if (known !== undefined) return answerAgain(draft, known, nodeId);
  if (!ENDPOINT_ID.test(request.endpointId)) {
    return refuse("invalid-argument", `invalid endpoint id ${JSON.stringify(request.endpointId)}`);
  }
  const network = findNetwork(draft, request.network);
  if (isRefusal(network)) return network;
  if (network.spec?.attachable !== true) {
    const sentence = `network ${network.spec?.name} not manually attachable`;
    return refuse("failed-precondition", sentence);
  }
  if (isEncrypted(network) && !canEncrypt(node.description)) {
    const host = node.description?.hostname || nodeId;
    const sentence = `network ${network.spec?.name} is encrypted, and node ${host} cannot encrypt: ${whyNotEncrypt(node.description)}`;
    return refuse("failed-precondition", sentence);
  }
  const refusal =
    checkName("name", request.name) ??
    checkName("hostname", request.hostname) ??
    checkAliases(request.aliases);
  if (refusal !== undefined) return refusal;
  const given = takeAddresses(draft, network, { ipv4: request.ipv4, ipv6: request.ipv6 });
  if (isRefusal(given)) return given;
  const endpoint: Endpoint = {
    id: request.endpointId,
    meta: undefined,
    networkId: network.id,
    nodeId,
    kind: EndpointKind.ATTACHMENT,
    name: request.name,
    aliases: request.aliases,
    ownerId: request.ownerId || request.endpointId,
    hostname: request.hostname,
    serviceId: "",
    serving: false,
    ...given,
  };
  draft.create("endpoint", endpoint);
  return { endpoint: draft.endpoint(endpoint.id) ?? endpoint, network };
}

function answerAgain(view: StoreView, known: Endpoint, nodeId: string): AttachResponse | Refusal {
  if (known.nodeId !== nodeId) {
    const sentence = `endpoint ${known.id} belongs to another node`;
    return refuse("permission-denied", sentence);
  }
  return { endpoint: known, network: view.network(known.networkId) };
}

/** Detaching what is not there is no error. */
export function detach(
  draft: Draft,
  endpointId: string,
  nodeId: string,
  nowMs: number,
): Refusal | undefined {
  const endpoint = draft.endpoint(endpointId);
  if (endpoint === undefined) return undefined;
  if (endpoint.nodeId !== nodeId) {
    return refuse("permission-denied", `endpoint ${endpointId} belongs to another node`);
  }
  removeEndpoint(draft, endpoint, nowMs);
  return undefined;
}

/** The endpoint goes, its addresses rest; or the network goes with it, if it only waited for this. */
export function removeEndpoint(draft: Draft, endpoint: Endpoint, nowMs: number): void {
  draft.remove("endpoint", endpoint.id);
  if (endIfLeft(draft, endpoint.networkId, nowMs)) return;
  for (const address of addressesOf(endpoint)) {
    restAddress(draft, endpoint.networkId, address, nowMs);
  }
}

/** For a sentence: "web (10.0.1.3 on node h2)". */
export function describeEndpoint(view: StoreView, endpoint: Endpoint): string {
  const node = view.node(endpoint.nodeId);
  const host = node?.description?.hostname || node?.spec?.name || endpoint.nodeId;
  if (endpoint.kind !== EndpointKind.ATTACHMENT) {
    // Docker's words: of what a service has, its id.
    const owner = endpoint.kind === EndpointKind.TASK ? "task" : "service";
    return `${owner} ${endpoint.ownerId}`;
  }
  const name = endpoint.name === "" ? "" : ` ${endpoint.name}`;
  return `endpoint${name} (${addressesOf(endpoint).join(", ")} on node ${host})`;
}
