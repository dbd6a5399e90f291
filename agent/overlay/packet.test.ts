import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseIp } from "../../common/address.js";
import { parseVni, type Vni } from "../../common/ids.js";
import { decodeArp, encodeArp } from "./arp.js";
import * as captured from "./captured-frames.js";
import { decodeEthernet, type Ethernet, encodeEthernet } from "./ethernet.js";
import { decodeIpv4, encodeIpv4 } from "./ipv4.js";
import { decodeIpv6, encodeIpv6 } from "./ipv6.js";
import { decodeNeighbour, encodeNeighbour } from "./ndp.js";
import { decodePacket, describePacket, type Packet, transportIntact } from "./packet.js";
import { decodeTcp, encodeTcp } from "./tcp.js";
import { decodeUdp, encodeUdp } from "./udp.js";
import { decodeVirtioNet, encodeVirtioNet } from "./virtio-net.js";
import { decodeVxlan, encodeVxlan } from "./vxlan.js";

const bytes = (hex: string) => Buffer.from(hex, "hex");
const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("not decoded");
  return value;
};
const packet = (hex: string): Packet => must(decodePacket(bytes(hex)));

describe("captured frames", () => {
  const lines: readonly [keyof typeof captured, string][] = [
    ["ARP_REQUEST", "02:42:0a:00:01:02 > ff:ff:ff:ff:ff:ff arp who has 10.0.1.3? tell 10.0.1.2"],
    ["ARP_REPLY", "02:42:0a:00:01:03 > 02:42:0a:00:01:02 arp 10.0.1.3 is at 02:42:0a:00:01:03"],
    ["TCP_SYN", "10.0.1.2:53200 > 10.0.1.3:443 tcp S seq 2232312007 ack 0 win 64240, 0 bytes"],
    [
      "TCP_DATA",
      "10.0.1.2:53200 > 10.0.1.3:443 tcp P. seq 2232312008 ack 3564990123 win 63, 5 bytes",
    ],
    ["UDP_ODD", "10.0.1.2:55852 > 10.0.1.3:53 udp, 3 bytes"],
    ["ND_SOLICIT", "fd00:1::2 > ff02::1:ff00:3 icmp6 who has fd00:1::3?"],
    ["ND_ADVERT", "fd00:1::3 > fd00:1::2 icmp6 fd00:1::3 is at 02:42:0a:00:01:03"],
    [
      "TCP6_DATA",
      "[fd00:1::2]:51688 > [fd00:1::3]:443 tcp P. seq 1011077393 ack 2492482282 win 64, 5 bytes",
    ],
    ["MLD_HOP_BY_HOP", ":: > ff02::16 protocol 58, 48 bytes"],
  ];
  test.each(lines)("%s reads as tcpdump read it", (name, line) => {
    expect(describePacket(packet(new Map(Object.entries(captured)).get(name) ?? ""))).toBe(line);
  });

  test("their checksums hold, and no longer when any byte of the payload is another", () => {
    const { TCP_SYN, TCP_DATA, UDP_ODD, ND_SOLICIT, TCP6_DATA } = captured;
    for (const hex of [TCP_SYN, TCP_DATA, UDP_ODD, ND_SOLICIT, TCP6_DATA]) {
      const frame = bytes(hex);
      expect(transportIntact(packet(hex))).toBe(true);
      frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1;
      expect(transportIntact(must(decodePacket(frame)))).toBe(false);
    }
    expect(transportIntact(packet(captured.ARP_REPLY))).toBeUndefined();
  });

  test("what is encoded again is what was captured", () => {
    const again = ({ ethernet, network }: Packet): Buffer => {
      switch (network.kind) {
        case "arp":
          return encodeEthernet({ ...ethernet, payload: encodeArp(network.arp) });
        case "ipv4":
        case "ipv6": {
          const { transport } = network;
          const payload =
            transport.kind === "tcp"
              ? encodeTcp(transport.tcp)
              : transport.kind === "udp"
                ? encodeUdp(transport.udp)
                : network.ip.payload;
          const whole =
            network.kind === "ipv4"
              ? encodeIpv4({ ...network.ip, payload })
              : encodeIpv6({ ...network.ip, payload });
          return encodeEthernet({ ...ethernet, payload: whole });
        }
        default:
          return Buffer.alloc(0);
      }
    };
    for (const hex of Object.values(captured)) expect(again(packet(hex)).toString("hex")).toBe(hex);
  });

  test("cut short at any byte, no reader throws, and none finds more than there is", () => {
    for (const hex of Object.values(captured)) {
      const frame = bytes(hex);
      for (let length = 0; length < frame.length; length++) {
        const cut = decodePacket(frame.subarray(0, length));
        expect(cut === undefined).toBe(length < 14);
        const { network } = cut ?? {};
        if (network === undefined || network.kind === "other") continue;
        expect(network.kind).toBe("malformed");
      }
    }
  });

  test("with any byte another, no reader throws", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(captured)),
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }),
        (hex, changes) => {
          const frame = bytes(hex);
          for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
          const read = decodePacket(frame);
          if (read !== undefined) expect(describePacket(read).length).toBeGreaterThan(0);
          if (read !== undefined) transportIntact(read);
        },
      ),
    );
  });
});

test("random bytes are no packet, or one that is no longer than they are", () => {
  const decoders = [
    decodeArp,
    decodeIpv4,
    decodeIpv6,
    decodeUdp,
    decodeTcp,
    decodeNeighbour,
    decodeVxlan,
    decodeVirtioNet,
    decodeEthernet,
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (random) => {
      for (const decode of decoders) {
        const value = decode(Buffer.from(random));
        const length = value && "payload" in value ? value.payload.length : 0;
        expect(length).toBeLessThanOrEqual(random.length);
      }
    }),
  );
});

describe("Ethernet", () => {
  test("with tags comes back as it went", () => {
    const tag = fc.record({
      protocol: fc.constantFrom(0x8100, 0x88a8),
      priority: fc.nat(7),
      dropEligible: fc.boolean(),
      vlanId: fc.nat(4095),
    });
    fc.assert(
      fc.property(
        fc.array(tag, { maxLength: 4 }),
        fc.uint8Array({ maxLength: 60 }),
        (tags, payload) => {
          const ethernet = packet(captured.ARP_REPLY).ethernet;
          const frame: Ethernet = {
            ...ethernet,
            tags,
            etherType: 0x1234,
            payload: Buffer.from(payload),
          };
          const encoded = encodeEthernet(frame);
          expect(decodeEthernet(encoded)).toEqual(frame);
          for (let length = 0; length < 14 + 4 * tags.length; length++) {
            expect(decodeEthernet(encoded.subarray(0, length))).toBeUndefined();
          }
        },
      ),
    );
  });

  test("a tagged ARP is read past its tag, and one with five tags is not looked into", () => {
    const frame = bytes(captured.ARP_REPLY);
    const tagged = (count: number) =>
      Buffer.concat([
        frame.subarray(0, 12),
        ...Array.from({ length: count }, () => bytes("81006007")),
        frame.subarray(12),
      ]);
    const read = must(decodePacket(tagged(1)));
    expect(read.network.kind).toBe("arp");
    expect(read.ethernet.tags).toEqual([
      { protocol: 0x8100, priority: 3, dropEligible: false, vlanId: 7 },
    ]);
    expect(decodePacket(tagged(5))).toBeUndefined();
  });
});

describe("IP", () => {
  test("padding behind a short packet is not part of it", () => {
    const frame = bytes(captured.UDP_ODD + "00".repeat(20));
    expect(describePacket(must(decodePacket(frame)))).toMatch(/udp, 3 bytes/);
    expect(transportIntact(must(decodePacket(frame)))).toBe(true);
  });

  test("a later fragment has no header of what it carries", () => {
    const { network } = packet(captured.TCP_DATA);
    if (network.kind !== "ipv4") throw new Error("not IPv4");
    const fragment = encodeIpv4({ ...network.ip, fragmentOffsetBytes: 1480, dontFragment: false });
    expect(must(decodeIpv4(fragment)).fragmentOffsetBytes).toBe(1480);
    const frame = Buffer.concat([bytes(captured.TCP_DATA).subarray(0, 14), fragment]);
    expect(describePacket(must(decodePacket(frame)))).toMatch(/a later fragment$/);
    expect(transportIntact(must(decodePacket(frame)))).toBeUndefined();
  });

  test("IPv6's fragment header is read past: RFC 8200 section 4.5", () => {
    const { network } = packet(captured.TCP6_DATA);
    if (network.kind !== "ipv6") throw new Error("not IPv6");
    const fragment = { ...network.ip, firstHeader: 44, extensions: bytes("06000001deadbeef") };
    const first = must(decodeIpv6(encodeIpv6(fragment)));
    expect(first.protocol).toBe(6);
    expect(first.fragment).toEqual({
      offsetBytes: 0,
      moreFragments: true,
      identification: 0xdeadbeef,
    });
    const later = { ...fragment, extensions: bytes("060005a8deadbeef") };
    expect(must(decodeIpv6(encodeIpv6(later))).fragment?.offsetBytes).toBe(1448);
    const endless = {
      ...network.ip,
      firstHeader: 60,
      extensions: bytes("3c00000000000000".repeat(9)),
    };
    expect(decodeIpv6(encodeIpv6(endless))).toBeUndefined();
  });
});

describe("VXLAN: RFC 7348 section 5", () => {
  const frame = bytes(captured.ARP_REPLY);
  const vni = parseVni(0xabcdef) as Vni;

  test("eight bytes before the frame, reserved ones zero", () => {
    expect(encodeVxlan(vni).toString("hex")).toBe("08000000abcdef00");
    const read = must(decodeVxlan(Buffer.concat([encodeVxlan(vni), frame])));
    expect(read).toEqual({ vni, frame });
  });

  test("without the I flag it is none; reserved bits are ignored", () => {
    expect(decodeVxlan(bytes("f7000000abcdef00"))).toBeUndefined();
    expect(decodeVxlan(bytes("ffffffffabcdefff"))?.vni).toBe(vni);
    expect(decodeVxlan(bytes("0800000000000000"))).toBeUndefined();
    for (let length = 0; length < 8; length++)
      expect(decodeVxlan(encodeVxlan(vni).subarray(0, length))).toBeUndefined();
  });
});

test("neighbour messages come back as they went, and an option of no length makes them void", () => {
  const about = {
    message: "advertisement",
    target: must(parseIp("fd00:1::3")),
    mac: packet(captured.ARP_REPLY).ethernet.source,
    router: false,
    solicited: true,
    override: true,
  } as const;
  expect(decodeNeighbour(encodeNeighbour(about))).toEqual(about);
  const alone = { ...about, mac: undefined };
  expect(decodeNeighbour(encodeNeighbour(alone))).toEqual(alone);
  const broken = encodeNeighbour(about);
  broken[25] = 0;
  expect(decodeNeighbour(broken)).toBeUndefined();
});

test("the virtio-net header is ten bytes of the machine's own order", () => {
  const header = {
    flags: 1,
    gsoType: 1,
    headerBytes: 66,
    gsoBytes: 1398,
    checksumStart: 34,
    checksumOffset: 16,
  };
  expect(encodeVirtioNet(header).toString("hex")).toBe("0101420076052200" + "1000");
  expect(decodeVirtioNet(encodeVirtioNet(header))).toEqual(header);
  expect(decodeVirtioNet(Buffer.alloc(9))).toBeUndefined();
});
