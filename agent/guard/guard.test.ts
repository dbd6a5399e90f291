// What the guard lets through, on the model of nf_tables: frames as bytes, and what becomes of each.
import { describe, expect, test } from "vitest";
import { type Prefix, parsePrefix } from "../../common/address.js";
import { type Mac, parseMac, parseVni, type Vni } from "../../common/ids.js";
import {
  ethernet,
  framesOf,
  ipOf,
  ipv4,
  packetOfFrame,
  type Station,
} from "../../test/fakes/guard-frames.js";
import { runChain } from "../../test/fakes/nft-rules.js";
import { probeMac } from "../overlay/probe-address.js";
import { portName } from "../reconcile/names.js";
import { rule } from "../reconcile/rule-words.js";
import type { TableWant } from "../reconcile/table-want.js";
import type { LocalEndpoint, NetworkWant } from "../reconcile/want.js";
import { DROPS, dropOf, dropText } from "./drops.js";
import { networkTable } from "./network.js";
import { underlayTable } from "./underlay.js";

const ME: Station = { mac: "02:42:0a:00:01:02", ipv4: "10.0.1.2", ipv6: "fd00:1::2" };
const PEER: Station = { mac: "02:42:0a:00:01:03", ipv4: "10.0.1.3", ipv6: "fd00:1::3" };
const prefix = (text: string) => parsePrefix(text) as Prefix;
const mac = (text: string) => parseMac(text) as Mac;
const local: LocalEndpoint = {
  endpointId: "me",
  mac: mac(ME.mac),
  prefixes: [prefix(`${ME.ipv4}/24`), prefix(`${ME.ipv6}/64`)],
  interfaceName: "eth0",
  sandbox: { kind: "own", id: "a" },
  version: 1,
};
const network: NetworkWant = {
  networkId: "n1",
  name: "over",
  vni: parseVni(4097) as Vni,
  mtuBytes: 0,
  vtep: ipOf("192.0.2.1"),
  port: 4789,
  path: "kernel",
  subnets: [prefix("10.0.1.0/24")],
  locals: [local],
  remotes: [
    {
      endpointId: "peer",
      mac: mac(PEER.mac),
      ips: [ipOf(PEER.ipv4)],
      vtep: ipOf("192.0.2.2"),
      version: 2,
    },
  ],
  floodTo: [ipOf("192.0.2.2")],
};

/** The reason why it is dropped; undefined: it is let through. */
function fate(table: TableWant, chain: string, frame: Buffer, iif: string): string | undefined {
  const around = { table, connection: undefined, random: () => 0, typeOf: () => 1 };
  const { verdict } = runChain(chain, packetOfFrame(frame, iif), around);
  return verdict?.kind === "drop" ? "dropped" : undefined;
}

describe("from an endpoint here", () => {
  const port = portName("me");
  for (const { name, frame, drop } of framesOf(ME, PEER)) {
    test(`${name} is ${drop ?? "let through"}`, () => {
      expect(fate(networkTable(network), "prerouting", frame, port)).toBe(drop && "dropped");
    });
  }

  test("where endpoints route for others, only the MAC is looked at", () => {
    const table = networkTable({ ...network, sources: "mac" });
    for (const { name, frame, drop } of framesOf(ME, PEER)) {
      const want = drop === DROPS.spoofedMac ? "dropped" : undefined;
      expect([name, fate(table, "prerouting", frame, port)]).toEqual([name, want]);
    }
  });

  test("the mesh's way in sends what its clients sent", () => {
    const mesh = { subnets: [], neighbours: new Map() };
    const table = networkTable({ ...network, locals: [{ ...local, mesh }] });
    const frame = ethernet({ from: ME.mac, to: PEER.mac }, ipv4("198.51.100.7", PEER.ipv4));
    expect(fate(table, "prerouting", frame, port)).toBeUndefined();
  });
});

describe("from another node", () => {
  const cases = [
    { name: "its endpoint", from: PEER.mac, to: ME.mac },
    { name: "its endpoint, to everybody", from: PEER.mac, to: "ff:ff:ff:ff:ff:ff" },
    { name: "its bridge, which probes", from: probeMac(ipOf("192.0.2.2")), to: ME.mac },
    {
      ...{ name: "its bridge, which asks its own ports", drop: "dropped" },
      ...{ from: probeMac(ipOf("192.0.2.2")), to: "01:00:5e:00:00:01" },
    },
    { name: "an endpoint of ours, it says", from: ME.mac, to: PEER.mac, drop: "dropped" },
    { name: "a stranger", from: "02:00:00:00:00:99", to: ME.mac, drop: "dropped" },
    { name: "a stranger's bridge", from: probeMac(ipOf("192.0.2.9")), to: ME.mac, drop: "dropped" },
  ];
  for (const { name, drop, ...way } of cases) {
    test(`${name}: ${drop ?? "let through"}`, () => {
      const frame = ethernet(way, ipv4("198.51.100.7", ME.ipv4));
      expect(fate(networkTable(network), "prerouting", frame, "vxlan0")).toBe(drop);
    });
  }
});

describe("on the underlay", () => {
  const table = underlayTable([network]) as TableWant;
  /** RFC 7348 section 5. */
  function outer(source: string, destination: string, port: number, vni: number): Buffer {
    const { bytes } = ipv4(source, destination);
    bytes.writeUInt16BE(port, 22);
    const vxlan = Buffer.alloc(8);
    vxlan.writeUInt8(0x08, 0);
    // The last byte is reserved, and ignored on receipt.
    vxlan.writeUInt32BE(vni * 256 + 0xff, 4);
    const way = { from: "02:00:00:00:00:02", to: "02:00:00:00:00:01" };
    return ethernet(way, { type: 0x0800, bytes: Buffer.concat([bytes.subarray(0, 28), vxlan]) });
  }
  const cases = [
    { name: "a node of the network", args: ["192.0.2.2", "192.0.2.1", 4789, 4097] },
    { name: "no node of it", args: ["192.0.2.9", "192.0.2.1", 4789, 4097], drop: "dropped" },
    { name: "another address of this machine", args: ["192.0.2.9", "192.0.2.7", 4789, 4097] },
    { name: "another port", args: ["192.0.2.9", "192.0.2.1", 4790, 4097] },
    { name: "a VNI that is not ours", args: ["192.0.2.9", "192.0.2.1", 4789, 4098] },
  ] as const;
  for (const { name, args, ...rest } of cases) {
    test(`${name}: ${"drop" in rest ? rest.drop : "let through"}`, () => {
      const frame = outer(...(args as [string, string, number, number]));
      const packet = packetOfFrame(frame, "eth0");
      const around = { table, connection: undefined, random: () => 0, typeOf: () => 1 };
      const { verdict } = runChain("input", packet, around);
      expect(verdict?.kind === "drop" ? "dropped" : undefined).toBe(
        "drop" in rest ? rest.drop : undefined,
      );
    });
  }

  test("nothing is there while no network is", () => {
    expect(underlayTable([])).toBeUndefined();
  });
});

test("a rule that drops says why and whom, and is understood", () => {
  for (const [reason, subject] of [
    [DROPS.spoofedAddress, "endpoint1"],
    [DROPS.notAPeer, ""],
  ] as const) {
    const { comment } = rule(dropText(reason, subject), [{ kind: "counter" }]);
    expect(dropOf(comment)).toEqual({ reason, subject });
  }
  expect(dropOf("a node of the network (0123456789ab)")).toBeUndefined();
});
