// A table with virtual addresses as small as it can be, for the tests of the model and of tables in namespaces.

import { TABLE } from "../../agent/reconcile/names.js";
import {
  baseChain,
  HOOKS,
  hexOf,
  hostOrder,
  IPPROTO,
  loadAddress,
  NFPROTO,
  protocolIs,
  REFUSE,
  REFUSE_TCP,
  rule,
  typeOf,
} from "../../agent/reconcile/rule-words.js";
import type { ChainWant, MapWant, TableWant } from "../../agent/reconcile/table-want.js";
import { type Ip, ipToBytes, parseIp } from "../../common/address.js";

export interface Vip {
  readonly address: string;
  readonly backends: readonly string[];
  /** By the client's address instead of by chance. */
  readonly affinity?: boolean;
}

const SEED = 0x536b6569;

/** All of IPv4. */
export function vipTable(vips: readonly Vip[]): TableWant {
  const served = vips.filter(({ backends }) => backends.length > 0);
  const chains = new Map(served.map((vip) => [pickOf(vip), pickChain(vip)]));
  return {
    family: "inet",
    name: TABLE,
    maps: [
      verdicts(served.map((vip) => [hexOfIp(vip.address), pickOf(vip)])),
      backends(served),
      {
        ...{ name: "known", kind: "set", keyType: typeOf("ipv4"), keyBytes: 4 },
        ...{ dataType: 0, dataBytes: 0 },
        elements: new Map(vips.map(({ address }) => [hexOfIp(address), ""])),
      },
    ],
    chains: [
      baseChain("output", HOOKS.natOutput, [
        rule("virtual addresses", [
          ...isIpv4,
          loadAddress("destination", 4, 0),
          { kind: "lookup", set: "vips", from: 0, to: "verdict" },
        ]),
      ]),
      ...chains.values(),
      baseChain("refuse", HOOKS.filterOutput, [
        rule("nobody serves, TCP", [...isKnown, ...protocolIs(IPPROTO.tcp), REFUSE_TCP]),
        rule("nobody serves", [...isKnown, REFUSE]),
      ]),
    ],
  };
}

const isIpv4 = [
  { kind: "meta", key: "nfproto", to: 0 },
  { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(NFPROTO[4]) },
] as const;
const isKnown = [
  ...isIpv4,
  loadAddress("destination", 4, 0),
  { kind: "lookup", set: "known", from: 0, to: undefined },
] as const;

function pickOf({ affinity, backends: all }: Vip): string {
  return `${affinity ? "hash" : "pick"}-${all.length}`;
}

function pickChain(vip: Vip): ChainWant {
  const modulus = vip.backends.length;
  return {
    name: pickOf(vip),
    rules: [
      rule("one of them", [
        loadAddress("destination", 4, 0),
        ...(vip.affinity
          ? ([
              loadAddress("source", 4, 4),
              { kind: "hash", from: 4, bytes: 4, to: 1, modulus, seed: SEED },
            ] as const)
          : ([{ kind: "random", to: 1, modulus }] as const)),
        { kind: "lookup", set: "backends", from: 0, to: 8 },
        { kind: "dnat", family: NFPROTO[4], address: 8, port: undefined },
      ]),
    ],
  };
}

function verdicts(pairs: readonly (readonly [string, string])[]): MapWant {
  const shape = { keyType: typeOf("ipv4"), keyBytes: 4, dataType: 0, dataBytes: 0 };
  return { name: "vips", kind: "verdicts", ...shape, elements: new Map(pairs) };
}

function backends(vips: readonly Vip[]): MapWant {
  return {
    ...{ name: "backends", kind: "map", keyType: typeOf("ipv4", "mark"), keyBytes: 8 },
    ...{ dataType: typeOf("ipv4"), dataBytes: 4 },
    elements: new Map(
      vips.flatMap((vip) =>
        vip.backends.map((backend, n) => [
          hexOf(ipToBytes(ipOf(vip.address)), hostOrder(n)),
          hexOfIp(backend),
        ]),
      ),
    ),
    forgets: { kind: "translated-to", part: "value", offset: 0, bytes: 4, protocols: "udp" },
  };
}

function hexOfIp(text: string): string {
  return hexOf(ipToBytes(ipOf(text)));
}

function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`no address: ${text}`);
  return ip;
}
