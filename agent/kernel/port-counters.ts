// What the devices of a network have counted, seen from its bridge.
import { dumpLinks, getLinkIn } from "../netlink/link.js";
import { decodeLinkStats, type LinkStats } from "../netlink/link-counters.js";
import { FAST } from "../reconcile/acceleration.js";
import { isPort } from "../reconcile/names.js";
import type { LinkCounters } from "../seams.js";
import { NetlinkError, type NetlinkSocket } from "./netlink-socket.js";

/** `socket`: of the network's namespace. */
export function portCounters(socket: NetlinkSocket): LinkCounters[] {
  const links = socket.dump(dumpLinks, decodeLinkStats);
  const isAccelerated = links.some(({ name }) => name === FAST);
  return links.map((link) => {
    // What a program hands to an endpoint (bpf_redirect_peer) arrives at the endpoint's end, and never left by ours.
    const end = isAccelerated && isPort(link.name) ? otherEnd(socket, link) : undefined;
    return {
      name: link.name,
      sentFrames: link.rxPackets,
      sentBytes: link.rxBytes,
      gotFrames: end?.rxPackets ?? link.txPackets,
      gotBytes: end?.rxBytes ?? link.txBytes,
      sentDropped: link.rxDropped,
      gotDropped: link.txDropped,
    };
  });
}

/** Its counts have what left by our end, too. Undefined: it went while it was looked for. */
function otherEnd(socket: NetlinkSocket, { peer }: LinkStats): LinkStats | undefined {
  if (peer === undefined) return undefined;
  const { netnsid, ifindex } = peer;
  try {
    return socket.dump((writer) => getLinkIn(writer, netnsid, ifindex), decodeLinkStats)[0];
  } catch (error) {
    if (error instanceof NetlinkError) return undefined;
    throw error;
  }
}
