// What of the assignments a person sees who asks this node for its networks.
import type { Assignments } from "../../proto/gen/dispatcher.js";
import type { AgentNode } from "../seams.js";

/** The networks that a node is on, with its own endpoints there, and the nodes that have others. */
export function localNetworks(
  { networks, endpoints, peers }: Pick<Assignments, "networks" | "endpoints" | "peers">,
  nodeId: string,
): ReturnType<AgentNode["localNetworks"]> {
  return networks.map((network) => {
    const on = endpoints.filter((endpoint) => endpoint.networkId === network.id);
    const nodes = new Set(on.map((endpoint) => endpoint.nodeId));
    return {
      network,
      endpoints: on.filter((endpoint) => endpoint.nodeId === nodeId),
      peers: peers
        .filter((peer) => nodes.has(peer.nodeId))
        .map((peer) => ({ nodeId: peer.nodeId, addr: peer.dataPathAddr, hostname: peer.hostname })),
    };
  });
}
