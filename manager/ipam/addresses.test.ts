import { describe, expect, test } from "vitest";
import { type SpecParts, SwarmState, sentenceOf } from "../../test/fakes/swarm-state.js";
import { RESTING_MAX } from "./quarantine.js";

function swarmWith(ipam: Record<string, unknown>[] = [], more: Record<string, unknown> = {}) {
  const swarm = new SwarmState();
  swarm.network({ name: "web", ipam, ...more } as SpecParts);
  return swarm;
}

function refusalFor(swarm: SwarmState, wanted: { ipv4?: string; ipv6?: string }): string {
  return sentenceOf(swarm.write((draft) => swarm.attachIn(draft, "web", wanted)));
}

describe("an endpoint gets", () => {
  test("addresses in order after the gateway, and Docker's MAC", () => {
    const swarm = swarmWith();
    const given = [1, 2].map(() => swarm.attach("web"));
    expect(given.map(({ ipv4, mac }) => `${ipv4} ${mac}`)).toEqual([
      "10.0.1.2/24 02:42:0a:00:01:02",
      "10.0.1.3/24 02:42:0a:00:01:03",
    ]);
  });

  test("one address of each family", () => {
    const swarm = swarmWith([{ subnet: "fd00:77::/64" }], { ipv6: true });
    const { ipv4, ipv6, mac } = swarm.attach("web");
    expect([ipv4, ipv6, mac]).toEqual(["10.0.1.2/24", "fd00:77::2/64", "02:42:0a:00:01:02"]);
  });

  test("a MAC of its IPv6 address where there is no IPv4, and another where that one is taken", () => {
    const swarm = swarmWith([{ subnet: "fd00:77::/64" }], { noIpv4: true });
    const first = swarm.attach("web", { ipv6: "fd00:77::1:0:0:5" });
    expect([first.ipv4, first.ipv6, first.mac]).toEqual([
      "",
      "fd00:77::1:0:0:5/64",
      "02:42:00:00:00:05",
    ]);
    const macs = ["fd00:77::5", "fd00:77::2:0:0:5"].map(
      (ipv6) => swarm.attach("web", { ipv6 }).mac,
    );
    expect(new Set([first.mac, ...macs]).size).toBe(3);
    for (const mac of macs) expect(mac).toMatch(/^02:42:(?!00:00:00:05)/);
  });

  test("an address of the range with the length of the subnet", () => {
    const swarm = swarmWith([{ subnet: "10.81.0.0/16", ipRange: "10.81.5.0/24" }]);
    expect(swarm.attach("web").ipv4).toBe("10.81.5.1/16");
  });

  test("an address of the range in a subnet of 2^64", () => {
    const swarm = swarmWith([{ subnet: "fd00::/64", ipRange: "fd00::8000:0:0/96" }]);
    expect(swarm.attach("web").ipv6).toBe("fd00::8000:0:1/64");
  });

  test("nothing that belongs to the network", () => {
    const aux = { printer: "10.77.0.3" };
    const swarm = swarmWith([{ subnet: "10.77.0.0/29", gateway: "10.77.0.2", auxAddresses: aux }]);
    const given = [1, 2, 3, 4].map(() => swarm.attach("web").ipv4);
    expect(given).toEqual(["10.77.0.1/29", "10.77.0.4/29", "10.77.0.5/29", "10.77.0.6/29"]);
  });

  test("an address of the second subnet when the first is full", () => {
    const swarm = swarmWith([{ subnet: "10.82.0.0/30" }, { subnet: "10.83.0.0/30" }]);
    expect([swarm.attach("web").ipv4, swarm.attach("web").ipv4]).toEqual([
      "10.82.0.2/30",
      "10.83.0.2/30",
    ]);
    expect(refusalFor(swarm, {})).toBe(
      "resource-exhausted: no address is left on network web (10.82.0.0/30, 10.83.0.0/30)",
    );
  });

  test("the address that it asks for", () => {
    expect(swarmWith().attach("web", { ipv4: "10.0.1.20" }).ipv4).toBe("10.0.1.20/24");
  });
});

describe("an address that is asked for is refused", () => {
  const cases = [
    {
      name: "outside",
      ipv4: "10.99.9.9",
      want: "invalid-argument: address 10.99.9.9 is outside network web (10.0.1.0/24)",
    },
    {
      name: "taken, naming by whom",
      ipv4: "10.0.1.2",
      want: "already-exists: address 10.0.1.2 is already in use by c1 on node h0",
    },
    {
      name: "the gateway",
      ipv4: "10.0.1.1",
      want: "already-exists: address 10.0.1.1 is the gateway of network web",
    },
    {
      name: "the network's own",
      ipv4: "10.0.1.0",
      want: "invalid-argument: address 10.0.1.0 is reserved on network web (10.0.1.0/24)",
    },
    {
      name: "broadcast",
      ipv4: "10.0.1.255",
      want: "invalid-argument: address 10.0.1.255 is reserved on network web (10.0.1.0/24)",
    },
    { name: "no address", ipv4: "10.0.1", want: "invalid-argument: invalid IPv4 address 10.0.1" },
    {
      name: "of a family that the network lacks",
      ipv6: "fd00::2",
      want: "invalid-argument: address fd00::2 is outside network web (no IPv6 subnet)",
    },
  ];
  for (const { name, want, ...wanted } of cases) {
    test(name, () => {
      const swarm = swarmWith();
      swarm.attach("web", { name: "c1" });
      expect(refusalFor(swarm, wanted)).toBe(want);
    });
  }
});

describe("an address that was freed", () => {
  test("is not given again while others are free", () => {
    const swarm = swarmWith();
    swarm.detach(swarm.attach("web"));
    expect(swarm.attach("web").ipv4).toBe("10.0.1.3/24");
  });

  test("is given when it is asked for", () => {
    const swarm = swarmWith();
    swarm.detach(swarm.attach("web"));
    expect(swarm.attach("web", { ipv4: "10.0.1.2" }).ipv4).toBe("10.0.1.2/24");
    expect([...swarm.view.resting(swarm.view.networkByName("web")?.id ?? "")]).toEqual([]);
  });

  test("is given when nothing else is left, the longest rested first", () => {
    const swarm = swarmWith([{ subnet: "10.82.0.0/29" }]);
    const all = [2, 3, 4, 5, 6].map(() => swarm.attach("web"));
    for (const i of [3, 1]) {
      const endpoint = all[i];
      if (endpoint) swarm.detach(endpoint);
    }
    expect([swarm.attach("web").ipv4, swarm.attach("web").ipv4]).toEqual([
      "10.82.0.5/29",
      "10.82.0.3/29",
    ]);
  });

  test("is given again after as many others as rest at most", () => {
    const swarm = swarmWith();
    const given: string[] = [];
    for (let i = 0; i <= RESTING_MAX + 1; i++) {
      const endpoint = swarm.attach("web");
      given.push(endpoint.ipv4);
      swarm.detach(endpoint);
    }
    expect(given.indexOf("10.0.1.2/24", 1)).toBe(RESTING_MAX + 1);
  });
});

test("the first address of a range is given only to who asks for it, and is not given after that either", () => {
  const swarm = swarmWith([{ subnet: "10.81.0.0/16", ipRange: "10.81.5.0/30" }]);
  const first = swarm.attach("web", { ipv4: "10.81.5.0" });
  swarm.detach(first);
  const given = [1, 2, 3].map(() => swarm.attach("web").ipv4);
  expect(given).toEqual(["10.81.5.1/16", "10.81.5.2/16", "10.81.5.3/16"]);
});
