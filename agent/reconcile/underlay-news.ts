// Which devices of the machine's own namespace matter here: it has many others, and theirs is no news.
import type { NamespaceHave, NetworkHave } from "./have.js";
import { ALIAS } from "./names.js";

/** By ifindex: those that are ours, and those that have a VTEP's address. */
export function devicesToHearOf(
  underlay: NamespaceHave,
  networks: ReadonlyMap<number, NetworkHave>,
): ReadonlySet<number> {
  const vteps = new Set<string>();
  for (const { links } of networks.values()) {
    for (const { vxlan } of links.values()) if (vxlan !== undefined) vteps.add(vxlan.local);
  }
  const own = underlay.links.filter(({ alias }) => alias.startsWith(ALIAS));
  const ways = underlay.addresses.filter(({ prefix }) =>
    vteps.has(prefix.slice(0, prefix.indexOf("/"))),
  );
  return new Set([...own, ...ways].map(({ ifindex }) => ifindex));
}
