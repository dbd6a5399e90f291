// What one service is in the tables of those that call it: its VIP, its backends by number, and its members.
import type { Family, Ip } from "../../common/address.js";
import type { Backend, ReachService } from "../reach/reach.js";
import { addressBytes, hexOf, hostOrder } from "../reconcile/rule-words.js";
import { keepOrder } from "./order.js";

/** Elements of one family, as `MapWant` has them. */
export interface FamilyElements {
  /** Usable backends, by number. */
  readonly backends: readonly (readonly [string, string])[];
  /** Addresses of all backends, usable or not: what has a flow to another one has lost its backend. */
  readonly members: readonly string[];
  readonly vip: string;
  readonly affinity: boolean;
}

export interface ServiceElements {
  readonly service: ReachService;
  /** Endpoint ids of the usable backends, by number. */
  readonly order: readonly string[];
  /** Absent where the service has no VIP of that family. */
  readonly families: ReadonlyMap<Family, FamilyElements>;
}

export function elementsOf(
  service: ReachService,
  before: ServiceElements | undefined,
): ServiceElements {
  const usable = new Map(
    service.backends.filter((each) => each.usable).map((each) => [each.endpointId, each]),
  );
  const order = keepOrder(before?.order ?? [], [...usable.keys()]);
  const ordered = order.flatMap((id) => usable.get(id) ?? []);
  const families = new Map<Family, FamilyElements>();
  for (const family of [4, 6] as const) {
    const vip = service.vip && addressIn(family, service.vip);
    if (vip === undefined) continue;
    families.set(family, familyElements(service, family, vip, ordered));
  }
  return { service, order, families };
}

function familyElements(
  { row, backends }: ReachService,
  family: Family,
  vip: Ip,
  ordered: readonly Backend[],
): FamilyElements {
  const key = hexOf(addressBytes(vip));
  const hex = (backend: Backend) => {
    const ip = addressIn(family, backend);
    return ip === undefined ? [] : [hexOf(addressBytes(ip))];
  };
  return {
    vip: key,
    affinity: row?.affinity === true,
    backends: ordered
      .flatMap(hex)
      .map((address, number) => [key + hexOf(hostOrder(number)), address]),
    members: backends.flatMap(hex),
  };
}

export function addressIn(
  family: Family,
  { ipv4, ipv6 }: { readonly ipv4: Ip | undefined; readonly ipv6: Ip | undefined },
): Ip | undefined {
  return family === 4 ? ipv4 : ipv6;
}
