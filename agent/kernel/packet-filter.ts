// Our tables of nf_tables in every namespace that has some: looked at, changed; and the flows that are forgotten with
// them. What is in the tables of a namespace is remembered together with the generation that the kernel gives all
// rules of that namespace: as long as that is the same, nobody has changed anything. Interfaces that come and
// go do not raise it, so tables of netdev are looked at each time.
import { EINVAL, EOPNOTSUPP } from "../../common/errno.js";
import { dropOf, type RuleDrops } from "../guard/drops.js";
import { STRANGERS_SETS, type Stranger, strangerOf } from "../guard/strangers.js";
import { GUARD_TABLE } from "../guard/underlay.js";
import { batchBegin, batchEnd, getGeneration } from "../netlink/nftables.js";
import { NETLINK_NETFILTER, NFPROTO_BRIDGE, NFPROTO_INET } from "../netlink/nftables-constants.js";
import { decodeGeneration } from "../netlink/nftables-decode.js";
import { NetlinkWriter } from "../netlink/writer.js";
import { kernelTable, sandboxKey } from "../reconcile/names.js";
import { type NamespaceTablesHave, type TableHave, tableHaveOf } from "../reconcile/table-have.js";
import { type ChangeTables, type TableChange, transactionsOf } from "../reconcile/table-plan.js";
import type { SandboxRef, TablePlace } from "../reconcile/want.js";
import { forgetFlows } from "./flows.js";
import { foreignDrops } from "./foreign-filters.js";
import { NetlinkError, type NetlinkEvents, NetlinkSocket } from "./netlink-socket.js";
import { countRules, dumpTables, elementsIn, writeChange } from "./packet-tables.js";
import type { Places } from "./places.js";
import type { SandboxWatch } from "./sandbox-watch.js";
import { sentenceFault } from "./sentence.js";
import { tableEvents } from "./table-events.js";

// Choice: a dump that others' changes overtake this often is taken as it is; the next look sees the rest.
const LOOKS = 3;
const HOST: TablePlace = { kind: "host" };

interface Known {
  readonly sandbox: TablePlace;
  /** What tells the namespace from one that stands at the same place later. */
  readonly namespace: string;
  readonly generation: number;
  readonly tables: readonly TableHave[];
}

export class PacketFilters {
  readonly #host = new NetlinkSocket([], NETLINK_NETFILTER);
  readonly events: NetlinkEvents;
  readonly #known = new Map<string, Known>();
  #forwardDrops: readonly string[] = [];

  constructor(
    private readonly runDir: string,
    private readonly places: Places,
    private readonly sandboxes?: SandboxWatch,
  ) {
    this.events = tableEvents(runDir);
  }

  /** Of this machine's namespace, as of the last look that found something changed. */
  get forwardDrops(): readonly string[] {
    return this.#forwardDrops;
  }

  /**
   * Undefined: none of ours is there, or it cannot be entered, or its kernel has no nf_tables. With `trust`, what is
   * remembered is not asked about.
   */
  look(sandbox: TablePlace, trust: boolean): NamespaceTablesHave | undefined {
    const key = sandboxKey(sandbox);
    const known = this.#known.get(key);
    const tables = trust && known ? known.tables : this.#tables(sandbox);
    return tables === undefined || tables.length === 0 ? undefined : { sandbox, tables };
  }

  /** Sandboxes that had tables of ours when last looked at. */
  left(but: ReadonlySet<string>): SandboxRef[] {
    return [...this.#known]
      .filter(([key, { tables }]) => tables.length > 0 && !but.has(key))
      .map(([, { sandbox }]) => sandbox)
      .filter((place): place is SandboxRef => place.kind !== "host" && place.kind !== "network");
  }

  change(step: ChangeTables): void {
    const { sandbox } = step;
    const done = this.#within(sandbox, (socket, namespace) => {
      this.#transact(socket, namespace, step);
      forgetFlows(socket, step.forget);
      return true;
    });
    if (done !== undefined) return;
    const where = this.places.sandboxPath(sandbox);
    throw sentenceFault("SANDBOX_GONE", `The network namespace ${where} is gone.`, {});
  }

  /** What the guard's rules there have counted; nothing if they do not stand. */
  drops(place: TablePlace): readonly RuleDrops[] {
    const family = place.kind === "network" ? NFPROTO_BRIDGE : NFPROTO_INET;
    const at = { family, table: kernelTable(this.runDir, GUARD_TABLE) };
    const counts = this.#within(place, (socket) => countRules(socket, at)) ?? [];
    return counts.flatMap(({ comment, packets }) => {
      const drop = dropOf(comment);
      return drop === undefined ? [] : [{ place, ...drop, frames: packets }];
    });
  }

  /** Whom the guard's rules on this machine's underlay have noted. */
  strangers(): readonly Stranger[] {
    const at = { family: NFPROTO_INET, table: kernelTable(this.runDir, GUARD_TABLE) };
    return STRANGERS_SETS.flatMap((about) =>
      elementsIn(this.#host, at, about.set).flatMap(
        ({ key, packets = 0 }) => strangerOf(about, key, packets) ?? [],
      ),
    );
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  close(): void {
    this.events.close();
    this.#host.close();
  }

  #tables(sandbox: TablePlace): readonly TableHave[] | undefined {
    const key = sandboxKey(sandbox);
    const tables = this.#within(sandbox, (socket, namespace) => {
      const known = this.#known.get(key);
      for (let looks = 1; ; looks++) {
        const generation = generationOf(socket);
        if (generation === undefined) return undefined;
        const same = known?.generation === generation && known.namespace === namespace;
        if (same && !known.tables.some(({ family }) => family === "netdev")) return known.tables;
        const found = dumpTables(socket, this.runDir);
        if (sandbox.kind === "host") this.#forwardDrops = foreignDrops(socket);
        if (generationOf(socket) === generation) {
          this.#known.set(key, { sandbox, namespace, generation, tables: found });
        } else if (looks < LOOKS) continue;
        return found;
      }
    });
    if (tables === undefined) this.#known.delete(key);
    return tables;
  }

  #transact(socket: NetlinkSocket, namespace: string, { sandbox, changes }: ChangeTables): void {
    let generation = generationOf(socket);
    if (generation === undefined) {
      const why = "This machine's kernel has no nf_tables (CONFIG_NF_TABLES, module nf_tables).";
      throw sentenceFault("NF_TABLES_UNSUPPORTED", why, {});
    }
    const key = sandboxKey(sandbox);
    const known = this.#known.get(key);
    const isAsKnown = known?.generation === generation && known.namespace === namespace;
    this.#known.delete(key);
    for (const together of transactionsOf(changes)) {
      const writer = new NetlinkWriter();
      batchBegin(writer, generation);
      for (const change of together) writeChange(writer, this.runDir, change);
      batchEnd(writer);
      socket.transaction(writer);
      // It was refused unless nobody came between.
      generation = (generation + 1) >>> 0;
    }
    // If somebody changed something since it was looked at, what is there now is for a look to say.
    if (!isAsKnown) return;
    const tables = changed(known.tables, changes);
    this.#known.set(key, { ...known, generation, tables });
  }

  #within<T>(
    sandbox: TablePlace,
    use: (socket: NetlinkSocket, namespace: string) => T,
  ): T | undefined {
    if (sandbox.kind === "host") return use(this.#host, sandboxKey(HOST));
    const open = this.sandboxes?.of(sandboxKey(sandbox));
    if (open !== undefined) return use(open.filter, open.namespace);
    return this.places.inFilterOf(sandbox, use);
  }
}

/** Undefined: no nf_tables. */
function generationOf(socket: NetlinkSocket): number | undefined {
  try {
    return socket.dump(getGeneration, decodeGeneration)[0];
  } catch (error) {
    // What nfnetlink answers for a subsystem that is not there.
    const absent = error instanceof NetlinkError && [EINVAL, EOPNOTSUPP].includes(error.errno);
    if (absent) return undefined;
    throw error;
  }
}

function changed(tables: readonly TableHave[], changes: readonly TableChange[]): TableHave[] {
  let after = [...tables];
  for (const change of changes) {
    const { family, name } = change.kind === "remove" ? change : change.table;
    after = after.filter((table) => table.family !== family || table.name !== name);
    if (change.kind !== "remove") after.push(tableHaveOf(change.table));
  }
  return after;
}
