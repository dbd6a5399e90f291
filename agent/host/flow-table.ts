// The kernel's table of connections (conntrack) of this machine's namespace: how full it is. Three small
// files, read when somebody asks.
import { readFileSync } from "node:fs";
import type { FlowTable } from "../seams.js";

const PROC = "/proc";

/** Undefined: the kernel keeps none yet (nothing has asked for it), or does not tell. */
export function flowTable(proc = PROC): FlowTable | undefined {
  try {
    const number = (name: string) =>
      Number(readFileSync(`${proc}/sys/net/netfilter/${name}`, "utf8").trim());
    return {
      entries: number("nf_conntrack_count"),
      max: number("nf_conntrack_max"),
      dropped: droppedOf(readFileSync(`${proc}/net/stat/nf_conntrack`, "utf8")),
    };
  } catch {
    return undefined;
  }
}

/** A header, then a row for each processor, in hexadecimal (net/netfilter/nf_conntrack_standalone.c). */
function droppedOf(text: string): number {
  const [header = "", ...rows] = text.trim().split("\n");
  const column = header.trim().split(/\s+/).indexOf("drop");
  return rows.reduce((sum, row) => {
    const count = Number.parseInt(row.trim().split(/\s+/)[column] ?? "", 16);
    return sum + (Number.isNaN(count) ? 0 : count);
  }, 0);
}
