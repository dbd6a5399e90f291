// Tables wanted and found → one step a namespace, which is one transaction, or two if there are new chains: packets meet
// what was there or what is to be. A table that differs in what cannot be changed (a hook, the shape of a map) is written as a whole; in
// one that stands, chains that differ get their rules anew, and of maps only the elements that differ move.
import type { HostHave } from "./have.js";
import { sandboxKey } from "./names.js";
import { baseText, shapeText, type TableHave } from "./table-have.js";
import type { Forgets, MapWant, NamespaceTables, TableWant } from "./table-want.js";
import { sandboxFileName, type TablePlace } from "./want.js";

export type Pairs = readonly (readonly [key: string, value: string])[];

export interface ElementChange {
  readonly map: MapWant;
  readonly put: Pairs;
  readonly drop: Pairs;
}

/** `table` is what there is when it is done. */
export interface TableWrite {
  readonly kind: "write";
  readonly table: TableWant;
}
export interface TableUpdate {
  readonly kind: "update";
  readonly table: TableWant;
  /** Chains that are new, or whose rules differ, by name. */
  readonly chains: ReadonlySet<string>;
  /** Those of them that are new and of no hook: something leads to them. */
  readonly newChains: readonly string[];
  readonly newMaps: readonly string[];
  readonly elements: readonly ElementChange[];
  readonly goneChains: readonly string[];
  readonly goneMaps: readonly string[];
}
export interface TableRemoval {
  readonly kind: "remove";
  readonly family: TableWant["family"];
  readonly name: string;
}
export type TableChange = TableWrite | TableUpdate | TableRemoval;

/** Which of the flows that the kernel follows are to be forgotten. */
export type FlowPattern =
  /** UDP flows that came to this port. */
  | { readonly kind: "came-to"; readonly port: number }
  /** Flows that were translated to the address, in hexadecimal. */
  | { readonly kind: "translated-to"; readonly address: string; readonly protocols: "udp" | "all" };

export interface ChangeTables {
  readonly kind: "change-tables";
  readonly sandbox: TablePlace;
  /** `hooks`: tables of netdev, for which the interfaces must be there. */
  readonly layer: "tables" | "hooks";
  readonly changes: readonly TableChange[];
  /** Afterwards. */
  readonly forget: readonly FlowPattern[];
}

export interface TableSteps {
  /** Before anything is plugged in. */
  readonly before: readonly ChangeTables[];
  /** For which interfaces must be there. */
  readonly hooks: readonly ChangeTables[];
  /** Tables that nobody wants any more. */
  readonly after: readonly ChangeTables[];
}

const UDP = 17;

export function planTables(
  wanted: readonly NamespaceTables[],
  ownSandboxes: ReadonlySet<string>,
  have: HostHave,
  mayRemove: (sandbox: TablePlace, name: string) => boolean,
): TableSteps {
  const steps = {
    before: [] as ChangeTables[],
    hooks: [] as ChangeTables[],
    after: [] as ChangeTables[],
  };
  const places = new Map<string, { readonly sandbox: TablePlace; readonly tables: TableWant[] }>();
  for (const { sandbox, tables } of wanted) {
    const key = sandboxKey(sandbox);
    const place = places.get(key);
    if (place === undefined) places.set(key, { sandbox, tables: [...tables] });
    else place.tables.push(...tables);
  }
  for (const [key, { sandbox }] of have.tables ?? []) {
    if (!places.has(key)) places.set(key, { sandbox, tables: [] });
  }
  for (const [key, { sandbox, tables }] of places) {
    // One that goes takes its tables with it; one of somebody else's that is gone is a problem of its endpoints.
    if (sandbox.kind === "own" && !ownSandboxes.has(sandboxFileName(sandbox.id))) continue;
    if (sandbox.kind === "network" && tables.length === 0) continue;
    if (sandbox.kind === "foreign" && tables.length > 0 && !have.insides.has(key)) continue;
    const found = have.tables?.get(key)?.tables ?? [];
    const links = new Set(have.insides.get(key)?.links.map(({ name }) => name));
    for (const layer of ["tables", "hooks"] as const) {
      const ofLayer = ({ family }: { family: string }) =>
        (family === "netdev") === (layer === "hooks");
      const due = tables.filter((table) => layer === "tables" || devicesStand(table, links));
      const there = found.filter(ofLayer);
      const stale = there.filter(
        ({ family, name }) =>
          !tables.some((table) => table.family === family && table.name === name) &&
          mayRemove(sandbox, name),
      );
      const step = planNamespace(sandbox, layer, due.filter(ofLayer), there, stale);
      if (step === undefined) continue;
      if (step.changes.every(({ kind }) => kind === "remove")) steps.after.push(step);
      else if (layer === "hooks") steps.hooks.push(step);
      else steps.before.push(step);
    }
  }
  return steps;
}

/**
 * The transactions that make a step. A packet takes the rules of the generation in which it entered a chain, but looks
 * into the maps of now. If a map leads to a chain that came in the same transaction, it finds that one without rules,
 * passes it, and its flow stays untranslated for as long as it lasts. So new chains come in a transaction before.
 */
export function transactionsOf(changes: readonly TableChange[]): readonly TableChange[][] {
  const before: TableChange[] = [];
  const then = changes.map((change): TableChange => {
    if (change.kind !== "update" || change.newChains.length === 0) return change;
    const { newChains } = change;
    const nothing = { elements: [], goneChains: [], goneMaps: [] };
    before.push({ ...change, ...nothing, chains: new Set(newChains) });
    const chains = new Set([...change.chains].filter((name) => !newChains.includes(name)));
    return { ...change, chains, newChains: [], newMaps: [] };
  });
  return before.length === 0 ? [then] : [before, then];
}

/** The same whether the table was written or has been found. */
export function describeTables({ sandbox, layer, changes }: ChangeTables): string {
  const where = placeText(sandbox);
  const what = layer === "hooks" ? "hooks on the interfaces" : "packet filter";
  const written = changes.filter(({ kind }) => kind === "write").length;
  if (written > 0) return `write the ${what} ${where}`;
  if (changes.every(({ kind }) => kind === "remove")) return `remove the ${what} ${where}`;
  let put = 0;
  let drop = 0;
  for (const change of changes) {
    if (change.kind !== "update") continue;
    for (const each of change.elements) {
      put += each.put.length;
      drop += each.drop.length;
    }
  }
  return `change the ${what} ${where}: put ${put} elements, drop ${drop}`;
}

export function placeText(sandbox: TablePlace): string {
  if (sandbox.kind === "host") return "of this machine";
  if (sandbox.kind === "network") return `of VNI ${sandbox.vni}`;
  return sandbox.kind === "own" ? `of sandbox ${sandbox.id}` : `in ${sandbox.path}`;
}

// ---- Own

function devicesStand({ chains }: TableWant, links: ReadonlySet<string>): boolean {
  return chains.every(({ base }) => (base?.devices ?? []).every((device) => links.has(device)));
}

function planNamespace(
  sandbox: TablePlace,
  layer: ChangeTables["layer"],
  wanted: readonly TableWant[],
  found: readonly TableHave[],
  stale: readonly TableHave[],
): ChangeTables | undefined {
  const changes: TableChange[] = [];
  const forget: FlowPattern[] = [];
  for (const table of wanted) {
    const have = found.find(({ family, name }) => family === table.family && name === table.name);
    const change = changeOf(table, have);
    if (change === undefined) continue;
    changes.push(change);
    const elements = change.kind === "update" ? change.elements : elementsOf(table, have);
    for (const each of elements) forget.push(...forgotten(each));
  }
  for (const { family, name } of stale) changes.push({ kind: "remove", family, name });
  return changes.length === 0
    ? undefined
    : { kind: "change-tables", sandbox, layer, changes, forget };
}

function changeOf(table: TableWant, have: TableHave | undefined): TableChange | undefined {
  if (have === undefined) return { kind: "write", table };
  for (const { name, base } of table.chains) {
    const found = have.chains.get(name);
    if (found !== undefined && found.base !== baseText(base)) return { kind: "write", table };
  }
  for (const map of table.maps) {
    const found = have.maps.get(map.name);
    if (found !== undefined && found.shape !== shapeText(map)) return { kind: "write", table };
  }
  const chains = new Set<string>();
  const newChains: string[] = [];
  for (const { name, base, rules } of table.chains) {
    const found = have.chains.get(name)?.rules;
    const same = found?.length === rules.length && rules.every((r, i) => r.comment === found[i]);
    if (!same) chains.add(name);
    if (found === undefined && base === undefined) newChains.push(name);
  }
  const newMaps = table.maps.map(({ name }) => name).filter((name) => !have.maps.has(name));
  const elements = elementsOf(table, have);
  const goneChains = leftOver(have.chains, table.chains);
  const goneMaps = leftOver(have.maps, table.maps);
  const all = [chains.size, newMaps.length, elements.length, goneChains.length, goneMaps.length];
  if (all.every((count) => count === 0)) return undefined;
  return { kind: "update", table, chains, newChains, newMaps, elements, goneChains, goneMaps };
}

function leftOver(
  have: ReadonlyMap<string, unknown>,
  want: readonly { readonly name: string }[],
): string[] {
  const names = new Set(want.map(({ name }) => name));
  return [...have.keys()].filter((name) => !names.has(name));
}

const NONE: ReadonlyMap<string, string> = new Map();
const NO_PAIRS: Pairs = [];

function elementsOf(table: TableWant, have: TableHave | undefined): ElementChange[] {
  return table.maps.flatMap((map) => {
    const found = have?.maps.get(map.name)?.elements ?? NONE;
    const { put, drop } = differenceOf(found, map.elements);
    return put.length + drop.length === 0 ? [] : [{ map, put, drop }];
  });
}

interface Difference {
  readonly to: ReadonlyMap<string, string>;
  readonly put: Pairs;
  readonly drop: Pairs;
}

// Sandboxes on the same networks have the same maps: what lies between two is found once for all of them.
const differences = new WeakMap<ReadonlyMap<string, string>, Difference>();

function differenceOf(
  from: ReadonlyMap<string, string>,
  to: ReadonlyMap<string, string>,
): Difference {
  if (from === to) return { to, put: NO_PAIRS, drop: NO_PAIRS };
  const known = differences.get(from);
  if (known?.to === to) return known;
  const made = { to, put: missingFrom(from, to), drop: missingFrom(to, from) };
  differences.set(from, made);
  return made;
}

/** Those of `from` that `there` has not, or with another value. */
function missingFrom(there: ReadonlyMap<string, string>, from: ReadonlyMap<string, string>): Pairs {
  const pairs: (readonly [string, string])[] = [];
  for (const pair of from) if (there.get(pair[0]) !== pair[1]) pairs.push(pair);
  return pairs;
}

function forgotten({ map, put, drop }: ElementChange): readonly FlowPattern[] {
  const { forgets } = map;
  switch (forgets?.kind) {
    case undefined:
      return [];
    case "published-ports":
      return udpPorts([...put, ...drop]).map((port) => ({ kind: "came-to", port }));
    case "translated-to":
      return addressesGone(map, forgets, drop).map((address) => ({
        kind: "translated-to",
        address,
        protocols: forgets.protocols,
      }));
  }
}

/** The end of such keys: the protocol in the first byte of a word, the port in the first two of the last. */
function udpPorts(pairs: Pairs): number[] {
  const ports = new Set<number>();
  for (const [key] of pairs) {
    const end = Buffer.from(key.slice(-16), "hex");
    if (end.length === 8 && end.readUInt8(0) === UDP) ports.add(end.readUInt16BE(4));
  }
  return [...ports];
}

// Of the same difference, as above.
const gone = new WeakMap<Pairs, { readonly forgets: Forgets; readonly addresses: string[] }>();

function addressesGone(
  map: MapWant,
  forgets: Extract<Forgets, { kind: "translated-to" }>,
  drop: Pairs,
): string[] {
  if (drop.length === 0) return [];
  const known = gone.get(drop);
  if (known?.forgets === forgets) return known.addresses;
  const { part, offset, bytes } = forgets;
  const of = ([key, value]: readonly [string, string]) =>
    (part === "key" ? key : value).slice(offset * 2, (offset + bytes) * 2);
  const missing = new Set(drop.map(of));
  for (const pair of map.elements) missing.delete(of(pair));
  const addresses = [...missing];
  gone.set(drop, { forgets, addresses });
  return addresses;
}
