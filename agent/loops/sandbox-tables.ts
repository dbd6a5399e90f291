// The tables of the sandboxes of this node: joins what can be reached with who lives where. The same objects come
// out while nothing changes, so that a change of one service costs what it changes.
import type { Assignments } from "../../proto/gen/dispatcher.js";
import type { ResolverPorts } from "../balance/chains.js";
import { Balance, type Inhabited, type Inside } from "../balance/tables.js";
import { type Reach, reachOf } from "../reach/reach.js";
import { sandboxKey, TABLE } from "../reconcile/names.js";
import type { NamespaceTables } from "../reconcile/table-want.js";
import type { Owner, SandboxRef } from "../reconcile/want.js";

export class SandboxTables {
  // What is not ours alone has the table of the machine's own networks already.
  readonly #balance = new Balance(({ kind }) => (kind === "own" ? TABLE : `${TABLE}_vips`));
  #from: { readonly held: Assignments; readonly reach: Reach } | undefined;

  /** The view of these assignments, made once. */
  reach(held: Assignments, nodeId: string): Reach {
    if (this.#from?.held === held) return this.#from.reach;
    const reach = reachOf(held, nodeId, this.#from?.reach);
    this.#from = { held, reach };
    return reach;
  }

  /** `reach` is undefined in no swarm. `resolvers`: by the id of the sandbox. */
  tables(
    reach: Reach | undefined,
    owners: ReadonlyMap<string, Owner>,
    resolvers: ReadonlyMap<string, ResolverPorts>,
  ): readonly NamespaceTables[] {
    const found = new Map<string, { readonly sandbox: SandboxRef; readonly insides: Inside[] }>();
    const at = (sandbox: SandboxRef) => {
      const key = sandboxKey(sandbox);
      const known = found.get(key) ?? { sandbox, insides: [] };
      found.set(key, known);
      return known.insides;
    };
    for (const id of resolvers.keys()) at({ kind: "own", id });
    for (const network of reach?.networks.values() ?? []) {
      for (const endpoint of network.own.values()) {
        const owner = owners.get(endpoint.id);
        if (owner === undefined) continue;
        at(owner.sandbox).push({ network, endpoint, interfaceName: owner.interfaceName });
      }
    }
    const inhabited = [...found.values()].map(({ sandbox, insides }): Inhabited => {
      const resolver = sandbox.kind === "own" ? resolvers.get(sandbox.id) : undefined;
      return { sandbox, insides, resolver };
    });
    return this.#balance.tables(reach ?? NOWHERE, inhabited);
  }
}

const NOWHERE: Reach = { revision: 0, networks: new Map() };
