import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { messageIn, messagesOf, written } from "../../test/fakes/netlink-bytes.js";
import * as captured from "./captured-nftables.js";
import { countFlows, decodeFlow, decodeFlowCount, deleteFlow, dumpFlows } from "./conntrack.js";
import {
  appendRule,
  batchBegin,
  batchEnd,
  deleteElements,
  dumpElements,
  putChain,
  putElements,
  putMap,
} from "./nftables.js";
import * as nft from "./nftables-constants.js";
import {
  decodeChain,
  decodeElements,
  decodeGeneration,
  decodeMap,
  decodeRule,
} from "./nftables-decode.js";
import type { Expression } from "./nftables-expression.js";
import type { NetlinkWriter } from "./writer.js";

const AT = { family: nft.NFPROTO_IPV4, table: "skein" };
const DECODERS = [
  decodeGeneration,
  decodeChain,
  decodeRule,
  decodeMap,
  decodeElements,
  decodeFlow,
  decodeFlowCount,
];

const requests = (write: (writer: NetlinkWriter) => void) => messagesOf(written(write));
const hex = (...texts: string[]) => Uint8Array.from(Buffer.from(texts.join(""), "hex"));

describe("what Linux sent is read", () => {
  test("the generation of all rules", () => {
    expect(decodeGeneration(messageIn(captured.GENERATION))).toBeGreaterThan(0);
  });

  test("chains with hook, priority and policy", () => {
    expect(decodeChain(messageIn(captured.PREROUTING_CHAIN))).toEqual({
      ...AT,
      name: "prerouting",
      base: { type: "nat", hook: nft.NF_INET_PRE_ROUTING, priority: -100, policy: "accept" },
    });
    expect(decodeChain(messageIn(captured.FORWARD_CHAIN))).toEqual({
      ...AT,
      name: "forward",
      base: { type: "filter", hook: nft.NF_INET_FORWARD, priority: 0, policy: "drop" },
    });
  });

  test("a rule that publishes, as the expressions that ours is made of", () => {
    const rule = decodeRule(messageIn(captured.PUBLISHED_RULE));
    expect(rule).toMatchObject({ ...AT, chain: "prerouting", comment: "published" });
    const kinds = rule?.expressions?.map(({ kind }) => kind);
    expect(kinds).toEqual([
      ...["fib-daddr-type", "cmp", "payload", "meta", "payload", "lookup", "dnat"],
    ]);
  });

  test("rules with interfaces, states, networks, and what is done then", () => {
    const answers = decodeRule(messageIn(captured.ANSWERS_RULE));
    expect(answers?.expressions?.at(-1)).toEqual({ kind: "verdict", verdict: "accept" });
    expect(answers?.expressions).toContainEqual({ kind: "ct", key: "state", to: 0 });
    const out = decodeRule(messageIn(captured.OUT_RULE));
    expect(out?.expressions?.at(-1)).toEqual({ kind: "masquerade" });
    expect(out?.comment).toBe("out");
  });

  test("the elements of a map", () => {
    expect(decodeElements(messageIn(captured.ELEMENTS))).toEqual([
      { key: hex("c0000201", "06000000", "1f900000"), data: hex("ac110002", "00500000") },
    ]);
  });

  const ofRule = (message: Buffer) => decodeRule(messageIn(message))?.expressions;
  const kindsOf = (message: Buffer) => ofRule(message)?.map(({ kind }) => kind);
  test("rules that choose, refuse and mark", () => {
    expect(ofRule(captured.VERDICTS_RULE)?.at(-1)).toEqual({
      ...{ kind: "lookup", set: "vips", from: 0, to: "verdict" },
    });
    expect(kindsOf(captured.RANDOM_RULE)).toEqual(["payload", "random", "lookup", "dnat"]);
    expect(ofRule(captured.RANDOM_RULE)?.[1]).toEqual({ kind: "random", to: 1, modulus: 2 });
    expect(ofRule(captured.RANDOM_RULE)?.at(-1)).toEqual({
      ...{ kind: "dnat", family: nft.NFPROTO_IPV4, address: 8, port: undefined },
    });
    expect(ofRule(captured.HASH_RULE)?.[2]).toEqual({
      ...{ kind: "hash", from: 4, bytes: 4, to: 1, modulus: 1, seed: 0x536b6569 },
    });
    expect(ofRule(captured.REFUSE_RULE)?.at(-1)).toEqual({ kind: "reject", with: "tcp-reset" });
    expect(ofRule(captured.CT_MARK_RULE)).toEqual([
      { kind: "payload", header: "link", offset: 8, bytes: 4, to: 0 },
      { kind: "ct-set", key: "mark", from: 0 },
    ]);
    expect(ofRule(captured.FRAME_RULE)).toEqual([
      { kind: "meta", key: "mark", to: 0 },
      { kind: "payload-set", header: "link", offset: 2, bytes: 4, from: 0 },
    ]);
  });

  test("chains without hook, and on an interface", () => {
    expect(decodeChain(messageIn(captured.PLAIN_CHAIN))).toMatchObject({
      name: "pick-2",
      base: undefined,
    });
    expect(decodeChain(messageIn(captured.EGRESS_CHAIN))).toMatchObject({
      family: nft.NFPROTO_NETDEV,
      base: { type: "filter", hook: nft.NF_NETDEV_EGRESS, devices: ["eth0"] },
    });
  });

  test("sets, maps and verdict maps, and their elements", () => {
    const shape = { keyType: 7, keyBytes: 4, dataType: 0, dataBytes: 0 };
    const decode = (message: Buffer) => decodeMap(messageIn(message));
    expect(decode(captured.VERDICT_MAP)).toMatchObject({
      name: "vips",
      kind: "verdicts",
      ...shape,
    });
    expect(decode(captured.PLAIN_SET)).toMatchObject({ name: "known", kind: "set", ...shape });
    expect(decode(captured.ADDRESS_MAP)).toMatchObject({
      ...{ name: "backends", kind: "map", keyType: 7 * 64 + 19, keyBytes: 8 },
      ...{ dataType: 7, dataBytes: 4 },
    });
    expect(decodeElements(messageIn(captured.VERDICT_ELEMENTS))).toContainEqual({
      ...{ key: hex("0a00011e"), data: hex(), chain: "pick-2" },
    });
    expect(decodeElements(messageIn(captured.SET_ELEMENTS))).toContainEqual({
      ...{ key: hex("0a00011e"), data: hex() },
    });
  });

  test("a flow of IPv6, and who answers it", () => {
    expect(decodeFlow(messageIn(captured.FLOW6))).toMatchObject({
      ...{ family: nft.NFPROTO_IPV6, protocol: 17, destinationPort: 53 },
      destination: "fd000001000000000000000000000009",
      answers: "fd000001000000000000000000000003",
    });
  });

  test("how many flows there are", () => {
    // Of a namespace with none; the second number is how many there may be.
    const answer = "24000000050102000f000000210700000000000008000100000000000800020000040000";
    expect(decodeFlowCount(messageIn(Buffer.from(answer, "hex")))).toBe(0);
    const [request] = requests(countFlows);
    expect(request?.type).toBe((nft.NFNL_SUBSYS_CTNETLINK << 8) | nft.IPCTNL_MSG_CT_GET_STATS);
  });

  test("a flow, which is named by what it was read from", () => {
    const flow = decodeFlow(messageIn(captured.FLOW));
    expect(flow).toMatchObject({
      family: nft.NFPROTO_IPV4,
      protocol: 17,
      destination: "c0000201",
      destinationPort: 5353,
      answers: "c0000201",
    });
    if (flow === undefined) return;
    const [request] = requests((writer) => deleteFlow(writer, flow));
    const bytes = request?.bytes.subarray(request.from, request.to);
    expect(bytes?.includes(Buffer.from(flow.tuple))).toBe(true);
  });
});

const register = fc.integer({ min: 0, max: 15 });
const words = fc.uint8Array({ minLength: 4, maxLength: 4 });
const is = <const T>(value: T) => fc.constant(value);
const chainName = fc.constantFrom("pick-1", "pick-10", "refuse");
const modulus = fc.integer({ min: 1, max: 0xffffffff });
const expression: fc.Arbitrary<Expression> = fc.oneof(
  fc.record({
    kind: is("payload"),
    header: fc.constantFrom("link" as const, "network" as const, "transport" as const),
    offset: fc.nat(1000),
    bytes: fc.nat(16),
    to: register,
  }),
  fc.record({
    kind: is("payload-set"),
    header: is("link"),
    offset: fc.nat(10),
    bytes: fc.nat(6),
    from: register,
  }),
  fc.record({
    kind: is("meta"),
    key: fc.constantFrom(
      ...(["iifname", "oifname", "l4proto", "nfproto", "protocol", "mark"] as const),
    ),
    to: register,
  }),
  fc.record({ kind: is("meta-set"), key: is("mark"), from: register }),
  fc.record({
    kind: is("ct"),
    key: fc.constantFrom(...(["state", "status", "mark", "direction"] as const)),
    to: register,
  }),
  fc.record({ kind: is("ct-set"), key: is("mark"), from: register }),
  fc.record({ kind: is("ct-zone"), from: register }),
  fc.record({ kind: is("fib-daddr-type"), to: register }),
  fc.record({ kind: is("random"), to: register, modulus }),
  fc.record({
    kind: is("hash"),
    from: register,
    bytes: fc.nat(16),
    to: register,
    modulus,
    seed: modulus,
  }),
  fc.record({ kind: is("bitwise"), from: register, to: register, mask: words, xor: words }),
  fc.record({
    kind: is("cmp"),
    from: register,
    is: fc.constantFrom("equal" as const, "unequal" as const),
    value: words,
  }),
  fc.record({ kind: is("load"), to: register, value: words }),
  fc.record(
    {
      kind: is("lookup"),
      set: is("ports"),
      from: register,
      to: fc.oneof(register, fc.constantFrom("verdict" as const, undefined)),
      inverted: is(true),
    },
    { requiredKeys: ["kind", "set", "from", "to"] },
  ),
  fc.record({
    kind: is("dnat"),
    family: fc.constantFrom(nft.NFPROTO_IPV4, nft.NFPROTO_IPV6),
    address: register,
    port: fc.option(register, { nil: undefined }),
  }),
  fc.record({ kind: is("note"), set: is("strangers4"), from: register }),
  fc.record({ kind: is("snat"), family: is(nft.NFPROTO_IPV4), address: register }),
  fc.record({ kind: is("redirect"), port: register }),
  fc.record({
    kind: is("reject"),
    with: fc.constantFrom(
      ...(["tcp-reset", "no-route", "port-unreachable", "host-unreachable", "prohibited"] as const),
    ),
  }),
  fc.record({
    kind: is("verdict"),
    verdict: fc.constantFrom("accept" as const, "drop" as const, "return" as const),
  }),
  fc.record({ kind: fc.constantFrom("jump" as const, "goto" as const), chain: chainName }),
  fc.constantFrom<Expression>({ kind: "masquerade" }, { kind: "counter" }),
);

describe("what is written is read as the same", () => {
  test("rules", () => {
    fc.assert(
      fc.property(fc.array(expression, { maxLength: 12 }), fc.string(), (expressions, text) => {
        const comment = text.replaceAll("\0", "").slice(0, 40);
        const rule = { chain: "forward", expressions, comment };
        const [message] = requests((writer) => appendRule(writer, AT, rule));
        expect(message && decodeRule(message)).toEqual({ ...AT, ...rule });
      }),
    );
  });

  const bases = [
    { type: "nat", hook: 3, priority: -300, policy: "drop" },
    { type: "route", hook: 3, priority: -150, policy: "accept" },
    { type: "filter", hook: 1, priority: 0, policy: "accept", devices: ["eth0"] },
    { type: "filter", hook: 1, priority: 0, policy: "accept", devices: ["eth0", "eth1"] },
    undefined,
  ] as const;
  test.each(bases)("a chain with %o", (base) => {
    const [message] = requests((writer) => putChain(writer, AT, "c", base));
    expect(message && decodeChain(message)).toEqual({ ...AT, name: "c", base });
  });

  const maps = [
    { kind: "set", dataType: 0, dataBytes: 0 },
    { kind: "map", dataType: 7, dataBytes: 4 },
    { kind: "verdicts", dataType: 0, dataBytes: 0 },
  ] as const;
  test.each(maps)("a map of kind $kind", (map) => {
    const whole = { name: "m", keyType: 7, keyBytes: 4, ...map };
    const [message] = requests((writer) => putMap(writer, AT, whole));
    expect(message && decodeMap(message)).toEqual({ ...AT, ...whole });
  });

  test("elements without values, and with chains to go to", () => {
    const elements = [
      { key: hex("0a000001"), data: hex() },
      { key: hex("0a000002"), data: hex(), chain: "pick-2" },
    ];
    const [message] = requests((writer) => putElements(writer, AT, "vips", elements));
    expect(message && decodeElements(message)).toEqual(elements);
  });

  test("elements, as many messages as their lists have room for", () => {
    const elements = Array.from({ length: 1_201 }, (_, i) => ({
      key: hex("c0000201", "06000000", i.toString(16).padStart(4, "0"), "0000"),
      data: hex("ac110002", "00500000"),
    }));
    const messages = requests((writer) => putElements(writer, AT, "ports", elements));
    expect(messages.length).toBe(3);
    expect(messages.flatMap((message) => decodeElements(message) ?? [])).toEqual(elements);
    // Taking away has another number, and is nothing that a dump answers.
    const [taken] = requests((writer) => deleteElements(writer, AT, "ports", elements.slice(0, 1)));
    expect(taken && decodeElements(taken)).toBeUndefined();
  });

  test("a batch says which generation it is for", () => {
    const [begin, end] = requests((writer) => {
      batchBegin(writer, 0x01020304);
      batchEnd(writer);
    });
    expect([begin?.type, end?.type]).toEqual([nft.NFNL_MSG_BATCH_BEGIN, nft.NFNL_MSG_BATCH_END]);
    expect(begin?.bytes.toString("hex", begin.from, begin.to)).toBe("0000000a0800010001020304");
  });
});

describe("nothing that arrives makes a decoder throw", () => {
  const samples = Object.values(captured);

  test("every truncation", () => {
    for (const sample of samples) {
      const whole = messageIn(sample);
      for (let to = whole.from; to < whole.to; to++) {
        for (const decode of DECODERS) decode({ ...whole, to });
      }
    }
  });

  test("any byte changed, and bytes of chance", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.uint8Array({ maxLength: 200 }),
        (sample, at, value, chance) => {
          const bytes = Buffer.from(sample);
          const whole = messageIn(bytes);
          bytes[whole.from + (at % (whole.to - whole.from))] = value;
          for (const decode of DECODERS) decode({ ...whole, bytes });
          const noise = Buffer.from(chance);
          for (const decode of DECODERS)
            decode({ ...whole, bytes: noise, from: 0, to: noise.length });
        },
      ),
      { numRuns: 500 },
    );
  });

  test("what is not ours is nothing", () => {
    const [question] = requests(dumpFlows);
    const [other] = requests((writer) => dumpElements(writer, AT, "ports"));
    for (const message of [question, other]) {
      for (const decode of DECODERS) expect(message && decode(message)).toBeUndefined();
    }
  });
});
