import { expect, test } from "vitest";
import { encryptedMtuBytes, innerMtuBytes, wireguardMtuBytes } from "./mtu.js";

const cases = [
  { name: "Ethernet over IPv4 leaves 1450", underlay: 1500, family: 4, want: 1450 },
  { name: "Ethernet over IPv6 leaves 1430", underlay: 1500, family: 6, want: 1430 },
  { name: "jumbo frames leave 8950", underlay: 9000, family: 4, want: 8950 },
  { name: "loopback's 65536 is kept in range", underlay: 65536, family: 4, want: 65485 },
  { name: "never below what Linux takes", underlay: 100, family: 6, want: 68 },
] as const;

for (const c of cases) {
  test(c.name, () => expect(innerMtuBytes(c.underlay, c.family)).toBe(c.want));
}

const encrypted = [
  { name: "1500 over IPv4", underlay: 1500, family: 4, device: 1440, network: 1370 },
  {
    name: "1500 over IPv6, to a multiple of 16",
    underlay: 1500,
    family: 6,
    device: 1408,
    network: 1338,
  },
  { name: "jumbo frames", underlay: 9000, family: 4, device: 8928, network: 8858 },
  {
    name: "an underlay too small for IPv6 inside",
    underlay: 1300,
    family: 4,
    device: 1280,
    network: 1162,
  },
] as const;

for (const c of encrypted) {
  test(`encrypted, ${c.name}`, () => {
    expect(wireguardMtuBytes(c.underlay, c.family)).toBe(c.device);
    expect(encryptedMtuBytes(c.underlay, c.family)).toBe(c.network);
  });
}
