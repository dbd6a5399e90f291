// Which ports a service is published under, over all nodes: those it asked for, and for the others the
// ones it has already or the lowest that are free.
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import {
  type PortConfig,
  PortProtocol,
  PublishMode,
  type Service,
  type ServiceSpec,
} from "../../proto/gen/service.js";
import type { StoreView } from "../store/view.js";

// Docker's range (swarmkit manager/allocator/portallocator.go).
const FIRST = 30_000;
const LAST = 32_767;

/** `before` is the service as it is stored, if it is. */
export function planPorts(
  view: StoreView,
  spec: ServiceSpec,
  before: Service | undefined,
): readonly PortConfig[] | Refusal {
  const wanted = spec.endpoint?.ports ?? [];
  const conflict = findConflict(view, wanted, before?.id);
  if (conflict !== undefined) return conflict;
  const claimed = new Set(wanted.filter((port) => port.publishedPort !== 0).map(keyOf));
  const ports: PortConfig[] = [];
  for (const port of wanted) {
    const given = isIngress(port) && port.publishedPort === 0;
    const published = given ? choosePort(view, port, before, claimed) : port.publishedPort;
    if (isRefusal(published)) return published;
    const full = { ...port, publishedPort: published };
    if (given) claimed.add(keyOf(full));
    ports.push(full);
  }
  return ports;
}

/** A service keeps what it was given, so that a port does not wander with every update. */
function choosePort(
  view: StoreView,
  port: PortConfig,
  before: Service | undefined,
  claimed: ReadonlySet<string>,
): number | Refusal {
  const kept = before?.ports.find(
    (other) =>
      isIngress(other) &&
      other.protocol === port.protocol &&
      other.targetPort === port.targetPort &&
      other.name === port.name &&
      !claimed.has(keyOf(other)),
  );
  if (kept !== undefined) return kept.publishedPort;
  for (let first = FIRST; first <= LAST; ) {
    const free = view.lowestFreePort(port.protocol, first, LAST);
    if (free === undefined) break;
    if (!claimed.has(keyOf({ ...port, publishedPort: free }))) return free;
    first = free + 1;
  }
  return refuse("resource-exhausted", `no port between ${FIRST} and ${LAST} is left to publish`);
}

function findConflict(
  view: StoreView,
  wanted: readonly PortConfig[],
  ownId: string | undefined,
): Refusal | undefined {
  const published = wanted.filter((port) => port.publishedPort !== 0);
  for (const { protocol, publishedPort } of published) {
    const holder = view.portHolder(protocol, publishedPort);
    if (holder !== undefined && holder.id !== ownId) {
      return inUse(publishedPort, holder, "an ingress port");
    }
  }
  const ingress = new Set(published.filter(isIngress).map(keyOf));
  if (ingress.size === 0) return undefined;
  // Nodes publish host ports themselves, so no index has them. Services are few, and publishing is rare.
  for (const service of view.services()) {
    if (service.id === ownId) continue;
    const port = service.ports.find((each) => !isIngress(each) && ingress.has(keyOf(each)));
    if (port !== undefined) return inUse(port.publishedPort, service, "a host-published port");
  }
  return undefined;
}

// swarmkit manager/controlapi/service.go.
function inUse(port: number, { id, spec }: Service, how: string): Refusal {
  const sentence = `port '${port}' is already in use by service '${spec?.name}' (${id}) as ${how}`;
  return refuse("invalid-argument", sentence);
}

export function isIngress(port: PortConfig): boolean {
  return port.publishMode === PublishMode.INGRESS;
}

/** Whether the service, as it is, has a part on the ingress network. */
export function usesIngress(service: Service): boolean {
  return service.ports.some(isIngress);
}

function keyOf(port: Pick<PortConfig, "protocol" | "publishedPort">): string {
  return `${PortProtocol[port.protocol]}/${port.publishedPort}`;
}
