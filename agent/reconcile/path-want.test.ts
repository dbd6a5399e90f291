import { expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { Peer } from "../../proto/gen/dispatcher.js";
import { measuredPaths, sizeOf, smallestPath } from "./path-want.js";
import type { NetworkWant } from "./want.js";

const ip = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;

function network(change: Partial<NetworkWant>): NetworkWant {
  return {
    networkId: "n",
    name: "web",
    vni: 4097 as NetworkWant["vni"],
    mtuBytes: 0,
    vtep: ip("192.0.2.1"),
    port: 4789,
    path: "kernel",
    subnets: [prefix("10.0.1.0/24")],
    locals: [],
    remotes: [],
    floodTo: [],
    ...change,
  };
}
const OVER_IPV6 = { vtep: ip("2001:db8::1") };
const IPV6_INSIDE = { subnets: [prefix("10.0.1.0/24"), prefix("fd00:1::/64")] };

const cases: { name: string; want: Partial<NetworkWant>; mtu: number; df: string }[] = [
  { name: "nothing is known of paths", want: {}, mtu: 1450, df: "inherit" },
  { name: "a path is smaller", want: { pathMtuBytes: 1400 }, mtu: 1350, df: "inherit" },
  {
    name: "a path is larger than the interface here",
    want: { pathMtuBytes: 9000 },
    mtu: 1450,
    df: "inherit",
  },
  {
    name: "over IPv6 the headers are larger",
    want: { ...OVER_IPV6, pathMtuBytes: 1400 },
    mtu: 1330,
    df: "inherit",
  },
  {
    name: "a person said otherwise",
    want: { mtuBytes: 1480, pathMtuBytes: 1400 },
    mtu: 1480,
    df: "inherit",
  },
  { name: "IPv4 alone may be small", want: { pathMtuBytes: 1280 }, mtu: 1230, df: "inherit" },
  {
    name: "IPv6 inside never has less than it must, in pieces if need be",
    want: { ...IPV6_INSIDE, pathMtuBytes: 1280 },
    mtu: 1280,
    df: "unset",
  },
  {
    name: "IPv6 inside that fits",
    want: { ...IPV6_INSIDE, pathMtuBytes: 1400 },
    mtu: 1350,
    df: "inherit",
  },
];
for (const { name, want, mtu, df } of cases) {
  test(name, () => expect(sizeOf(network(want), 1500)).toEqual({ mtuBytes: mtu, df }));
}

test("the smallest path of those that are known", () => {
  const remotes = [{ vtep: ip("192.0.2.2") }, { vtep: ip("192.0.2.3") }, { vtep: ip("192.0.2.4") }];
  const paths = new Map([
    ["192.0.2.2", 1500],
    ["192.0.2.3", 1400],
    ["192.0.2.9", 1280],
  ]);
  expect(smallestPath("n", remotes, [], paths)).toEqual({ pathMtuBytes: 1400 });
  expect(smallestPath("n", [], [], paths)).toEqual({});
  expect(smallestPath("n", remotes, [], new Map())).toEqual({});
});

test("another node of the network has measured less: all go by that, of no other network, and of no node elsewhere", () => {
  const peer = (dataPathAddr: string, networkId: string, bytes: number) =>
    Peer.fromPartial({ dataPathAddr, pathMtus: { bytes: { [networkId]: bytes } } });
  const remotes = [{ vtep: ip("192.0.2.2") }, { vtep: ip("192.0.2.3") }];
  const paths = new Map([["192.0.2.2", 1500]]);
  const from = (...peers: Peer[]) => smallestPath("n", remotes, peers, paths).pathMtuBytes;
  expect(from(peer("192.0.2.2", "n", 1400))).toBe(1400);
  expect(from(peer("192.0.2.3", "n", 1300), peer("192.0.2.2", "n", 1400))).toBe(1300);
  expect(from(peer("192.0.2.2", "other", 1400))).toBe(1500);
  expect(from(peer("192.0.2.9", "n", 1400))).toBe(1500);
});

test("a node tells of paths that are smaller than its interface, by network, and of no others", () => {
  const path = (mtuBytes: number) => ({ mtuBytes, interfaceBytes: 1500, isBlackHole: false });
  const facts = {
    networks: [{ id: "a" }, { id: "b" }],
    endpoints: [
      { networkId: "a", nodeId: "n2" },
      { networkId: "a", nodeId: "n3" },
      { networkId: "b", nodeId: "n2" },
    ],
    peers: [
      Peer.fromPartial({ nodeId: "n2", dataPathAddr: "192.0.2.2" }),
      Peer.fromPartial({ nodeId: "n3", dataPathAddr: "192.0.2.3" }),
    ],
  };
  const paths = new Map([
    ["192.0.2.2", path(1500)],
    ["192.0.2.3", path(1400)],
  ]);
  expect(measuredPaths({ ...facts, paths })).toEqual({ a: 1400 });
});
