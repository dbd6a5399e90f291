// Which ports are published for the whole swarm, and whose they are.
import { type PortConfig, PortProtocol, PublishMode } from "../../proto/gen/service.js";
import type { Reach, ReachService } from "../reach/reach.js";
import type { PortProtocol as Protocol } from "../reconcile/local-want.js";

/** A port that leads into the mesh on every node. */
export interface MeshPort {
  readonly protocol: Protocol;
  readonly port: number;
  /** Of the service. */
  readonly name: string;
}

const PROTOCOLS: Readonly<Record<number, Protocol>> = {
  [PortProtocol.TCP]: "tcp",
  [PortProtocol.UDP]: "udp",
  [PortProtocol.SCTP]: "sctp",
};

/** A port of a service that is reached on every node. */
export interface Published {
  readonly protocol: Protocol;
  readonly port: number;
  readonly target: number;
  readonly service: ReachService;
}

export function meshPorts(reach: Reach): readonly MeshPort[] {
  return publishedIn(reach).map(({ protocol, port, service }) => ({
    protocol,
    port,
    name: service.name,
  }));
}

/** The services of the network of published ports. */
export function ingressServices(reach: Reach): readonly ReachService[] {
  return [...reach.networks.values()].find(({ network }) => network.spec?.ingress)?.services ?? [];
}

export function ingressPorts(ports: readonly PortConfig[]): readonly PortConfig[] {
  return ports.filter(
    ({ publishMode, publishedPort }) => publishMode === PublishMode.INGRESS && publishedPort > 0,
  );
}

/** In order of protocol and port. A service that is on its way out has no address of its own any more. */
export function publishedIn(reach: Reach): readonly Published[] {
  return ingressServices(reach)
    .filter(({ vip }) => vip !== undefined)
    .flatMap((service) =>
      ingressPorts(service.row?.ports ?? []).flatMap(({ protocol, publishedPort, targetPort }) => {
        const known = PROTOCOLS[protocol];
        if (known === undefined) return [];
        return [{ protocol: known, port: publishedPort, target: targetPort, service }];
      }),
    )
    .toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}
