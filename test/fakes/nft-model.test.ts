import { expect, test } from "vitest";
import {
  ACCEPT,
  baseChain,
  DROP,
  egressChain,
  from,
  HOOKS,
  hexOf,
  jumpTo,
  MASQUERADE,
  markIs,
  portIs,
  protocolIs,
  RETURN,
  rule,
} from "../../agent/reconcile/rule-words.js";
import type { ChainWant, TableWant } from "../../agent/reconcile/table-want.js";
import { formatIp, parseIp } from "../../common/address.js";
import { NftModel, type Outcome, packetOf } from "./nft-model.js";
import { vipTable } from "./nft-vips.js";

const CLIENT = "10.0.1.2";
const VIP = "10.0.1.9";
const BACKENDS = ["10.0.1.3", "10.0.1.4", "10.0.1.5"];
const to = ({ packet }: Outcome) => formatIp(packet.destination);
const tableOf = (...chains: readonly ChainWant[]): TableWant => ({
  family: "inet",
  name: "skein",
  maps: [],
  chains,
});

test("new connections go to one backend after the other; one that is open stays", () => {
  const model = new NftModel([vipTable([{ address: VIP, backends: BACKENDS }])]);
  const connect = (sourcePort: number) => to(model.output(packetOf(CLIENT, VIP, { sourcePort })));
  expect([1, 2, 3, 4].map(connect)).toEqual([...BACKENDS, BACKENDS[0]]);
  expect(connect(2)).toBe(BACKENDS[1]);
});

test("an answer comes from the address that was asked", () => {
  const model = new NftModel([vipTable([{ address: VIP, backends: BACKENDS }])], {
    isLocal: (ip) => formatIp(ip) === CLIENT,
  });
  const asked = model.output(packetOf(CLIENT, VIP, { sourcePort: 7 }));
  const answer = model.receive(
    packetOf(to(asked), CLIENT, { sourcePort: 80, destinationPort: 7, iif: "eth0" }),
  );
  expect(formatIp(answer.packet.source)).toBe(VIP);
  expect(answer.state).toBe("established");
  expect(model.output(packetOf(CLIENT, VIP, { sourcePort: 7 })).state).toBe("established");
});

test("an address that nobody serves is refused, as its protocol does it", () => {
  const model = new NftModel([vipTable([{ address: VIP, backends: [] }])]);
  expect(model.output(packetOf(CLIENT, VIP))).toMatchObject({
    verdict: "reject",
    with: "tcp-reset",
  });
  expect(model.output(packetOf(CLIENT, VIP, { protocol: 17 }))).toMatchObject({
    verdict: "reject",
    with: "port-unreachable",
  });
  expect(model.output(packetOf(CLIENT, BACKENDS[0] ?? ""))).toMatchObject({ verdict: "accept" });
});

test("with affinity a client meets the same backend by every port", () => {
  const model = new NftModel([vipTable([{ address: VIP, backends: BACKENDS, affinity: true }])]);
  const met = [1, 2, 3, 4].map((sourcePort) =>
    to(model.output(packetOf(CLIENT, VIP, { sourcePort }))),
  );
  expect(new Set(met).size).toBe(1);
});

test("a flow that is forgotten meets the rules again", () => {
  const model = new NftModel([vipTable([{ address: VIP, backends: BACKENDS.slice(0, 1) }])]);
  expect(to(model.output(packetOf(CLIENT, VIP)))).toBe(BACKENDS[0]);
  model.tables = [vipTable([{ address: VIP, backends: BACKENDS.slice(1, 2) }])];
  expect(to(model.output(packetOf(CLIENT, VIP)))).toBe(BACKENDS[0]);
  model.forget((_original, reply) => formatIp(reply.source) === BACKENDS[0]);
  expect(to(model.output(packetOf(CLIENT, VIP)))).toBe(BACKENDS[1]);
});

test("jumps come back, gotos do not; a return leaves the chain", () => {
  const chains = (leave: "jump" | "goto"): ChainWant[] => [
    baseChain("in", HOOKS.filterInput, [
      rule("away", [leave === "jump" ? jumpTo("aside") : { kind: "goto", chain: "aside" }]),
      rule("then", [DROP]),
    ]),
    { name: "aside", rules: [rule("leave", [RETURN]), rule("never", [ACCEPT])] },
  ];
  const verdictOf = (leave: "jump" | "goto") =>
    new NftModel([tableOf(...chains(leave))]).receive(packetOf(CLIENT, "127.0.0.1")).verdict;
  expect(verdictOf("jump")).toBe("drop");
  expect(verdictOf("goto")).toBe("accept");
});

test("what came by a MAC is marked on its connection, and the answer is sent to where it came from", () => {
  const marking = tableOf(
    baseChain("prerouting", HOOKS.manglePrerouting, [
      rule("by the mesh", [
        ...from("iifname", "eth1"),
        { kind: "payload", header: "link", offset: 6, bytes: 2, to: 0 },
        { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(0x02, 0x53) },
        { kind: "payload", header: "link", offset: 8, bytes: 4, to: 0 },
        { kind: "ct-set", key: "mark", from: 0 },
      ]),
    ]),
    baseChain("output", HOOKS.routeOutput, [
      rule("answers", [
        ...markIs("ct", 0, "unequal"),
        { kind: "ct", key: "mark", to: 0 },
        { kind: "meta-set", key: "mark", from: 0 },
      ]),
    ]),
  );
  const writing: TableWant = {
    ...tableOf(
      egressChain(
        "egress",
        ["eth1"],
        [
          rule("to the node", [
            { kind: "meta", key: "mark", to: 0 },
            { kind: "payload-set", header: "link", offset: 2, bytes: 4, from: 0 },
          ]),
        ],
      ),
    ),
    family: "netdev",
  };
  const model = new NftModel([marking, writing], {
    isLocal: (ip) => formatIp(ip) === "10.0.0.7",
    route: (_ip, mark) => (mark === 0 ? "eth0" : "eth1"),
  });
  const macs = { sourceMac: "02:53:c0:00:02:01", destinationMac: "02:42:0a:00:00:07" };
  const came = model.receive(packetOf("198.51.100.1", "10.0.0.7", { iif: "eth1", ...macs }));
  expect(came.ctMark).toBe(0x010200c0);
  const back = {
    ...{ sourcePort: 80, destinationPort: 40_000 },
    ...{ sourceMac: "02:42:0a:00:00:07", destinationMac: "02:53:00:00:00:00" },
  };
  const { packet } = model.output(packetOf("10.0.0.7", "198.51.100.1", back));
  expect([packet.oif, packet.destinationMac]).toEqual(["eth1", "02:53:c0:00:02:01"]);
  expect(model.output(packetOf("10.0.0.7", "198.51.100.1")).packet.oif).toBe("eth0");
});

test("redirected to a port of this namespace, and masqueraded on the way out", () => {
  const table = tableOf(
    baseChain("output", HOOKS.natOutput, [
      rule("names", [
        ...protocolIs(17),
        ...portIs("destination", 53),
        { kind: "load", to: 0, value: Uint8Array.of(0x14, 0xe9) },
        { kind: "redirect", port: 0 },
      ]),
    ]),
    baseChain("out", HOOKS.natPostrouting, [
      rule("as eth0", [...from("oifname", "eth0"), MASQUERADE]),
    ]),
  );
  const own = parseIp("192.0.2.9");
  const model = new NftModel([table], { addressOf: () => own ?? { family: 4, value: 0n } });
  const asked = model.output(
    packetOf("127.0.0.1", "127.0.0.11", { protocol: 17, destinationPort: 53 }),
  );
  expect([to(asked), asked.packet.destinationPort]).toEqual(["127.0.0.1", 5353]);
  const out = model.output(packetOf(CLIENT, "198.51.100.1", { oif: "eth0" }));
  expect(formatIp(out.packet.source)).toBe("192.0.2.9");
});

test("keys are whole words", () => {
  expect(hexOf(Uint8Array.of(1, 2, 3, 4), Uint8Array.of(6), Uint8Array.of(0, 80))).toBe(
    "010203040600000000500000",
  );
});
