// Whether a network's subnets can be reached where something else may be routed already.
import { contains, overlaps, parsePrefix } from "../../common/address.js";
import type { Network } from "../../proto/gen/types.js";
import type { NamespaceHave } from "./have.js";

/** The route that is in the way, in words. `own`: interfaces there that are on this very network. */
export function routeConflict(
  network: Network,
  inside: Pick<NamespaceHave, "links" | "routes">,
  own: ReadonlySet<string>,
): string | undefined {
  for (const { cidr } of network.subnets) {
    const subnet = parsePrefix(cidr);
    if (subnet === undefined) continue;
    for (const route of inside.routes) {
      const prefix = parsePrefix(route.prefix);
      if (prefix === undefined || prefix.length === 0 || !overlaps(prefix, subnet)) continue;
      // A wider route through a gateway goes on working for all but this subnet, as routes do.
      const wider = prefix.length < subnet.length && contains(prefix, subnet.ip);
      if (wider && route.gateway !== undefined) continue;
      const link = inside.links.find(({ ifindex }) => ifindex === route.ifindex);
      if (link !== undefined && own.has(link.name)) continue;
      const via = link === undefined ? "" : ` of interface ${link.name}`;
      return `subnet ${cidr} of network ${network.spec?.name ?? network.id} overlaps the route ${route.prefix}${via}`;
    }
  }
  return undefined;
}
