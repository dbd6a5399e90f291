// The routing mesh's devices and ways: this node's own way into the ingress network (a device in the machine's
// namespace), the rows that lead to the other nodes' ones, and the way back in a backend's sandbox.
// docs/mesh.md draws the packet's way. The tables that send packets there are agent/balance's.
import {
  addressAt,
  type Family,
  formatIp,
  type Ip,
  ipToBytes,
  type Prefix,
  parseIp,
} from "../../common/address.js";
import { crc32c } from "../../common/crc32c.js";
import { type Mac, parseMac } from "../../common/ids.js";
import type { RoutingRule } from "../netlink/rule.js";
import { agentTag } from "./names.js";

/** The end of the pair that is in the machine's namespace. */
export interface MeshEnd {
  /** What is behind it, on the link. */
  readonly subnets: readonly Prefix[];
  /** Address → MAC of every backend: nobody is asked. */
  readonly neighbours: ReadonlyMap<string, string>;
}

/** In a sandbox on ingress: answers to what a node's mesh sent go back to that node. */
export interface ReturnPath {
  /** What its service publishes. */
  readonly ports: readonly { readonly protocol: number; readonly port: number }[];
  readonly families: readonly Family[];
}

/** Unique local (RFC 4193): "sk" "in"; every ingress address has a twin of its last four bytes there. */
export const MESH_IPV6: Prefix = {
  ip: { family: 6, value: 0xfd73_6b65_696e_0000_0000_0000_0000_0000n },
  length: 96,
};
/** The nodes' own, by their VTEPs: what comes from a node itself has it as source. */
const NODE_IPV6 = 0xfd73_6b65_696e_0001_0000_0000_0000_0000n;
const LAST_FOUR = 0xffff_ffffn;

export function meshIpv6(ipv4: Ip): Ip {
  return addressAt(MESH_IPV6, ipv4.value & LAST_FOUR);
}

/** Of a node whose VTEP is IPv6: 169.254.192.0/19 (RFC 3927); a machine of IPv6 alone need not have an address. */
const NODE_IPV4 = 0xa9fe_c000n;
const NODE_IPV4_MASK = 0x1fffn;

/** What the mesh of a node gives to packets whose own source would mean nothing elsewhere. */
export function nodeSource(vtep: Ip, family: Family): Ip {
  if (vtep.family === family) return vtep;
  const value = BigInt(fourBytesOf(vtep));
  return { family, value: family === 6 ? NODE_IPV6 | value : NODE_IPV4 | (value & NODE_IPV4_MASK) };
}

/** What tells a node from the others: IPv4 addresses do; those of IPv6 often end alike, one host to a rack's prefix. */
function fourBytesOf(vtep: Ip): number {
  // 0 is no mark, and the MAC of any node.
  return vtep.family === 4 ? Number(vtep.value) : crc32c(ipToBytes(vtep)) || 1;
}

// 0x53: "S". The mark of a connection is what follows.
export const MESH_MAC_PREFIX = Uint8Array.of(0x02, 0x53);

/** A node's on the ingress network: its VTEP in four bytes, which are all that an answer has to know. */
export function meshMac(vtep: Ip): Mac {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(fourBytesOf(vtep));
  const bytes = [...MESH_MAC_PREFIX, ...four];
  const text = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return parseMac(text) as Mac;
}

/** As endpoints are named; it is nobody's in the swarm. */
export function meshEndpoint(runDir: string): string {
  return `mesh-${agentTag(runDir)}`;
}

/** The agent of an ordinary installation has the plain name; 15 bytes at most. */
export function meshDevice(runDir: string): string {
  return runDir === "/run/skein" ? "skein_mesh" : `skmesh_${agentTag(runDir)}`;
}

// ---- The way back

export const RETURN_TABLE = 4096;
/** Before the table main: an answer's way does not depend on where its receiver would be found. */
const MARKED_PRIORITY = 32_765;
/** After everything: it only says that there is a way, until the packet has its mark. */
const FALLBACK_PRIORITY = 32_768;

/** Nobody has these: what is sent there has its destination's MAC put in on its way out. */
const RETURN_GATEWAYS: Readonly<Record<Family, Ip>> = {
  4: parseIp("169.254.83.1") as Ip,
  6: parseIp("fe80::53") as Ip,
};
export const RETURN_MAC = "02:53:00:00:00:00";

export function returnGateway(family: Family): Ip {
  return RETURN_GATEWAYS[family];
}

/**
 * The mark is set when a packet is on its way already, which the kernel then looks for again. A sandbox without
 * a default route (all its networks are internal) would not get so far: what it sends from a published port
 * finds this one.
 */
export function returnRules({ ports, families }: ReturnPath): RoutingRule[] {
  return families.flatMap((family): RoutingRule[] => [
    { family, priority: MARKED_PRIORITY, table: RETURN_TABLE, when: { kind: "marked" } },
    ...ports.map(
      (port): RoutingRule => ({
        family,
        priority: FALLBACK_PRIORITY,
        table: RETURN_TABLE,
        when: { kind: "source-port", ...port },
      }),
    ),
  ]);
}

/** What is found of it in a namespace. */
export interface ReturnHave {
  readonly rules: readonly RoutingRule[];
  /** Interfaces that the table's default routes go out of. */
  readonly routes: readonly { readonly family: Family; readonly ifindex: number }[];
  readonly neighbours: readonly {
    readonly ifindex: number;
    readonly ip: string;
    readonly mac: string;
  }[];
}

export function returns(want: ReturnPath, have: ReturnHave | undefined, ifindex: number): boolean {
  if (have === undefined) return false;
  const rules = new Set(have.rules.map(ruleKey));
  const wanted = returnRules(want);
  return (
    rules.size === wanted.length &&
    wanted.every((rule) => rules.has(ruleKey(rule))) &&
    want.families.every(
      (family) =>
        have.routes.some((route) => route.family === family && route.ifindex === ifindex) &&
        have.neighbours.some(
          ({ ip, mac, ...on }) =>
            on.ifindex === ifindex && mac === RETURN_MAC && ip === formatIp(returnGateway(family)),
        ),
    )
  );
}

export function ruleKey({ family, priority, table, when }: RoutingRule): string {
  const what = when.kind === "source-port" ? `${when.protocol} ${when.port}` : when.kind;
  return `${family} ${priority} ${table} ${what}`;
}
