// Tables of nf_tables, as data: what a namespace is to have of ours. Rules are few and known again by their
// comment; what grows lies in maps, whose elements come and go one by one in a transaction.
import type { BaseChain, MapShape } from "../netlink/nftables.js";
import type { Expression } from "../netlink/nftables-expression.js";
import type { TablePlace } from "./want.js";

export interface RuleWant {
  readonly expressions: readonly Expression[];
  /** What it is for, and a digest: a rule is known again by it. */
  readonly comment: string;
}

/** Without `base` it is only jumped to. */
export interface ChainWant {
  readonly name: string;
  readonly base?: Omit<BaseChain, "name">;
  readonly rules: readonly RuleWant[];
}

export interface MapWant extends MapShape {
  /**
   * Key → value, in hexadecimal (`hexOf`); of a set, to the empty text; of verdicts, to the chain's name. Give the
   * same Map again while it is the same: then nobody looks through it.
   */
  readonly elements: ReadonlyMap<string, string>;
  /** What is forgotten when an element goes or gets another value. */
  readonly forgets?: Forgets;
}

/**
 * Flows that the kernel follows (conntrack) go on as they began. Those that began by an element that is gone are
 * forgotten in the step that takes it away, so that their next packet meets the rules again.
 */
export type Forgets =
  /** Keys are address . protocol . port: UDP flows that came to such a port. */
  | { readonly kind: "published-ports" }
  /**
   * Flows that were translated to an address that no element has any more: the `bytes` (4 or 16) from `offset` on of
   * an element's key or value. `udp`: only those; `all`: of every protocol.
   */
  | {
      readonly kind: "translated-to";
      readonly part: "key" | "value";
      readonly offset: number;
      readonly bytes: 4 | 16;
      readonly protocols: "udp" | "all";
    };

export interface TableWant {
  /**
   * Tables of netdev are written once the interfaces of all their chains are there, others before any is. Those of
   * bridge see what a bridge of the namespace carries.
   */
  readonly family: "inet" | "netdev" | "bridge";
  /** "skein", or "skein_" and a part, which the tables of one namespace have different. */
  readonly name: string;
  readonly maps: readonly MapWant[];
  readonly chains: readonly ChainWant[];
}

/** Tables of ours in one namespace. A namespace may be named several times, a table once. */
export interface NamespaceTables {
  readonly sandbox: TablePlace;
  readonly tables: readonly TableWant[];
}
