// The addresses that encrypted networks' VTEPs have inside WireGuard. Nobody gives them out: each node can work out
// everybody's, so there is nothing to agree on and nothing to wait for.
//
//   fd | 56 bits of the swarm's id | 64 bits of the node's id       RFC 4193: unique local, as good as random
import { createHash } from "node:crypto";
import { type Ip, ipFromBytes, type Prefix } from "../../common/address.js";

const NETWORK_BYTES = 8;

/**
 * This node's, with the prefix that all of its swarm share. Two nodes of a swarm have the same one with a chance
 * of 5,000² / 2⁶⁵, at 5,000 nodes; `agent/reconcile/wireguard-want.ts` then leaves both out.
 */
export function wireguardAddress(clusterId: string, nodeId: string): Prefix {
  const network = digest(`skein wireguard ${clusterId}`);
  network[0] = 0xfd;
  const host = digest(`skein wireguard ${clusterId} ${nodeId}`);
  const bytes = Buffer.concat([
    network.subarray(0, NETWORK_BYTES),
    host.subarray(0, 16 - NETWORK_BYTES),
  ]);
  return { ip: ipFromBytes(bytes) as Ip, length: NETWORK_BYTES * 8 };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
