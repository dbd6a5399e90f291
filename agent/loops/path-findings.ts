// What is wrong with the sizes of packets, for a person: a path that swallows large ones, and a network whose own
// MTU does not fit a path.
import { type Family, parseIp } from "../../common/address.js";
import { isEncrypted } from "../../common/encrypted.js";
import type { Peer } from "../../proto/gen/dispatcher.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import { encryptedMtuBytes, innerMtuBytes } from "../overlay/mtu.js";
import type { PeerPath } from "../overlay/path-table.js";
import type { Finding } from "../seams.js";

export interface PathFacts {
  readonly hostname: string;
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly peers: readonly Peer[];
  /** By VTEP. */
  readonly paths: ReadonlyMap<string, PeerPath>;
}

export function pathFindings(facts: PathFacts): readonly Finding[] {
  const networksOf = new Map<string, Set<string>>();
  for (const { nodeId, networkId } of facts.endpoints) {
    const known = networksOf.get(nodeId);
    if (known === undefined) networksOf.set(nodeId, new Set([networkId]));
    else known.add(networkId);
  }
  return facts.peers.flatMap((peer) => {
    const path = facts.paths.get(peer.dataPathAddr);
    const family = parseIp(peer.dataPathAddr)?.family;
    if (path === undefined || family === undefined) return [];
    const shared = networksOf.get(peer.nodeId);
    const networks = facts.networks.filter(({ id }) => shared?.has(id));
    return [
      ...blackHole(facts.hostname, peer, path, family),
      ...networks.flatMap((network) => tooLarge(facts.hostname, network, peer, path, family)),
    ];
  });
}

function blackHole(
  hostname: string,
  peer: Peer,
  { mtuBytes, interfaceBytes, isBlackHole }: PeerPath,
  family: Family,
): readonly Finding[] {
  if (!isBlackHole) return [];
  return [
    {
      subject: `peer ${peer.nodeId} black hole`,
      what:
        `Packets of more than ${mtuBytes} bytes from ${hostname} to ${peer.hostname} are dropped on the way, and ` +
        `nobody tells the sender (an MTU black hole). The interface here carries ${interfaceBytes}.`,
      where: `${hostname} → ${peer.hostname}`,
      remedy:
        `Networks between the two use ${innerMtuBytes(mtuBytes, family)} bytes from now on. Let ICMP "fragmentation ` +
        `needed" and "packet too big" through, or set the interface's MTU to ${mtuBytes}. Until then the machines' own ` +
        `connections may stall, the swarm's among them; net.ipv4.tcp_mtu_probing=1 helps those.`,
    },
  ];
}

function tooLarge(
  hostname: string,
  network: Network,
  peer: Peer,
  { mtuBytes }: PeerPath,
  family: Family,
): readonly Finding[] {
  const fits = (isEncrypted(network) ? encryptedMtuBytes : innerMtuBytes)(mtuBytes, family);
  if (network.mtuBytes <= fits) return [];
  const overhead = mtuBytes - fits;
  const outer = network.mtuBytes + overhead;
  const name = network.spec?.name ?? network.id;
  return [
    {
      subject: `network ${network.id} peer ${peer.nodeId} mtu`,
      what:
        `Network ${name} was made with an MTU of ${network.mtuBytes}: with ${overhead} bytes of headers ` +
        `that is ${outer}, and the path from ${hostname} to ${peer.hostname} carries ${mtuBytes}. Larger packets ` +
        `are cut in pieces or lost.`,
      where: `${name}: ${hostname} → ${peer.hostname}`,
      remedy: `Make the network without com.docker.network.driver.mtu, or with ${fits} or less.`,
    },
  ];
}
