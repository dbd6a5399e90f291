// Makes room in the kernel's tables of neighbours, and says when one is full all the same: what is sent to a neighbour
// that finds no room is lost, which looks from inside like a network that fails between many.
import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/log.js";
import type { Finding, NeighbourTable, NeighbourTables } from "../seams.js";

// As Docker's overlay driver sets them (libnetwork pull request 1789). A row takes about 500 bytes, and none is taken before
// it is used.
const LIMITS = [8192, 49_152, 65_536] as const;
// Choice: who asks why something failed a while ago is still told.
const REMEMBERED_MS = 600_000;

interface Seen {
  readonly table: NeighbourTable;
  /** Rows refused since it was quiet last. */
  readonly refused: number;
  readonly refusedMs: number;
  readonly clearedMs: number;
}

export class NeighbourWatch {
  readonly #seen = new Map<number, Seen>();

  constructor(
    private readonly tables: NeighbourTables,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /** For a node of a swarm. Limits that somebody has set higher stay. */
  makeRoom(): void {
    for (const family of [4, 6] as const) {
      if (!this.tables.raise(family, LIMITS)) continue;
      const [first, second, third] = LIMITS;
      const limits = { gc_thresh1: first, gc_thresh2: second, gc_thresh3: third };
      this.log.info(limits, `raised the limits of the kernel's table of IPv${family} neighbours`);
    }
  }

  findings(): Finding[] {
    const nowMs = this.clock.monotonicMs();
    return this.tables.list().flatMap((table) => findingOf(this.#observe(table, nowMs), nowMs));
  }

  #observe(table: NeighbourTable, nowMs: number): Seen {
    const last = this.#seen.get(table.family);
    // What happened before this agent looked for the first time is not news.
    const refused = table.refused - (last?.table.refused ?? table.refused);
    const wasQuiet = last === undefined || nowMs - last.refusedMs > REMEMBERED_MS;
    const cleared = table.cleared > (last?.table.cleared ?? table.cleared);
    const seen = {
      table,
      refused: refused + (wasQuiet ? 0 : last.refused),
      refusedMs: refused > 0 ? nowMs : (last?.refusedMs ?? Number.NEGATIVE_INFINITY),
      clearedMs: cleared ? nowMs : (last?.clearedMs ?? Number.NEGATIVE_INFINITY),
    };
    this.#seen.set(table.family, seen);
    return seen;
  }
}

function findingOf(seen: Seen, nowMs: number): Finding[] {
  const { family, name, soft, max } = seen.table;
  const which = `The kernel's table of IPv${family} neighbours`;
  const setting = `net.ipv${family}.neigh.default.gc_thresh`;
  const about = {
    subject: `IPv${family}`,
    where: name,
    remedy: `Raise ${setting}3 with sysctl (now ${max}), and ${setting}2 to three quarters of it; all namespaces of the machine share the table.`,
  };
  if (nowMs - seen.refusedMs <= REMEMBERED_MS) {
    const what = `${which} was full and took ${seen.refused} new ones not in: what was sent to them was lost.`;
    return [{ ...about, what }];
  }
  if (nowMs - seen.clearedMs > REMEMBERED_MS) return [];
  const what = `${which} is filling up: it has more than ${soft} of at most ${max} rows, and the kernel clears it for room.`;
  return [{ ...about, what }];
}
