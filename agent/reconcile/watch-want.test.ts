import { expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { WATCH_VNI } from "../../common/ids.js";
import { Assignments } from "../../proto/gen/dispatcher.js";
import { EndpointKind } from "../../proto/gen/types.js";
import type { Self } from "./want.js";
import { watchedPeers, watchNetwork } from "./watch-want.js";

const VTEP = parseIp("192.0.2.1");
if (VTEP === undefined) throw new Error("192.0.2.1");
const SELF: Self = { nodeId: "n1", vtep: VTEP, port: 4789, path: "kernel" };
const PEERS = [
  { nodeId: "n2", dataPathAddr: "192.0.2.2", hostname: "h2" },
  { nodeId: "n3", dataPathAddr: "192.0.2.3", hostname: "h3" },
];

function told(more: Parameters<typeof Assignments.fromPartial>[0]) {
  return Assignments.fromPartial({ peers: PEERS, ...more });
}

test("who shares a network is watched, placed or not, and nobody else", () => {
  const assignments = told({
    networks: [{ id: "a" }, { id: "b" }],
    endpoints: [
      { networkId: "a", nodeId: "n1" },
      { networkId: "a", nodeId: "n2" },
      { networkId: "b", nodeId: "n3" },
    ],
  });
  expect(watchedPeers(assignments, SELF).map(({ hostname }) => hostname)).toEqual(["h2"]);
  expect(watchNetwork(assignments, SELF)).toMatchObject({
    vni: WATCH_VNI,
    own: { mac: "02:50:c0:00:02:01" },
    locals: [],
    remotes: [{ mac: "02:50:c0:00:02:02" }],
    floodTo: [],
  });
});

test("who shares an encrypted network alone is watched by WireGuard", () => {
  const assignments = told({
    networks: [{ id: "a", spec: { driverOpts: { encrypted: "" } } }],
    endpoints: [
      { networkId: "a", nodeId: "n1" },
      { networkId: "a", nodeId: "n2" },
    ],
  });
  expect(watchedPeers(assignments, SELF)).toEqual([]);
});

test("the routing mesh leads everywhere", () => {
  const assignments = told({
    networks: [{ id: "a", spec: { ingress: true } }],
    endpoints: [{ networkId: "a", nodeId: "", kind: EndpointKind.VIP }],
  });
  expect(watchedPeers(assignments, SELF).map(({ hostname }) => hostname)).toEqual(["h2", "h3"]);
});

test("with nobody to watch, and nobody of our family, there is no such network", () => {
  expect(watchNetwork(told({}), SELF)).toBeUndefined();
  const assignments = told({
    networks: [{ id: "a" }],
    endpoints: [
      { networkId: "a", nodeId: "n1" },
      { networkId: "a", nodeId: "n2" },
    ],
    peers: [{ nodeId: "n2", dataPathAddr: "2001:db8::2" }],
  });
  expect(watchNetwork(assignments, SELF)).toBeUndefined();
});
