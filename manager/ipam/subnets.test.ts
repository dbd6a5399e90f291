import { describe, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { type SpecParts, SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";

const subnet = (cidr: string, more: Record<string, unknown> = {}) => ({ subnet: cidr, ...more });

describe("a new network gets", () => {
  const cases: { name: string; spec: SpecParts; want: string[] }[] = [
    { name: "the next /24 of the pool", spec: {}, want: ["10.0.1.0/24 via 10.0.1.1"] },
    {
      name: "the subnet that was asked for",
      spec: { ipam: [subnet("10.77.0.0/24", { gateway: "10.77.0.254" })] },
      want: ["10.77.0.0/24 via 10.77.0.254"],
    },
    {
      name: "a subnet without its host bits, as Docker does",
      spec: { ipam: [subnet("10.98.0.5/24")] },
      want: ["10.98.0.0/24 via 10.98.0.1"],
    },
    {
      name: "both of two subnets",
      spec: { ipam: [subnet("10.82.0.0/24"), subnet("10.83.0.0/24")] },
      want: ["10.82.0.0/24 via 10.82.0.1", "10.83.0.0/24 via 10.83.0.1"],
    },
    {
      name: "an IPv4 subnet beside the IPv6 one that was asked for",
      spec: { ipv6: true, ipam: [subnet("fd00:77:0:0::/64")] },
      want: ["10.0.1.0/24 via 10.0.1.1", "fd00:77::/64 via fd00:77::1"],
    },
    {
      name: "the smallest subnet",
      spec: { ipam: [subnet("10.9.9.0/30")] },
      want: ["10.9.9.0/30 via 10.9.9.1"],
    },
    {
      name: "a choice for an empty entry",
      spec: { ipam: [subnet("")] },
      want: ["10.0.1.0/24 via 10.0.1.1"],
    },
  ];
  for (const { name, spec, want } of cases) {
    test(name, () => {
      const network = new SwarmState().network({ name: "x", ...(spec as object) });
      expect(network.subnets.map(({ cidr, gateway }) => `${cidr} via ${gateway}`)).toEqual(want);
    });
  }

  const six = (spec: object) =>
    new SwarmState()
      .network({ name: "x", noIpv4: true, ...spec })
      .subnets.map(({ cidr, gateway }) => `${cidr} via ${gateway}`);

  test("IPv6 alone when IPv4 is not wanted", () => {
    expect(six({ ipam: [subnet("fd00:77::/64")] })).toEqual(["fd00:77::/64 via fd00:77::1"]);
    expect(six({ ipv6: true, ipam: [subnet("")] })).toHaveLength(1);
  });

  test("the next /64 of the IPv6 pools where the swarm has some, and IPv4 from where it always does", () => {
    const swarm = new SwarmState({ pools: ["fd12:3456:789a::/48"] });
    const cidrs = ["a", "b"].map((name) =>
      swarm.network({ name, ipv6: true }).subnets.map(({ cidr }) => cidr),
    );
    expect(cidrs).toEqual([
      ["10.0.1.0/24", "fd12:3456:789a::/64"],
      ["10.0.2.0/24", "fd12:3456:789a:1::/64"],
    ]);
  });

  test("a random unique local /64 when IPv6 is wanted and not named", () => {
    const [, v6] = new SwarmState().network({ name: "x", ipv6: true }).subnets;
    expect(v6?.cidr).toMatch(/^fd[0-9a-f]{2}:.*::\/64$/);
    expect(v6?.gateway).toMatch(/::1$/);
  });
});

test.each([
  [{}, "invalid-argument: IPv4 or IPv6 must be enabled for network x"],
  [
    { ipv6: true, ipam: [subnet("10.9.0.0/24")] },
    "invalid-argument: invalid subnet 10.9.0.0/24: IPv4 has been disabled for this network",
  ],
  [
    { ipv6: true, ingress: true, attachable: false },
    "invalid-argument: the ingress network needs IPv4: published ports are led over it by IPv4 addresses",
  ],
])("a network without IPv4 is refused as %j", (spec, want) => {
  const swarm = new SwarmState();
  swarm.removeNetwork(swarm.view.ingressNetwork()?.id ?? "");
  const made = swarm.write((draft) =>
    swarm.createNetwork(draft, { name: "x", noIpv4: true, ...spec } as SpecParts),
  );
  expect(sentenceOf(made)).toBe(want);
});

describe("a network is refused with", () => {
  const cases: { name: string; ipam: Record<string, unknown>[]; want: string }[] = [
    {
      name: "no CIDR",
      ipam: [subnet("nonsense")],
      want: "invalid-argument: Invalid subnet nonsense : invalid CIDR address: nonsense",
    },
    {
      name: "a prefix length out of range",
      ipam: [subnet("10.99.0.0/33")],
      want: "invalid-argument: Invalid subnet 10.99.0.0/33 : invalid CIDR address: 10.99.0.0/33",
    },
    {
      name: "a gateway outside",
      ipam: [subnet("10.79.0.0/24", { gateway: "10.80.0.1" })],
      want: "invalid-argument: no matching subnet for gateway 10.80.0.1",
    },
    {
      name: "a gateway that is no address",
      ipam: [subnet("10.79.0.0/24", { gateway: "router" })],
      want: "invalid-argument: invalid gateway router",
    },
    {
      name: "the broadcast address as gateway",
      ipam: [subnet("10.79.0.0/24", { gateway: "10.79.0.255" })],
      want: "invalid-argument: gateway 10.79.0.255 is the network or broadcast address of 10.79.0.0/24",
    },
    {
      name: "a gateway and no subnet",
      ipam: [{ gateway: "10.80.0.1" }],
      want: "invalid-argument: no matching subnet for gateway 10.80.0.1",
    },
    {
      name: "a range outside",
      ipam: [subnet("10.79.0.0/24", { ipRange: "10.80.0.0/28" })],
      want: "invalid-argument: no matching subnet for ip-range 10.80.0.0/28",
    },
    {
      name: "a range around its subnet",
      ipam: [subnet("10.79.0.0/24", { ipRange: "10.79.0.0/16" })],
      want: "invalid-argument: no matching subnet for ip-range 10.79.0.0/16",
    },
    {
      name: "a subnet of two addresses",
      ipam: [subnet("10.79.0.0/31")],
      want: "invalid-argument: subnet 10.79.0.0/31 is too small: no address in it is left for an endpoint",
    },
    {
      name: "a subnet of one address",
      ipam: [subnet("10.79.0.7/32")],
      want: "invalid-argument: subnet 10.79.0.7/32 is too small: no address in it is left for an endpoint",
    },
    {
      name: "an IPv6 subnet of two addresses",
      ipam: [subnet("fd00::/127")],
      want: "invalid-argument: subnet fd00::/127 is too small: no address in it is left for an endpoint",
    },
    {
      name: "auxiliary addresses that leave nothing",
      ipam: [subnet("10.79.0.0/30", { auxAddresses: { printer: "10.79.0.2" } })],
      want: "invalid-argument: subnet 10.79.0.0/30 is too small: no address in it is left for an endpoint",
    },
    {
      name: "an auxiliary address outside",
      ipam: [subnet("10.79.0.0/24", { auxAddresses: { printer: "10.80.0.2" } })],
      want: "invalid-argument: no matching subnet for aux-address 10.80.0.2",
    },
    {
      name: "a multicast subnet",
      ipam: [subnet("239.1.0.0/24")],
      want: "invalid-argument: subnet 239.1.0.0/24 overlaps with 224.0.0.0/4, which is multicast",
    },
    {
      name: "the mesh's own addresses",
      ipam: [subnet("fd73:6b65:696e:5::/64")],
      want: "invalid-argument: subnet fd73:6b65:696e:5::/64 overlaps with fd73:6b65:696e::/48, which the routing mesh uses",
    },
    {
      name: "two subnets that overlap each other",
      ipam: [subnet("10.79.0.0/24"), subnet("10.79.0.128/25")],
      want: "invalid-argument: multiple overlapping subnet configuration is not supported: 10.79.0.128/25",
    },
    {
      name: "a subnet that overlaps another network's, naming it",
      ipam: [subnet("10.77.0.0/25")],
      want: "failed-precondition: subnet 10.77.0.0/25 overlaps with 10.77.0.0/24 of network subn",
    },
    {
      name: "a subnet that overlaps ingress",
      ipam: [subnet("10.0.0.0/16")],
      want: "failed-precondition: subnet 10.0.0.0/16 overlaps with 10.0.0.0/24 of network ingress",
    },
  ];
  for (const { name, ipam, want } of cases) {
    test(name, () => {
      const swarm = new SwarmState();
      swarm.network({ name: "subn", ipam: [subnet("10.77.0.0/24")] });
      const revision = swarm.store.revision;
      const spec = { name: "bad", ipam } as SpecParts;
      expect(sentenceOf(swarm.write((draft) => swarm.createNetwork(draft, spec)))).toBe(want);
      expect(swarm.store.revision).toBe(revision);
    });
  }
});

describe("the default pools", () => {
  test("are used one after the other, and then there is no more", () => {
    const swarm = new SwarmState({ pools: ["10.55.0.0/23", "10.66.0.0/24"] });
    expect(swarm.view.ingressNetwork()?.subnets[0]?.cidr).toBe("10.55.0.0/24");
    const names = ["a", "b"].map((name) => swarm.network({ name }).subnets[0]?.cidr);
    expect(names).toEqual(["10.55.1.0/24", "10.66.0.0/24"]);
    expect(sentenceOf(swarm.write((draft) => swarm.createNetwork(draft, { name: "c" })))).toBe(
      "resource-exhausted: no free subnet of /24 is left in the default address pools (10.55.0.0/23, 10.66.0.0/24)",
    );
  });

  test("may overlap each other: no subnet is given twice", () => {
    const swarm = new SwarmState({ pools: ["10.55.0.0/23", "10.55.0.0/22"] });
    const names = ["a", "b", "c"].map((name) => swarm.network({ name }).subnets[0]?.cidr);
    expect(names).toEqual(["10.55.1.0/24", "10.55.2.0/24", "10.55.3.0/24"]);
  });

  test("step over a large subnet that somebody named, and use what lies before it", () => {
    const swarm = new SwarmState({ pools: ["10.0.0.0/8"] });
    swarm.network({ name: "wide", ipam: [subnet("10.0.2.0/23")] });
    const names = ["a", "b"].map((name) => swarm.network({ name }).subnets[0]?.cidr);
    expect(names).toEqual(["10.0.1.0/24", "10.0.4.0/24"]);
  });

  test("leave out what holds a node's underlay address", () => {
    const swarm = new SwarmState({ pools: ["192.168.32.0/22"] });
    const names = ["a", "b"].map((name) => swarm.network({ name }).subnets[0]?.cidr);
    // The first node is 192.168.33.10.
    expect([swarm.view.ingressNetwork()?.subnets[0]?.cidr, ...names]).toEqual([
      "192.168.32.0/24",
      "192.168.34.0/24",
      "192.168.35.0/24",
    ]);
  });

  const bad = [
    {
      pools: ["10.0.0.0/33"],
      size: 24,
      want: "invalid default address pool 10.0.0.0/33: not a CIDR",
    },
    {
      pools: ["fd00::/65"],
      size: 24,
      want: "default address pool fd00::/65 is smaller than one subnet of /64",
    },
    {
      pools: ["10.0.0.0/26"],
      size: 24,
      want: "default address pool 10.0.0.0/26 is smaller than one subnet of /24",
    },
    { pools: [], size: 31, want: "invalid default subnet size 31: it must be 1 to 30" },
  ];
  for (const { pools, size, want } of bad) {
    test(`refuse: ${want}`, () => {
      expect(() => new SwarmState({ pools, subnetSize: size })).toThrow(want);
    });
  }
});

describe("the VNI", () => {
  const list = (vnis: string): SpecParts => ({
    name: "x",
    driverOpts: { "com.docker.network.driver.overlay.vxlanid_list": vnis },
  });

  test("is 4096 for ingress, and counts up from 4097", () => {
    const swarm = new SwarmState();
    expect(swarm.view.ingressNetwork()?.vni).toBe(4096);
    expect(["a", "b"].map((name) => swarm.network({ name }).vni)).toEqual([4097, 4098]);
  });

  test("is not given again at once", () => {
    const swarm = new SwarmState();
    swarm.removeNetwork(swarm.network({ name: "a" }).id);
    expect(swarm.network({ name: "b" }).vni).toBe(4098);
  });

  test("can be asked for, also while it rests", () => {
    const swarm = new SwarmState();
    const first = swarm.network(list("5001"));
    expect(first.vni).toBe(5001);
    swarm.removeNetwork(first.id);
    expect(swarm.network(list("5001")).vni).toBe(5001);
  });

  const bad = [
    ["0", 'invalid-argument: invalid VNI "0": it must be 1 to 16777215'],
    ["16777216", 'invalid-argument: invalid VNI "16777216": it must be 1 to 16777215'],
    ["x", 'invalid-argument: invalid VNI "x": it must be 1 to 16777215'],
    [
      "7,7",
      "invalid-argument: VNI 7 is listed twice in com.docker.network.driver.overlay.vxlanid_list",
    ],
    [
      "7,8",
      "invalid-argument: com.docker.network.driver.overlay.vxlanid_list lists 2 VNIs for 1 subnet",
    ],
    ["4096", "already-exists: VNI 4096 is in use by network ingress"],
  ] as const;
  for (const [vnis, want] of bad) {
    test(`refuses ${vnis}`, () => {
      const swarm = new SwarmState();
      const result = swarm.write((draft) => swarm.createNetwork(draft, list(vnis)));
      expect(sentenceOf(result)).toBe(want);
    });
  }
});

test("IPv6 subnets and the MTU", () => {
  const swarm = new SwarmState();
  const make = (name: string, mtu: string, ipv6: boolean) =>
    swarm.write((draft) =>
      swarm.createNetwork(draft, {
        name,
        ipv6,
        driverOpts: { "com.docker.network.driver.mtu": mtu },
      }),
    );
  const made = make("a", "1300", false);
  expect(!isRefusal(made) && made.mtuBytes).toBe(1300);
  expect(sentenceOf(make("b", "575", false))).toContain(
    'invalid MTU "575": it must be 576 to 65485',
  );
  expect(sentenceOf(make("b", "1279", true))).toContain("1280 to 65485 with IPv6");
  expect(sentenceOf(make("b", "big", false))).toContain('invalid MTU "big"');
});
