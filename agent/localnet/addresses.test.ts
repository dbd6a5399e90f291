import { describe, expect, test } from "vitest";
import {
  formatIp,
  formatPrefix,
  type Ip,
  type Prefix,
  parseIp,
  parsePrefix,
} from "../../common/address.js";
import {
  defaultGateway,
  defaultSubnets,
  freeAddress,
  freeSubnet,
  isHost,
  macOf,
  ulaSubnets,
} from "./addresses.js";

const ip = (text: string) => parseIp(text) as Ip;
const prefix = (text: string) => parsePrefix(text) as Prefix;

test("default subnets come in Docker's order: fifteen of /16, sixteen of /20", () => {
  const all = [...defaultSubnets()].map(formatPrefix);
  expect([all[0], all[1], all[14], all[15], all[30], all.length]).toEqual([
    ...["172.17.0.0/16", "172.18.0.0/16", "172.31.0.0/16", "192.168.0.0/20", "192.168.240.0/20"],
    31,
  ]);
});

describe("a subnet is the first that overlaps nothing", () => {
  const cases = [
    { taken: [], want: "172.17.0.0/16" },
    { taken: ["172.17.4.0/24"], want: "172.18.0.0/16" },
    { taken: ["172.16.0.0/12"], want: "192.168.0.0/20" },
    { taken: ["172.16.0.0/12", "192.168.0.0/19"], want: "192.168.32.0/20" },
    { taken: ["172.16.0.0/12", "192.168.0.0/16"], want: undefined },
  ];
  for (const { taken, want } of cases) {
    test(`beside ${taken.join(", ") || "nothing"}`, () => {
      const found = freeSubnet(defaultSubnets(), taken.map(prefix));
      expect(found && formatPrefix(found)).toBe(want);
    });
  }
});

describe("unique local subnets", () => {
  // From moby's own test of its derivation (libnetwork/ipamutils).
  const cases = [
    ["", "fd42:98fc:1c14::/64"],
    ["499d4bc0-b0b3-416f-b1ee-cf6486315593", "fd62:fb69:18af::/64"],
  ] as const;
  test.each(cases)("of %j begin with %s", (seed, first) => {
    const [one, two] = ulaSubnets(seed);
    expect(one && formatPrefix(one)).toBe(first);
    expect(two && formatPrefix(two)).toBe(first.replace("::", ":1::"));
  });

  test("are given as long as they overlap nothing", () => {
    const taken = [prefix("fd42:98fc:1c14::/63")];
    const found = freeSubnet(ulaSubnets(""), taken);
    expect(found && formatPrefix(found)).toBe("fd42:98fc:1c14:2::/64");
    expect(freeSubnet(ulaSubnets(""), [prefix("fd00::/8")])).toBeUndefined();
  });
});

describe("an address is the lowest that is free", () => {
  const cases = [
    { name: "in an empty subnet", subnet: "10.0.0.0/24", used: [], want: "10.0.0.1" },
    { name: "after those in use", subnet: "10.0.0.0/24", used: ["10.0.0.1"], want: "10.0.0.2" },
    { name: "in a gap", subnet: "10.0.0.0/24", used: ["10.0.0.1", "10.0.0.3"], want: "10.0.0.2" },
    {
      name: "in its range",
      subnet: "10.0.0.0/16",
      range: "10.0.5.0/24",
      used: [],
      want: "10.0.5.0",
    },
    { name: "of IPv6 too", subnet: "fd00::/64", used: ["fd00::1"], want: "fd00::2" },
    {
      name: "of IPv6 in its range",
      subnet: "fd00::/64",
      range: "fd00::ff00/120",
      used: ["fd00::ff00"],
      want: "fd00::ff01",
    },
    {
      name: "the last of IPv6",
      subnet: "fd00::/126",
      used: ["fd00::1", "fd00::2"],
      want: "fd00::3",
    },
    {
      name: "never the broadcast",
      subnet: "10.0.0.0/30",
      used: ["10.0.0.1", "10.0.0.2"],
      want: undefined,
    },
  ];
  for (const { name, subnet, range, used, want } of cases) {
    test(name, () => {
      const taken = new Set(used.map((text) => ip(text).value));
      const found = freeAddress(prefix(subnet), range ? prefix(range) : undefined, taken);
      expect(found && formatIp(found)).toBe(want);
    });
  }
});

test("the gateway is the first address, or the first of the range", () => {
  expect(formatIp(defaultGateway(prefix("10.0.0.0/24"), undefined))).toBe("10.0.0.1");
  expect(formatIp(defaultGateway(prefix("10.81.0.0/16"), prefix("10.81.5.0/24")))).toBe(
    "10.81.5.0",
  );
});

test("the network's own address and the broadcast are no hosts'", () => {
  const subnet = prefix("10.0.0.0/24");
  const answers = ["10.0.0.0", "10.0.0.1", "10.0.0.254", "10.0.0.255", "10.0.1.1"].map((text) =>
    isHost(subnet, ip(text)),
  );
  expect(answers).toEqual([false, true, true, false, false]);
});

test("a MAC address shows the IPv4 address", () => {
  expect(macOf(ip("172.17.0.2"))).toBe("02:42:ac:11:00:02");
});
