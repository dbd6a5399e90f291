// Tables of nf_tables between the want and the kernel: a change as messages of a transaction, a dump as what is found.
import { ENOENT } from "../../common/errno.js";
import type { NetlinkMessage } from "../netlink/message.js";
import {
  appendRule,
  deleteChain,
  deleteElements,
  deleteMap,
  deleteRules,
  deleteTable,
  dumpChains,
  dumpElements,
  dumpMaps,
  dumpRules,
  type Element,
  putChain,
  putElements,
  putMap,
  putTable,
  type TableRef,
} from "../netlink/nftables.js";
import { NFPROTO_BRIDGE, NFPROTO_INET, NFPROTO_NETDEV } from "../netlink/nftables-constants.js";
import {
  decodeChain,
  decodeElements,
  decodeMap,
  decodeRule,
  decodeRuleCount,
  type FoundChain,
  type FoundMap,
  type RuleCount,
} from "../netlink/nftables-decode.js";
import type { NetlinkWriter } from "../netlink/writer.js";
import { kernelTable, tableOfKernel } from "../reconcile/names.js";
import { baseText, type MapHave, shapeText, type TableHave } from "../reconcile/table-have.js";
import type { Pairs, TableChange, TableUpdate } from "../reconcile/table-plan.js";
import type { ChainWant, MapWant, TableWant } from "../reconcile/table-want.js";
import { NetlinkError, type NetlinkSocket } from "./netlink-socket.js";

const FAMILIES = {
  inet: NFPROTO_INET,
  netdev: NFPROTO_NETDEV,
  bridge: NFPROTO_BRIDGE,
} as const;

// ---- Writing

export function writeChange(writer: NetlinkWriter, runDir: string, change: TableChange): void {
  const { family, name } = change.kind === "remove" ? change : change.table;
  const at: TableRef = { family: FAMILIES[family], table: kernelTable(runDir, name) };
  if (change.kind === "update") update(writer, at, change);
  else {
    // There before it is deleted, so that deleting it never fails.
    putTable(writer, at);
    deleteTable(writer, at);
  }
  if (change.kind === "write") write(writer, at, change.table);
}

/** What is named is there before what names it: maps, chains, elements, rules. */
function write(writer: NetlinkWriter, at: TableRef, { maps, chains }: TableWant): void {
  putTable(writer, at);
  for (const map of maps) putMap(writer, at, map);
  for (const { name, base } of chains) putChain(writer, at, name, base);
  for (const map of maps) put(writer, at, map, [...map.elements]);
  for (const chain of chains) appendRules(writer, at, chain);
}

/** And what is named goes after what named it. */
function update(writer: NetlinkWriter, at: TableRef, change: TableUpdate): void {
  const { table, elements } = change;
  for (const map of table.maps) if (change.newMaps.includes(map.name)) putMap(writer, at, map);
  const anew = table.chains.filter(({ name }) => change.chains.has(name));
  for (const { name, base } of anew) putChain(writer, at, name, base);
  for (const { name } of anew) deleteRules(writer, at, name);
  for (const { map, drop } of elements) {
    if (drop.length > 0) deleteElements(writer, at, map.name, drop.map(elementOf(map)));
  }
  for (const each of elements) put(writer, at, each.map, each.put);
  for (const chain of anew) appendRules(writer, at, chain);
  for (const name of change.goneChains) deleteRules(writer, at, name);
  for (const name of change.goneChains) deleteChain(writer, at, name);
  for (const name of change.goneMaps) deleteMap(writer, at, name);
}

function put(writer: NetlinkWriter, at: TableRef, map: MapWant, pairs: Pairs): void {
  if (pairs.length > 0) putElements(writer, at, map.name, pairs.map(elementOf(map)));
}

function appendRules(writer: NetlinkWriter, at: TableRef, { name, rules }: ChainWant): void {
  for (const rule of rules) appendRule(writer, at, { chain: name, ...rule });
}

const NO_DATA = new Uint8Array(0);

function elementOf({ kind }: MapWant): (pair: readonly [string, string]) => Element {
  return ([key, value]) => {
    const bytes = Buffer.from(key, "hex");
    if (kind === "verdicts") return { key: bytes, data: NO_DATA, chain: value };
    return { key: bytes, data: Buffer.from(value, "hex") };
  };
}

// ---- Looking

/** A table without chains does nothing and counts as none. */
export function dumpTables(socket: NetlinkSocket, runDir: string): TableHave[] {
  const byTable = new Map<string, FoundChain[]>();
  for (const chain of all(socket, (w) => dumpChains(w, 0), decodeChain)) {
    const isOurs = familyOf(chain.family) && tableOfKernel(runDir, chain.table) !== undefined;
    if (!isOurs) continue;
    const key = `${chain.family} ${chain.table}`;
    const group = byTable.get(key);
    if (group === undefined) byTable.set(key, [chain]);
    else group.push(chain);
  }
  return [...byTable.values()].flatMap((chains) => dumpTable(socket, runDir, chains));
}

function dumpTable(
  socket: NetlinkSocket,
  runDir: string,
  chains: readonly FoundChain[],
): TableHave[] {
  const [at] = chains;
  if (at === undefined) return [];
  const family = familyOf(at.family);
  const name = tableOfKernel(runDir, at.table);
  if (family === undefined || name === undefined) return [];
  const isOurs = (found: TableRef) => found.table === at.table && found.family === at.family;
  const rules = new Map<string, string[]>(chains.map((chain) => [chain.name, []]));
  for (const rule of all(socket, (w) => dumpRules(w, at), decodeRule)) {
    if (isOurs(rule)) rules.get(rule.chain)?.push(rule.comment);
  }
  const maps = all(socket, (w) => dumpMaps(w, at), decodeMap).filter(isOurs);
  return [
    {
      family,
      name,
      chains: new Map(
        chains.map(({ name: chain, base }) => [
          chain,
          { base: baseText(base), rules: rules.get(chain) ?? [] },
        ]),
      ),
      maps: new Map(maps.map((map) => [map.name, dumpMap(socket, map)])),
    },
  ];
}

function dumpMap(socket: NetlinkSocket, map: FoundMap): MapHave {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  // What rules note is nobody's to want.
  const found = map.kind === "noted" ? [] : elementsIn(socket, map, map.name);
  return {
    shape: shapeText(map),
    elements: new Map(found.map(({ key, data, chain }) => [hex(key), chain ?? hex(data)])),
  };
}

/** What rules have noted there; empty if there is no such set. */
export function elementsIn(socket: NetlinkSocket, at: TableRef, set: string): Element[] {
  return all(socket, (w) => dumpElements(w, at, set), decodeElements).flat();
}

/** What the rules of a table have counted; empty if there is none. */
export function countRules(socket: NetlinkSocket, at: TableRef): RuleCount[] {
  return all(socket, (w) => dumpRules(w, at), decodeRuleCount);
}

/** What goes while it is asked for is not there. */
function all<T>(
  socket: NetlinkSocket,
  write: (writer: NetlinkWriter) => void,
  decode: (message: NetlinkMessage) => T | undefined,
): T[] {
  try {
    return socket.dump(write, decode);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENOENT) return [];
    throw error;
  }
}

function familyOf(number: number): TableHave["family"] | undefined {
  for (const family of ["inet", "netdev", "bridge"] as const)
    if (number === FAMILIES[family]) return family;
  return undefined;
}
