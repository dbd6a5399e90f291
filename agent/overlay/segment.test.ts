import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Ip } from "../../common/address.js";
import { parseIp } from "../../common/address.js";
import type { Mac } from "../../common/ids.js";
import { encodeEthernet } from "./ethernet.js";
import { pseudoHeaderSum, viewOf } from "./internet-checksum.js";
import { encodeIpv4 } from "./ipv4.js";
import { encodeIpv6 } from "./ipv6.js";
import { Layout, layOut } from "./layout.js";
import { memoryOf } from "./memory.js";
import { checksumStateOf, Run } from "./merge.js";
import { decodePacket, type Packet, transportIntact } from "./packet.js";
import { cut, Segments, type Superframe } from "./segment.js";
import { encodeTcp, TCP_ACK, TCP_CWR, TCP_FIN, TCP_PSH, type Tcp } from "./tcp.js";

const ip = (text: string) => parseIp(text) as Ip;
const FROM = { 4: ip("10.0.1.2"), 6: ip("fd00:1::2") } as const;
const TO = { 4: ip("10.0.1.3"), 6: ip("fd00:1::3") } as const;
const PREFIX = 8;
/** A copy that begins where its buffer begins. */
const memoryWith = (bytes: Uint8Array) => memoryOf(Uint8Array.from(bytes).buffer);

interface Shape {
  readonly family: 4 | 6;
  readonly payload: Buffer;
  readonly options: Buffer;
  readonly flags: number;
  readonly sequence: number;
  readonly tagged: boolean;
}

/** A frame whose TCP checksum is the pseudo header's sum, as virtio has it. */
function frameOf({ family, payload, options, flags, sequence, tagged }: Shape): Buffer {
  const tcp: Tcp = {
    ...{ sourcePort: 1234, destinationPort: 80, sequence, acknowledgement: 7, flags, window: 500 },
    ...{ checksum: 0, urgent: 0, options, payload },
  };
  const segment = encodeTcp(tcp);
  const about = { source: FROM[family], destination: TO[family], protocol: 6, trafficClass: 2 };
  const packet =
    family === 4
      ? encodeIpv4({
          ...{ ...about, ttl: 64, identification: 0xfffe, dontFragment: true },
          ...{ moreFragments: false, fragmentOffsetBytes: 0 },
          ...{ options: Buffer.alloc(0), payload: segment },
        })
      : encodeIpv6({
          ...{ ...about, hopLimit: 64, flowLabel: 99, fragment: undefined, firstHeader: 6 },
          ...{ extensions: Buffer.alloc(0), payload: segment },
        });
  const frame = encodeEthernet({
    destination: "02:42:0a:00:01:03" as Mac,
    source: "02:42:0a:00:01:02" as Mac,
    tags: tagged ? [{ protocol: 0x8100, priority: 0, dropEligible: false, vlanId: 5 }] : [],
    etherType: family === 4 ? 0x0800 : 0x86dd,
    payload: packet,
  });
  const transportAt = frame.length - segment.length;
  const addresses = family === 4 ? ([-8, 4] as const) : ([-32, 16] as const);
  const sum = pseudoHeaderSum(
    viewOf(frame),
    transportAt + addresses[0],
    addresses[1],
    6,
    segment.length,
  );
  frame.writeUInt16BE(sum, transportAt + 16);
  return frame;
}

function superframe(frame: Buffer, shape: Shape, gsoBytes: number): Superframe {
  const ipAt = PREFIX + 14 + (shape.tagged ? 4 : 0);
  return {
    ...{ at: PREFIX, end: PREFIX + frame.length, prefixBytes: PREFIX, ipAt, family: shape.family },
    ...{ transportAt: ipAt + (shape.family === 4 ? 20 : 40), gsoBytes },
  };
}

/** The frames that one becomes, as a wire would see them. */
function cutUp(shape: Shape, gsoBytes: number): Buffer[] | undefined {
  const frame = frameOf(shape);
  const room = memoryWith(
    Buffer.concat([Buffer.alloc(PREFIX, 0xab), frame, Buffer.alloc(1 << 20)]),
  );
  const memory = Buffer.from(room.bytes.buffer);
  const into = new Segments();
  const spaceAt = (PREFIX + frame.length + 7) & ~3;
  if (!cut(room, superframe(frame, shape, gsoBytes), spaceAt, into)) return undefined;
  return Array.from({ length: into.count }, (_, i) => {
    const headerAt = into.headerAt[i] ?? 0;
    const payloadAt = into.payloadAt[i] ?? 0;
    const header = memory.subarray(headerAt, headerAt + into.headerBytes);
    expect(header.subarray(0, PREFIX)).toEqual(Buffer.alloc(PREFIX, 0xab));
    const payload = memory.subarray(payloadAt, payloadAt + (into.payloadBytes[i] ?? 0));
    return Buffer.concat([header.subarray(PREFIX), payload]);
  });
}

const tcpOf = (frame: Buffer): { packet: Packet; tcp: Tcp } => {
  const packet = decodePacket(frame);
  const network = packet?.network;
  if (packet === undefined || (network?.kind !== "ipv4" && network?.kind !== "ipv6"))
    throw new Error("no packet");
  if (network.transport.kind !== "tcp") throw new Error("no segment");
  return { packet, tcp: network.transport.tcp };
};

const shapes: fc.Arbitrary<Shape> = fc.record({
  family: fc.constantFrom(4 as const, 6 as const),
  payload: fc.uint8Array({ minLength: 1, maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  options: fc.constantFrom(Buffer.alloc(0), Buffer.from("0101080a0000000100000002", "hex")),
  flags: fc.constantFrom(TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN | TCP_PSH | TCP_CWR),
  sequence: fc.nat(0xffffffff),
  tagged: fc.boolean(),
});

describe("cutting", () => {
  test("gives frames that say together what the one said, each whole by itself", () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 8, max: 1500 }), (shape, gsoBytes) => {
        const frames = cutUp(shape, gsoBytes) ?? [];
        expect(frames).toHaveLength(Math.ceil(shape.payload.length / gsoBytes));
        const parts = frames.map(tcpOf);
        expect(Buffer.concat(parts.map(({ tcp }) => tcp.payload))).toEqual(shape.payload);
        for (const [i, { packet, tcp }] of parts.entries()) {
          const isLast = i === parts.length - 1;
          expect(transportIntact(packet)).toBe(true);
          expect(tcp.sequence).toBe((shape.sequence + i * gsoBytes) >>> 0);
          expect(tcp.options).toEqual(shape.options);
          // RFC 3168 section 6.1.2: one CWR for a window; a stream ends and is pushed once.
          const cleared = (i > 0 ? TCP_CWR : 0) | (isLast ? 0 : TCP_FIN | TCP_PSH);
          expect(tcp.flags).toBe(shape.flags & ~cleared);
          if (packet.network.kind === "ipv4")
            expect(packet.network.ip.identification).toBe((0xfffe + i) & 0xffff);
        }
      }),
    );
  });

  test("what contradicts itself is refused: cut short, no payload, no size", () => {
    const shape: Shape = {
      ...{ family: 4, payload: Buffer.alloc(10), options: Buffer.alloc(0), flags: TCP_ACK },
      ...{ sequence: 1, tagged: false },
    };
    expect(cutUp({ ...shape, payload: Buffer.alloc(0) }, 100)).toBeUndefined();
    expect(cutUp(shape, 0)).toBeUndefined();
    const frame = frameOf(shape);
    const into = new Segments();
    for (let length = 0; length < frame.length - 10; length++) {
      const memory = Buffer.concat([
        Buffer.alloc(PREFIX),
        frame.subarray(0, length),
        Buffer.alloc(4096),
      ]);
      const cutShort = { ...superframe(frame, shape, 100), end: PREFIX + length };
      expect(cut(memoryWith(memory), cutShort, 1024, into)).toBe(false);
    }
  });
});

describe("merging", () => {
  /** Frames one after another in memory, merged as far as they go: the runs, as the frames that they become. */
  function merge(frames: readonly Buffer[], spoil?: (frame: Buffer, index: number) => void) {
    const copies = frames.map((frame) => Buffer.from(frame));
    if (spoil) for (const [i, frame] of copies.entries()) spoil(frame, i);
    const room = memoryWith(Buffer.concat(copies));
    const memory = Buffer.from(room.bytes.buffer);
    const { view } = room;
    const run = new Run();
    const layout = new Layout();
    const out: Buffer[] = [];
    const finish = () => {
      if (run.count === 0) return;
      if (run.count > 1) run.finish(view);
      const pieces = Array.from({ length: run.count }, (_, i) => {
        const at = i === 0 ? run.at : (run.pieceAt[i] ?? 0);
        return memory.subarray(at, run.pieceEnd(i));
      });
      out.push(Buffer.concat(pieces));
      run.count = 0;
    };
    let at = 0;
    for (const frame of copies) {
      const end = at + frame.length;
      if (!layOut(view, at, end, layout)) throw new Error("no layout");
      const state = checksumStateOf(view, layout);
      if (!run.join(room, at, layout, state)) {
        finish();
        if (!run.begin(view, at, layout, state)) out.push(memory.subarray(at, end));
      }
      at = end;
    }
    finish();
    return out;
  }

  test("what was cut is put together again, byte for byte", () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 100, max: 1500 }), (shape, gsoBytes) => {
        const flags = shape.flags & (TCP_ACK | TCP_PSH);
        const whole = frameOf({ ...shape, flags });
        const parts = cutUp({ ...shape, flags }, gsoBytes) ?? [];
        const merged = merge(parts);
        if (parts.length === 1) expect(merged).toEqual(parts);
        else expect(merged.map((frame) => frame.toString("hex"))).toEqual([whole.toString("hex")]);
      }),
    );
  });

  const shape: Shape = {
    ...{ family: 4, payload: Buffer.alloc(400, 7), options: Buffer.alloc(0), flags: TCP_ACK },
    ...{ sequence: 1000, tagged: false },
  };
  const parts = cutUp(shape, 100) ?? [];
  const TCP_AT = 34;
  const bump = (frame: Buffer, at: number) => frame.writeUInt8((frame[at] ?? 0) ^ 1, at);

  test("a segment whose checksum does not hold is left to itself", () => {
    const merged = merge(parts, (frame, i) => {
      if (i === 2) bump(frame, frame.length - 1);
    });
    expect(merged.map(({ length }) => length)).toEqual([254, 154, 154]);
  });

  test.each([
    ["another source port", TCP_AT],
    ["a gap in the sequence", TCP_AT + 7],
    ["another acknowledgement", TCP_AT + 11],
    ["another window", TCP_AT + 15],
    ["another sender", 29],
    ["another time to live", 22],
    ["another traffic class", 15],
    ["another source MAC", 11],
    ["an urgent pointer", TCP_AT + 19],
  ])("%s is not of the stream", (_, at) => {
    const merged = merge(parts, (frame, i) => {
      if (i === 1) bump(frame, at);
    });
    expect(merged.length).toBeGreaterThan(1);
    expect(merged[0]).toHaveLength(154);
  });

  test("SYN, FIN, RST and pure acknowledgements go alone", () => {
    for (const flags of [0x02, TCP_ACK | TCP_FIN, 0x04, TCP_ACK | TCP_CWR]) {
      const alone = cutUp({ ...shape, flags, payload: Buffer.alloc(50) }, 100) ?? [];
      expect(merge([...alone, ...alone])).toHaveLength(2);
    }
  });

  test("random bytes have no layout, or one that lies in them", () => {
    const layout = new Layout();
    fc.assert(
      fc.property(
        fc.constantFrom(4 as const, 6 as const),
        fc.array(fc.tuple(fc.nat(80), fc.nat(255))),
        fc.nat(120),
        (family, changes, length) => {
          const frame = frameOf({ ...shape, family, payload: Buffer.alloc(30) });
          for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
          const end = Math.min(length, frame.length);
          if (!layOut(viewOf(frame.subarray(0, end)), 0, end, layout)) return;
          expect(layout.payloadAt).toBeLessThanOrEqual(layout.end);
          expect(layout.end).toBeLessThanOrEqual(end);
          checksumStateOf(viewOf(frame), layout);
        },
      ),
    );
  });
});
