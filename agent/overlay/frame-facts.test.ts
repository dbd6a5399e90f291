import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { factsOf } from "./frame-facts.js";
import { parseFrameFilter } from "./frame-filter.js";
import { frameLine } from "./frame-line.js";
import { pcapHeader, pcapRecord } from "./pcap.js";

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");
const ENDS = "02420a000103 02420a000102";
const TAG = "8100 0064";
const ARP = hex(`ffffffffffff 02420a000102 0806 0001 0800 06 04 0001
  02420a000102 0a000102 000000000000 0a000103`);
const SYN = hex(`${ENDS} 0800 4500 003c 1234 4000 40 06 0000 0a000102 0a000103
  c350 0050 00000001 00000000 a0 02 faf0 0000 0000 00000000000000000000000000000000 00000000`);
const UDP6 = hex(`${ENDS} ${TAG} 86dd 60000000 0010 00 40
  fd000000000000000000000000000002 fd000000000000000000000000000003
  11 00 0000 00000000 1111 0035 0008 0000`);
const SOLICIT = hex(`3333ff000003 02420a000102 86dd 60000000 0018 3a ff
  fd000000000000000000000000000002 ff0200000000000000000001ff000003 87 00 0000 00000000
  fd000000000000000000000000000003`);
const LATER_FRAGMENT = hex(`${ENDS} 0800 4500 0020 1234 0003 40 11 0000 0a000102 0a000103
  00350035 00000000 00000000`);

const lines = [
  [ARP, "02:42:0a:00:01:02 > ff:ff:ff:ff:ff:ff, ARP, who has 10.0.1.3, tell 10.0.1.2, length 42"],
  [
    SYN,
    "02:42:0a:00:01:02 > 02:42:0a:00:01:03, 10.0.1.2:50000 > 10.0.1.3:80: TCP [S], seq 1, 0 bytes of data, length 74",
  ],
  [
    UDP6,
    "02:42:0a:00:01:02 > 02:42:0a:00:01:03, vlan 100, [fd00::2]:4369 > [fd00::3]:53: UDP, 0 bytes of data, length 74",
  ],
  [
    SOLICIT,
    "02:42:0a:00:01:02 > 33:33:ff:00:00:03, fd00::2 > ff02::1:ff00:3: ICMPv6 neighbour solicitation, length 78",
  ],
  [
    LATER_FRAGMENT,
    "02:42:0a:00:01:02 > 02:42:0a:00:01:03, 10.0.1.2 > 10.0.1.3: IP protocol 17, a later fragment, length 46",
  ],
] as const;

test.each(lines)("a frame is a line: %#", (frame, line) => {
  expect(frameLine(frame, frame.length)).toBe(line);
});

test("a frame that is cut anywhere is told as far as it goes, and never more than it has", () => {
  for (const [frame] of lines) {
    for (let length = 0; length <= frame.length; length++) {
      const line = frameLine(frame.subarray(0, length), frame.length);
      expect(line === "" || line.includes("undefined") || line.includes("NaN")).toBe(false);
    }
    // What rates look at of a frame is enough for who and to whom.
    expect(factsOf(frame.subarray(0, 64))?.ip?.to).toBe(factsOf(frame)?.ip?.to);
  }
});

test("random bytes do no harm", () => {
  const frame = fc.uint8Array({ minLength: 0, maxLength: 120 });
  const start = fc.constantFrom(...lines.map(([each]) => each));
  fc.assert(
    fc.property(start, fc.nat(80), frame, (known, at, bytes) => {
      const mixed = Buffer.concat([known.subarray(0, at), bytes]);
      frameLine(mixed, mixed.length);
    }),
  );
});

describe("a filter", () => {
  const takes = (words: string, frame: Buffer) => {
    const filter = parseFrameFilter(words);
    const facts = factsOf(frame);
    if (isRefusal(filter) || facts === undefined) throw new Error(words);
    return filter(facts);
  };

  test.each([
    ["", SYN, true],
    ["tcp", SYN, true],
    ["not tcp", SYN, false],
    ["tcp port 80", SYN, true],
    ["tcp and src port 80", SYN, false],
    ["udp or arp", ARP, true],
    ["host 10.0.1.3", ARP, true],
    ["dst host 10.0.1.2", SYN, false],
    ["src host fd00:0::2 and vlan", UDP6, true],
    ["ether 02:42:0A:00:01:02", SYN, true],
    ["dst ether 02:42:0a:00:01:02", SYN, false],
    ["icmp6 and multicast and not broadcast", SOLICIT, true],
  ] as const)("%j", (words, frame, want) => {
    expect(takes(words, frame)).toBe(want);
  });

  test.each([
    "and",
    "tcp and",
    "host",
    "host nowhere",
    "port 0",
    "port 65536",
    "src tcp",
    "not",
    "constructor",
  ])("%j is refused", (words) => expect(isRefusal(parseFrameFilter(words))).toBe(true));
});

test("a record of pcap says how long the frame was, and has what there is of it", () => {
  expect(pcapHeader(64).toString("hex")).toBe(
    "4d3cb2a1020004000000000000000000" + "4000000001000000",
  );
  const data = Buffer.from("abcd");
  const record = pcapRecord({ seconds: 1_800_000_000, nanoseconds: 5, length: 100, data });
  expect([0, 4, 8, 12].map((at) => record.readUInt32LE(at))).toEqual([1_800_000_000, 5, 4, 100]);
  expect(record.subarray(16)).toEqual(data);
});
