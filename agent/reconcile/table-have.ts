// Our tables as found in a namespace: no rule is read back, only what it is known by.
import type { BaseChain } from "../netlink/nftables.js";
import type { ChainWant, MapWant, TableWant } from "./table-want.js";
import type { TablePlace } from "./want.js";

export interface ChainHave {
  /** `baseText`; empty: it has no hook. */
  readonly base: string;
  /** Their comments, in order. */
  readonly rules: readonly string[];
}

export interface MapHave {
  /** `shapeText`. */
  readonly shape: string;
  readonly elements: ReadonlyMap<string, string>;
}

export interface TableHave {
  readonly family: TableWant["family"];
  readonly name: string;
  readonly chains: ReadonlyMap<string, ChainHave>;
  readonly maps: ReadonlyMap<string, MapHave>;
}

export interface NamespaceTablesHave {
  readonly sandbox: TablePlace;
  readonly tables: readonly TableHave[];
}

/** What is there once the want is written. */
export function tableHaveOf({ family, name, chains, maps }: TableWant): TableHave {
  return {
    family,
    name,
    chains: new Map(chains.map((chain) => [chain.name, chainHaveOf(chain)])),
    maps: new Map(maps.map((map) => [map.name, mapHaveOf(map)])),
  };
}

export function baseText(base: Omit<BaseChain, "name"> | undefined): string {
  if (base === undefined) return "";
  const { type, hook, priority, policy, devices = [] } = base;
  return [type, hook, priority, policy, ...devices.toSorted()].join(" ");
}

export function shapeText(map: Omit<MapWant, "elements" | "name">): string {
  const { kind, keyType, keyBytes, dataType, dataBytes } = map;
  return [kind, keyType, keyBytes, dataType, dataBytes].join(" ");
}

function chainHaveOf({ base, rules }: ChainWant): ChainHave {
  return { base: baseText(base), rules: rules.map(({ comment }) => comment) };
}

function mapHaveOf(map: MapWant): MapHave {
  return { shape: shapeText(map), elements: map.elements };
}
