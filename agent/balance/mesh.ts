// The routing mesh as a table of nf_tables: what the machine does with a packet to a published port. docs/mesh.md draws
// the way; mesh-return.ts has the answer's. Services cost elements of maps, never rules.
//
//   guard        what comes by the mesh's device is an answer, or nothing
//   prerouting   (protocol . port) in `ports` → pick-N or hash-N; an address of loopback is this machine's own
//   output       the same for what this machine sends
//   pick-N       one of N by chance: (protocol . port . n) in `backends` → address and port
//   hash-N       the same by the client's address
//   forward      into the mesh goes only what was published
//   refuse       a published port that led nowhere is refused at once
//   postrouting  sources that mean nothing elsewhere become this node's own
import { type Ip, ipToBytes } from "../../common/address.js";
import { IngressMode } from "../../proto/gen/dispatcher.js";
import type { Backend, Reach, ReachService } from "../reach/reach.js";
import { meshIpv6 } from "../reconcile/mesh-want.js";
import { hexOf, hostOrder, IPPROTO, networkOrder16 } from "../reconcile/rule-words.js";
import type { ChainWant, TableWant } from "../reconcile/table-want.js";
import { hookedChains, type MeshNode, pickChain, pickName } from "./mesh-chains.js";
import { addressSet, BACKENDS, HIDDEN, knownMaps, PORTS, PUBLISHED } from "./mesh-maps.js";
import {
  ingressPorts,
  ingressServices,
  type MeshPort,
  type Published,
  publishedIn,
} from "./published.js";

/** Undefined: no service publishes a port. `isOurs`: whether the port is kept from others on this machine. */
export function meshTable(
  reach: Reach,
  node: MeshNode,
  isOurs: (port: MeshPort) => boolean,
): TableWant | undefined {
  const services = ingressServices(reach);
  if (!services.some(({ row }) => ingressPorts(row?.ports ?? []).length > 0)) return undefined;
  const published = publishedIn(reach).filter(({ service, ...port }) =>
    isOurs({ ...port, name: service.name }),
  );
  const ports = new Map<string, string>();
  const backends4 = new Map<string, string>();
  const backends6 = new Map<string, string>();
  const chains = new Map<string, ChainWant>();
  for (const { protocol, port, target, service } of published) {
    const backends = usableOn(service, node);
    if (backends.length === 0) continue;
    const choice = service.row?.affinity ? "hash" : "pick";
    const name = pickName(choice, backends.length);
    if (!chains.has(name)) chains.set(name, pickChain(choice, backends.length, node.hasIpv6));
    const key = [Uint8Array.of(IPPROTO[protocol]), networkOrder16(port)] as const;
    ports.set(hexOf(...key), name);
    backends.forEach((ip, n) => {
      const [at, to] = [hexOf(...key, hostOrder(n)), networkOrder16(target)];
      backends4.set(at, hexOf(ipToBytes(ip), to));
      if (node.hasIpv6) backends6.set(at, hexOf(ipToBytes(meshIpv6(ip)), to));
    });
  }
  const sources = published.filter(({ service }) => service.row?.ingress === IngressMode.SNAT);
  return {
    family: "inet",
    name: node.table,
    maps: [
      { ...PORTS, elements: ports },
      { ...PUBLISHED, elements: new Map(published.map((each) => [keyOf(each), ""])) },
      { ...BACKENDS[4], elements: backends4 },
      { ...BACKENDS[6], elements: backends6 },
      { ...HIDDEN, elements: addressSet(sources.flatMap(({ service }) => addresses(service))) },
      ...knownMaps(services.flatMap(addresses)),
    ],
    chains: [
      ...hookedChains(node),
      ...[...chains.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    ],
  };
}

function usableOn({ backends, row }: ReachService, { nodeId }: MeshNode): readonly Ip[] {
  const isLocal = row?.ingress === IngressMode.LOCAL;
  return backends
    .filter((backend) => backend.usable && (!isLocal || backend.nodeId === nodeId))
    .flatMap(({ ipv4 }) => ipv4 ?? []);
}

function addresses({ backends }: ReachService): readonly Ip[] {
  return backends.flatMap(({ ipv4 }: Backend) => ipv4 ?? []);
}

function keyOf({ protocol, port }: Published): string {
  return hexOf(Uint8Array.of(IPPROTO[protocol]), networkOrder16(port));
}
