import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Ip, type Prefix, parseIp, parsePrefix } from "../../common/address.js";
import { errnoName, errnoText } from "../../common/errno.js";
import { messageIn, messagesOf, written } from "../../test/fakes/netlink-bytes.js";
import { ipText, ipTextBytes, macBytes, macText } from "./addresses.js";
import { eachAttribute } from "./attribute.js";
import * as captured from "./captured.js";
import { NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR } from "./constants.js";
import { decodeAddress, deleteAddress, putAddress } from "./interface-address.js";
import { changeLink, changePort, newBridge, newVeth, newVxlan } from "./link.js";
import { decodeLink } from "./link-decode.js";
import { endingOf } from "./message.js";
import { decodeNamespaceId, getNamespaceId } from "./namespace-id.js";
import {
  appendFlood,
  decodeNeighbour,
  putBridgeRow,
  putNeighbour,
  putRemote,
  ZERO_MAC,
} from "./neighbour.js";
import { decodeRoute, putRoute } from "./route.js";
import { askRouteTo, decodeRouteTo } from "./route-to.js";
import { NetlinkWriter } from "./writer.js";

const ip = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;
const DECODERS = [
  decodeLink,
  decodeAddress,
  decodeRoute,
  decodeRouteTo,
  decodeNeighbour,
  decodeNamespaceId,
  endingOf,
];

const sole = (write: (writer: NetlinkWriter) => void) => messageIn(written(write));

test("the way to an address is asked for with its source", () => {
  const { bytes, from, to } = sole((w) => askRouteTo(w, ip("192.0.2.2"), ip("192.0.2.1")));
  // family 2, /32 to, /32 from; then RTA_DST and RTA_SRC.
  const want = "02202000" + "0000000000000000" + "08000100c0000202" + "08000200c0000201";
  expect(bytes.toString("hex", from, to)).toBe(want);
});

describe("what Linux sent is read", () => {
  test("a VXLAN device that is a bridge's port", () => {
    expect(decodeLink(messageIn(captured.VXLAN_LINK))).toEqual({
      ifindex: 3,
      name: "vx0",
      kind: "vxlan",
      mac: "02:42:0a:00:01:04",
      mtuBytes: 1500,
      up: true,
      alias: "skein:n1",
      master: 2,
      peer: 0,
      linkNetnsid: undefined,
      port: { learning: false, unicastFlood: false, neighSuppress: true },
      vxlan: { vni: 4097, local: "192.0.2.1", port: 4789, learning: false, df: "unset" },
    });
  });

  const mac = "02:42:0a:00:01:04";
  const cases = [
    {
      name: "a static row of a bridge",
      got: () => decodeNeighbour(messageIn(captured.BRIDGE_ROW)),
      want: { family: 7, ifindex: 3, state: 0x40, flags: 0, mac, ip: "" },
    },
    {
      name: "a static row of a VXLAN device",
      got: () => decodeNeighbour(messageIn(captured.VXLAN_ROW)),
      want: { family: 7, ifindex: 3, state: 0x42, flags: 2, mac, ip: "192.0.2.2" },
    },
    {
      name: "a permanent neighbour",
      got: () => decodeNeighbour(messageIn(captured.NEIGHBOUR)),
      want: { family: 2, ifindex: 2, state: 0x80, flags: 0, mac, ip: "10.0.1.4" },
    },
    {
      name: "an address",
      got: () => decodeAddress(messageIn(captured.ADDRESS)),
      want: { ifindex: 2, prefix: "10.0.1.2/24", scope: 0 },
    },
    {
      name: "a connected route",
      got: () => decodeRoute(messageIn(captured.ROUTE)),
      want: { table: 254, type: 1, prefix: "10.0.1.0/24", gateway: undefined, ifindex: 2 },
    },
    {
      name: "a capped refusal",
      got: () => endingOf(messageIn(captured.REFUSAL)),
      want: { errno: 17, text: "" },
    },
  ];
  for (const c of cases) test(c.name, () => expect(c.got()).toEqual(c.want));
});

describe("what we write reads back", () => {
  test("addresses, routes, rows and neighbours of both families", () => {
    for (const text of ["10.0.1.3/24", "fd00:1::3/64"]) {
      for (const write of [putAddress, deleteAddress]) {
        expect(decodeAddress(sole((w) => write(w, 7, prefix(text))))).toMatchObject({
          ifindex: 7,
          prefix: text,
        });
      }
      const route = { prefix: prefix(text), gateway: undefined, ifindex: 9 };
      expect(decodeRoute(sole((w) => putRoute(w, route)))).toMatchObject({
        prefix: text,
        ifindex: 9,
        table: 254,
      });
    }
    const away = { prefix: prefix("0.0.0.0/0"), gateway: ip("10.0.1.1"), ifindex: 9 };
    expect(decodeRoute(sole((w) => putRoute(w, away)))).toMatchObject({
      prefix: "0.0.0.0/0",
      gateway: "10.0.1.1",
    });
    const mac = "02:42:0a:00:01:03";
    expect(decodeNeighbour(sole((w) => putRemote(w, 4, mac, "2001:db8::7")))).toMatchObject({
      mac,
      ip: "2001:db8::7",
      flags: 6,
      state: 0x42,
    });
    expect(decodeNeighbour(sole((w) => putBridgeRow(w, 4, mac)))).toMatchObject({
      mac,
      flags: 4,
      state: 0x40,
    });
    expect(decodeNeighbour(sole((w) => appendFlood(w, 4, "192.0.2.9")))).toMatchObject({
      mac: ZERO_MAC,
      ip: "192.0.2.9",
    });
    expect(decodeNeighbour(sole((w) => putNeighbour(w, 4, "fd00::1", mac)))).toMatchObject({
      family: 10,
      ip: "fd00::1",
      mac,
    });
  });

  test("links", () => {
    const vxlan = {
      name: "vxlan0",
      vni: 4097,
      local: ip("192.0.2.1"),
      port: 4789,
      mtuBytes: 1450,
      df: "inherit",
      netnsFd: 9,
    } as const;
    expect(decodeLink(sole((w) => newVxlan(w, vxlan)))).toMatchObject({
      name: "vxlan0",
      kind: "vxlan",
      mtuBytes: 1450,
      vxlan: { vni: 4097, local: "192.0.2.1", port: 4789, learning: false, df: "inherit" },
    });
    const over6 = { ...vxlan, local: ip("2001:db8::1") };
    expect(decodeLink(sole((w) => newVxlan(w, over6)))?.vxlan?.local).toBe("2001:db8::1");
    const bridge = {
      name: "br0",
      mac: "02:53:6b:00:10:01",
      mtuBytes: 1450,
      groups: { snooping: true, querier: true },
    };
    expect(decodeLink(sole((w) => newBridge(w, bridge)))).toMatchObject({
      ...bridge,
      kind: "bridge",
      up: true,
    });
    const veth = {
      name: "v-1",
      mtuBytes: 1450,
      peer: { name: "sk-1", mac: "02:42:0a:00:01:03", netnsFd: 3 },
    };
    expect(decodeLink(sole((w) => newVeth(w, veth)))).toMatchObject({
      name: "v-1",
      kind: "veth",
    });
    const port = { learning: false, unicastFlood: true, neighSuppress: true };
    expect(decodeLink(sole((w) => changePort(w, 4, port)))?.port).toEqual(port);
    const change = { rename: "eth0", alias: "skein:x", mtuBytes: 1400, master: 3, up: true };
    expect(decodeLink(sole((w) => changeLink(w, 4, change)))).toMatchObject({
      ifindex: 4,
      name: "eth0",
      alias: "skein:x",
      master: 3,
    });
  });

  test("MAC and Internet addresses", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 6, maxLength: 6 }),
        fc.ipV4(),
        fc.ipV6(),
        (mac, v4, v6) => {
          const bytes = Buffer.from(mac);
          expect(macBytes(macText(bytes, 0, 6))).toEqual(bytes);
          const four = Buffer.from(ipTextBytes(v4));
          expect(ipText(four, 0, 4)).toBe(v4);
          const six = Buffer.from(ipTextBytes(v6));
          if (six.length === 16)
            expect(ipTextBytes(ipText(six, 0, 16))).toEqual(new Uint8Array(six));
        },
      ),
    );
  });

  test("thousands of messages in one buffer, numbered on, the last of a slice asking for an answer", () => {
    const writer = new NetlinkWriter();
    for (let i = 0; i < 3000; i++)
      putNeighbour(writer, 2, `10.0.${i >> 8}.${i & 255}`, "02:42:0a:00:00:01");
    const messages = messagesOf(writer.slice(1000, 2000, 50));
    expect(messages).toHaveLength(1000);
    expect(messages.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 1000 }, (_, i) => 50 + i),
    );
    expect(messages.map((m) => decodeNeighbour(m)?.ip)[999]).toBe("10.0.7.207");
    expect(messages.filter(({ flags }) => flags & NLM_F_ACK)).toEqual([messages[999]]);
  });
});

describe("bytes that are not what they should be", () => {
  test("every truncation of every captured message is refused or read in part, and nothing is read beyond it", () => {
    for (const bytes of Object.values(captured)) {
      for (let length = 0; length < bytes.length; length++) {
        const cut = Buffer.from(bytes.subarray(0, length));
        expect(messagesOf(cut)).toEqual([]);
        if (length < 16) continue;
        // The same, but with a header that admits to the shorter length.
        cut.writeUInt32LE(length, 0);
        for (const message of messagesOf(cut)) for (const decode of DECODERS) decode(message);
      }
    }
  });

  test("random bytes under any type make no decoder throw", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(2, 3, 16, 20, 24, 28, 88),
        fc.nat(0xffff),
        fc.uint8Array({ maxLength: 200 }),
        (type, flags, payload) => {
          const bytes = Buffer.concat([Buffer.alloc(16), payload]);
          bytes.writeUInt32LE(bytes.length, 0);
          bytes.writeUInt16LE(type, 4);
          bytes.writeUInt16LE(flags, 6);
          for (const message of messagesOf(bytes)) for (const decode of DECODERS) decode(message);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("an attribute of impossible length ends the list", () => {
    const seen: number[] = [];
    const list = Buffer.from("08000100aaaaaaaa03000200", "hex");
    expect(eachAttribute(list, 0, list.length, (type) => seen.push(type))).toBe(false);
    expect(seen).toEqual([1]);
  });
});

test("the kernel's own words come out of an extended acknowledgement", () => {
  const words = Buffer.from("A VXLAN device with the specified VNI already exists\0");
  const attribute = Buffer.alloc(4 + words.length);
  attribute.writeUInt16LE(4 + words.length, 0);
  attribute.writeUInt16LE(1, 2);
  words.copy(attribute, 4);
  const head = Buffer.alloc(16 + 4 + 16);
  const bytes = Buffer.concat([head, attribute]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(NLMSG_ERROR, 4);
  bytes.writeUInt16LE(NLM_F_CAPPED | NLM_F_ACK_TLVS, 6);
  bytes.writeInt32LE(-17, 16);
  expect(endingOf(messageIn(bytes))).toEqual({
    errno: 17,
    text: "A VXLAN device with the specified VNI already exists",
  });
});

test("error numbers have their names", () => {
  expect(errnoName(17)).toBe("EEXIST");
  expect(errnoText(98)).toBe("EADDRINUSE: address already in use");
  expect(errnoText(9999)).toBe("errno 9999");
});

test("a question for a namespace's number carries the descriptor", () => {
  expect(sole((w) => getNamespaceId(w, 5)).to).toBe(16 + 4 + 8);
});
