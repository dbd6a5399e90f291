// What ps(1) printed, cut down to one container's processes (dockerd: daemon/top_unix.go).
import { type Refusal, refuse } from "../../common/fault.js";

export interface ProcessTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function parsePs(output: string): ProcessTable {
  const [head = "", ...lines] = output.split("\n").filter((line) => line.trim() !== "");
  const titles = head.trim().split(/\s+/);
  return { titles, rows: lines.map((line) => cells(line.trim(), titles.length)) };
}

/** The last column is a command, with its spaces. */
function cells(line: string, count: number): readonly string[] {
  const words = line.split(/\s+/);
  if (words.length <= count) return words;
  return [...words.slice(0, count - 1), words.slice(count - 1).join(" ")];
}

export function onlyPids(table: ProcessTable, pids: readonly number[]): ProcessTable | Refusal {
  const column = table.titles.indexOf("PID");
  if (column < 0) return refuse("invalid-argument", "Couldn't find PID field in ps output");
  const own = new Set(pids.map(String));
  return { ...table, rows: table.rows.filter((row) => own.has(row[column] ?? "")) };
}
