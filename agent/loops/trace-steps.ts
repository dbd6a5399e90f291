// What the steps of a trace are made of, on either side of the wire.
import { type Family, formatIp, type Ip, parsePrefix } from "../../common/address.js";
import type { Clock } from "../../common/clock.js";
import {
  type DropCount as DropRow,
  type InquiryPart,
  TraceProtocol,
  type TraceStep,
  TraceVerdict,
} from "../../proto/gen/control.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import { type Endpoint, EndpointKind, type Network } from "../../proto/gen/types.js";
import { dataPathPorts } from "../member/data-path-port.js";
import { type FrameFacts, factsOf, PROTOCOL, TCP_FLAG } from "../overlay/frame-facts.js";
import type { Owner, SandboxRef } from "../reconcile/want.js";
import type { DataPathCounters, Pinger, Watcher } from "../seams.js";
import type { Member } from "./member.js";

export interface TraceTools {
  readonly watcher: Watcher;
  readonly pinger: Pinger;
  readonly clock: Clock;
  readonly hostname: string;
  readonly member: () => Member | undefined;
  readonly counters: () => readonly DataPathCounters[];
  /** Where an endpoint of this node's lives. */
  readonly placeOf: (endpointId: string) => Owner | undefined;
  /** The namespace's file; undefined: the agent's own. */
  readonly netnsOf: (endpointId: string) => string | undefined | "absent";
  /** What could not be made in the kernel as it is wanted, by endpoint or network. */
  readonly problem: (subject: string) => string | undefined;
}

/** What is known of a flow on the node that it leaves from. */
export interface Way {
  readonly held: Pick<Assignments, "endpoints" | "networks" | "peers">;
  readonly from: Endpoint | undefined;
  readonly network: Network | undefined;
  readonly place: Owner | undefined;
}

type Facts = Readonly<Record<string, string>>;

export function pass(at: string, what: string, facts: Facts = {}): TraceStep {
  return { at, verdict: TraceVerdict.PASS, what, facts: { ...facts } };
}
export function stop(at: string, what: string, facts: Facts = {}): TraceStep {
  return { at, verdict: TraceVerdict.STOP, what, facts: { ...facts } };
}
export function doubt(at: string, what: string, facts: Facts = {}): TraceStep {
  return { at, verdict: TraceVerdict.DOUBT, what, facts: { ...facts } };
}

export function told(...steps: TraceStep[]): InquiryPart["part"] {
  return { $case: "steps", value: { steps } };
}

export const HOST: SandboxRef = { kind: "host" };
export const NOTHING_HELD: Pick<Assignments, "endpoints" | "networks" | "peers"> = {
  endpoints: [],
  networks: [],
  peers: [],
};

// Outer and inner headers: twice Ethernet, IPv6 and a transport's.
export const TAP = { snapBytes: 192 };
export const FRAMES_A_LOOK = 500;
export const LOOK_MS = 5;
// Choice: a person waits.
const WAIT_MS = 2_000;
const WAIT_MAX_MS = 30_000;

export function waitOf(waitMs: number): number {
  return Math.min(waitMs === 0 ? WAIT_MS : waitMs, WAIT_MAX_MS);
}

export function protocolName(protocol: TraceProtocol): "icmp" | "tcp" | "udp" {
  if (protocol === TraceProtocol.TCP) return "tcp";
  return protocol === TraceProtocol.UDP ? "udp" : "icmp";
}

/** "TCP port 80"; "ICMP echo". */
export function flowName(protocol: TraceProtocol, port: number): string {
  if (protocol === TraceProtocol.ICMP) return "ICMP echo";
  return `${protocolName(protocol).toUpperCase()} port ${port}`;
}

export function addressesOf({ ipv4, ipv6 }: Endpoint): readonly Ip[] {
  return [ipv4, ipv6].flatMap((text) => parsePrefix(text)?.ip ?? []);
}

export function addressIn(endpoint: Endpoint, family: Family): string | undefined {
  const ip = addressesOf(endpoint).find((each) => each.family === family);
  return ip && formatIp(ip);
}

/** Who has the address on the network; a VIP is nobody. */
export function endpointAt(
  endpoints: readonly Endpoint[],
  networkId: string,
  address: string,
): Endpoint | undefined {
  return endpoints.find(
    (each) =>
      each.networkId === networkId &&
      each.kind !== EndpointKind.VIP &&
      addressesOf(each).some((ip) => formatIp(ip) === address),
  );
}

export function networkName({ spec, id }: Network): string {
  return spec?.name ?? id;
}

export interface Flow {
  readonly from: string;
  readonly to: ReadonlySet<string>;
  readonly protocol: TraceProtocol;
  readonly port: number;
}

/** Whether the frame is the flow's first: an echo request, a SYN, a datagram. */
export function opens({ from, to, protocol, port }: Flow, facts: FrameFacts | undefined): boolean {
  const ip = facts?.ip;
  if (ip === undefined || ip.from !== from || !to.has(ip.to)) return false;
  switch (protocol) {
    case TraceProtocol.TCP: {
      const isSyn = ((ip.flags ?? 0) & (TCP_FLAG.syn | TCP_FLAG.ack)) === TCP_FLAG.syn;
      return ip.protocol === PROTOCOL.tcp && ip.toPort === port && isSyn;
    }
    case TraceProtocol.UDP:
      return ip.protocol === PROTOCOL.udp && ip.toPort === port;
    default:
      return (
        (ip.protocol === PROTOCOL.icmp && ip.icmp?.type === 8) ||
        (ip.protocol === PROTOCOL.icmpv6 && ip.icmp?.type === 128)
      );
  }
}

// RFC 7348 section 5: 8 bytes of UDP, then 8 of VXLAN.
const UDP_AND_VXLAN_BYTES = 16;

/** Where this node sends frames to; 0: it is in no swarm. */
export function udpPortOf({ member }: Pick<TraceTools, "member">): number {
  const now = member();
  return now === undefined ? 0 : dataPathPorts(now).port;
}

/** The frame inside a VXLAN packet to this UDP port, as far as it was captured. */
export function innerFrame(outer: Buffer, udpPort: number): Buffer | undefined {
  const facts = factsOf(outer);
  if (facts?.ip?.protocol !== PROTOCOL.udp || facts.ip.toPort !== udpPort) return undefined;
  const start = 14 + 4 * facts.vlans.length;
  // RFC 791 section 3.1, RFC 8200 section 3 (no sender of VXLAN adds extension headers).
  const ipBytes = facts.ip.family === 4 ? ((outer[start] ?? 0) & 15) * 4 : 40;
  return outer.subarray(start + ipBytes + UDP_AND_VXLAN_BYTES);
}

/** Whether the frame is one that answers the flow, and how. */
export function answerTo(
  { from, to, protocol, port }: Flow,
  facts: FrameFacts | undefined,
): string | undefined {
  const ip = facts?.ip;
  if (ip === undefined || ip.to !== from) return undefined;
  if (ip.protocol === PROTOCOL.icmp && ip.icmp?.type === 3) {
    return `an ICMP "unreachable" (code ${ip.icmp.code}) from ${ip.from}`;
  }
  if (ip.protocol === PROTOCOL.icmpv6 && ip.icmp?.type === 1) {
    return `an ICMPv6 "unreachable" (code ${ip.icmp.code}) from ${ip.from}`;
  }
  if (!to.has(ip.from)) return undefined;
  switch (protocol) {
    case TraceProtocol.TCP: {
      if (ip.protocol !== PROTOCOL.tcp || ip.fromPort !== port) return undefined;
      const flags = ip.flags ?? 0;
      if (flags & TCP_FLAG.rst) return `a TCP reset from ${ip.from}`;
      return flags & TCP_FLAG.syn ? `a TCP SYN-ACK from ${ip.from}` : undefined;
    }
    case TraceProtocol.UDP:
      return ip.protocol === PROTOCOL.udp && ip.fromPort === port
        ? `a datagram from ${ip.from}`
        : undefined;
    default:
      return ip.icmp?.type === 0 || ip.icmp?.type === 129
        ? `an echo reply from ${ip.from}`
        : undefined;
  }
}

/** What the data paths have dropped of the network until now. */
export function dropsNow(counters: TraceTools["counters"], networkId: string): DropRow[] {
  return counters().flatMap((each) =>
    each
      .read()
      .drops.filter((drop) => drop.networkId === networkId || drop.networkId === "")
      .map(({ reason, peer, frames }) => ({
        ...{ reason, count: frames, more: 0 },
        where: peer === "" ? each.source : `${each.source}, ${peer}`,
      })),
  );
}

/** What they dropped between two looks, as a step; nothing if that is nothing. */
export function dropSteps(before: readonly DropRow[], now: readonly DropRow[]): TraceStep[] {
  return now.flatMap(({ reason, where, count }) => {
    const had = before.find((each) => each.reason === reason && each.where === where)?.count ?? 0;
    if (count <= had) return [];
    const frames = `${count - had} ${count - had === 1 ? "frame" : "frames"}`;
    const what = `The data path dropped ${frames} of this network meanwhile: ${reason} (${where}).`;
    return [doubt("guard", what, { reason, where, frames: String(count - had) })];
  });
}
