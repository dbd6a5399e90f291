// Forgets flows that the kernel follows: one goes on as it began, for as long as it lasts, whatever the rules say now.
import {
  countFlows,
  decodeFlow,
  decodeFlowCount,
  deleteFlow,
  dumpFlows,
  dumpFlowsAt,
  dumpFlowsTo,
  type Flow,
} from "../netlink/conntrack.js";
import { NFPROTO_IPV4, NFPROTO_IPV6 } from "../netlink/nftables-constants.js";
import { NetlinkWriter } from "../netlink/writer.js";
import type { FlowPattern } from "../reconcile/table-plan.js";
import type { NetlinkSocket } from "./netlink-socket.js";

// linux/in.h
const IPPROTO_UDP = 17;

// Choice: each question makes the kernel walk its table once, which takes less than telling all that is in it.
const QUESTIONS_MAX = 8;

/** In the namespace of the socket (NETLINK_NETFILTER). */
export function forgetFlows(socket: NetlinkSocket, patterns: readonly FlowPattern[]): void {
  if (patterns.length === 0) return;
  // A dump walks the table of all namespaces: on a large machine ten milliseconds for a sandbox without one flow.
  if (socket.dump(countFlows, decodeFlowCount)[0] === 0) return;
  const ports = new Set<number>();
  const translated = new Map<string, "udp" | "all">();
  for (const pattern of patterns) {
    if (pattern.kind === "came-to") ports.add(pattern.port);
    else if (translated.get(pattern.address) !== "all")
      translated.set(pattern.address, pattern.protocols);
  }
  const isStale = (flow: Flow) => {
    const isUdp = flow.protocol === IPPROTO_UDP;
    if (isUdp && ports.has(flow.destinationPort)) return true;
    if (flow.destination === flow.answers) return false;
    const which = translated.get(flow.answers);
    return which === "all" || (which === "udp" && isUdp);
  };
  const writer = new NetlinkWriter();
  for (const question of questions(ports, [...translated.keys()])) {
    const stale = socket.dump(question, (message) => {
      const flow = decodeFlow(message);
      return flow && isStale(flow) ? flow : undefined;
    });
    for (const flow of stale) deleteFlow(writer, flow);
  }
  // One that has ended meanwhile is no loss.
  if (writer.count > 0) socket.batch(writer);
}

type Question = (writer: NetlinkWriter) => void;

function questions(ports: ReadonlySet<number>, addresses: readonly string[]): readonly Question[] {
  const few: Question[] = addresses.map((address) => (w) => dumpFlowsTo(w, address));
  for (const port of ports) {
    for (const family of [NFPROTO_IPV4, NFPROTO_IPV6]) {
      few.push((w) => dumpFlowsAt(w, family, IPPROTO_UDP, port));
    }
  }
  return few.length > QUESTIONS_MAX ? [dumpFlows] : few;
}
