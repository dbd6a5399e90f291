// Whether a network may be brought into a namespace that is not ours (the machine's own, or a foreign
// one): its subnets become routes there, and must not take traffic from where it goes now.
import { formatPrefix, overlaps, type Prefix, parsePrefix } from "../../common/address.js";
import type { NamespaceHave } from "./have.js";
import { aliasOf } from "./names.js";

/**
 * Why not, as a sentence; undefined if it may. What the endpoint itself put there in an earlier run does
 * not count. A default route overlaps everything and is no clash: a longer prefix always goes first.
 */
export function attachmentClash(
  inside: NamespaceHave,
  endpoint: { readonly endpointId: string; readonly interfaceName: string },
  subnets: readonly Prefix[],
  /** How the namespace is called in the sentence: "this machine", "/run/netns/build". */
  where: string,
): string | undefined {
  const alias = aliasOf(endpoint.endpointId);
  const names = new Map(inside.links.map((link) => [link.ifindex, link.name]));
  const ours = inside.links.find((link) => link.alias === alias)?.ifindex;
  const taken = inside.links.find(({ name }) => name === endpoint.interfaceName);
  if (taken !== undefined && taken.ifindex !== ours) {
    return `There is already an interface named ${endpoint.interfaceName} on ${where}.`;
  }
  for (const route of inside.routes) {
    const prefix = parsePrefix(route.prefix);
    if (
      prefix === undefined ||
      prefix.length === 0 ||
      (ours !== undefined && route.ifindex === ours)
    )
      continue;
    const subnet = subnets.find((candidate) => overlaps(candidate, prefix));
    if (subnet === undefined) continue;
    const device = names.get(route.ifindex);
    const via = device === undefined ? "" : ` on ${device}`;
    return `The subnet ${formatPrefix(subnet)} overlaps the route ${route.prefix}${via} that ${where} has already.`;
  }
  return undefined;
}
