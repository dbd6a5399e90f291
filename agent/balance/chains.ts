// The rules of a sandbox's table. They are the same however many services there are; only how many different
// numbers of backends there are makes chains more.
import type { Family } from "../../common/address.js";
import type { MapShape } from "../netlink/nftables.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression } from "../netlink/nftables-expression.js";
import {
  ADDRESS_BYTES,
  addressIn,
  DROP,
  familyIs,
  goTo,
  IPPROTO,
  loadAddress,
  NFPROTO,
  networkOrder16,
  portIs,
  protocolIs,
  REFUSE,
  REFUSE_TCP,
  rule,
  typeOf,
} from "../reconcile/rule-words.js";
import type { ChainWant, Forgets, MapWant, RuleWant } from "../reconcile/table-want.js";

/** The maps of one family. */
export interface FamilyMaps {
  readonly vips: ReadonlyMap<string, string>;
  readonly backends: ReadonlyMap<string, string>;
  /** VIP → the one backend that this sandbox keeps. */
  readonly sticky: ReadonlyMap<string, string>;
  readonly refused: ReadonlyMap<string, string>;
  readonly members: ReadonlyMap<string, string>;
}

/** Where Docker's resolver is, for whoever is inside; and ours. */
const RESOLVER = { family: 4, value: 0x7f00000bn } as const;
const DNS_PORT = 53;

/** Ports of 127.0.0.11 in a sandbox. */
export interface ResolverPorts {
  readonly udp: number;
  readonly tcp: number;
}

export function mapsOf(family: Family, maps: FamilyMaps): readonly MapWant[] {
  const { address, shape } = shapes(family);
  const bytes = ADDRESS_BYTES[family];
  return [
    { ...shape("vips", "verdicts"), elements: maps.vips },
    {
      ...shape("backends", "map"),
      keyType: typeOf(address, "mark"),
      keyBytes: bytes + 4,
      elements: maps.backends,
      forgets: LEFT[family],
    },
    { ...shape("sticky", "map"), elements: maps.sticky, forgets: LEFT[family] },
    { ...shape("refused", "set"), elements: maps.refused },
    { ...shape("members", "set"), elements: maps.members, forgets: GONE[family] },
  ];
}

function forgets(part: "key" | "value", protocols: "udp" | "all"): Record<Family, Forgets> {
  const flows = { kind: "translated-to", part, offset: 0, protocols } as const;
  return { 4: { ...flows, bytes: 4 }, 6: { ...flows, bytes: 16 } };
}
/** UDP has no goodbye: its next packet goes to one that is there. */
const LEFT = forgets("value", "udp");
/** A connection to one that is gone meets a refusal instead of silence. */
const GONE = forgets("key", "all");

function shapes(family: Family) {
  const address = family === 4 ? "ipv4" : "ipv6";
  const shape = (name: string, kind: MapShape["kind"]): MapShape => ({
    name: named(name, family),
    kind,
    keyType: typeOf(address),
    keyBytes: ADDRESS_BYTES[family],
    dataType: kind === "map" ? typeOf(address) : 0,
    dataBytes: kind === "map" ? ADDRESS_BYTES[family] : 0,
  });
  return { address, shape } as const;
}

/** Names of things that exist once a family. */
export function named(name: string, family: Family): string {
  return family === 4 ? name : `${name}6`;
}
export function pickChain(family: Family, count: number): string {
  return `${named("pick", family)}-${count}`;
}

export function outputChain(families: readonly Family[], resolver?: ResolverPorts): ChainWant {
  return {
    name: "output",
    base: base("nat", nft.NF_INET_LOCAL_OUT, nft.NF_IP_PRI_NAT_DST),
    rules: [
      ...(resolver === undefined ? [] : toResolver(resolver)),
      ...families.flatMap(toBackends),
    ],
  };
}

function toResolver(ports: ResolverPorts): RuleWant[] {
  return (["udp", "tcp"] as const).map((protocol) =>
    rule("names", [
      ...familyIs(4),
      ...addressIn("destination", { ip: RESOLVER, length: 32 }),
      ...protocolIs(IPPROTO[protocol]),
      ...portIs("destination", DNS_PORT),
      { kind: "load", to: 0, value: Uint8Array.of(127, 0, 0, 11) },
      { kind: "load", to: 1, value: networkOrder16(ports[protocol]) },
      { kind: "dnat", family: nft.NFPROTO_IPV4, address: 0, port: 1 },
    ]),
  );
}

function toBackends(family: Family): RuleWant[] {
  const value = 8;
  return [
    rule("VIP of a service whose clients keep their backend", [
      ...familyIs(family),
      loadAddress("destination", family, 0),
      { kind: "lookup", set: named("sticky", family), from: 0, to: value },
      { kind: "dnat", family: NFPROTO[family], address: value, port: undefined },
    ]),
    rule("VIP", [
      ...familyIs(family),
      loadAddress("destination", family, 0),
      { kind: "lookup", set: named("vips", family), from: 0, to: "verdict" },
    ]),
  ];
}

const picks = new Map<string, ChainWant>();

/** One of `count` backends, each as likely. */
export function pickOf(family: Family, count: number): ChainWant {
  const name = pickChain(family, count);
  const known = picks.get(name);
  if (known !== undefined) return known;
  const number = ADDRESS_BYTES[family] / 4;
  const among = (modulus: number): readonly Expression[] => [
    ...familyIs(family),
    loadAddress("destination", family, 0),
    { kind: "random", to: number, modulus },
    { kind: "lookup", set: named("backends", family), from: 0, to: 8 },
    { kind: "dnat", family: NFPROTO[family], address: 8, port: undefined },
  ];
  const chain: ChainWant = {
    name,
    rules: [
      rule("one of them", among(count)),
      // A packet that is between two lookups while the table changes may miss: there is always a first one. What
      // came by here untranslated would stay so as long as it lasts; dropped, it comes again.
      rule("the first", among(1)),
      rule("none", [DROP]),
    ],
  };
  picks.set(name, chain);
  return chain;
}

export function refuseChain(families: readonly Family[]): ChainWant {
  return {
    name: "refuse",
    base: base("filter", nft.NF_INET_LOCAL_OUT, nft.NF_IP_PRI_FILTER),
    rules: families.map((family) =>
      rule("VIP without a backend", [
        ...familyIs(family),
        loadAddress("destination", family, 0),
        { kind: "lookup", set: named("refused", family), from: 0, to: undefined },
        goTo(NO.name),
      ]),
    ),
  };
}

/** At once, so that nobody waits for what does not come. */
export const NO: ChainWant = {
  name: "no",
  rules: [
    rule("TCP is reset", [...protocolIs(IPPROTO.tcp), REFUSE_TCP]),
    rule("others are told", [REFUSE]),
  ],
};

export function base(type: "filter" | "nat", hook: number, priority: number) {
  return { type, hook, priority, policy: "accept" } as const;
}
