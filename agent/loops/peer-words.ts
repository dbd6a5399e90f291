// What is wrong between this node and a peer, in words for a person.
import { formatIp } from "../../common/address.js";
import { unreachable } from "../../common/fault.js";
import type { PeerTrouble } from "../overlay/peer-watch.js";
import type { WatchedPeer } from "../reconcile/watch-want.js";
import type { Finding } from "../seams.js";
import type { PeerView } from "./peers.js";

export function peerFinding(trouble: PeerTrouble, own: PeerView): Finding {
  const { peer } = trouble;
  const [here, there] = [own.hostname, peer.hostname];
  const port = `UDP ${own.port}`;
  const subject = `${peer.nodeId} ${trouble.kind === "lossy" ? "loss" : "way"}`;
  const towards = `${here} → ${there} (${formatIp(own.vtep)} → ${peer.address})`;
  const back = `${there} → ${here} (${peer.address} → ${formatIp(own.vtep)})`;
  switch (trouble.kind) {
    case "not-heard":
      return {
        subject,
        what: `${port} from ${here} to ${there} does not arrive (${there} answers pings).`,
        where: towards,
        remedy: filtered(port, there),
      };
    case "not-hearing":
      return {
        subject,
        what: `${port} from ${there} to ${here} does not arrive (${there} answers pings).`,
        where: back,
        remedy: `${filtered(port, here)} If both ways are silent, see whether skein-agent runs on ${there}.`,
      };
    case "away":
      return {
        subject,
        what: `${there} answers ${here} neither pings nor on ${port}${own.isHeard ? ", though the swarm hears of it" : ""}.`,
        where: towards,
        remedy: own.isHeard ? apart(peer.address) : ALONE,
      };
    case "lossy":
      return {
        subject,
        what: `${trouble.lost} of the last ${trouble.sent} frames between ${here} and ${there} were lost on ${port}.`,
        where: towards,
        remedy: `Look for errors and drops on both machines' interfaces (ip -s link) and for a link that is full; 'skein ping' measures it.`,
      };
    default:
      return unreachable(trouble);
  }
}

// No manager hears this node either.
const ALONE = "Look at this machine's own network first: no manager hears it either.";

function apart(address: string): string {
  return `Look at the network between the two (ip route get ${address}, traceroute ${address}): managers reach both, they do not reach each other.`;
}

function filtered(port: string, receiver: string): string {
  return `A firewall or security group drops it, on ${receiver}, on the sender or on the way: let ${port} through both ways, or move the data path ('skein swarm update --data-path-port'). Where a node is on the accelerated path and the filter is its own, endpoints may still reach each other; broadcast and what else the programs leave to the kernel is lost.`;
}

/** `source`: what the kernel would give a packet to the peer; undefined: there is no route. */
export function sourceFinding(
  source: string | undefined,
  peer: WatchedPeer,
  own: PeerView,
): Finding | undefined {
  const vtep = formatIp(own.vtep);
  if (source === vtep) return undefined;
  const [here, there] = [own.hostname, peer.hostname];
  const to = formatIp(peer.vtep);
  const subject = `${peer.nodeId} source`;
  const where = `${here} → ${there} (${vtep} → ${to})`;
  if (source === undefined) {
    const what = `There is no route from ${here} to ${there}'s data path address ${to}.`;
    return { subject, what, where, remedy: `See 'ip route get ${to}' on ${here}.` };
  }
  return {
    subject,
    what: `What ${here} sends to ${there} leaves with source ${source}, while its frames have ${vtep}, its data path address.`,
    where,
    remedy: `Whoever checks sources on the way (a firewall, rp_filter) may drop one of them: give the route to ${to} the right source ('ip route change ${to} … src ${vtep}'; now: 'ip route get ${to}'), or join again with --data-path-addr ${source}.`,
  };
}
