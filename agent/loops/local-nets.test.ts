import { describe, expect, test } from "vitest";
import { formatIp, formatPrefix } from "../../common/address.js";
import { systemClock } from "../../common/clock.js";
import { isRefusal } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { Network, NetworkSpec } from "../../proto/gen/types.js";
import { FakeLocalPlacing, FakePorts } from "../../test/fakes/local-nets.js";
import { localNetworksText, parseLocalNetworks } from "../disk/local-networks-file.js";
import { predefinedSpec } from "../localnet/networks.js";
import type { NodeEvent, PortBinding } from "../seams.js";
import { LocalNets } from "./local-nets.js";
import type { LocalJoin } from "./placing.js";

const BRIDGE_NAME = "com.docker.network.bridge.name";

/** What stays when an agent ends: the disk, as text. */
interface Machine {
  text: string | undefined;
  saves: number;
}

async function agent(
  machine: Machine = { text: undefined, saves: 0 },
  placing = new FakeLocalPlacing(),
) {
  const ports = new FakePorts();
  const events: NodeEvent[] = [];
  const nets = new LocalNets({
    placing,
    ports,
    disk: {
      load: async () => (machine.text === undefined ? undefined : parseLocalNetworks(machine.text)),
      save: async (records) => {
        machine.saves++;
        machine.text = localNetworksText(records);
      },
    },
    events: { publish: (event) => void events.push(event) },
    clock: systemClock,
    random: seededRandom(7 + machine.saves),
    timing: DEFAULT_TIMING,
    log: silentLogger(),
  });
  await nets.load();
  return { nets, placing, ports, events, machine };
}

const joining = (id: string, more: Partial<LocalJoin> = {}): LocalJoin => ({
  endpointId: id,
  network: "bridge",
  containerId: id.repeat(16).slice(0, 64),
  interfaceName: "eth0",
  name: `c-${id}`,
  aliases: [],
  hostname: id,
  ipv4: "",
  ipv6: "",
  ports: [],
  gateway: true,
  ...more,
});
const port = (hostPort: number, more: Partial<PortBinding> = {}): PortBinding => ({
  containerPort: 80,
  protocol: "tcp",
  hostIp: "",
  hostPort,
  ...more,
});
const spec = (name: string, more: Partial<NetworkSpec> = {}): NetworkSpec => ({
  ...predefinedSpec("host"),
  name,
  driver: "bridge",
  ...more,
});
const pool = (subnet: string, more: object = {}) => ({
  ipam: [{ subnet, gateway: "", ipRange: "", auxAddresses: {}, ...more }],
});

async function joined(nets: LocalNets, request: LocalJoin) {
  const answer = await nets.join(request);
  if (isRefusal(answer)) throw new Error(answer.message);
  return answer;
}
async function refused(answer: Promise<unknown>): Promise<string> {
  const value = await answer;
  return isRefusal(value) ? value.message : `no refusal: ${JSON.stringify(value)}`;
}

describe("networks", () => {
  test("bridge, host and none are always there, under ids that last", async () => {
    const first = await agent();
    first.nets.restored();
    const names = (nets: LocalNets) => nets.list().map(({ spec: own }) => own?.name);
    expect(names(first.nets)).toEqual(["bridge", "host", "none"]);
    const second = await agent(first.machine);
    expect(second.nets.list()).toEqual(first.nets.list());
    for (const name of ["bridge", "host", "none"]) {
      const sentence = `${name} is a pre-defined network and cannot be removed`;
      expect(await refused(first.nets.remove(name))).toBe(sentence);
    }
  });

  test("Docker's bridges are in the kernel while something is on them, a person's always", async () => {
    const { nets, placing } = await agent();
    nets.restored();
    await nets.ensureGateway();
    const devices = () => placing.wants.at(-1)?.bridges.map(({ device }) => device);
    expect(devices()).toEqual([]);
    const made = (await nets.create(spec("mine"))) as Network;
    expect(devices()).toEqual([`br-${made.id.slice(0, 12)}`]);
    await joined(nets, joining("a"));
    await joined(nets, joining("b", { network: "docker_gwbridge" }));
    expect(devices()).toEqual(["skein0", "skein_gwbridge", `br-${made.id.slice(0, 12)}`]);
    await nets.leave("a");
    await nets.leave("b");
    await nets.remove("mine");
    expect(devices()).toEqual([]);
  });

  test("are found by name, id, and a beginning of it that only one has", async () => {
    const { nets } = await agent();
    const bridge = nets.find("bridge");
    expect(nets.find(bridge?.id ?? "")).toBe(bridge);
    expect(nets.find(bridge?.id.slice(0, 12) ?? "")).toBe(bridge);
    expect(nets.find("")).toBeUndefined();
  });

  test("making and removing one is an event of this node", async () => {
    const { nets, events } = await agent();
    await nets.create(spec("mine"));
    await nets.remove("mine");
    expect(events.map(({ action, scope, attributes }) => [action, scope, attributes])).toEqual([
      ["create", "local", { name: "mine", type: "bridge" }],
      ["destroy", "local", { name: "mine", type: "bridge" }],
    ]);
  });

  const [one, two] = ["10.9.0.0/24", "10.10.0.0/24"].map((subnet) => pool(subnet).ipam[0]);
  const twoPools = { ipam: one && two ? [one, two] : [] };
  const gatewayOfOther = pool("10.9.0.0/24", { gateway: "fd00::1" });
  const routed = { driverOpts: { "com.docker.network.bridge.gateway_mode_ipv6": "routed" } };
  const inhibited = { driverOpts: { "com.docker.network.bridge.inhibit_ipv4": "true" } };
  const wrong: readonly [string, NetworkSpec, RegExp][] = [
    ["a taken name", spec("bridge"), /^network with name bridge already exists$/],
    ["no name", spec(" "), /name is empty/],
    ["an odd name", spec("a b"), /only \[a-zA-Z0-9\]/],
    ["another driver", spec("x", { driver: "bogus" }), /^plugin "bogus" not found$/],
    ["a subnet of IPv6 without it", spec("x", pool("fd00::/64")), /needs IPv6 to be enabled/],
    ["two subnets of a family", spec("x", twoPools), /doesn't support multiple subnets$/],
    ["no room in IPv6", spec("x", { ipv6: true, ...pool("fd00::/127") }), /no room/],
    ["a gateway of the other family", spec("x", gatewayOfOther), /no matching subnet for fd00::1$/],
    ["being routed", spec("x", routed), /gateway_mode_ipv6=routed is not part of this release/],
    ["no address", spec("x", inhibited), /inhibit_ipv4=true is not part of this release/],
    ["an unknown option", spec("x", { driverOpts: { foo: "1" } }), /unknown driver option "foo"/],
    [
      "a number that is none",
      spec("x", { driverOpts: { "com.docker.network.driver.mtu": "big" } }),
      /invalid value "big" for com.docker.network.driver.mtu/,
    ],
    [
      "a device's name with a slash",
      spec("x", { driverOpts: { "com.docker.network.bridge.name": "a/b" } }),
      /invalid value "a\/b"/,
    ],
    [
      "another's device",
      spec("x", { driverOpts: { "com.docker.network.bridge.name": "skein0" } }),
      /networks have same bridge name/,
    ],
    ["an overlap", spec("x", pool("172.17.4.0/24")), /^Pool overlaps with other one on this/],
    ["what the machine is on", spec("x", pool("192.0.2.0/25")), /overlaps the route 192.0.2.0\/24/],
    ["no room", spec("x", pool("10.9.0.0/31")), /no room/],
    ["a gateway outside", spec("x", pool("10.9.0.0/24", { gateway: "10.8.0.1" })), /no matching/],
    ["a range outside", spec("x", pool("10.9.0.0/24", { ipRange: "10.8.0.0/25" })), /ip-range/],
    ["a gateway alone", spec("x", pool("", { gateway: "10.8.0.1" })), /needs a --subnet/],
  ];
  test.each(wrong)("refused: %s", async (_name, wanted, says) => {
    const placing = new FakeLocalPlacing();
    const routes = [{ prefix: "192.0.2.0/24", gateway: undefined, ifindex: 2 }];
    placing.have = { links: [], addresses: [], routes };
    const { nets } = await agent(undefined, placing);
    expect(await refused(nets.create(wanted))).toMatch(says);
    expect(nets.list().length).toBe(3);
  });

  test("part of what lies behind a gateway may be asked for", async () => {
    const placing = new FakeLocalPlacing();
    const routes = [{ prefix: "10.0.0.0/8", gateway: "192.0.2.9", ifindex: 2 }];
    placing.have = { links: [], addresses: [], routes };
    const { nets } = await agent(undefined, placing);
    expect(isRefusal(await nets.create(spec("x", pool("10.9.0.0/24"))))).toBe(false);
  });

  test("Docker's bridges keep clear of devices that are there; a person's is refused", async () => {
    const placing = new FakeLocalPlacing();
    const link = { ifindex: 7, kind: "bridge", mac: "", mtuBytes: 1500, up: true, alias: "" };
    const none = { master: 0, port: undefined, vxlan: undefined };
    const links = ["skein0", "skein_gwbridge", "mine0"].map((name) => ({ ...link, ...none, name }));
    placing.have = { links, addresses: [], routes: [] };
    const { nets } = await agent(undefined, placing);
    await nets.ensureGateway();
    const devices = nets.list().flatMap(({ spec: own }) => own?.driverOpts[BRIDGE_NAME] ?? []);
    expect(devices).toEqual(["skein2", "skein_gwbridge2"]);
    const wanted = spec("x", { driverOpts: { [BRIDGE_NAME]: "mine0" } });
    expect(await refused(nets.create(wanted))).toBe(
      "cannot create network x: this machine already has an interface named mine0",
    );
  });

  test("docker_gwbridge leads out by IPv6 too on a machine whose only way out that is", async () => {
    const way = (prefix: string) => ({ prefix, gateway: "fe80::1", ifindex: 2 });
    for (const [ways, families] of [
      [["::/0"], [4, 6]],
      [["0.0.0.0/0", "::/0"], [4]],
      [[], [4]],
    ] as const) {
      const placing = new FakeLocalPlacing();
      placing.have = { links: [], addresses: [], routes: ways.map(way) };
      const { nets } = await agent(undefined, placing);
      await nets.ensureGateway();
      const gateway = nets.list().find(({ spec: own }) => own?.name === "docker_gwbridge");
      const found = gateway?.subnets.map(({ cidr }) => (cidr.includes(":") ? 6 : 4));
      expect(found).toEqual(families);
      expect(gateway?.spec?.ipv6).toBe(families.length === 2);
    }
  });

  test("one with something on it stays", async () => {
    const { nets } = await agent();
    const made = (await nets.create(spec("mine"))) as Network;
    await joined(nets, joining("a", { network: "mine" }));
    expect(await refused(nets.remove("mine"))).toBe(
      `error while removing network: network mine id ${made.id} has active endpoints`,
    );
  });

  test("a subnet that we chose gives way to a route that came, unless something is on it", async () => {
    const first = await agent();
    first.nets.restored();
    await first.nets.create(spec("used"));
    await joined(first.nets, joining("a", { network: "used" }));
    const placing = new FakeLocalPlacing();
    const routes = ["172.17.0.0/16", "172.18.0.0/16"].map((prefix) => ({
      prefix,
      gateway: undefined,
      ifindex: 9,
    }));
    placing.have = { links: [], addresses: [], routes };
    const { nets } = await agent(first.machine, placing);
    expect(nets.find("bridge")?.subnets[0]?.cidr).toBe("172.19.0.0/16");
    expect(nets.find("used")?.subnets[0]?.cidr).toBe("172.18.0.0/16");
  });
});

describe("joining", () => {
  test("gives the lowest address, and the same one to who asks again", async () => {
    const { nets } = await agent();
    nets.restored();
    const a = await joined(nets, joining("a"));
    expect([a.endpoint.ipv4, a.endpoint.mac]).toEqual(["172.17.0.2/16", "02:42:ac:11:00:02"]);
    expect((await joined(nets, joining("b"))).endpoint.ipv4).toBe("172.17.0.3/16");
    expect(await joined(nets, joining("a"))).toEqual(a);
    await nets.leave("a");
    expect((await joined(nets, joining("c"))).endpoint.ipv4).toBe("172.17.0.2/16");
  });

  test("puts the default route through it, but not out of an internal network", async () => {
    const { nets, placing } = await agent();
    await nets.create(spec("back", { internal: true }));
    await joined(nets, joining("a"));
    await joined(nets, joining("b", { gateway: false }));
    const answer = await joined(nets, joining("c", { network: "back", ports: [port(80)] }));
    expect(answer.ports).toEqual([]);
    const locals = placing.wants.at(-1)?.bridges.flatMap((bridge) => bridge.locals) ?? [];
    expect(locals.map(({ gateways }) => gateways?.map(formatIp))).toEqual([["172.17.0.1"], [], []]);
  });

  const wrong: readonly [string, Partial<LocalJoin>, RegExp][] = [
    ["no such network", { network: "nosuch" }, /^network nosuch not found$/],
    ["host", { network: "host" }, /is no bridge/],
    ["an address on the default bridge", { ipv4: "172.17.0.9" }, /user defined networks only$/],
    ["an address of a chosen subnet", { network: "any", ipv4: "172.18.0.9" }, /user configured/],
    ["an address outside", { network: "mine", ipv4: "10.8.0.9" }, /does not belong/],
    ["the gateway's address", { network: "mine", ipv4: "10.9.0.1" }, /^Address already in use$/],
    ["a reserved address", { network: "mine", ipv4: "10.9.0.7" }, /^Address already in use$/],
    ["no address", { network: "mine", ipv4: "x" }, /invalid IPv4 address/],
    ["an IPv6 address", { ipv6: "fd00::9" }, /no IPv6 addresses/],
    ["an address of another machine", { ports: [port(80, { hostIp: "203.0.113.9" })] }, /assign/],
    [
      "an IPv6 address of the host, to a container that has none",
      { ports: [port(80, { hostIp: "fd00::5" })] },
      /publishing on \[fd00::5\]: network bridge has no IPv6 addresses/,
    ],
  ];
  test.each(wrong)("refused: %s", async (_name, more, says) => {
    const { nets, ports, machine } = await agent();
    await nets.create(spec("any"));
    await nets.create(spec("mine", pool("10.9.0.0/24", { auxAddresses: { x: "10.9.0.7" } })));
    const before = machine.text;
    expect(await refused(nets.join(joining("a", more)))).toMatch(says);
    expect([ports.taken.size, machine.text]).toEqual([0, before]);
  });

  test("a full network says so", async () => {
    const { nets } = await agent();
    await nets.create(spec("tiny", pool("10.9.0.0/30")));
    await joined(nets, joining("a", { network: "tiny" }));
    expect(await refused(nets.join(joining("b", { network: "tiny" })))).toMatch(
      /^no available IPv4 addresses on this network's address pools: tiny/,
    );
  });

  test("that fails in the kernel leaves nothing", async () => {
    const { nets, placing, ports } = await agent();
    nets.restored();
    placing.failure = new Error("no bridge");
    await expect(nets.join(joining("a", { ports: [port(8080)] }))).rejects.toThrow("no bridge");
    expect(placing.wants.at(-1)).toEqual({ bridges: [], ports: [] });
    expect(ports.taken.size).toBe(0);
  });
});

describe("with IPv6", () => {
  const six = (more: object = {}) =>
    spec("six", { ipv6: true, ...pool("fd00:77::/64"), ...more } as Partial<NetworkSpec>);

  test("a network has a subnet of each family, chosen where none is asked for", async () => {
    const { nets, placing } = await agent();
    const [v4, v6] = ((await nets.create(spec("any", { ipv6: true }))) as Network).subnets;
    expect(v4?.cidr).toBe("172.18.0.0/16");
    expect(v6?.cidr).toMatch(/^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::\/64$/);
    expect(v6?.gateway).toBe(v6?.cidr.replace("/64", "1"));
    const [, other] = ((await nets.create(spec("more", { ipv6: true }))) as Network).subnets;
    expect(other?.cidr).toBe(v6?.cidr.replace("::", ":1::"));
    const asked = ((await nets.create(six())) as Network).subnets;
    expect(asked.map(({ cidr, gateway }) => [cidr, gateway])).toEqual([
      ["172.20.0.0/16", "172.20.0.1"],
      ["fd00:77::/64", "fd00:77::1"],
    ]);
    expect(placing.wants.at(-1)?.bridges[2]?.addresses.map(formatPrefix)).toEqual([
      ...["172.20.0.1/16", "fd00:77::1/64"],
    ]);
  });

  test("an endpoint has an address of each, the MAC address of the first, and two ways out", async () => {
    const { nets, placing } = await agent();
    await nets.create(six());
    const { endpoint } = await joined(nets, joining("a", { network: "six" }));
    expect([endpoint.ipv4, endpoint.ipv6, endpoint.mac]).toEqual([
      ...["172.18.0.2/16", "fd00:77::2/64", "02:42:ac:12:00:02"],
    ]);
    const [local] = placing.wants.at(-1)?.bridges[0]?.locals ?? [];
    expect(local?.prefixes.map(formatPrefix)).toEqual(["172.18.0.2/16", "fd00:77::2/64"]);
    expect(local?.gateways?.map(formatIp)).toEqual(["172.18.0.1", "fd00:77::1"]);
    const asked = await joined(nets, joining("b", { network: "six", ipv6: "fd00:77::b" }));
    expect(asked.endpoint.ipv6).toBe("fd00:77::b/64");
    expect(await refused(nets.join(joining("c", { network: "six", ipv6: "fd00:77::b" })))).toBe(
      "Address already in use",
    );
  });

  test("a port without an address is one of each family, by the same number", async () => {
    const { nets, ports, placing } = await agent();
    await nets.create(six());
    ports.taken.add("tcp :::32768");
    const answer = await joined(nets, joining("a", { network: "six", ports: [port(0), port(80)] }));
    expect(answer.ports.map(({ hostIp, hostPort }) => [hostIp, hostPort])).toEqual([
      ["", 32_769],
      ["::", 32_769],
      ["", 80],
      ["::", 80],
    ]);
    expect(placing.wants.at(-1)?.ports.map(({ ip, hostIp }) => [formatIp(ip), hostIp])).toEqual([
      ["172.18.0.2", undefined],
      ["fd00:77::2", undefined],
      ["172.18.0.2", undefined],
      ["fd00:77::2", undefined],
    ]);
    await nets.leave("a");
    expect([...ports.taken]).toEqual(["tcp :::32768"]);
    // What was published is asked for again after a restart, as it was.
    const again = await joined(nets, joining("a", { network: "six", ports: answer.ports }));
    expect(again.ports).toEqual(answer.ports);
  });

  test("a port of one address is of its family alone, and one that is taken is named", async () => {
    const { nets, ports } = await agent();
    await nets.create(six());
    ports.taken.add("tcp :::80");
    const on = (hostIp: string) => joining("a", { network: "six", ports: [port(80, { hostIp })] });
    expect(await refused(nets.join(on("")))).toMatch(/Bind for \[::\]:80 failed: port is already/);
    expect([...ports.taken]).toEqual(["tcp :::80"]);
    expect((await joined(nets, on("0.0.0.0"))).ports.length).toBe(1);
    await nets.leave("a");
    expect((await joined(nets, on("fd00::5"))).ports[0]?.hostIp).toBe("fd00::5");
    await nets.leave("a");
    expect(await refused(nets.join(on("::1")))).toMatch(/publish on 127.0.0.1/);
  });
});

describe("ports", () => {
  test("are held while they are published, on the address that was asked for", async () => {
    const { nets, ports, placing } = await agent();
    const wishes = [port(8080), port(53, { protocol: "udp", hostIp: "127.0.0.1" })];
    await joined(nets, joining("a", { ports: wishes }));
    expect([...ports.taken]).toEqual(["tcp 0.0.0.0:8080", "udp 127.0.0.1:53"]);
    const wanted = placing.wants.at(-1)?.ports ?? [];
    expect(wanted.map(({ hostIp }) => hostIp && formatIp(hostIp))).toEqual([
      undefined,
      "127.0.0.1",
    ]);
    await nets.leave("a");
    expect(ports.taken.size).toBe(0);
  });

  test("are chosen from the machine's range, each once; then there are none", async () => {
    const { nets } = await agent();
    const chosen = async (id: string) =>
      (await joined(nets, joining(id, { ports: [port(0)] }))).ports[0]?.hostPort;
    expect([await chosen("a"), await chosen("b"), await chosen("c")]).toEqual([
      ...[32_768, 32_769, 32_770],
    ]);
    expect(await refused(nets.join(joining("d", { ports: [port(0)] })))).toMatch(
      /all ports are allocated$/,
    );
  });

  test("of a range whichever is free is had", async () => {
    const { nets, ports } = await agent();
    ports.taken.add("tcp 0.0.0.0:8001");
    const ask = (id: string) => joining(id, { ports: [port(8000, { hostPortLast: 8002 })] });
    for (const [id, hostPort] of [
      ["a", 8000],
      ["b", 8002],
    ] as const) {
      const given = (await joined(nets, ask(id))).ports[0];
      expect(given).toMatchObject({ hostPort });
      expect(given).not.toHaveProperty("hostPortLast");
    }
    expect(await refused(nets.join(ask("c")))).toMatch(
      /Bind for 0\.0\.0\.0:8000-8002 failed: port is already allocated$/,
    );
  });

  test("a network may say where they are published", async () => {
    const { nets, ports } = await agent();
    const driverOpts = { "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1" };
    await nets.create(spec("mine", { driverOpts }));
    await joined(nets, joining("a", { network: "mine", ports: [port(80)] }));
    expect([...ports.taken]).toEqual(["tcp 127.0.0.1:80"]);
  });

  test("one that is taken refuses all, in Docker's words", async () => {
    const { nets, ports } = await agent();
    ports.taken.add("tcp 0.0.0.0:8080");
    const request = joining("a", { ports: [port(80), port(8080)] });
    expect(await refused(nets.join(request))).toBe(
      "driver failed programming external connectivity on endpoint c-a (a): Bind for 0.0.0.0:8080 failed: port is already allocated",
    );
    expect([...ports.taken]).toEqual(["tcp 0.0.0.0:8080"]);
  });
});

describe("an agent after another", () => {
  test("keeps everything in place until all is joined again, then takes the rest away", async () => {
    const first = await agent();
    first.nets.restored();
    const a = await joined(first.nets, joining("a", { ports: [port(0)] }));
    await joined(first.nets, joining("b"));
    const { nets, placing, ports, machine } = await agent(first.machine);
    const on = () => placing.wants.at(-1)?.bridges[0]?.locals.map(({ endpointId }) => endpointId);
    expect(on()).toEqual(["a", "b"]);
    // While others are not yet declared nothing is asked of the kernel.
    placing.failure = new Error("asked too early");
    expect(await joined(nets, joining("a", { ports: [port(0)] }))).toEqual(a);
    expect([...ports.taken]).toEqual([`tcp 0.0.0.0:${a.ports[0]?.hostPort}`]);
    nets.restored();
    expect(on()).toEqual(["a"]);
    await nets.close();
    expect(parseLocalNetworks(machine.text ?? "")?.endpoints.length).toBe(1);
  });

  test("a port that somebody took meanwhile still leads to its container", async () => {
    const first = await agent();
    first.nets.restored();
    const a = await joined(first.nets, joining("a", { ports: [port(8080)] }));
    const { nets, ports, placing } = await agent(first.machine);
    ports.taken.add("tcp 0.0.0.0:8080");
    expect(await joined(nets, joining("a", { ports: [port(8080)] }))).toEqual(a);
    expect(placing.wants.at(-1)?.ports.length).toBe(1);
  });

  test("joins at once are few writes, and all of them are on disk", async () => {
    const { nets, machine } = await agent();
    nets.restored();
    const before = machine.saves;
    const names = Array.from({ length: 50 }, (_, i) => `e${i}`);
    await Promise.all(names.map((name) => joined(nets, joining(name))));
    expect(machine.saves - before).toBeLessThan(10);
    const saved = parseLocalNetworks(machine.text ?? "")?.endpoints ?? [];
    expect(saved.length).toBe(50);
    expect(new Set(saved.map(({ endpoint }) => endpoint.ipv4)).size).toBe(50);
  });
});

test("a bridge has its gateway's address, with the subnet's length", async () => {
  const { nets, placing } = await agent();
  await nets.create(spec("mine", pool("10.9.0.0/24", { gateway: "10.9.0.254" })));
  const [bridge] = placing.wants.at(-1)?.bridges ?? [];
  expect(bridge?.addresses.map(formatPrefix)).toEqual(["10.9.0.254/24"]);
});
