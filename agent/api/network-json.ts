// A network → Docker's Network (engine-api.yaml): what `network ls` and `network inspect` show.
import { createHash } from "node:crypto";
import { contains, parseIp, parsePrefix } from "../../common/address.js";
import { type Endpoint, EndpointKind, type Network, type Subnet } from "../../proto/gen/types.js";
import { GATEWAY_NETWORK } from "../localnet/networks.js";
import type { AgentNode, Container } from "../seams.js";
import { networkServicesJson, type SwarmWide } from "./network-services.js";
import {
  driverOf,
  idOf,
  type LocalNetwork,
  labelsOf,
  type NetworkView,
  nameOf,
  scopeOf,
} from "./network-view.js";
import { goTime } from "./times.js";
import type { ApiMinor } from "./version.js";

const VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list";
// Docker Engine API history: v1.48 adds EnableIPv4.
const ENABLE_IPV4_SINCE: ApiMinor = 48;

/** A list does without what is looked up for each network (since API 1.28). */
export type Detail =
  | { readonly kind: "summary" }
  | { readonly kind: "full"; readonly wide: SwarmWide | undefined };

export function networkJson(
  view: NetworkView,
  node: AgentNode,
  version: ApiMinor,
  detail: Detail,
): object {
  const { network } = view;
  const local = view.kind === "swarm" ? view.local : undefined;
  // dockerd has null for a network of the swarm that is not extended to this node, and {} else.
  const isHere = view.kind === "local" || local !== undefined;
  const labels = labelsOf(view);
  return {
    Name: nameOf(view),
    Id: idOf(view),
    Created: goTime(network.meta?.createdAtMs ?? 0),
    Scope: scopeOf(view),
    Driver: driverOf(view),
    ...(version >= ENABLE_IPV4_SINCE ? { EnableIPv4: hasIpv4(network) } : {}),
    EnableIPv6: network.spec?.ipv6 ?? false,
    IPAM: ipamJson(network),
    Internal: network.spec?.internal ?? false,
    Attachable: network.spec?.attachable ?? false,
    Ingress: network.spec?.ingress ?? false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: isHere ? (detail.kind === "full" ? containersJson(view, node) : {}) : null,
    Options: optionsJson(network),
    Labels: isHere || Object.keys(labels).length > 0 ? labels : null,
    ...(detail.kind === "full" && local ? { Peers: peersJson(local, node) } : {}),
    ...(detail.kind === "full" && detail.wide
      ? { Services: networkServicesJson(detail.wide) }
      : {}),
  };
}

function hasIpv4(network: Network): boolean {
  return network.vni === 0 || network.subnets.some(({ cidr }) => !cidr.includes(":"));
}

function ipamJson(network: Network): object {
  const options = network.spec?.ipamOptions ?? {};
  return {
    Driver: network.spec?.ipamDriver || "default",
    Options: Object.keys(options).length > 0 ? options : null,
    Config: network.subnets.map((subnet) => subnetJson(subnet, network.spec?.ipam ?? [])),
  };
}

function subnetJson(
  subnet: Subnet,
  asked: readonly { readonly auxAddresses: Readonly<Record<string, string>> }[],
): object {
  const prefix = parsePrefix(subnet.cidr);
  const aux = asked
    .flatMap(({ auxAddresses }) => Object.entries(auxAddresses))
    .filter(([, address]) => {
      const ip = parseIp(address);
      return prefix !== undefined && ip !== undefined && contains(prefix, ip);
    });
  return {
    Subnet: subnet.cidr,
    ...(subnet.ipRange === "" ? {} : { IPRange: subnet.ipRange }),
    ...(subnet.gateway === "" ? {} : { Gateway: subnet.gateway }),
    ...(aux.length === 0 ? {} : { AuxiliaryAddresses: Object.fromEntries(aux) }),
  };
}

// Go writes the keys of a map in order.
export function optionsJson(network: Network): object {
  const vni = network.vni === 0 ? {} : { [VNI_OPTION]: String(network.vni) };
  const options = { ...network.spec?.driverOpts, ...vni };
  return Object.fromEntries(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function containersJson(view: NetworkView, node: AgentNode): object {
  const rows =
    view.kind === "swarm"
      ? (view.local?.endpoints ?? [])
          .filter(({ kind }) => kind !== EndpointKind.VIP)
          .map((endpoint) => endpointRow(endpoint, node))
      : driverOf(view) === "bridge"
        ? view.endpoints.map((endpoint) => bridgeRow(endpoint, nameOf(view), node))
        : node.containers
            .list()
            .filter((each) => each.state === "running" && each.spec.networkMode === nameOf(view))
            .map((container) => builtinRow(container, nameOf(view)));
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** On docker_gwbridge dockerd shows the sandbox, not the container. */
function bridgeRow(
  endpoint: Endpoint,
  network: string,
  node: AgentNode,
): readonly [string, object] {
  const [key, row] = endpointRow(endpoint, node);
  if (network !== GATEWAY_NETWORK) return [key, row];
  return [key, { ...row, Name: `gateway_${endpoint.ownerId.slice(0, 12)}` }];
}

function endpointRow(endpoint: Endpoint, node: AgentNode): readonly [string, object] {
  // "ep-" is dockerd's key for an endpoint that belongs to no container.
  const key = endpoint.ownerId === "" ? `ep-${endpoint.id}` : containerOf(endpoint, node);
  const row = {
    Name: endpoint.name,
    EndpointID: endpoint.id,
    MacAddress: endpoint.mac,
    IPv4Address: endpoint.ipv4,
    IPv6Address: endpoint.ipv6,
  };
  return [key, row];
}

/** A task's endpoint belongs to the task, and is shown with the container that runs it. */
function containerOf({ kind, ownerId }: Endpoint, node: AgentNode): string {
  if (kind !== EndpointKind.TASK) return ownerId;
  return node.containers.list().find(({ spec }) => spec.taskId === ownerId)?.id ?? ownerId;
}

function builtinRow(container: Container, network: string): readonly [string, object] {
  const row = {
    Name: container.spec.name,
    EndpointID: builtinEndpointId(container.id, network),
    MacAddress: "",
    IPv4Address: "",
    IPv6Address: "",
  };
  return [container.id, row];
}

/** Nothing is allocated on `host` and `none`; clients expect an id all the same. */
export function builtinEndpointId(containerId: string, network: string): string {
  return createHash("sha256").update(`${containerId} ${network}`).digest("hex");
}

function peersJson(local: LocalNetwork, node: AgentNode): readonly object[] {
  const self = node.membership.status();
  const own = { Name: node.host().hostname, IP: self.dataPathAddr || self.nodeAddr };
  const others = local.peers
    .filter((peer) => peer.nodeId !== self.nodeId)
    .map((peer) => ({ Name: peer.hostname || peer.nodeId, IP: peer.addr }));
  return [own, ...others];
}
