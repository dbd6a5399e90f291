// The networks that this node can name: its own ("bridge", "host", "none", docker_gwbridge, and bridges that
// people made), and the swarm's: all of them on a manager, on a worker those that are extended to it (as in
// Docker).
import type { Endpoint, Network } from "../../proto/gen/types.js";
import { isPredefined } from "../localnet/networks.js";
import type { AgentNode } from "../seams.js";
import { findOne, NETWORK_WORDS } from "./find.js";
import { type Asker, isManager, listNetworks } from "./manager.js";

export type LocalNetwork = ReturnType<AgentNode["localNetworks"]>[number];

export type NetworkView =
  | {
      readonly kind: "local";
      readonly network: Network;
      readonly endpoints: readonly Endpoint[];
    }
  | { readonly kind: "swarm"; readonly network: Network; readonly local: LocalNetwork | undefined };

export async function networkViews(asker: Asker): Promise<readonly NetworkView[]> {
  const { node } = asker;
  const asksManager = await isManager(asker);
  const local = new Map(node.localNetworks().map((each) => [each.network.id, each]));
  const networks = asksManager
    ? await listNetworks(asker)
    : [...local.values()].map(({ network }) => network).filter(({ leaving }) => !leaving);
  const swarm = networks.map(
    (network): NetworkView => ({ kind: "swarm", network, local: local.get(network.id) }),
  );
  return [...localViews(node), ...swarm];
}

export function localViews({ localNets }: AgentNode): readonly NetworkView[] {
  return localNets.list().map((network) => ({
    kind: "local",
    network,
    endpoints: localNets.endpointsOn(network.id),
  }));
}

/** "bridge", "host" and "none": there from the beginning, and for good. */
export function isBuiltin(view: NetworkView): boolean {
  return view.kind === "local" && isPredefined(view.network);
}

export async function findNetwork(
  asker: Asker,
  ref: string,
  accept: (view: NetworkView) => boolean = () => true,
): Promise<NetworkView> {
  const views = (await networkViews(asker)).filter(accept);
  return findOne(ref, views, (view) => ({ id: idOf(view), names: [nameOf(view)] }), NETWORK_WORDS);
}

export function idOf({ network }: NetworkView): string {
  return network.id;
}

export function nameOf({ network }: NetworkView): string {
  return network.spec?.name ?? "";
}

export function scopeOf({ kind }: NetworkView): "local" | "swarm" {
  return kind;
}

export function driverOf({ network }: NetworkView): string {
  return network.spec?.driver || "overlay";
}

export function labelsOf({ network }: NetworkView): Readonly<Record<string, string>> {
  return network.spec?.labels ?? {};
}
