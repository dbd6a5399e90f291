import { expect, test } from "vitest";
import { type Ip, parseIp } from "../../common/address.js";
import { WATCH_VNI } from "../../common/ids.js";
import { decodeEthernet } from "./ethernet.js";
import { isIntact, pseudoHeaderSum, viewOf } from "./internet-checksum.js";
import { decodeIpv4 } from "./ipv4.js";
import { decodeIpv6 } from "./ipv6.js";
import { encodeTunnelEcho, TUNNEL_ECHO_BYTES } from "./path-packet.js";
import { probeIp, probeMac } from "./probe-address.js";
import { decodeVxlan } from "./vxlan.js";

const cases = [
  { family: 4, outer: 20, from: "192.0.2.1", to: "192.0.2.2" },
  { family: 6, outer: 40, from: "2001:db8::1", to: "2001:db8::2" },
] as const;

for (const { family, outer, from, to } of cases) {
  test(`an echo request of an exact size over IPv${family}`, () => {
    const [here, there] = [parseIp(from) as Ip, parseIp(to) as Ip];
    const data = Buffer.alloc(1400 - TUNNEL_ECHO_BYTES[family], 7);
    const bytes = encodeTunnelEcho(here, there, { identifier: 0x1234, sequence: 5, data });
    expect(outer + 8 + bytes.length).toBe(1400);
    const vxlan = decodeVxlan(bytes);
    expect(vxlan?.vni).toBe(WATCH_VNI);
    const frame = decodeEthernet(vxlan?.frame ?? Buffer.alloc(0));
    expect([frame?.source, frame?.destination]).toEqual([probeMac(here), probeMac(there)]);
    const payload = frame?.payload ?? Buffer.alloc(0);
    const packet = family === 4 ? decodeIpv4(payload) : decodeIpv6(payload);
    expect([packet?.source, packet?.destination]).toEqual([probeIp(here), probeIp(there)]);
    const icmp = packet?.payload ?? Buffer.alloc(0);
    const seed = family === 4 ? 0 : pseudoHeaderSum(viewOf(payload), 8, 16, 58, icmp.length);
    expect(isIntact(icmp, seed)).toBe(true);
    expect(icmp.readUInt16BE(4)).toBe(0x1234);
    expect(icmp.subarray(8)).toEqual(data);
  });
}
