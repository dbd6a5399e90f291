// What a backend's sandbox does with connections that came by the mesh: its answers go back to the node by which the
// client came.
import { type Ip, ipToBytes } from "../../common/address.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression } from "../netlink/nftables-expression.js";
import { MESH_MAC_PREFIX, RETURN_MAC } from "../reconcile/mesh-want.js";
import {
  ANSWERS,
  ct,
  familyIs,
  from,
  IPPROTO,
  NFPROTO,
  protocolIs,
  rule,
} from "../reconcile/rule-words.js";
import type { ChainWant, RuleWant, TableWant } from "../reconcile/table-want.js";

/**
 * The mark of a connection is where it came in: the last four bytes of that node's MAC in the mesh.
 *
 * A UDP server that does not ask which of its addresses was spoken to answers from the one that the way out has
 * (`exits`), and its answer would belong to no connection. So that is the one that it is spoken to at; conntrack gives
 * the answer the right one.
 *
 * A client may use the same port towards two nodes, and both may choose this backend: the flows are told apart by the
 * nodes, and one is seen from another port.
 */
export function returnTables(
  name: string,
  device: string,
  exits: readonly Ip[] = [],
): readonly TableWant[] {
  const link = (offset: number, bytes: number): Expression => ({
    kind: "payload",
    header: "link",
    offset,
    bytes,
    to: 0,
  });
  const notZero: Expression = { kind: "cmp", from: 0, is: "unequal", value: new Uint8Array(4) };
  const filter = (
    chain: string,
    type: "filter" | "route" | "nat",
    hook: number,
    rules: readonly RuleWant[],
    priority: number = nft.NF_IP_PRI_MANGLE,
  ): ChainWant => ({ name: chain, base: { type, hook, priority, policy: "accept" }, rules });
  const byMesh: readonly Expression[] = [
    ...from("iifname", device),
    link(6, 2),
    { kind: "cmp", from: 0, is: "equal", value: MESH_MAC_PREFIX },
  ];
  const toAnyNode = RETURN_MAC.split(":").map((byte) => Number.parseInt(byte, 16));
  const egress: ChainWant = {
    name: "egress",
    base: {
      type: "filter",
      hook: nft.NF_NETDEV_EGRESS,
      priority: 0,
      policy: "accept",
      devices: [device],
    },
    rules: [
      rule("to the node it came by", [
        link(0, 6),
        { kind: "cmp", from: 0, is: "equal", value: Uint8Array.from(toAnyNode) },
        { kind: "meta", key: "mark", to: 0 },
        notZero,
        { kind: "payload-set", header: "link", offset: 2, bytes: 4, from: 0 },
      ]),
    ],
  };
  return [
    {
      family: "inet",
      name,
      maps: [],
      chains: [
        filter(
          "tell_apart",
          "filter",
          nft.NF_INET_PRE_ROUTING,
          [rule("by the node", [...byMesh, link(10, 2), { kind: "ct-zone", from: 0 }])],
          nft.NF_IP_PRI_RAW,
        ),
        // Empty, and yet what gives one of two equal flows another port.
        filter("input", "nat", nft.NF_INET_LOCAL_IN, [], nft.NF_IP_PRI_NAT_SRC),
        filter("prerouting", "filter", nft.NF_INET_PRE_ROUTING, [
          rule("came by the mesh", [
            ...byMesh,
            ...ct("state", nft.NF_CT_STATE_NEW),
            link(8, 4),
            { kind: "ct-set", key: "mark", from: 0 },
          ]),
        ]),
        ...(exits.length === 0
          ? []
          : [
              filter(
                "spoken_to",
                "nat",
                nft.NF_INET_PRE_ROUTING,
                exits.map((ip) =>
                  rule("as it will answer", [
                    ...byMesh,
                    ...familyIs(ip.family),
                    ...protocolIs(IPPROTO.udp),
                    { kind: "load", to: 0, value: ipToBytes(ip) },
                    { kind: "dnat", family: NFPROTO[ip.family], address: 0, port: undefined },
                  ]),
                ),
                nft.NF_IP_PRI_NAT_DST,
              ),
            ]),
        filter("output", "route", nft.NF_INET_LOCAL_OUT, [
          rule("goes back by the mesh", [
            ...ANSWERS,
            { kind: "ct", key: "mark", to: 0 },
            notZero,
            { kind: "meta-set", key: "mark", from: 0 },
          ]),
        ]),
      ],
    },
    { family: "netdev", name, maps: [], chains: [egress] },
  ];
}
