// Of encrypted networks: where their frames go, and the WireGuard device that takes them there. docs/encryption.md.
import { formatIp, type Ip, type Prefix, parseIp } from "../../common/address.js";
import type { Peer } from "../../proto/gen/dispatcher.js";
import { wireguardAddress } from "../overlay/wireguard-address.js";
import type { WireguardKey } from "../overlay/wireguard-key.js";

/** What this node has for it. */
export type SelfEncryption =
  | {
      readonly kind: "ready";
      readonly clusterId: string;
      readonly key: WireguardKey;
      /** UDP, in the underlay. */
      readonly port: number;
    }
  /** `why` is a sentence. */
  | { readonly kind: "impossible"; readonly why: string };

export interface WireguardWant {
  readonly key: WireguardKey;
  readonly port: number;
  /** This node's, inside; its prefix is all of the swarm's. */
  readonly address: Prefix;
  /** The data path address: what the device's MTU comes from. */
  readonly underlay: Ip;
  /** The nodes that share an encrypted network with this one and have said their keys, each once. */
  readonly peers: readonly WireguardPeerWant[];
}

export interface WireguardPeerWant {
  readonly publicKey: string;
  /** Inside: all that it may send from. */
  readonly address: Ip;
  readonly endpoint: Ip;
  readonly port: number;
}

/** Everybody's address inside, by node id, this node's own among them. */
export class InsideAddresses {
  readonly own: Prefix;
  readonly #ips = new Map<string, Ip>();

  constructor(clusterId: string, nodeId: string, peers: readonly Peer[]) {
    this.own = wireguardAddress(clusterId, nodeId);
    const taken = new Map([[formatIp(this.own.ip), nodeId]]);
    for (const peer of peers) {
      const { ip } = wireguardAddress(clusterId, peer.nodeId);
      const text = formatIp(ip);
      const other = taken.get(text);
      // Two that have the same one: WireGuard could not tell them apart, so neither is sent anything.
      if (other === undefined) this.#ips.set(peer.nodeId, ip);
      else this.#ips.delete(other);
      taken.set(text, peer.nodeId);
    }
  }

  of(nodeId: string): Ip | undefined {
    return this.#ips.get(nodeId);
  }
}

/** `reached`: where the frames of encrypted networks here go to. */
export function wireguardPeers(
  peers: readonly Peer[],
  inside: InsideAddresses,
  ownKey: string,
  reached: readonly Ip[],
): readonly WireguardPeerWant[] {
  const wanted = new Set(reached.map(formatIp));
  const keys = new Set([ownKey]);
  return peers.flatMap((peer): readonly WireguardPeerWant[] => {
    const address = inside.of(peer.nodeId);
    const endpoint = parseIp(peer.dataPathAddr);
    const publicKey = Buffer.from(peer.wireguardKey ?? []).toString("base64");
    const port = peer.wireguardPort ?? 0;
    if (address === undefined || endpoint === undefined || publicKey === "" || port === 0)
      return [];
    // One key is one peer: with two addresses each could speak for the other.
    if (!wanted.has(formatIp(address)) || keys.has(publicKey)) return [];
    keys.add(publicKey);
    return [{ publicKey, address, endpoint, port }];
  });
}
