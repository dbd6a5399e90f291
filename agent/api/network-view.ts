// The networks that this node can name: `host` and `none`, which are ways to run and always there, and
// the swarm's: all of them on a manager, on a worker those that are extended to it (as in Docker).
import { createHash } from "node:crypto";
import type { Network } from "../../proto/gen/types.js";
import type { AgentNode } from "../seams.js";
import { findOne, NETWORK_WORDS } from "./find.js";
import { type Asker, isManager, listNetworks } from "./manager.js";

export type LocalNetwork = ReturnType<AgentNode["localNetworks"]>[number];

export type NetworkView =
  | {
      readonly kind: "builtin";
      readonly id: string;
      readonly name: "host" | "none";
      readonly driver: "host" | "null";
    }
  | { readonly kind: "swarm"; readonly network: Network; readonly local: LocalNetwork | undefined };

export async function networkViews(asker: Asker): Promise<readonly NetworkView[]> {
  const { node } = asker;
  const local = new Map(node.localNetworks().map((each) => [each.network.id, each]));
  const networks = isManager(node)
    ? await listNetworks(asker)
    : [...local.values()].map(({ network }) => network);
  const swarm = networks.map(
    (network): NetworkView => ({ kind: "swarm", network, local: local.get(network.id) }),
  );
  return [...builtins(node), ...swarm];
}

export function builtins(node: AgentNode): readonly NetworkView[] {
  const { agentId } = node.host();
  return [
    { kind: "builtin", id: builtinId(agentId, "host"), name: "host", driver: "host" },
    { kind: "builtin", id: builtinId(agentId, "none"), name: "none", driver: "null" },
  ];
}

// The same after every restart, another on every node, as Docker's are.
function builtinId(agentId: string, name: string): string {
  return createHash("sha256").update(`${agentId} network ${name}`).digest("hex");
}

export async function findNetwork(
  asker: Asker,
  ref: string,
  accept: (view: NetworkView) => boolean = () => true,
): Promise<NetworkView> {
  const views = (await networkViews(asker)).filter(accept);
  return findOne(ref, views, (view) => ({ id: idOf(view), names: [nameOf(view)] }), NETWORK_WORDS);
}

export function idOf(view: NetworkView): string {
  return view.kind === "builtin" ? view.id : view.network.id;
}

export function nameOf(view: NetworkView): string {
  return view.kind === "builtin" ? view.name : (view.network.spec?.name ?? "");
}

export function scopeOf(view: NetworkView): "local" | "swarm" {
  return view.kind === "builtin" ? "local" : "swarm";
}

export function driverOf(view: NetworkView): string {
  return view.kind === "builtin" ? view.driver : view.network.spec?.driver || "overlay";
}

export function labelsOf(view: NetworkView): Readonly<Record<string, string>> {
  return view.kind === "builtin" ? {} : (view.network.spec?.labels ?? {});
}
