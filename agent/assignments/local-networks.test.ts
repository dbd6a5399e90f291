import { expect, test } from "vitest";
import { Peer } from "../../proto/gen/dispatcher.js";
import { Endpoint, Network } from "../../proto/gen/types.js";
import { localNetworks } from "./local-networks.js";

test("each network has this node's endpoints and the nodes that have others, and only those", () => {
  const endpoints = [
    Endpoint.create({ id: "e1", networkId: "a", nodeId: "me" }),
    Endpoint.create({ id: "e2", networkId: "a", nodeId: "h2" }),
    Endpoint.create({ id: "e3", networkId: "b", nodeId: "me" }),
    Endpoint.create({ id: "e4", networkId: "b", nodeId: "h3" }),
  ];
  const peers = ["h2", "h3"].map((nodeId) =>
    Peer.create({ nodeId, dataPathAddr: `addr of ${nodeId}`, hostname: nodeId }),
  );
  const networks = ["a", "b", "c"].map((id) => Network.create({ id }));
  const shown = localNetworks({ networks, endpoints, peers }, "me").map((each) => ({
    network: each.network.id,
    endpoints: each.endpoints.map(({ id }) => id),
    peers: each.peers,
  }));
  const peer = (nodeId: string) => ({ nodeId, addr: `addr of ${nodeId}`, hostname: nodeId });
  expect(shown).toEqual([
    { network: "a", endpoints: ["e1"], peers: [peer("h2")] },
    { network: "b", endpoints: ["e3"], peers: [peer("h3")] },
    { network: "c", endpoints: [], peers: [] },
  ]);
});
