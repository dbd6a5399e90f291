import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Ip, parseIp } from "../../common/address.js";
import type { DeviceChange, PeerChange, WireguardDevice } from "../overlay/wireguard.js";
import { decodeFamily, getFamily } from "./generic.js";
import { eachMessage, type NetlinkMessage } from "./message.js";
import { decodeDevice, getDevice, joinDevice, setDevice } from "./wireguard.js";
import { NetlinkWriter } from "./writer.js";

const FAMILY = 0x1d;
const ip = (text: string) => parseIp(text) as Ip;
const key = (fill: number) => Buffer.alloc(32, fill).toString("base64");

function written(write: (writer: NetlinkWriter) => void): Buffer {
  const writer = new NetlinkWriter();
  write(writer);
  return Buffer.from(writer.slice(0, writer.count, 1));
}
function messagesOf(bytes: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  eachMessage(bytes, bytes.length, (message) => messages.push(message));
  return messages;
}
const hex = (bytes: Buffer) => bytes.toString("hex");
const a0 = "a0".repeat(32);
const b1 = "b1".repeat(32);

describe("a request is laid out as linux/wireguard.h says", () => {
  test("to find the family", () => {
    expect(hex(written((writer) => getFamily(writer, "wireguard")))).toBe(
      // nlmsghdr: 36 bytes, GENL_ID_CTRL, REQUEST|ACK, 1, 0; genlmsghdr: GETFAMILY; FAMILY_NAME.
      `240000001000050001000000${"00000000"}0302${"0000"}0e000200${Buffer.from("wireguard\0").toString("hex")}0000`,
    );
  });

  test("to look at a device", () => {
    expect(hex(written((writer) => getDevice(writer, FAMILY, "wg0")))).toBe(
      `1c0000001d00050301000000${"00000000"}0001${"0000"}08000200${"77673000"}`,
    );
  });

  test("to set key, port and peers", () => {
    const change: DeviceChange = {
      privateKey: Buffer.alloc(32, 0xa0),
      port: 4788,
      peers: [
        { kind: "remove", publicKey: key(0xa0) },
        {
          kind: "put",
          publicKey: key(0xb1),
          endpoint: ip("192.168.33.11"),
          port: 4788,
          address: ip("fd00:1::2"),
        },
      ],
    };
    const device = `08000200${"77673000"}24000300${a0}0600060${"0b412"}0000`;
    const removed = `30000080${`24000100${a0}`}${"08000300"}01000000`;
    const allowed = `280000800600010${"00a000000"}14000200fd000001000000000000000000000002${"05000300"}80000000`;
    const put = `70000080${`24000100${b1}`}${"08000300"}02000000${"14000400"}020012b4c0a8210b0000000000000000${"2c000980"}${allowed}`;
    const body = hex(written((writer) => setDevice(writer, FAMILY, "wg0", change)));
    expect(body.slice(32)).toBe(`0101${"0000"}${device}${"a4000880"}${removed}${put}`);
  });

  test("of many peers as several messages, of which the first alone has the key", () => {
    const peers: PeerChange[] = Array.from({ length: 450 }, (_, i) => ({
      kind: "remove",
      publicKey: key(8 + (i % 200)),
    }));
    const secret = Buffer.alloc(32, 7);
    const change = { privateKey: secret, peers };
    const bytes = written((writer) => setDevice(writer, FAMILY, "wg0", change));
    const messages = messagesOf(bytes);
    expect(messages).toHaveLength(3);
    const hasKey = messages.map(({ from, to }) => bytes.subarray(from, to).includes(secret));
    expect(hasKey).toEqual([true, false, false]);
    for (const { from, to } of messages) expect(to - from).toBeLessThan(0xffff);
  });
});

// ---- Answers, built as drivers/net/wireguard/netlink.c (wg_get_device_dump) builds them

interface SomePeer {
  readonly key: number;
  readonly endpoint?: Buffer;
  readonly allowed?: readonly (readonly [string, number])[];
  readonly stats?: boolean;
}

function answer(peers: readonly SomePeer[], whole = true): Buffer {
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  return written((writer) =>
    writer.message(FAMILY, 0, () => {
      writer.u32(0x0100);
      if (whole) {
        writer.attribute(6, Uint8Array.of(0xb4, 0x12));
        writer.attributeU32(7, 0);
        writer.attributeU32(1, 9);
        writer.attributeText(2, "wg0");
        writer.attribute(3, Buffer.alloc(32, 0xee));
        writer.attribute(4, Buffer.alloc(32, 0x11));
      }
      writer.nest(8, () => {
        for (const peer of peers) {
          writer.nest(0, () => {
            writer.attribute(1, Buffer.alloc(32, peer.key));
            if (peer.stats) {
              writer.attribute(6, Buffer.concat([u64(1_763_748_599), u64(484_926_000)]));
              writer.attribute(2, Buffer.alloc(32));
              writer.attribute(8, u64(484));
              writer.attribute(7, u64(336));
            }
            if (peer.endpoint) writer.attribute(4, peer.endpoint);
            writer.nest(9, () => {
              for (const [text, length] of peer.allowed ?? []) {
                writer.nest(0, () => {
                  writer.attributeU8(3, length);
                  writer.attribute(1, Uint8Array.of(text.includes(":") ? 10 : 2, 0));
                  writer.attribute(2, bytesOf(text));
                });
              }
            });
          });
        }
      });
    }),
  );
}

function bytesOf(text: string): Buffer {
  const { family, value } = ip(text);
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, "0"), "hex");
}

const V4 = Buffer.from("020012b4c0a8210b0000000000000000", "hex");
const V6 = Buffer.from(`0a0012b400000000fd000033${"00".repeat(11)}0b00000000`, "hex");

describe("an answer", () => {
  const read = (bytes: Buffer) =>
    joinDevice(messagesOf(bytes).flatMap((each) => decodeDevice(each, FAMILY) ?? []));

  test("of a device with peers is read, and its private key is not", () => {
    const device = read(
      answer([
        { key: 1, endpoint: V4, stats: true, allowed: [["fd00:1::2", 128]] },
        { key: 2, endpoint: V6, allowed: [["10.0.0.9", 32]] },
        { key: 3 },
      ]),
    );
    const silent = { handshakeMs: 0, sentBytes: 0, receivedBytes: 0 };
    expect(device).toEqual<WireguardDevice>({
      publicKey: key(0x11),
      port: 4788,
      peers: new Map([
        [
          key(1),
          {
            endpoint: "192.168.33.11:4788",
            allowed: ["fd00:1::2/128"],
            handshakeMs: 1_763_748_599_484,
            sentBytes: 484,
            receivedBytes: 336,
          },
        ],
        [key(2), { ...silent, endpoint: "[fd00:33::b]:4788", allowed: ["10.0.0.9/32"] }],
        [key(3), { ...silent, endpoint: "", allowed: [] }],
      ]),
    });
  });

  test("in several messages is put together, a peer that goes on in the next included", () => {
    const first = answer([{ key: 1, endpoint: V4, stats: true, allowed: [["10.0.0.1", 32]] }]);
    const second = answer([{ key: 1, allowed: [["10.0.0.2", 32]] }, { key: 2 }], false);
    const device = read(Buffer.concat([first, second]));
    expect(device?.publicKey).toBe(key(0x11));
    expect([...(device?.peers.keys() ?? [])]).toEqual([key(1), key(2)]);
    expect(device?.peers.get(key(1))).toMatchObject({
      endpoint: "192.168.33.11:4788",
      allowed: ["10.0.0.1/32", "10.0.0.2/32"],
    });
  });

  test("that is cut anywhere, or of chance, makes nothing throw and reads nothing beyond its end", () => {
    const bytes = answer([{ key: 1, endpoint: V6, stats: true, allowed: [["fd00:1::2", 128]] }]);
    const [message] = messagesOf(bytes);
    if (message === undefined) throw new Error("no message");
    for (let to = message.from; to <= message.to; to++) {
      const cut = Buffer.from(bytes.subarray(0, to));
      decodeDevice({ ...message, bytes: cut, to }, FAMILY);
      decodeFamily({ ...message, type: 0x10, bytes: cut, to });
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        const whole = { ...message, bytes: Buffer.from(random), from: 0, to: random.length };
        decodeDevice(whole, FAMILY);
        decodeFamily({ ...whole, type: 0x10 });
      }),
    );
  });

  test("of the controller names the family's number", () => {
    const bytes = written((writer) =>
      writer.message(0x10, 0, () => {
        writer.u32(0x0201);
        writer.attributeText(2, "wireguard");
        writer.attribute(1, Uint8Array.of(FAMILY, 0));
      }),
    );
    expect(messagesOf(bytes).map(decodeFamily)).toEqual([FAMILY]);
  });
});
