// The tables of the eBPF programs (bpf/rows.ts): pinned maps, open here from when they are made or found. What a row
// holds is known from the last look, and from what has been written here since.
import { readFileSync } from "node:fs";
import { Fault } from "../../common/fault.js";
import { type Counts, countsOf } from "../bpf/reasons.js";
import { TABLES, type TableName, vniOfKey } from "../bpf/rows.js";
import { dropMapRows, mapRows, putMapRows } from "./bpf-call.js";
import {
  type BuiltObject,
  closeMaps,
  makeMaps,
  type OpenMap,
  type OpenMaps,
  standingMaps,
} from "./program-files.js";

type Rows = Record<TableName, Map<string, string>>;

export class ProgramTables {
  #maps: OpenMaps | undefined;
  #known: Rows | undefined;

  constructor(private readonly folder: string) {}

  get isOpen(): boolean {
    return this.#maps !== undefined;
  }

  /** Opens those that stand, if they are the object's. */
  find(object: BuiltObject): void {
    this.#maps ??= standingMaps(this.folder, object);
  }

  make(object: BuiltObject): void {
    this.close();
    makeMaps(this.folder, object);
    this.#maps = standingMaps(this.folder, object);
  }

  /** Empty while they are not open. `trust`: nobody but us has written since the last look. */
  look(trust: boolean): Rows {
    const rows = (trust ? this.#known : undefined) ?? this.#read();
    this.#known = rows;
    return rows;
  }

  put(table: TableName, rows: readonly (readonly [string, string])[]): void {
    const { fd, shape } = this.#mustMap(table);
    if (table === "counts") {
      const valueBytes = shape.valueBytes * possibleCpus();
      const zeroes = "\0".repeat(valueBytes);
      putMapRows(
        fd,
        { ...shape, valueBytes },
        rows.map(([key]) => [key, zeroes]),
      );
    } else putMapRows(fd, shape, rows);
    for (const [key, value] of rows) this.#known?.[table].set(key, value);
  }

  drop(table: TableName, keys: readonly string[]): void {
    const { fd, shape } = this.#mustMap(table);
    dropMapRows(fd, shape, keys);
    for (const key of keys) this.#known?.[table].delete(key);
  }

  /** What the programs have counted, by VNI; empty while they are not open. */
  counts(): ReadonlyMap<number, Counts> {
    const map = this.#maps?.get("counts");
    if (map === undefined) return new Map();
    const rows = mapRows(map.fd, map.shape, possibleCpus());
    return new Map(rows.map(([key, value]) => [vniOfKey(key), countsOf(value)]));
  }

  /** By name, for a program that is to be loaded. */
  descriptors(): ReadonlyMap<string, number> {
    return new Map(TABLES.map((table) => [table, this.#mustMap(table).fd]));
  }

  /** Whether the kernel's maps of these ids are all among these tables. */
  hasAll(mapIds: readonly number[]): boolean {
    const ids = new Set([...(this.#maps?.values() ?? [])].map(({ id }) => id));
    return mapIds.every((id) => ids.has(id));
  }

  /** They stay pinned. */
  close(): void {
    if (this.#maps !== undefined) closeMaps(this.#maps);
    this.#maps = undefined;
    this.#known = undefined;
  }

  #read(): Rows {
    const tables = {} as Rows;
    for (const name of TABLES) {
      const map = this.#maps?.get(name);
      // Of what is counted only whether it is.
      const cpus = name === "counts" ? possibleCpus() : 1;
      const rows = map === undefined ? [] : mapRows(map.fd, map.shape, cpus);
      tables[name] = new Map(name === "counts" ? rows.map(([key]) => [key, ""]) : rows);
    }
    return tables;
  }

  #mustMap(table: TableName): OpenMap {
    const map = this.#maps?.get(table);
    if (map === undefined) throw new Fault("BPF_TABLE_GONE", { table });
    return map;
  }
}

let cpus: number | undefined;

/** How many values a row per CPU has: "0-3" and "0,2-5" both end with the greatest. */
function possibleCpus(): number {
  cpus ??= Number(readFileSync("/sys/devices/system/cpu/possible", "latin1").match(/\d+\s*$/)) + 1;
  return cpus;
}
