// Which networks each sandbox of this node is on, in the order of its interfaces.
import type { Endpoint } from "../../proto/gen/types.js";
import type { LocalWant } from "../reconcile/local-want.js";
import type { Owner } from "../reconcile/want.js";

export interface SandboxNetwork {
  readonly networkId: string;
  readonly kind: "swarm" | "local";
  readonly interfaceName: string;
}

/** By container id; each has one at least. */
export function networksOfSandboxes(
  places: ReadonlyMap<string, Owner>,
  endpoints: readonly Pick<Endpoint, "id" | "networkId">[],
  local: LocalWant | undefined,
): ReadonlyMap<string, readonly SandboxNetwork[]> {
  const found = new Map<string, SandboxNetwork[]>();
  const add = (
    { sandbox, interfaceName }: Owner,
    on: Pick<SandboxNetwork, "networkId" | "kind">,
  ) => {
    if (sandbox.kind !== "own") return;
    const networks = found.get(sandbox.id);
    if (networks === undefined) found.set(sandbox.id, [{ ...on, interfaceName }]);
    else networks.push({ ...on, interfaceName });
  };
  for (const { id, networkId } of places.size === 0 ? [] : endpoints) {
    const place = places.get(id);
    if (place !== undefined) add(place, { networkId, kind: "swarm" });
  }
  for (const { networkId, locals } of local?.bridges ?? []) {
    for (const each of locals) add(each, { networkId, kind: "local" });
  }
  for (const networks of found.values()) {
    networks.sort((a, b) => orderOf(a.interfaceName) - orderOf(b.interfaceName));
  }
  return found;
}

/** "eth2" before "eth10"; what has no number last. */
function orderOf(interfaceName: string): number {
  const number = /(\d+)$/.exec(interfaceName)?.[1];
  return number === undefined ? Number.MAX_SAFE_INTEGER : Number(number);
}
