import { expect, test } from "vitest";
import type { MachineAddress } from "./advertise.js";
import { movedAddress } from "./moved-address.js";

const at = (interfaceName: string, address: string, usable = true): MachineAddress => ({
  interfaceName,
  address,
  family: address.includes(":") ? 6 : 4,
  usable,
  inside: false,
});
const had = (interfaceName: string | undefined, towardsSwarm?: string) => ({
  address: "192.0.2.1",
  interfaceName,
  towardsSwarm,
});

test.each([
  [
    "it is still there",
    had("eth0", "192.0.2.9"),
    [at("eth0", "192.0.2.1"), at("eth0", "192.0.2.9")],
    undefined,
  ],
  [
    "another came on its interface",
    had("eth0"),
    [at("eth0", "192.0.2.9"), at("eth1", "198.51.100.1")],
    "192.0.2.9",
  ],
  ["one of the other family did", had("eth0"), [at("eth0", "2001:db8::1")], undefined],
  ["only a link-local one is left", had("eth0"), [at("eth0", "169.254.1.1", false)], undefined],
  ["several did", had("eth0"), [at("eth0", "192.0.2.8"), at("eth0", "192.0.2.9")], undefined],
  [
    "one of several leads to the swarm",
    had("eth0", "192.0.2.9"),
    [at("eth0", "192.0.2.8"), at("eth0", "192.0.2.9")],
    "192.0.2.9",
  ],
  [
    "another interface leads to the swarm",
    had("eth0", "198.51.100.1"),
    [at("eth1", "198.51.100.1")],
    "198.51.100.1",
  ],
  [
    "nobody saw where it was",
    had(undefined, "198.51.100.1"),
    [at("eth1", "198.51.100.1")],
    "198.51.100.1",
  ],
  ["nothing is there", had("eth0", "192.0.2.9"), [], undefined],
] as const)("%s", (_name, before, machine, want) => {
  expect(movedAddress(before, machine)).toBe(want);
});
