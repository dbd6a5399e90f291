// A network → Docker's Network (engine-api.yaml): what `network ls` and `network inspect` show.
import { createHash } from "node:crypto";
import { contains, parseIp, parsePrefix } from "../../common/address.js";
import type { Endpoint, Network, Node, Subnet } from "../../proto/gen/types.js";
import type { AgentNode, Container } from "../seams.js";
import {
  driverOf,
  idOf,
  type LocalNetwork,
  labelsOf,
  type NetworkView,
  nameOf,
  scopeOf,
} from "./network-view.js";
import { goTime, NEVER } from "./times.js";
import type { ApiMinor } from "./version.js";

const VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list";
// Docker Engine API history: v1.48 adds EnableIPv4.
const ENABLE_IPV4_SINCE: ApiMinor = 48;

/** Everything on the network, swarm-wide: what `--verbose` adds on a manager. */
export interface SwarmWide {
  readonly endpoints: readonly Endpoint[];
  readonly nodes: ReadonlyMap<string, Node>;
}

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
  const network = view.kind === "swarm" ? view.network : undefined;
  const local = view.kind === "swarm" ? view.local : undefined;
  // dockerd has null for a network of the swarm that is not extended to this node, and {} else.
  const isHere = view.kind === "builtin" || local !== undefined;
  const labels = labelsOf(view);
  return {
    Name: nameOf(view),
    Id: idOf(view),
    Created: network ? goTime(network.meta?.createdAtMs ?? 0) : NEVER,
    Scope: scopeOf(view),
    Driver: driverOf(view),
    ...(version >= ENABLE_IPV4_SINCE ? { EnableIPv4: hasIpv4(network) } : {}),
    EnableIPv6: network?.spec?.ipv6 ?? false,
    IPAM: ipamJson(network),
    Internal: network?.spec?.internal ?? false,
    Attachable: network?.spec?.attachable ?? false,
    Ingress: network?.spec?.ingress ?? false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: isHere ? (detail.kind === "full" ? containersJson(view, node) : {}) : null,
    Options: network ? optionsJson(network) : {},
    Labels: isHere || Object.keys(labels).length > 0 ? labels : null,
    ...(detail.kind === "full" && local ? { Peers: peersJson(local, node) } : {}),
    ...(detail.kind === "full" && detail.wide ? { Services: servicesJson(detail.wide) } : {}),
  };
}

function hasIpv4(network: Network | undefined): boolean {
  return network === undefined || network.subnets.some(({ cidr }) => !cidr.includes(":"));
}

function ipamJson(network: Network | undefined): object {
  const options = network?.spec?.ipamOptions ?? {};
  return {
    Driver: network?.spec?.ipamDriver || "default",
    Options: Object.keys(options).length > 0 ? options : null,
    Config: (network?.subnets ?? []).map((subnet) => subnetJson(subnet, network?.spec?.ipam ?? [])),
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
function optionsJson(network: Network): object {
  const options = { ...network.spec?.driverOpts, [VNI_OPTION]: String(network.vni) };
  return Object.fromEntries(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function containersJson(view: NetworkView, node: AgentNode): object {
  const rows =
    view.kind === "swarm"
      ? (view.local?.endpoints ?? []).map(endpointRow)
      : node.containers
          .list()
          .filter((each) => each.state === "running" && each.spec.networkMode === view.name)
          .map((container) => builtinRow(container, view.name));
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function endpointRow(endpoint: Endpoint): readonly [string, object] {
  // "ep-" is dockerd's key for an endpoint that belongs to no container.
  const key = endpoint.ownerId === "" ? `ep-${endpoint.id}` : endpoint.ownerId;
  const row = {
    Name: endpoint.name,
    EndpointID: endpoint.id,
    MacAddress: endpoint.mac,
    IPv4Address: endpoint.ipv4,
    IPv6Address: endpoint.ipv6,
  };
  return [key, row];
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

// Docker lists what is no service under the empty name.
function servicesJson({ endpoints, nodes }: SwarmWide): object {
  const tasks = endpoints.map((endpoint) => ({
    Name: endpoint.name,
    EndpointID: endpoint.id,
    EndpointIP: (endpoint.ipv4 || endpoint.ipv6).replace(/\/.*$/, ""),
    Info: { "Host IP": hostIpOf(nodes.get(endpoint.nodeId)) },
  }));
  return tasks.length === 0
    ? {}
    : { "": { VIP: "<nil>", Ports: [], LocalLBIndex: 0, Tasks: tasks } };
}

function hostIpOf(node: Node | undefined): string {
  return node?.dataPathAddr || node?.addr || "";
}
