// The tables of the guard in each namespace of this node.
import type { NamespaceTables } from "../reconcile/table-want.js";
import type { NetworkWant } from "../reconcile/want.js";
import { networkTable } from "./network.js";
import { underlayTable } from "./underlay.js";

export function guardTables(networks: readonly NetworkWant[]): readonly NamespaceTables[] {
  const underlay = underlayTable(networks);
  return [
    ...(underlay ? [{ sandbox: { kind: "host" } as const, tables: [underlay] }] : []),
    ...networks.map((network) => ({
      sandbox: { kind: "network", vni: network.vni } as const,
      tables: [networkTable(network)],
    })),
  ];
}
