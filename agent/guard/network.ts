// What an endpoint may send, and what other nodes may send to those here: a table of the family bridge in the network's
// namespace. docs/guard.md says what it keeps off and what it does not.
//
//   prerouting   the port that a frame came by, in `ports` → the chain of that port
//   vxlan        source MAC in `remotes`: let in; else counted and dropped
//   v-1234abcd   of each endpoint: its own MAC, no flood, and its own addresses
//   input        to the bridge itself: nothing, unless the network is the nodes' own
//
// Where a bridge is the first to see a frame its addresses are not looked at, so a rule asks for the protocol first.
import { type Ip, ipToBytes } from "../../common/address.js";
import type { Mac } from "../../common/ids.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression } from "../netlink/nftables-expression.js";
import { PROBE_MAC_PREFIX, probeMac } from "../overlay/probe-address.js";
import { ASIDE, bridgeMac, LISTENER, portName, VXLAN } from "../reconcile/names.js";
import { rowsWanted } from "../reconcile/rows.js";
import {
  ACCEPT,
  baseChain,
  DROP,
  hexOf,
  IPPROTO,
  interfaceName,
  protocolIs,
  rule,
  typeOf,
} from "../reconcile/rule-words.js";
import type { ChainWant, MapWant, RuleWant, TableWant } from "../reconcile/table-want.js";
import type { LocalEndpoint, NetworkWant } from "../reconcile/want.js";
import { DROPS, type DropReason, dropText } from "./drops.js";
import { GUARD_TABLE, nodesOf } from "./underlay.js";

// Choice: what a service that announces itself by multicast, or a whole rack that asks by ARP, stays far below; and
// little enough that one endpoint gone wild costs each of a hundred nodes a percent of a core.
const FLOOD_RATE = 1000;
export const FLOOD_BURST = 2000;

// IEEE 802 numbers, RFC 826.
const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
const IGMP = 2;
// RFC 4861 section 4, RFC 792.
const ICMPV6 = { routerAdvertisement: 134, neighbourAdvertisement: 136, redirect: 137 } as const;

const COUNT: Expression = { kind: "counter" };
const INPUT = {
  type: "filter",
  hook: nft.NF_BR_PRE_ROUTING,
  priority: nft.NF_IP_PRI_RAW,
  policy: "accept",
} as const;

export function networkTable(network: NetworkWant): TableWant {
  const ports = new Map(
    [VXLAN, LISTENER, ASIDE].map((device) => [hexOf(interfaceName(device)), "vxlan"]),
  );
  for (const { endpointId } of network.locals) {
    const port = portName(endpointId);
    ports.set(hexOf(interfaceName(port)), port);
  }
  return {
    family: "bridge",
    name: GUARD_TABLE,
    maps: [
      {
        ...{ name: "ports", kind: "verdicts", keyType: typeOf("interface"), keyBytes: 16 },
        ...{ dataType: 0, dataBytes: 0, elements: ports },
      },
      remotesOf(network),
      ownAddressesOf(network),
    ],
    chains: [
      baseChain("prerouting", INPUT, [
        rule("by port", [
          { kind: "meta", key: "iifname", to: 0 },
          { kind: "lookup", set: "ports", from: 0, to: "verdict" },
        ]),
      ]),
      ...(network.own === undefined ? [TO_BRIDGE] : []),
      fromOthers(network.vni),
      ...network.locals.map((local) => endpointChain(local, network)),
    ],
  };
}

/** It asks who listens to which group, and hears that before this hook; it is no station that answers for itself. */
const TO_BRIDGE: ChainWant = baseChain("input", { ...INPUT, hook: nft.NF_BR_LOCAL_IN }, [
  rule("the bridge is nobody to talk to", [DROP]),
]);

// ---- From other nodes

const fromOthers = (vni: number): ChainWant => ({
  name: "vxlan",
  rules: [
    rule("a bridge as ours speaks to its own", [
      ...sourceMac(),
      { kind: "cmp", from: 0, is: "equal", value: macBytes(bridgeMac(vni)) },
      DROP,
    ]),
    // Bridges ask their own ports who listens to which group; each node does so for itself.
    rule("another node's bridge speaks to its own", [
      { kind: "payload", header: "link", offset: 6, bytes: 2, to: 0 },
      { kind: "cmp", from: 0, is: "equal", value: PROBE_MAC_PREFIX },
      ...isToMany(),
      DROP,
    ]),
    rule("an endpoint of another node", [
      ...sourceMac(),
      { kind: "lookup", set: "remotes", from: 0, to: undefined },
      ACCEPT,
    ]),
    rule(dropText(DROPS.spoofed, ""), [COUNT, DROP]),
  ],
});

/** Endpoints of other nodes, and their bridges, which probe each other. */
function remotesOf(network: NetworkWant): MapWant {
  const elements = new Map<string, string>();
  for (const mac of rowsWanted(network).remotes.keys()) elements.set(macHex(mac), "");
  for (const vtep of nodesOf(network)) elements.set(macHex(probeMac(vtep)), "");
  const key = { keyType: typeOf("ether"), keyBytes: 6, dataType: 0, dataBytes: 0 };
  return { name: "remotes", kind: "set", ...key, elements };
}

// ---- From endpoints here

/** Those with IPv6: each address with the MAC that may have it. */
function ownAddressesOf({ locals }: NetworkWant): MapWant {
  const elements = new Map<string, string>();
  for (const { mac, prefixes } of locals) {
    const own = prefixes.map(({ ip }) => ip).filter(({ family }) => family === 6);
    for (const ip of [...own, linkLocal(mac)])
      elements.set(hexOf(macBytes(mac), ipToBytes(ip)), "");
  }
  const key = { keyType: typeOf("ether", "ipv6"), keyBytes: 24, dataType: 0, dataBytes: 0 };
  return { name: "addresses6", kind: "set", ...key, elements };
}

function endpointChain(local: LocalEndpoint, network: NetworkWant): ChainWant {
  const { endpointId, mac } = local;
  const drop = (reason: DropReason, when: readonly Expression[]) =>
    rule(dropText(reason, endpointId), [...when, COUNT, DROP]);
  const rules = [
    drop(DROPS.spoofedMac, [
      { kind: "payload", header: "link", offset: 6, bytes: 6, to: 0 },
      { kind: "cmp", from: 0, is: "unequal", value: macBytes(mac) },
    ]),
    drop(DROPS.flood, [
      ...isToMany(),
      { kind: "over-limit", rate: FLOOD_RATE, burst: FLOOD_BURST },
    ]),
  ];
  // What the mesh sends has its clients' addresses, and what routes for others has theirs.
  const routes = local.mesh !== undefined || network.sources === "mac";
  return {
    name: portName(endpointId),
    rules: routes ? rules : [...rules, ...ipv4Rules(local, drop), ...ipv6Rules(drop)],
  };
}

type Drop = (reason: DropReason, when: readonly Expression[]) => RuleWant;

function ipv4Rules({ mac, prefixes }: LocalEndpoint, drop: Drop): RuleWant[] {
  const own = prefixes.map(({ ip }) => ip).filter(({ family }) => family === 4);
  const nobody = new Uint8Array(4);
  return [
    ...own.map((ip) =>
      rule("its own IPv4 address", [
        ...ethertypeIs(ETHERTYPE.ipv4),
        ...networkBytes(12, ipToBytes(ip)),
        ACCEPT,
      ]),
    ),
    // RFC 5227: who asks whether an address is free has none yet. RFC 3376 section 4.2.13: nor who joins a group.
    ...[...own.map((ip) => ipToBytes(ip)), nobody].map((ip) =>
      rule("ARP of its own", [
        ...ethertypeIs(ETHERTYPE.arp),
        ...networkBytes(8, Buffer.concat([macBytes(mac), ip])),
        ACCEPT,
      ]),
    ),
    rule("IGMP before it has an address", [
      ...ethertypeIs(ETHERTYPE.ipv4),
      ...networkBytes(12, nobody),
      ...protocolIs(IGMP),
      ACCEPT,
    ]),
    drop(DROPS.spoofedAddress, ethertypeIs(ETHERTYPE.ipv4)),
    drop(DROPS.spoofedAddress, ethertypeIs(ETHERTYPE.arp)),
  ];
}

function ipv6Rules(drop: Drop): RuleWant[] {
  const ipv6 = ethertypeIs(ETHERTYPE.ipv6);
  return [
    ...[ICMPV6.routerAdvertisement, ICMPV6.redirect].map((type) =>
      drop(DROPS.router, [...ipv6, ...icmpv6Is(type)]),
    ),
    drop(DROPS.spoofedAddress, [
      ...ipv6,
      ...icmpv6Is(ICMPV6.neighbourAdvertisement),
      ...sourceMac(),
      // Its target (RFC 4861 section 4.4).
      { kind: "payload", header: "transport", offset: 8, bytes: 16, to: 2 },
      { kind: "lookup", set: "addresses6", from: 0, to: undefined, inverted: true },
    ]),
    rule("its own IPv6 addresses", [
      ...ipv6,
      ...sourceMac(),
      { kind: "payload", header: "network", offset: 8, bytes: 16, to: 2 },
      { kind: "lookup", set: "addresses6", from: 0, to: undefined },
      ACCEPT,
    ]),
    // RFC 4862 section 5.4.2, RFC 3810 section 5.2.13: whether an address is free, and reports before there is one.
    rule("ICMPv6 before it has an address", [
      ...ipv6,
      ...networkBytes(8, new Uint8Array(16)),
      ...protocolIs(IPPROTO.icmpv6),
      ACCEPT,
    ]),
    drop(DROPS.spoofedAddress, ipv6),
  ];
}

// ---- Words

function ethertypeIs(type: number): readonly Expression[] {
  return [
    { kind: "meta", key: "protocol", to: 0 },
    { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(type >> 8, type & 0xff) },
  ];
}

function networkBytes(offset: number, value: Uint8Array): readonly Expression[] {
  return [
    { kind: "payload", header: "network", offset, bytes: value.length, to: 0 },
    { kind: "cmp", from: 0, is: "equal", value },
  ];
}

function icmpv6Is(type: number): readonly Expression[] {
  return [
    ...protocolIs(IPPROTO.icmpv6),
    { kind: "payload", header: "transport", offset: 0, bytes: 1, to: 0 },
    { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(type) },
  ];
}

/** IEEE 802: the first bit on the wire of the destination is that of a group; broadcast is one of them. */
function isToMany(): readonly Expression[] {
  return [
    { kind: "payload", header: "link", offset: 0, bytes: 1, to: 0 },
    {
      ...{ kind: "bitwise", from: 0, to: 0 },
      ...{ mask: Uint8Array.of(1), xor: Uint8Array.of(0) },
    },
    { kind: "cmp", from: 0, is: "unequal", value: Uint8Array.of(0) },
  ];
}

/** Into registers 0 and 1. */
function sourceMac(): readonly Expression[] {
  return [{ kind: "payload", header: "link", offset: 6, bytes: 6, to: 0 }];
}

/** RFC 4291 appendix A. */
function linkLocal(mac: Mac): Ip {
  const [a = 0, b = 0, c = 0, ...rest] = macBytes(mac);
  const bytes = Buffer.from([a ^ 2, b, c, 0xff, 0xfe, ...rest]);
  return { family: 6, value: (0xfe80n << 112n) | bytes.readBigUInt64BE() };
}

function macBytes(mac: string): Uint8Array {
  return Buffer.from(macHex(mac), "hex");
}

function macHex(mac: string): string {
  return mac.replaceAll(":", "");
}
