// Tables as data on a real kernel: what is written is what is found, `nft` can read it, and what becomes of packets is
// what the model says.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Expression } from "../../agent/netlink/nftables-expression.js";
import {
  ACCEPT,
  addressIn,
  baseChain,
  ct,
  DROP,
  egressChain,
  familyIs,
  from,
  goTo,
  HOOKS,
  hostOrder,
  jumpTo,
  loadAddress,
  MASQUERADE,
  markIs,
  NFPROTO,
  portIs,
  protocolIs,
  REFUSE,
  REFUSE_TCP,
  RETURN,
  rule,
  typeOf,
} from "../../agent/reconcile/rule-words.js";
import type { ChainWant, TableWant } from "../../agent/reconcile/table-want.js";
import { formatIp, type Prefix, parsePrefix } from "../../common/address.js";
import { NftModel, type Outcome, type Packet, packetOf } from "../fakes/nft-model.js";
import { type Vip, vipTable } from "../fakes/nft-vips.js";
import { inside } from "./kernel-lab.js";
import { type Arrived, CLIENT, NftLab } from "./nft-lab.js";

let lab: NftLab;
beforeAll(() => {
  lab = new NftLab(process.env.SKEIN_TEST_PREFIX ?? "sknft-");
});
afterAll(() => lab?.close());

const prefix = (text: string) => parsePrefix(text) as Prefix;
const inet = (chains: readonly ChainWant[]): TableWant => ({
  ...{ family: "inet", name: "skein" },
  ...{ maps: [], chains },
});
// A source port is never used twice: conntrack remembers.
let port = 1024;
const nextPort = () => ++port;

describe("what is written is what is found", () => {
  const everything: readonly (readonly Expression[])[] = [
    [...familyIs(4), ...addressIn("source", prefix("10.0.0.0/8")), ACCEPT],
    [...familyIs(6), ...addressIn("destination", prefix("fd00::/8"), "unequal"), RETURN],
    [
      ...from("oifname", "eth0"),
      ...ct("state", 6),
      ...markIs("ct", 7),
      ...markIs("meta", 9, "unequal"),
      DROP,
    ],
    [...protocolIs(6), ...portIs("destination", 80), REFUSE_TCP],
    [...protocolIs(17), REFUSE],
    [{ kind: "reject", with: "host-unreachable" }],
    [{ kind: "reject", with: "prohibited" }],
    [
      { kind: "ct", key: "direction", to: 0 },
      { kind: "cmp", from: 0, is: "equal", value: Uint8Array.of(0) },
      goTo("aside"),
    ],
    [
      { kind: "random", to: 3, modulus: 5 },
      { kind: "hash", from: 3, bytes: 4, to: 4, modulus: 7, seed: 9 },
      jumpTo("aside"),
    ],
    [
      { kind: "fib-daddr-type", to: 0 },
      { kind: "cmp", from: 0, is: "equal", value: hostOrder(2) },
      { kind: "counter" },
    ],
    [
      { kind: "load", to: 0, value: hostOrder(5) },
      { kind: "meta-set", key: "mark", from: 0 },
      { kind: "ct-set", key: "mark", from: 0 },
    ],
    [
      ...familyIs(6),
      loadAddress("destination", 6, 0),
      { kind: "lookup", set: "six", from: 0, to: undefined, inverted: true },
      ACCEPT,
    ],
    [
      ...familyIs(4),
      loadAddress("destination", 4, 0),
      { kind: "lookup", set: "go", from: 0, to: "verdict" },
    ],
  ];
  const shape = { keyType: typeOf("ipv4"), keyBytes: 4, dataType: 0, dataBytes: 0 };
  const table: TableWant = {
    family: "inet",
    name: "skein",
    maps: [
      { name: "go", kind: "verdicts", ...shape, elements: new Map([["0a000102", "aside"]]) },
      {
        name: "six",
        kind: "set",
        ...shape,
        keyType: typeOf("ipv6"),
        keyBytes: 16,
        elements: new Map([[`${"0".repeat(31)}1`, ""]]),
      },
    ],
    chains: [
      baseChain(
        "output",
        HOOKS.filterOutput,
        everything.map((e, i) => rule(`rule ${i}`, e)),
      ),
      baseChain("route", HOOKS.routeOutput, [rule("nothing", [RETURN])]),
      baseChain("nat", HOOKS.natOutput, [
        rule("dnat", [
          ...familyIs(6),
          loadAddress("destination", 6, 0),
          { kind: "dnat", family: NFPROTO[6], address: 0, port: undefined },
        ]),
        rule("redirect", [
          ...protocolIs(17),
          { kind: "load", to: 0, value: Uint8Array.of(0, 53) },
          { kind: "redirect", port: 0 },
        ]),
      ]),
      baseChain("postrouting", HOOKS.natPostrouting, [
        rule("snat", [
          ...familyIs(4),
          ...markIs("meta", 3),
          loadAddress("source", 4, 0),
          { kind: "snat", family: NFPROTO[4], address: 0 },
        ]),
        rule("out", [...from("oifname", "eth0"), ...markIs("meta", 3), MASQUERADE]),
      ]),
      { name: "aside", rules: [rule("back", [RETURN])] },
    ],
  };
  const egress: TableWant = {
    ...{ family: "netdev", name: "skein", maps: [] },
    chains: [
      egressChain(
        "egress",
        ["eth0"],
        [
          rule("to the node", [
            ...markIs("meta", 0, "unequal"),
            { kind: "meta", key: "mark", to: 0 },
            { kind: "payload-set", header: "link", offset: 2, bytes: 4, from: 0 },
          ]),
        ],
      ),
    ],
  };

  test("every word of rules; and nft prints it", () => {
    const steps = lab.write([table, egress]);
    expect(steps.map(({ layer }) => layer)).toEqual(["tables", "hooks"]);
    expect(lab.plan([table, egress])).toEqual([]);
    expect(lab.planAfresh([table, egress])).toEqual([]);
    const listed = lab.nft("list", "ruleset");
    for (const words of [
      ...["reject with tcp reset", "icmpx host-unreachable", "10.0.1.2 : goto aside"],
      ...["meta mark set", "ct mark set", "redirect to :53", "type route hook output"],
      ...["ct direction original goto aside", "ip daddr vmap @go", "ip6 daddr != @six accept"],
      ...['hook egress device "eth0"', "@ll,16,32 set meta mark"],
    ]) {
      expect(listed).toContain(words);
    }
    lab.write([]);
    expect(lab.nft("list", "ruleset")).toBe("");
  });

  test("virtual addresses, as nft prints them", () => {
    const backends = ["10.0.1.3", "10.0.1.4"];
    lab.write([
      vipTable([
        { address: "10.0.1.30", backends },
        { address: "10.0.1.31", backends, affinity: true },
      ]),
    ]);
    const listed = lab.nft("list", "ruleset");
    for (const words of [
      ...["10.0.1.30 : goto pick-2", "10.0.1.31 : goto hash-2", "ip daddr vmap @vips"],
      ...["numgen random mod 2", "mod 2 seed 0x536b6569", "0x00000001 : 10.0.1.4"],
    ]) {
      expect(listed).toContain(words);
    }
    lab.write([]);
  });

  test("a frame of what was marked goes to the MAC that the mark says", async () => {
    lab.write([egress]);
    const packet = { ...packetOf(CLIENT, "10.0.1.7"), protocol: 17, sourcePort: nextPort() };
    const [marked] = await lab.send([{ ...packet, mark: 0x010200c0 }]);
    expect(marked?.mac).toBe("02:42:c0:00:02:01");
    lab.write([]);
  });

  test("an interface that comes again has its hook again", () => {
    const hook = (): TableWant => ({
      ...{ family: "netdev", name: "skein", maps: [] },
      chains: [egressChain("egress", ["d0"], [rule("counts", [{ kind: "counter" }])])],
    });
    expect(lab.write([hook()])).toEqual([]);
    const appear = () => {
      inside(lab.path, "ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1");
      inside(lab.path, "ip", "link", "set", "d1", "up");
      inside(lab.path, "ip", "addr", "add", "10.9.0.1/24", "dev", "d0");
      inside(lab.path, "ip", "link", "set", "d0", "up");
      inside(
        lab.path,
        "ip",
        "neigh",
        "add",
        "10.9.0.2",
        "lladdr",
        "02:00:00:00:00:01",
        "dev",
        "d0",
      );
      lab.write([hook()]);
      expect(lab.plan([hook()])).toEqual([]);
      const before = counted();
      inside(lab.path, "sh", "-c", "ping -c 1 -W 0.1 10.9.0.2 >/dev/null || true");
      expect(counted()).toBeGreaterThan(before);
    };
    const counted = () => Number(/packets (\d+)/.exec(lab.nft("list", "ruleset"))?.[1]);
    appear();
    inside(lab.path, "ip", "link", "del", "d0");
    expect(lab.write([hook()])).toEqual([]);
    appear();
    inside(lab.path, "ip", "link", "del", "d0");
    lab.write([]);
    expect(lab.nft("list", "ruleset")).toBe("");
  });

  test("what somebody took away or changed is put back, in one step", () => {
    const want = [vipTable([{ address: "10.0.1.30", backends: ["10.0.1.3", "10.0.1.4"] }])];
    lab.write(want);
    const meddle: readonly (readonly string[])[] = [
      ["flush", "ruleset"],
      ["flush", "chain", "inet", table0(), "output"],
      ["flush", "set", "inet", table0(), "known"],
      ["flush", "map", "inet", table0(), "vips"],
      ["add", "chain", "inet", table0(), "theirs"],
      ["add", "set", "inet", table0(), "theirs", "{ type ipv4_addr; }"],
      ["add", "rule", "inet", table0(), "output", "accept"],
      ["delete", "table", "inet", table0()],
    ];
    for (const command of meddle) {
      lab.nft(...command);
      expect(lab.write(want), command.join(" ")).toHaveLength(1);
      expect(lab.planAfresh(want)).toEqual([]);
    }
    lab.write([]);
  });

  const table0 = () => /table inet (\S+)/.exec(lab.nft("list", "tables"))?.[1] ?? "";
});

describe("five thousand services of ten backends", () => {
  const vips = (count: number): Vip[] =>
    Array.from({ length: count }, (_, i) => ({
      address: `10.${64 + (i >> 8)}.${i & 255}.1`,
      backends: Array.from(
        { length: 10 },
        (_unused, n) => `10.${64 + (i >> 8)}.${i & 255}.${n + 2}`,
      ),
    }));

  test("are written, found, changed by one and taken away", () => {
    const all = vips(5_000);
    const tookMs: Record<string, number> = {};
    const measured = <T>(what: string, use: () => T): T => {
      const began = process.cpuUsage();
      const value = use();
      const { user, system } = process.cpuUsage(began);
      tookMs[what] = Math.round((user + system) / 1000);
      return value;
    };
    const table = vipTable(all);
    measured("write", () => lab.write([table]));
    measured("nothing changed", () => expect(lab.plan([table])).toEqual([]));
    expect(measured("look afresh", () => lab.planAfresh([table]))).toEqual([]);
    const [first, ...rest] = all;
    const fewer = vipTable([{ address: first?.address ?? "", backends: [] }, ...rest]);
    const [step] = measured("change", () => lab.write([fewer]));
    expect(step?.changes).toMatchObject([
      {
        kind: "update",
        chains: new Set(),
        elements: [{ drop: { length: 1 } }, { drop: { length: 10 } }],
      },
    ]);
    measured("all others go", () => lab.write([vipTable([])]));
    expect(lab.planAfresh([vipTable([])])).toEqual([]);
    lab.write([]);
    if (process.env.SKEIN_TIMES) process.stderr.write(`${JSON.stringify(tookMs)}\n`);
  });
});

describe("what becomes of packets is what the model says", () => {
  const backend = fc.integer({ min: 3, max: 20 }).map((n) => `10.0.1.${n}`);
  const vip: fc.Arbitrary<Vip> = fc.record({
    address: fc.integer({ min: 30, max: 37 }).map((n) => `10.0.1.${n}`),
    backends: fc.uniqueArray(backend, { maxLength: 6 }),
    affinity: fc.boolean(),
  });
  const vips = fc.uniqueArray(vip, { maxLength: 6, selector: ({ address }) => address });

  test("virtual addresses that come and go", async () => {
    await fc.assert(
      fc.asyncProperty(vips, async (list) => {
        const tables = [vipTable(list)];
        lab.write(tables);
        expect(lab.planAfresh(tables)).toEqual([]);
        await agree(
          tables,
          Array.from({ length: 16 }, (_, i) => aim(`10.0.1.${30 + (i % 8)}`, i)),
        );
      }),
      { numRuns: 40 },
    );
    lab.write([]);
  });

  const condition: fc.Arbitrary<readonly Expression[]> = fc.oneof(
    fc
      .integer({ min: 24, max: 32 })
      .chain((length) =>
        fc
          .integer({ min: 3, max: 37 })
          .map((n) => [
            ...familyIs(4),
            ...addressIn("destination", { ...prefix(`10.0.1.${n}/32`), length }),
          ]),
      ),
    fc.constantFrom(6, 17).map((protocol) => protocolIs(protocol)),
    fc.integer({ min: 80, max: 83 }).map((number) => portIs("destination", number)),
    fc.integer({ min: 0, max: 2 }).map((mark) => markIs("meta", mark)),
    fc.constantFrom(2, 8, 10).map((bits) => ct("state", bits)),
    fc.constant(from("oifname", "eth0")),
    fc.constant<readonly Expression[]>([]),
  );
  const setMark = fc.integer({ min: 0, max: 2 }).map((mark): readonly Expression[] => [
    { kind: "load", to: 0, value: hostOrder(mark) },
    { kind: "meta-set", key: "mark", from: 0 },
  ]);
  const end = (chains: readonly string[]) =>
    fc.oneof(
      fc
        .constantFrom<Expression>(ACCEPT, DROP, RETURN, REFUSE)
        .map((e): readonly Expression[] => [e]),
      ...(chains.length === 0
        ? []
        : [
            fc.constantFrom(...chains).map((name): readonly Expression[] => [goTo(name)]),
            fc.constantFrom(...chains).map((name): readonly Expression[] => [jumpTo(name)]),
          ]),
      setMark,
    );
  const rulesTo = (...chains: readonly string[]) =>
    fc.array(
      fc.tuple(condition, condition, end(chains)).map((parts) => rule("by chance", parts.flat())),
      { maxLength: 5 },
    );
  const filters = fc
    .tuple(rulesTo("a", "b"), rulesTo("b"), rulesTo(), rulesTo("b"))
    .map(([output, a, b, route]) =>
      inet([
        baseChain("route", HOOKS.routeOutput, [MARKER, ...route]),
        baseChain("output", HOOKS.filterOutput, [MARKER, ...output]),
        { name: "a", rules: a },
        { name: "b", rules: b },
      ]),
    );
  const MARKER = rule("the lab's own", [...protocolIs(17), ...portIs("destination", 9), ACCEPT]);

  test("filters by chance: chains, marks, states, networks", async () => {
    await fc.assert(
      fc.asyncProperty(filters, async (table) => {
        lab.write([table]);
        expect(lab.planAfresh([table])).toEqual([]);
        const packets = Array.from({ length: 16 }, (_, i) => ({
          ...aim(`10.0.1.${3 + i * 2}`, i),
          mark: i % 3,
        }));
        await agree([table], [...packets, ...packets]);
      }),
      { numRuns: 60 },
    );
    lab.write([]);
  });

  function aim(destination: string, i: number): Packet {
    return packetOf(CLIENT, destination, {
      protocol: i % 2 === 0 ? 17 : 6,
      sourcePort: nextPort(),
      destinationPort: 80 + (i % 4),
      oif: "eth0",
    });
  }

  /** Where chance decides, the kernel's answer is one of those that the model can give. */
  async function agree(tables: readonly TableWant[], packets: readonly Packet[]): Promise<void> {
    const arrived = await lab.send(packets);
    const [first, ...others] = [0, 1, 2, 3, 4, 5].map((n) => {
      const model = new NftModel(tables, { random: (modulus) => n % modulus });
      return packets.map((packet) => textOf(model.output(packet)));
    });
    packets.forEach((packet, i) => {
      const possible = [first, ...others].map((outcomes) => outcomes?.[i]);
      expect(possible, JSON.stringify(packet, bigints)).toContain(arrivedText(arrived[i]));
    });
  }

  const bigints = (_key: string, value: unknown) =>
    typeof value === "bigint" ? `${value}` : value;
  const textOf = ({ verdict, packet }: Outcome) =>
    verdict === "accept" ? `${formatIp(packet.destination)}:${packet.destinationPort}` : "nothing";
  const arrivedText = (arrived: Arrived | undefined) =>
    arrived === undefined ? "nothing" : `${arrived.destination}:${arrived.port}`;
});
