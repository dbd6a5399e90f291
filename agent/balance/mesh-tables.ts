// The mesh's tables in each namespace of this node.
import type { Ip } from "../../common/address.js";
import type { Reach } from "../reach/reach.js";
import type { LocalWant } from "../reconcile/local-want.js";
import { sandboxKey } from "../reconcile/names.js";
import type { NamespaceTables } from "../reconcile/table-want.js";
import type { NetworkWant } from "../reconcile/want.js";
import { meshTable } from "./mesh.js";
import type { MeshNode } from "./mesh-chains.js";
import { returnTables } from "./mesh-return.js";
import type { MeshPort } from "./published.js";

/** By the key of a sandbox: its addresses on the networks that lead out. */
function exitsOf(local: LocalWant | undefined): ReadonlyMap<string, readonly Ip[]> {
  const exits = new Map<string, readonly Ip[]>();
  for (const { sandbox, prefixes, gateways } of local?.bridges.flatMap((each) => each.locals) ??
    []) {
    const families = new Set(gateways?.map(({ family }) => family));
    const ips = prefixes.map(({ ip }) => ip).filter(({ family }) => families.has(family));
    if (ips.length > 0) exits.set(sandboxKey(sandbox), ips);
  }
  return exits;
}

export function meshTables(
  reach: Reach,
  networks: readonly NetworkWant[],
  node: MeshNode,
  local: LocalWant | undefined,
  isOurs: (port: MeshPort) => boolean,
): readonly NamespaceTables[] {
  const locals = networks.flatMap((network) => network.locals);
  const table = locals.some(({ mesh }) => mesh) ? meshTable(reach, node, isOurs) : undefined;
  const machine = table && { sandbox: { kind: "host" } as const, tables: [table] };
  const exits = exitsOf(local);
  const sandboxes = locals
    .filter(({ returning }) => returning !== undefined)
    .map(({ sandbox, interfaceName }) => ({
      sandbox,
      tables: returnTables(node.table, interfaceName, exits.get(sandboxKey(sandbox))),
    }));
  return machine === undefined ? sandboxes : [machine, ...sandboxes];
}
