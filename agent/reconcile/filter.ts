// The packet filter that goes with local bridges, as one table of nf_tables: chains whose rules grow with
// the bridges, and one map for each family, whose elements are the published ports. Only packets that concern our
// bridges meet a rule that does something. Of IPv6 there is nothing as long as no bridge has it.
//
//   protect      before all else: nothing from a bridge reaches this machine's loopback addresses, which
//                `route_localnet` on the bridge would otherwise let in (CVE-2020-8558 is that hole)
//   prerouting   a published port leads inside, for what comes from others. An address of loopback only
//                counts for this machine itself: a neighbour on the wire could send to 127.0.0.1 as well
//   output       the same for what this machine sends, 127.0.0.1 included. Not ::1: an answer that is turned back
//                to it on a bridge is dropped (RFC 4291 section 2.5.3), and there is no route_localnet for it, so
//                that it is refused at once and `localhost` goes on with 127.0.0.1
//   forward      into a bridge comes only what was published, or answers; between bridges nothing
//   postrouting  what leaves gets this machine's address; so does what comes back to the bridge that it left
//                (a container that asks for a published port) and what has a loopback address
import { type Family, ipToBytes, networkOf, type Prefix } from "../../common/address.js";
import type { MapShape } from "../netlink/nftables.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression, Register } from "../netlink/nftables-expression.js";
import type { BridgeWant, LocalWant, PortWant } from "./local-want.js";
import { TABLE } from "./names.js";
import {
  ACCEPT,
  ADDRESS_BYTES,
  addressIn,
  baseChain,
  ct,
  DROP,
  familyIs,
  from,
  HOOKS,
  hexOf,
  hostOrder,
  IPPROTO,
  loadAddress,
  loadPort,
  MASQUERADE,
  NFPROTO,
  networkOrder16,
  rule,
  typeOf,
} from "./rule-words.js";
import type { RuleWant, TableWant } from "./table-want.js";

/** Address, protocol and port, each in words of 32 bits → address and port. */
const PORT_MAPS: Readonly<Record<Family, MapShape>> = {
  4: {
    name: "ports",
    kind: "map",
    keyType: typeOf("ipv4", "protocol", "port"),
    keyBytes: 12,
    dataType: typeOf("ipv4", "port"),
    dataBytes: 8,
  },
  6: {
    name: "ports6",
    kind: "map",
    keyType: typeOf("ipv6", "protocol", "port"),
    keyBytes: 24,
    dataType: typeOf("ipv6", "port"),
    dataBytes: 20,
  },
};

/** Without bridges there is none to be. */
export function localTable({ bridges, ports }: LocalWant): TableWant {
  const hasIpv6 = bridges.some(({ addresses }) => addresses.some(({ ip }) => ip.family === 6));
  const families: readonly Family[] = hasIpv6 ? [4, 6] : [4];
  const all = elementsOf(ports);
  return {
    family: "inet",
    name: TABLE,
    maps: families.map((family) => ({
      ...PORT_MAPS[family],
      elements: all[family],
      forgets: { kind: "published-ports" },
    })),
    chains: [
      baseChain("protect", HOOKS.rawPrerouting, bridges.map(protectLoopback)),
      baseChain(
        "prerouting",
        HOOKS.natPrerouting,
        families.flatMap((family) => publish(family, loopback(family, "unequal"))),
      ),
      baseChain(
        "output",
        HOOKS.natOutput,
        families.flatMap((family) => publish(family, family === 4 ? [] : loopback(6, "unequal"))),
      ),
      baseChain("forward", HOOKS.filterForward, forward(bridges)),
      baseChain("postrouting", HOOKS.natPostrouting, bridges.flatMap(sourceNat)),
    ],
  };
}

// The same ports are the same elements, as long as nobody changed them.
const maps = new WeakMap<readonly PortWant[], Elements>();
type Elements = Readonly<Record<Family, ReadonlyMap<string, string>>>;

function elementsOf(ports: readonly PortWant[]): Elements {
  const known = maps.get(ports);
  if (known !== undefined) return known;
  const of = (family: Family) => ports.filter(({ ip }) => ip.family === family).map(elementOf);
  const made = { 4: new Map(of(4)), 6: new Map(of(6)) };
  maps.set(ports, made);
  return made;
}

// A port that stays is looked at on every change of another one: its bytes are made once.
const elements = new WeakMap<PortWant, readonly [string, string]>();

function elementOf(port: PortWant): readonly [string, string] {
  const known = elements.get(port);
  if (known !== undefined) return known;
  const made = makeElement(port);
  elements.set(port, made);
  return made;
}

function makeElement(port: PortWant): readonly [string, string] {
  const { family } = port.ip;
  const every = new Uint8Array(ADDRESS_BYTES[family]);
  const host = port.hostIp === undefined ? every : ipToBytes(port.hostIp);
  const protocol = Uint8Array.of(IPPROTO[port.protocol]);
  const key = hexOf(host, protocol, networkOrder16(port.hostPort));
  return [key, hexOf(ipToBytes(port.ip), networkOrder16(port.port))];
}

// ---- Rules -------------------------------------------------------------------------------------

function protectLoopback({ device }: BridgeWant): RuleWant {
  return rule(`${device} not to loopback`, [
    ...from("iifname", device),
    ...familyIs(4),
    ...loopback(4, "equal"),
    DROP,
  ]);
}

function publish(family: Family, only: readonly Expression[]): RuleWant[] {
  const words = ADDRESS_BYTES[family] / 4;
  const destination = loadAddress("destination", family, 0);
  const zero = new Uint8Array(ADDRESS_BYTES[family]);
  // Behind the address come protocol and port, and what they lead to has registers of its own.
  const [protocol, port] = [words as Register, (words + 1) as Register];
  const to = family === 4 ? 4 : 8;
  const local: readonly Expression[] = [
    { kind: "fib-daddr-type", to: 0 },
    { kind: "cmp", from: 0, is: "equal", value: hostOrder(nft.RTN_LOCAL) },
  ];
  const rest: readonly Expression[] = [
    { kind: "meta", key: "l4proto", to: protocol },
    loadPort("destination", port),
    { kind: "lookup", set: PORT_MAPS[family].name, from: 0, to },
    { kind: "dnat", family: NFPROTO[family], address: to, port: (to + words) as Register },
  ];
  const start = [...familyIs(family), ...only, ...local, destination];
  return [
    rule(`published on one address of IPv${family}`, [...start, ...rest]),
    rule(`published on every address of IPv${family}`, [
      ...start,
      { kind: "bitwise", from: 0, to: 0, mask: zero, xor: zero },
      ...rest,
    ]),
  ];
}

function forward(bridges: readonly BridgeWant[]): RuleWant[] {
  if (bridges.length === 0) return [];
  const internal = bridges.filter((bridge) => bridge.internal);
  return [
    ...internal.flatMap(({ device }) => [
      rule(`nothing into ${device}`, [
        ...from("oifname", device, "equal"),
        ...from("iifname", device, "unequal"),
        DROP,
      ]),
      rule(`nothing out of ${device}`, [
        ...from("iifname", device, "equal"),
        ...from("oifname", device, "unequal"),
        DROP,
      ]),
    ]),
    rule("answers", [
      ...ct("state", nft.NF_CT_STATE_ESTABLISHED | nft.NF_CT_STATE_RELATED),
      ACCEPT,
    ]),
    rule("what was published", [...ct("status", nft.IPS_DST_NAT), ACCEPT]),
    ...bridges.flatMap(({ device, icc }) => [
      ...(icc
        ? [
            rule(`within ${device}`, [
              ...from("iifname", device, "equal"),
              ...from("oifname", device, "equal"),
              ACCEPT,
            ]),
          ]
        : []),
      rule(`nothing else into ${device}`, [...from("oifname", device, "equal"), DROP]),
    ]),
  ];
}

function sourceNat(bridge: BridgeWant): RuleWant[] {
  const { device } = bridge;
  return bridge.addresses.map(networkOf).flatMap((subnet) => {
    const loopbackNetwork = LOOPBACK[subnet.ip.family];
    return [
      rule(`loopback into ${device}`, [
        ...from("oifname", device, "equal"),
        ...sourceIn(loopbackNetwork),
        MASQUERADE,
      ]),
      rule(`back into ${device}`, [
        ...from("oifname", device, "equal"),
        ...sourceIn(subnet),
        ...ct("status", nft.IPS_DST_NAT),
        MASQUERADE,
      ]),
      ...(bridge.masquerade && !bridge.internal
        ? [
            rule(`out of ${device}`, [
              ...sourceIn(subnet),
              ...from("oifname", device, "unequal"),
              MASQUERADE,
            ]),
          ]
        : []),
    ];
  });
}

// ---- Words of rules

// RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3.
const LOOPBACK: Readonly<Record<Family, Prefix>> = {
  4: { ip: { family: 4, value: 0x7f000000n }, length: 8 },
  6: { ip: { family: 6, value: 1n }, length: 128 },
};

function loopback(family: Family, is: "equal" | "unequal"): readonly Expression[] {
  return addressIn("destination", LOOPBACK[family], is);
}

function sourceIn(subnet: Prefix): readonly Expression[] {
  return [...familyIs(subnet.ip.family), ...addressIn("source", subnet)];
}
