// Frames through both halves of the userspace path, on memory alone: what one node sends, another receives.
import { beforeEach, describe, expect, test } from "vitest";
import { type Ip, parseIp } from "../../common/address.js";
import { type Mac, parseVni, type Vni } from "../../common/ids.js";
import * as captured from "./captured-frames.js";
import { encodeEthernet } from "./ethernet.js";
import { checksumOf } from "./internet-checksum.js";
import { Inward } from "./inward.js";
import { memoryOf } from "./memory.js";
import { Outward, type SwitchNetwork } from "./outward.js";
import { decodePacket, transportIntact } from "./packet.js";
import { PeerBook } from "./peer-book.js";
import { StrangerBook, StrangerNotes } from "./stranger-book.js";
import {
  COUNTED,
  COUNTED_STRAY,
  type Counters,
  newCounters,
  readCounters,
} from "./switch-counters.js";
import { encodeTable, SwitchTable } from "./switch-table.js";
import { encodeVirtioNet, type VirtioNet } from "./virtio-net.js";

const VNI = parseVni(4097) as Vni;
const MTU_BYTES = 1450;
const HERE = "02:42:0a:00:01:02" as Mac;
const THERE = "02:42:0a:00:01:03" as Mac;
const ELSEWHERE = "02:42:0a:00:01:04" as Mac;
const PLAIN: VirtioNet = {
  ...{ flags: 0, gsoType: 0, headerBytes: 0, gsoBytes: 0, checksumStart: 0, checksumOffset: 0 },
};
const book = new PeerBook();
const peer = (text: string) => book.numberOf(parseIp(text) as Ip) ?? -1;
const [H1, H2, H3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(peer) as [number, number, number];

const bytes = new Uint8Array(1 << 20);
const memory = memoryOf(bytes.buffer);
let counters: Counters;
let stray: Counters;
const strangerBook = new StrangerBook();
const strangers = new StrangerNotes(strangerBook.shared);
/** Datagrams that were sent: to whom, and what. */
let sent: { readonly peer: number; datagram: Buffer }[];

const sender = {
  packet: (to: number) => void sent.push({ peer: to, datagram: Buffer.alloc(0) }),
  piece(at: number, lengthBytes: number) {
    const last = sent.at(-1);
    if (last === undefined) throw new Error("a piece of nothing");
    last.datagram = Buffer.concat([last.datagram, bytes.subarray(at, at + lengthBytes)]);
  },
  flush() {},
};

/** As the node sees it that endpoint `local` lives on. */
function network(local: Mac, remotes: readonly (readonly [string, number])[]): SwitchNetwork {
  const flood = [...new Set(remotes.map(([, to]) => to))];
  const rows = { vni: VNI, mtuBytes: MTU_BYTES, locals: [local], remotes, flood };
  return { tap: 5, sender, table: new SwitchTable(encodeTable(rows)), counters };
}

beforeEach(() => {
  counters = newCounters();
  stray = newCounters(COUNTED_STRAY);
  sent = [];
});
const counted = () =>
  Object.fromEntries(
    Object.entries({
      ...readCounters(counters, COUNTED),
      ...readCounters(stray, COUNTED_STRAY),
    }).filter(([kind, n]) => n > 0 && !/^(frames|bytes)-/.test(kind)),
  );

function out(frame: Buffer, header = PLAIN): void {
  const outward = new Outward(memory, bytes.length);
  const whole = Buffer.concat([encodeVirtioNet(header), frame]);
  bytes.set(whole, 64);
  const near = network(HERE, [
    [THERE, H2],
    [ELSEWHERE, H3],
  ]);
  outward.take(near, 64, whole.length);
}

/** Frames as they were written to the TAP, each with its virtio-net header, of datagrams that came together. */
function arrive(datagrams: readonly Buffer[], from = H1, packetBytes?: number): Buffer[] {
  const written: Buffer[] = [];
  let pieces: Buffer[] = [];
  const writer = {
    piece: (at: number, length: number) =>
      void pieces.push(Buffer.from(bytes.subarray(at, at + length))),
    write() {
      written.push(Buffer.concat(pieces));
      pieces = [];
      return true;
    },
  };
  const places: number[] = [];
  let at = 64;
  for (const datagram of datagrams) {
    bytes.set(datagram, at);
    places.push(at);
    at += datagram.length + 64;
  }
  const sourceAt = bytes.length - 16;
  bytes.set(new Uint8Array(book.shared, from * 16, 16), sourceAt);
  const receiver = {
    receive: () => datagrams.length,
    at: (i: number) => places[i] ?? 0,
    lengthBytes: (i: number) => datagrams[i]?.length ?? 0,
    packetBytes: (i: number) => packetBytes ?? Math.max(datagrams[i]?.length ?? 0, 1),
    sourceAt: () => sourceAt,
  };
  const far = network(THERE, [
    [HERE, H1],
    [ELSEWHERE, H3],
  ]);
  const ends = { receiver, writer, networks: new Map([[VNI as number, far]]), peers: book.shared };
  new Inward(memory, { ...ends, stray, strangers, addressBytes: 4 }).takeAll(datagrams.length);
  return written;
}

const DATA = Buffer.from(captured.TCP_DATA, "hex");
const SYN = Buffer.from(captured.TCP_SYN, "hex");
const HEADERS_BYTES = DATA.length - 5;
/** What a TAP hands over of a stream: `payload` behind the captured frame's headers, checksum left open. */
function large(payload: Buffer): Buffer {
  const frame = Buffer.concat([DATA.subarray(0, HEADERS_BYTES), payload]);
  frame.writeUInt16BE(frame.length - 14, 16);
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(checksumOf(frame.subarray(14, 34)), 24);
  const addresses = [26, 28, 30, 32].reduce((sum, at) => sum + frame.readUInt16BE(at), 0);
  let sum = addresses + 6 + frame.length - 34;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame.writeUInt16BE(sum, 50);
  return frame;
}
const GSO: VirtioNet = {
  ...{ flags: 1, gsoType: 1, headerBytes: HEADERS_BYTES, gsoBytes: 1398 },
  ...{ checksumStart: 34, checksumOffset: 16 },
};
const addressed = (destination: Mac, source: Mac) =>
  encodeEthernet({ destination, source, tags: [], etherType: 0x1234, payload: Buffer.alloc(50) });

describe("out", () => {
  test("a frame goes to the node that its destination lives on, behind RFC 7348's header", () => {
    out(SYN);
    expect(sent.map((each) => each.peer)).toEqual([H2]);
    expect(sent[0]?.datagram.toString("hex")).toBe(`0800000000100100${captured.TCP_SYN}`);
    expect(counted()).toEqual({});
  });

  test("broadcast goes to every node of the network", () => {
    out(Buffer.from(captured.ARP_REQUEST, "hex"));
    expect(sent.map((each) => each.peer)).toEqual([H2, H3]);
  });

  test("a checksum that was left open is completed", () => {
    const frame = large(Buffer.from("hello"));
    out(frame, { ...GSO, gsoType: 0, gsoBytes: 0 });
    const packet = decodePacket(sent[0]?.datagram.subarray(8) ?? Buffer.alloc(0));
    expect(packet && transportIntact(packet)).toBe(true);
  });

  test.each([
    [
      "its destination is nobody",
      addressed("02:00:00:00:00:01" as Mac, HERE),
      PLAIN,
      "unknown-destination",
    ],
    ["its destination is here", addressed(HERE, HERE), PLAIN, "unknown-destination"],
    ["its source is elsewhere", addressed(THERE, ELSEWHERE), PLAIN, "not-from-here"],
    ["it is cut short", SYN.subarray(0, 13), PLAIN, "malformed"],
    ["its checksum lies outside", SYN, { ...GSO, gsoType: 0, checksumStart: 9_000 }, "malformed"],
    ["it is to be cut to nothing", DATA, { ...GSO, gsoBytes: 0 }, "malformed"],
    ["it is to be cut as nobody knows how", DATA, { ...GSO, gsoType: 3 }, "malformed"],
  ] as const)("a frame goes nowhere and is counted: %s", (_, frame, header, reason) => {
    out(frame, header);
    expect(sent).toEqual([]);
    expect(counted()).toEqual({ [reason]: 1 });
  });
});

describe("in", () => {
  const datagram = (frame: Buffer, vni = "001001", flags = "08") =>
    Buffer.concat([Buffer.from(`${flags}000000${vni}00`, "hex"), frame]);

  test("a frame is handed to its network's TAP as it came", () => {
    const [written] = arrive([datagram(SYN)]);
    expect(written?.toString("hex")).toBe("00".repeat(10) + captured.TCP_SYN);
  });

  test.each([
    ["no I flag", datagram(SYN, "001001", "f7"), H1, "not-vxlan"],
    ["nothing at all", Buffer.alloc(0), H1, "not-vxlan"],
    ["a VNI that is not here", datagram(SYN, "001002"), H1, "unknown-vni"],
    ["half a frame", datagram(SYN.subarray(0, 13)), H1, "malformed"],
    ["a stranger", datagram(SYN), peer("192.0.2.9"), "not-a-peer"],
    ["another node than its source lives on", datagram(SYN), H3, "source-spoofed"],
    ["a source that lives here", datagram(addressed(THERE, THERE)), H1, "source-spoofed"],
    [
      "a source that nobody is",
      datagram(addressed(THERE, "02:00:00:00:00:01" as Mac)),
      H1,
      "unknown-source",
    ],
    ["a destination that is not here", datagram(addressed(ELSEWHERE, HERE)), H1, "not-here"],
    ["more than the MTU", datagram(Buffer.concat([SYN, Buffer.alloc(1500)])), H1, "too-big-in"],
  ] as const)("is dropped and counted: %s", (_, bytes_, from, reason) => {
    expect(arrive([bytes_], from)).toEqual([]);
    expect(counted()).toEqual({ [reason]: 1 });
  });

  test("who is refused is known by name", () => {
    arrive([datagram(SYN), datagram(SYN, "001002")], peer("192.0.2.99"));
    const known = strangerBook.read(0).filter(({ address }) => address === "192.0.2.99");
    expect(known).toEqual([
      { reason: "not-a-peer", address: "192.0.2.99", vni: 0x1001, frames: 1 },
      { reason: "unknown-vni", address: "192.0.2.99", vni: 0x1002, frames: 1 },
    ]);
  });

  test("cut at any byte, a datagram is dropped or written, and nothing throws", () => {
    const whole = datagram(DATA);
    for (let length = 0; length < whole.length; length++) {
      expect(arrive([whole.subarray(0, length)]).length).toBe(length >= 22 ? 1 : 0);
    }
  });

  test("a kernel's own large segment, uncut and its checksum open, is taken, and says how it is to be cut", () => {
    const frame = large(Buffer.alloc(20_000, 7));
    const [written] = arrive([datagram(frame)]);
    // MTU less 20 of IPv4 and 32 of TCP.
    expect(written?.subarray(0, 10)).toEqual(encodeVirtioNet(GSO));
    expect(written?.subarray(10)).toEqual(frame);
  });
});

describe("out and in", () => {
  test.each([1, 1_398, 1_399, 30_000, 60_000])(
    "a stream's %i bytes arrive as the frame that was sent",
    (length) => {
      const frame = large(Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff)));
      out(Buffer.from(frame), GSO);
      expect(sent.every(({ datagram }) => datagram.length <= MTU_BYTES + 14 + 8)).toBe(true);
      const written = arrive(sent.map(({ datagram }) => datagram));
      expect(written).toHaveLength(1);
      const [one = Buffer.alloc(0)] = written;
      if (length > 1_398)
        expect(one.equals(Buffer.concat([encodeVirtioNet(GSO), frame]))).toBe(true);
      else expect(decodePacket(one.subarray(10))).toBeDefined();
      expect(counted()).toEqual({});
    },
  );

  test("the same when the datagrams came as one", () => {
    const frame = large(Buffer.alloc(10_000, 9));
    out(Buffer.from(frame), GSO);
    const size = sent[0]?.datagram.length ?? 0;
    const written = arrive([Buffer.concat(sent.map(({ datagram }) => datagram))], H1, size);
    expect(written.map((each) => each.subarray(10).toString("hex"))).toEqual([
      frame.toString("hex"),
    ]);
  });
});
