// Who may begin to talk to those in a sandbox: on networks with skein.policy=deny, only whom a policy names.
import { type Family, parsePrefix } from "../../common/address.js";
import { type Policy, PolicyProtocol } from "../../proto/gen/types.js";
import type { MapShape } from "../netlink/nftables.js";
import * as nft from "../netlink/nftables-constants.js";
import type { Expression } from "../netlink/nftables-expression.js";
import type { ReachNetwork } from "../reach/reach.js";
import {
  ACCEPT,
  ADDRESS_BYTES,
  addressBytes,
  ct,
  familyIs,
  from,
  goTo,
  hexOf,
  IPPROTO,
  interfaceName,
  loadAddress,
  loadPort,
  networkOrder16,
  protocolIs,
  rule,
  typeOf,
} from "../reconcile/rule-words.js";
import type { ChainWant, MapWant, RuleWant } from "../reconcile/table-want.js";
import { base, NO, named } from "./chains.js";
import { addressIn } from "./service-elements.js";
import type { Inside } from "./tables.js";

const POLICY_OPTION = "skein.policy";

// RFC 4861 sections 4.3 and 4.4.
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;

function denies({ network }: ReachNetwork): boolean {
  return network.spec?.driverOpts[POLICY_OPTION] === "deny";
}

/** Undefined: nothing here is on a network that denies. */
export function policyOf(
  insides: readonly Inside[],
): { readonly maps: readonly MapWant[]; readonly chains: readonly ChainWant[] } | undefined {
  const denied = insides.filter(({ network }) => denies(network));
  if (denied.length === 0) return undefined;
  const links = denied.map(({ interfaceName: name }) => hexOf(interfaceName(name)));
  const families = [4, 6] as const;
  return {
    maps: [
      set("denied", typeOf("interface"), 16, links),
      ...families.flatMap((family) => {
        const bytes = ADDRESS_BYTES[family];
        const address = family === 4 ? "ipv4" : "ipv6";
        const key = typeOf("interface", address, "protocol", "port");
        const own = denied.flatMap(({ endpoint }) => {
          const ip = parsePrefix(family === 4 ? endpoint.ipv4 : endpoint.ipv6)?.ip;
          return ip === undefined ? [] : [hexOf(addressBytes(ip))];
        });
        const allowed = denied.flatMap((inside) => allowedTo(inside, family));
        return [
          set(named("own", family), typeOf(address), bytes, own),
          set(named("allowed", family), key, 16 + bytes + 8, allowed),
        ];
      }),
    ],
    chains: CHAINS,
  };
}

function set(name: string, keyType: number, keyBytes: number, keys: readonly string[]): MapWant {
  const shape: MapShape = { name, kind: "set", keyType, keyBytes, dataType: 0, dataBytes: 0 };
  return { ...shape, elements: new Map(keys.map((key) => [key, ""])) };
}

// ---- Elements: interface . source . protocol . port; zeros are any ------------------------------------

function allowedTo({ network, endpoint, interfaceName: name }: Inside, family: Family): string[] {
  if (endpoint.serviceId === "") return [];
  const link = hexOf(interfaceName(name));
  return network.policies
    .filter(({ toServiceId }) => toServiceId === endpoint.serviceId)
    .flatMap((policy) => {
      const kinds = portsOf(policy);
      return sourcesOf(policy, network, family).flatMap((source) =>
        kinds.map((kind) => link + source + kind),
      );
    });
}

function sourcesOf(
  { fromServiceId }: Policy,
  { services }: ReachNetwork,
  family: Family,
): readonly string[] {
  if (fromServiceId === "") return [ANYBODY[family]];
  const service = services.find(({ id }) => id === fromServiceId);
  return (service?.backends ?? []).flatMap((backend) => {
    const ip = addressIn(family, backend);
    return ip === undefined ? [] : [hexOf(addressBytes(ip))];
  });
}

const ANYBODY = { 4: hexOf(new Uint8Array(4)), 6: hexOf(new Uint8Array(16)) } as const;

function portsOf({ ports }: Policy): readonly string[] {
  if (ports.length === 0) return [kindOf(0, 0)];
  return ports.flatMap(({ protocol, port }) => {
    const numbers = protocolsOf(protocol);
    // Every protocol, also those without ports.
    if (numbers.length > 1 && port === 0) return [kindOf(0, 0)];
    return numbers.map((number) => kindOf(number, port));
  });
}

function kindOf(protocol: number, port: number): string {
  return hexOf(Uint8Array.of(protocol), networkOrder16(port));
}

function protocolsOf(protocol: PolicyProtocol): readonly number[] {
  switch (protocol) {
    case PolicyProtocol.ANY:
      return [IPPROTO.tcp, IPPROTO.udp, IPPROTO.sctp];
    case PolicyProtocol.TCP:
      return [IPPROTO.tcp];
    case PolicyProtocol.UDP:
      return [IPPROTO.udp];
    case PolicyProtocol.SCTP:
      return [IPPROTO.sctp];
    default:
      // A manager that is newer than this agent: what is not understood allows nothing.
      return [];
  }
}

// ---- Rules --------------------------------------------------------------------------------------------

const JUDGE = "judge";

const CHAINS: readonly ChainWant[] = [
  {
    name: "policy",
    base: base("filter", nft.NF_INET_LOCAL_IN, nft.NF_IP_PRI_FILTER),
    rules: [
      rule("one's own", [...from("iifname", "lo"), ACCEPT]),
      rule("from a network that denies", [
        { kind: "meta", key: "iifname", to: 0 },
        { kind: "lookup", set: "denied", from: 0, to: undefined },
        goTo(JUDGE),
      ]),
      // By whatever way it came.
      ...([4, 6] as const).map((family) =>
        rule("to an address on a network that denies", [
          ...familyIs(family),
          loadAddress("destination", family, 0),
          { kind: "lookup", set: named("own", family), from: 0, to: undefined },
          goTo(JUDGE),
        ]),
      ),
    ],
  },
  {
    name: JUDGE,
    rules: [
      rule("answers", [
        ...ct("state", nft.NF_CT_STATE_ESTABLISHED | nft.NF_CT_STATE_RELATED),
        ACCEPT,
      ]),
      ...[NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT].map((type) =>
        rule("neighbours", [
          ...protocolIs(IPPROTO.icmpv6),
          { kind: "payload", header: "transport", offset: 0, bytes: 1, to: 0 },
          { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(type) },
          ACCEPT,
        ]),
      ),
      ...([4, 6] as const).flatMap(allowing),
      rule("nobody else", [goTo(NO.name)]),
    ],
  },
];

/** Exactly this, every port of the protocol, or everything; from this source, or from anybody. */
function allowing(family: Family): readonly RuleWant[] {
  const words = ADDRESS_BYTES[family] / 4;
  const source = 4;
  const protocol = source + words;
  const port = protocol + 1;
  const zero = (to: number, bytes = 4): Expression => ({
    kind: "load",
    to,
    value: new Uint8Array(bytes),
  });
  const whom = [
    ["", loadAddress("source", family, source)],
    ["anybody, ", zero(source, ADDRESS_BYTES[family])],
  ] as const;
  const what = [
    ["port", { kind: "meta", key: "l4proto", to: protocol }, loadPort("destination", port)],
    ["protocol", { kind: "meta", key: "l4proto", to: protocol }, zero(port)],
    ["all", zero(protocol), zero(port)],
  ] as const;
  return whom.flatMap(([from, loadSource]) =>
    what.map(([by, loadProtocol, loadsPort]) =>
      rule(`allowed: ${from}${by}`, [
        ...familyIs(family),
        { kind: "meta", key: "iifname", to: 0 },
        loadSource,
        loadProtocol,
        loadsPort,
        { kind: "lookup", set: named("allowed", family), from: 0, to: undefined },
        ACCEPT,
      ]),
    ),
  );
}
