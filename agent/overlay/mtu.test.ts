import { expect, test } from "vitest";
import { innerMtuBytes } from "./mtu.js";

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
