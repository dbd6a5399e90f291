// The kernel's tables of neighbours (ARP, neighbour discovery), which all namespaces of a machine share: their limits
// and how often they were met. Only the machine's own namespace shows them.
//
// Rows that are permanent, as those of our tables are, count for nothing here (net/core/neighbour.c, neigh_alloc: exempt
// from gc): what fills a table is what sandboxes have talked to in the last half minute. The number of rows that the
// kernel shows (`entries`) has the permanent ones in it, so it is not asked for.
import { readFileSync, writeFileSync } from "node:fs";
import type { NeighbourTable, NeighbourTables } from "../seams.js";

const PROC = "/proc";
const TABLES = [
  { family: 4, name: "arp_cache" },
  { family: 6, name: "ndisc_cache" },
] as const;

export function linuxNeighbourTables(proc = PROC): NeighbourTables {
  const setting = (family: 4 | 6, n: number) =>
    `${proc}/sys/net/ipv${family}/neigh/default/gc_thresh${n}`;
  return {
    list() {
      return TABLES.flatMap(({ family, name }): NeighbourTable[] => {
        const counts = countsIn(textOf(`${proc}/net/stat/${name}`));
        const [soft, max] = [numberIn(setting(family, 2)), numberIn(setting(family, 3))];
        if (counts === undefined || soft === undefined || max === undefined) return [];
        return [{ family, name, soft, max, ...counts }];
      });
    },
    raise(family, limits) {
      let raised = false;
      // The last first: a table whose second limit is above its third would be one without the second.
      for (const [i, limit] of [...limits.entries()].toReversed()) {
        const path = setting(family, i + 1);
        const now = numberIn(path);
        if (now === undefined || now >= limit) continue;
        try {
          writeFileSync(path, String(limit));
          raised = true;
        } catch {
          // Shown read-only, as in most containers: then a full table is still told of.
        }
      }
      return raised;
    },
  };
}

/** A header, then a row for each processor, in hexadecimal. */
function countsIn(text: string): Pick<NeighbourTable, "cleared" | "refused"> | undefined {
  const [header = "", ...rows] = text.trim().split("\n");
  const names = header.trim().split(/\s+/);
  const sum = (name: string) => {
    const column = names.indexOf(name);
    return rows.reduce((all, row) => {
      const count = Number.parseInt(row.trim().split(/\s+/)[column] ?? "", 16);
      return all + (Number.isNaN(count) ? 0 : count);
    }, 0);
  };
  if (!names.includes("table_fulls")) return undefined;
  return { cleared: sum("forced_gc_runs"), refused: sum("table_fulls") };
}

function numberIn(path: string): number | undefined {
  const number = Number.parseInt(textOf(path), 10);
  return Number.isNaN(number) ? undefined : number;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
