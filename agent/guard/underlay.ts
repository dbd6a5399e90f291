// Who may send us frames: a table in the machine's own namespace. What comes to the data path's address and port, of a
// network that is here, is let in only from that network's nodes. docs/guard.md.
//
//   input     to a VTEP of ours at its port → from4, or from6
//   from4     (source address . VNI) in `peers4`: let in; VNI in `vnis`: noted in `strangers4`, counted and dropped;
//             else noted in `elsewhere4` and counted
//
// What is noted is bounded, and a rule ends where there is no room for more: so those that note are not those that drop.
// At the hook `input` packets are whole: a fragment before it would show no port, or no VNI. Whatever is for another
// address or port is not looked at, and a VNI that is not ours is let through: a device of another program may
// share the kernel's socket with ours, and where there is none the kernel drops the frame.
import { bitsOf, type Family, formatIp, type Ip } from "../../common/address.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression, Register } from "../netlink/nftables-expression.js";
import { TABLE } from "../reconcile/names.js";
import {
  ACCEPT,
  ADDRESS_BYTES,
  addressBytes,
  addressIn,
  baseChain,
  DROP,
  familyIs,
  goTo,
  hexOf,
  IPPROTO,
  loadAddress,
  portIs,
  protocolIs,
  rule,
  typeOf,
} from "../reconcile/rule-words.js";
import type { ChainWant, MapWant, TableWant } from "../reconcile/table-want.js";
import type { NetworkWant } from "../reconcile/want.js";
import { DROPS, dropText } from "./drops.js";
import { type StrangerReason, strangersSet } from "./strangers.js";

/** Of every table of the guard, in whatever namespace. */
export const GUARD_TABLE = `${TABLE}_guard`;

// RFC 7348 section 5, behind the UDP header: flags, 24 reserved bits, and the VNI.
const VNI_AT = 12;
const VNI_BYTES = 3;
const COUNT: Expression = { kind: "counter" };
const NOTHING: ReadonlyMap<string, string> = new Map();

/** Undefined: no network is here. */
export function underlayTable(all: readonly NetworkWant[]): TableWant | undefined {
  // Of encrypted ones nothing comes to the machine's own namespace but what is encrypted.
  const networks = all.filter(({ encrypted }) => encrypted === undefined);
  if (networks.length === 0) return undefined;
  const doors = new Map<string, Pick<NetworkWant, "vtep" | "port">>();
  for (const { vtep, port, also = 0 } of networks) {
    // Two, while the data path port is being changed.
    for (const each of [port, also]) {
      if (each > 0) doors.set(`${formatIp(vtep)} ${each}`, { vtep, port: each });
    }
  }
  const families = ([4, 6] as const).filter((family) =>
    networks.some(({ vtep }) => vtep.family === family),
  );
  const vnis = new Map(networks.map(({ vni }) => [hexOf(vniBytes(vni)), ""]));
  const rules = [...doors.values()].map(({ vtep, port }) =>
    rule(`to the data path at ${formatIp(vtep)} port ${port}`, [
      ...familyIs(vtep.family),
      ...protocolIs(IPPROTO.udp),
      ...portIs("destination", port),
      ...addressIn("destination", { ip: vtep, length: bitsOf(vtep.family) }),
      goTo(`from${vtep.family}`),
    ]),
  );
  return {
    family: "inet",
    name: GUARD_TABLE,
    maps: [
      { ...{ name: "vnis", kind: "set", ...VNI_KEY }, elements: vnis },
      ...families.map((family) => peersOf(networks, family)),
      ...families.flatMap((family) => [
        notedSet(DROPS.notAPeer, family),
        notedSet(DROPS.unknownVni, family),
      ]),
    ],
    chains: [baseChain("input", INPUT, rules), ...families.map(fromChain)],
  };
}

const INPUT = {
  type: "filter",
  hook: nft.NF_INET_LOCAL_IN,
  priority: nft.NF_IP_PRI_RAW,
  policy: "accept",
} as const;
const VNI_KEY = { keyType: typeOf("mark"), keyBytes: 4, dataType: 0, dataBytes: 0 } as const;

function fromChain(family: Family): ChainWant {
  const vniRegister = ADDRESS_BYTES[family] / 4;
  const noteSource = (reason: StrangerReason): readonly Expression[] => [
    loadAddress("source", family, 0),
    loadVni(vniRegister),
    { kind: "note", set: strangersSet(reason, family), from: 0 },
  ];
  return {
    name: `from${family}`,
    rules: [
      rule("a node of the network", [
        loadAddress("source", family, 0),
        loadVni(vniRegister),
        { kind: "lookup", set: `peers${family}`, from: 0, to: undefined },
        ACCEPT,
      ]),
      rule("who is no node of it", [
        loadVni(0),
        { kind: "lookup", set: "vnis", from: 0, to: undefined },
        ...noteSource(DROPS.notAPeer),
      ]),
      rule(dropText(DROPS.notAPeer, ""), [
        loadVni(0),
        { kind: "lookup", set: "vnis", from: 0, to: undefined },
        COUNT,
        DROP,
      ]),
      rule("who has a network that is not here", noteSource(DROPS.unknownVni)),
      rule(dropText(DROPS.unknownVni, ""), [COUNT]),
    ],
  };
}

function loadVni(to: Register): Expression {
  return { kind: "payload", header: "transport", offset: VNI_AT, bytes: VNI_BYTES, to };
}

function peersOf(networks: readonly NetworkWant[], family: Family): MapWant {
  const elements = new Map<string, string>();
  for (const network of networks) {
    for (const vtep of nodesOf(network)) {
      if (vtep.family === family)
        elements.set(hexOf(addressBytes(vtep), vniBytes(network.vni)), "");
    }
  }
  return { name: `peers${family}`, kind: "set", ...sourceKey(family), elements };
}

function notedSet(reason: StrangerReason, family: Family): MapWant {
  const elements = NOTHING;
  return { name: strangersSet(reason, family), kind: "noted", ...sourceKey(family), elements };
}

/** Source address . VNI. */
function sourceKey(family: Family) {
  const address = family === 4 ? "ipv4" : "ipv6";
  const key = { keyType: typeOf(address, "mark"), keyBytes: ADDRESS_BYTES[family] + 4 };
  return { ...key, dataType: 0, dataBytes: 0 };
}

/** The VTEPs of a network's other nodes, each once. */
export function nodesOf({ floodTo, remotes }: NetworkWant): readonly Ip[] {
  const nodes = new Map<bigint, Ip>();
  for (const vtep of floodTo) nodes.set(vtep.value, vtep);
  for (const { vtep } of remotes) nodes.set(vtep.value, vtep);
  return [...nodes.values()];
}

function vniBytes(vni: number): Uint8Array {
  return Uint8Array.of(vni >> 16, (vni >> 8) & 0xff, vni & 0xff);
}
