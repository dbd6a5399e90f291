// Why frames are dropped, in the words that findings and metrics use; and how a rule that drops says which of them it
// counts, so that its counter is understood when it is read back.
import type { TablePlace } from "../reconcile/want.js";

/** The same word for the same thing on every data path. */
export const DROPS = {
  /** To the data path port, of a network that is here, from an address that is no node of that network. */
  notAPeer: "not-a-peer",
  /** To the data path port, of a network that is not here. Counted only: another program's device may have it. */
  unknownVni: "unknown-vni",
  /** From another node, with a source MAC that no endpoint of another node has. */
  spoofed: "source-spoofed",
  /** From an endpoint here, with another's source MAC. */
  spoofedMac: "source-mac-spoofed",
  /** From an endpoint here, with another's source address: in IP, ARP, or a neighbour advertisement. */
  spoofedAddress: "source-address-spoofed",
  /** From an endpoint here: router advertisements and redirects. */
  router: "router-advertised",
  /** From an endpoint here: more broadcast and multicast than it may send. */
  flood: "broadcast-limit",
} as const;

export type DropReason = (typeof DROPS)[keyof typeof DROPS];

/** What one rule has counted since it was written: a rule that is written anew begins at nothing. */
export interface RuleDrops {
  readonly place: TablePlace;
  readonly reason: string;
  /** The endpoint that the frames came from; empty: none of this node. */
  readonly subject: string;
  readonly frames: number;
}

/** What a rule that counts a drop is for; `subject`: the endpoint, or empty. */
export function dropText(reason: DropReason, subject: string): string {
  return `drop ${reason} ${subject}`.trimEnd();
}

const DROP_TEXT = /^drop ([a-z-]+)(?: (\S+))? \([0-9a-f]+\)$/;

/** Of a rule's comment; undefined: it is none of these. */
export function dropOf(
  comment: string,
): { readonly reason: string; readonly subject: string } | undefined {
  const match = DROP_TEXT.exec(comment);
  return match?.[1] === undefined ? undefined : { reason: match[1], subject: match[2] ?? "" };
}
