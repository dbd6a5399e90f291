// The chains of the mesh's table on the machine; mesh.ts lists them.
import {
  type Family,
  formatIp,
  type Ip,
  ipToBytes,
  type Prefix,
  parseIp,
} from "../../common/address.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression, Register } from "../netlink/nftables-expression.js";
import { nodeSource } from "../reconcile/mesh-want.js";
import {
  ACCEPT,
  ADDRESS_BYTES,
  ANSWERS,
  addressIn,
  ct,
  DROP,
  familyIs,
  from,
  hostOrder,
  IPPROTO,
  loadAddress,
  loadPort,
  NFPROTO,
  protocolIs,
  REFUSE,
  REFUSE_TCP,
  RETURN,
  rule,
} from "../reconcile/rule-words.js";
import type { ChainWant, RuleWant } from "../reconcile/table-want.js";
import { BACKENDS, HIDDEN, PORTS, PUBLISHED } from "./mesh-maps.js";

export interface MeshNode {
  readonly nodeId: string;
  readonly vtep: Ip;
  readonly hasIpv6: boolean;
  /** The machine's way into the ingress network. */
  readonly device: string;
  readonly table: string;
  /** Of this machine's own bridges: their addresses mean something else on other nodes. */
  readonly bridges: readonly Prefix[];
}

/** How one of many backends is chosen: by chance, or by the client's address. */
export type Choice = "pick" | "hash";

// RFC 1122 section 3.2.1.3 and RFC 4291 section 2.5.3.
const LOOPBACK: Readonly<Record<Family, Prefix>> = {
  4: { ip: parseIp("127.0.0.0") as Ip, length: 8 },
  6: { ip: parseIp("::1") as Ip, length: 128 },
};
const FOLLOWED = nft.NF_CT_STATE_ESTABLISHED | nft.NF_CT_STATE_RELATED;
/** Before others that give packets of our bridges another source. */
const BEFORE_SOURCE_NAT = nft.NF_IP_PRI_NAT_SRC - 1;
// Choice: any will do that is the same on every node.
const HASH_SEED = 0x53;

/** Those that are hooked in: the same for every set of services. */
export function hookedChains(node: MeshNode): readonly ChainWant[] {
  const { device } = node;
  const hook = (
    name: string,
    type: "filter" | "nat",
    number: number,
    priority: number,
    rules: readonly RuleWant[],
  ): ChainWant => ({ name, base: { type, hook: number, priority, policy: "accept" }, rules });
  return [
    hook("guard", "filter", nft.NF_INET_PRE_ROUTING, nft.NF_IP_PRI_MANGLE, [
      rule("answers", [...from("iifname", device), ...ct("state", FOLLOWED), ...ANSWERS, ACCEPT]),
      rule("nothing else by the mesh", [...from("iifname", device), DROP]),
    ]),
    hook("prerouting", "nat", nft.NF_INET_PRE_ROUTING, nft.NF_IP_PRI_NAT_DST, [
      rule("loopback is not for others", [
        ...familyIs(4),
        ...addressIn("destination", LOOPBACK[4]),
        RETURN,
      ]),
      PUBLISHED_HERE,
    ]),
    hook("output", "nat", nft.NF_INET_LOCAL_OUT, nft.NF_IP_PRI_NAT_DST, [PUBLISHED_HERE]),
    hook("forward", "filter", nft.NF_INET_FORWARD, nft.NF_IP_PRI_FILTER, [
      rule("what was published", [
        ...from("oifname", device),
        ...ct("status", nft.IPS_DST_NAT),
        ACCEPT,
      ]),
      rule("nothing else into the mesh", [...from("oifname", device), DROP]),
    ]),
    hook("refuse", "filter", nft.NF_INET_LOCAL_IN, nft.NF_IP_PRI_FILTER, [
      rule("leads nowhere", [
        ...ct("state", nft.NF_CT_STATE_NEW),
        ...protocolIs(IPPROTO.tcp),
        ...portKey(0),
        { kind: "lookup", set: PUBLISHED.name, from: 0, to: undefined },
        REFUSE_TCP,
      ]),
      rule("leads nowhere", [
        ...ct("state", nft.NF_CT_STATE_NEW),
        ...portKey(0),
        { kind: "lookup", set: PUBLISHED.name, from: 0, to: undefined },
        REFUSE,
      ]),
    ]),
    hook("postrouting", "nat", nft.NF_INET_POST_ROUTING, BEFORE_SOURCE_NAT, [
      ...sourceRules(node, 4),
      ...(node.hasIpv6 ? sourceRules(node, 6) : []),
    ]),
  ];
}

const PUBLISHED_HERE = rule("published", [
  { kind: "fib-daddr-type", to: 0 },
  { kind: "cmp", from: 0, is: "equal", value: hostOrder(nft.RTN_LOCAL) },
  ...portKey(0),
  { kind: "lookup", set: PORTS.name, from: 0, to: "verdict" },
]);

/** Protocol and destination port, as keys begin. */
function portKey(to: Register): readonly Expression[] {
  return [{ kind: "meta", key: "l4proto", to }, loadPort("destination", to + 1)];
}

function random(to: Register, modulus: number): readonly Expression[] {
  return [{ kind: "random", to, modulus }];
}

function hash(to: Register, modulus: number, family: Family): readonly Expression[] {
  const bytes = family === 4 ? 4 : 16;
  const at = 4;
  return [
    loadAddress("source", family, at),
    { kind: "hash", from: at, bytes, to, modulus, seed: HASH_SEED },
  ];
}

export function pickName(choice: Choice, count: number): string {
  return `${choice}-${count}`;
}

export function pickChain(choice: Choice, count: number, hasIpv6: boolean): ChainWant {
  const choose = choice === "hash" ? hash : random;
  return { name: pickName(choice, count), rules: pickOne(choose, count, hasIpv6) };
}

function pickOne(
  choose: (to: Register, modulus: number, family: Family) => readonly Expression[],
  count: number,
  hasIpv6: boolean,
): readonly RuleWant[] {
  return ([4, 6] as const)
    .filter((family) => family === 4 || hasIpv6)
    .map((family) =>
      rule(`one of ${count}`, [
        ...familyIs(family),
        ...portKey(0),
        ...choose(2, count, family),
        { kind: "lookup", set: BACKENDS[family].name, from: 0, to: 4 },
        {
          kind: "dnat",
          family: NFPROTO[family],
          address: 4,
          port: 4 + ADDRESS_BYTES[family] / 4,
        },
      ]),
    );
}

function sourceRules({ device, vtep, bridges }: MeshNode, family: Family): readonly RuleWant[] {
  const source = nodeSource(vtep, family);
  const become: readonly Expression[] = [
    { kind: "load", to: 0, value: ipToBytes(source) },
    { kind: "snat", family: NFPROTO[family], address: 0 },
  ];
  const leaving = [...from("oifname", device), ...familyIs(family)];
  const own = [LOOPBACK[family], ...bridges.filter(({ ip }) => ip.family === family)];
  // RFC 8200 section 3: the last four bytes of the destination.
  const last: Expression = { kind: "payload", header: "network", offset: 36, bytes: 4, to: 0 };
  return [
    ...own.map((prefix) =>
      rule(`${formatIp(prefix.ip)} is this machine's own`, [
        ...leaving,
        ...addressIn("source", prefix),
        ...become,
      ]),
    ),
    rule("the client is hidden", [
      ...leaving,
      family === 4 ? loadAddress("destination", 4, 0) : last,
      { kind: "lookup", set: HIDDEN.name, from: 0, to: undefined },
      ...become,
    ]),
  ];
}
