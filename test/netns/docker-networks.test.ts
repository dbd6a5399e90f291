// Networks of one machine as the real docker CLI has them: IPv6, ports, another container's network, docker_gwbridge
// beside routes of the machine, and what is refused, in Docker's words. One host, containerd, an image of busybox.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Lab, type Result } from "./lab.js";

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up("dockernet", 1);
  await lab.must("images", "alpine");
});
afterEach(async () => {
  const ids = (await docker("ps", "-aq")).split("\n").filter(Boolean);
  if (ids.length > 0) await docker("rm", "-f", ...ids);
  await docker("network", "prune", "-f");
});
afterAll(async () => {
  await lab?.down();
});

const docker = async (...args: string[]) => (await lab.docker("h1", ...args)).trim();
const said = (...args: string[]): Promise<Result> => lab.on("h1", "docker", ...args);
const run = (name: string, ...args: string[]) =>
  docker("run", "-d", "--name", name, ...args, "alpine", "sleep", "1000");
const refused = async (...args: string[]) => {
  const { code, stderr } = await said(...args);
  expect(code).not.toBe(0);
  return stderr.replace(/^docker: /, "").split("\n")[0];
};
async function inspect<T>(what: string, ref: string): Promise<T> {
  return JSON.parse(await docker("inspect", "-f", `{{json ${what}}}`, ref)) as T;
}
const portsOf = async (ref: string) =>
  (await docker("port", ref)).split("\n").filter(Boolean).sort();

describe("IPv6", () => {
  test("a network and a container are shown as dockerd shows them", async () => {
    await docker("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "six");
    const config = await inspect<object[]>(".IPAM.Config", "six");
    expect(config).toEqual([
      { Subnet: expect.stringMatching(/^172\./), Gateway: expect.stringMatching(/^172\./) },
      { Subnet: "fd00:77::/64", Gateway: "fd00:77::1" },
    ]);
    expect(await inspect(".EnableIPv6", "six")).toBe(true);
    await run("c6", "--network", "six", "-p", "8080:80");
    expect(await inspect(".NetworkSettings.Networks.six", "c6")).toMatchObject({
      IPv6Gateway: "fd00:77::1",
      GlobalIPv6Address: "fd00:77::2",
      GlobalIPv6PrefixLen: 64,
    });
    expect(await docker("ps", "--format", "{{.Ports}}")).toBe(
      "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
    );
    expect(await portsOf("c6")).toEqual(["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]);
    const inside = await docker("exec", "c6", "ip", "-6", "route");
    expect(inside).toMatch(/default via fd00:77::1 dev eth0/);
    await docker(
      "run",
      "-d",
      "--name",
      "c7",
      "--network",
      "six",
      "--ip6",
      "fd00:77::7",
      "alpine",
      "sleep",
      "9",
    );
    expect(await inspect(".NetworkSettings.Networks.six.GlobalIPv6Address", "c7")).toBe(
      "fd00:77::7",
    );
  });

  test("a port of IPv6 to a container without it is refused with a sentence", async () => {
    expect(await refused("run", "-d", "-p", "[::]:8080:80", "alpine", "sleep", "9")).toMatch(
      /publishing on \[::\]: network bridge has no IPv6 addresses/,
    );
  });
});

describe("another container's network", () => {
  test("is shared: interfaces, host name, names", async () => {
    const id = await run("web", "--hostname", "web-host");
    await run("side", "--network", "container:web");
    const address = (name: string) => docker("exec", name, "ip", "-o", "addr", "show", "eth0");
    expect(await address("side")).toBe(await address("web"));
    expect(await docker("exec", "side", "hostname")).toBe("web-host");
    expect(await docker("exec", "side", "cat", "/etc/hosts")).toBe(
      await docker("exec", "web", "cat", "/etc/hosts"),
    );
    expect(await inspect(".HostConfig.NetworkMode", "side")).toBe(`container:${id}`);
    expect(await inspect(".NetworkSettings.Networks", "side")).toEqual({});
    await docker("rm", "-f", "side");
    expect(await address("web")).toContain("172.17.");
    expect(await refused("network", "connect", "bridge", "side")).toMatch(
      /No such container: side/,
    );
  });

  test.each([
    [
      "one that is not there",
      ["--network", "container:nobody"],
      /joining network namespace of container: No such container: nobody$/,
    ],
    [
      "with ports of its own",
      ["--network", "container:web", "-p", "80:80"],
      /conflicting options: port publishing and the container type network mode$/,
    ],
    [
      "with a name of its own",
      ["--network", "container:web", "--hostname", "x"],
      /conflicting options: hostname and the network mode$/,
    ],
  ])("is refused: %s", async (_name, flags, says) => {
    await run("web");
    expect(await refused("run", "-d", ...flags, "alpine", "true")).toMatch(says);
  });

  test("is refused when the other does not run", async () => {
    const id = await docker("create", "--name", "web", "alpine", "true");
    expect(await refused("run", "-d", "--network", "container:web", "alpine", "true")).toBe(
      `Error response from daemon: cannot join network of a non running container: ${id}`,
    );
  });
});

describe("ports", () => {
  test("of ranges, of one address, and all that are exposed", async () => {
    await run("ca", "-p", "8000-8002:80");
    await run("cb", "-p", "8000-8002:80");
    await run("cc", "-p", "9000-9002:7000-7002/udp");
    await run("cd", "-P", "--expose", "80", "--expose", "81/udp");
    await run("ce", "-p", "127.0.0.1:8088:80", "-p", "127.0.0.1::81");
    expect(await portsOf("ca")).toEqual(["80/tcp -> 0.0.0.0:8000"]);
    expect(await portsOf("cb")).toEqual(["80/tcp -> 0.0.0.0:8001"]);
    expect(await portsOf("cc")).toEqual([
      "7000/udp -> 0.0.0.0:9000",
      "7001/udp -> 0.0.0.0:9001",
      "7002/udp -> 0.0.0.0:9002",
    ]);
    const chosen = await portsOf("cd");
    expect(chosen.map((line) => line.replace(/\d+$/, "N"))).toEqual([
      "80/tcp -> 0.0.0.0:N",
      "81/udp -> 0.0.0.0:N",
    ]);
    expect(await portsOf("ce")).toEqual([
      "80/tcp -> 127.0.0.1:8088",
      expect.stringMatching(/^81\/tcp -> 127\.0\.0\.1:\d+$/),
    ]);
    const taken = await refused("run", "-d", "-p", "8000:80", "alpine", "true");
    expect(taken).toMatch(
      /^Error response from daemon: driver failed programming external connectivity on endpoint .* \(\w+\): Bind for 0\.0\.0\.0:8000 failed: port is already allocated$/,
    );
  });

  test("are had by one of those who race for one", async () => {
    const racing = Array.from({ length: 4 }, (_, i) =>
      said("run", "-d", "--name", `r${i}`, "-p", "9100:80", "alpine", "sleep", "1000"),
    );
    const codes = (await Promise.all(racing)).map(({ code }) => code);
    expect(codes.sort()).toEqual([0, 125, 125, 125]);
    expect((await docker("ps", "-q")).split("\n")).toHaveLength(1);
  });
});

describe("networks", () => {
  test("an address, a range and auxiliary addresses are kept to", async () => {
    const pool = [
      "--subnet",
      "10.5.0.0/16",
      "--gateway",
      "10.5.0.254",
      "--ip-range",
      "10.5.1.0/24",
    ];
    await docker("network", "create", ...pool, "--aux-address", "x=10.5.1.1", "ranged");
    await run("ca", "--network", "ranged");
    await run("cb", "--network", "ranged", "--ip", "10.5.7.7");
    const address = (name: string) => inspect(".NetworkSettings.Networks.ranged.IPAddress", name);
    expect([await address("ca"), await address("cb")]).toEqual(["10.5.1.0", "10.5.7.7"]);
    const asking = (ip: string) =>
      refused("run", "-d", "--network", "ranged", "--ip", ip, "alpine", "true");
    expect(await asking("10.5.1.1")).toMatch(/Address already in use$/);
    expect(await asking("10.5.0.254")).toMatch(/Address already in use$/);
    expect(await asking("10.6.0.1")).toMatch(
      /It does not belong to any of this network's subnets$/,
    );
  });

  test("are unique by name, stay while in use, and go by prune; connect and disconnect while running", async () => {
    await docker("network", "create", "one");
    await docker("network", "create", "two");
    expect(await refused("network", "create", "one")).toMatch(
      /network with name one already exists$/,
    );
    await run("ca", "--network", "one");
    await docker("network", "connect", "two", "ca");
    expect(await refused("network", "connect", "two", "ca")).toMatch(
      /endpoint with name ca already exists in network two$/,
    );
    expect(Object.keys(await inspect<object>(".NetworkSettings.Networks", "ca"))).toEqual([
      ...["one", "two"],
    ]);
    expect(await refused("network", "rm", "two")).toMatch(/has active endpoints$/);
    expect(await docker("network", "prune", "-f")).toBe("");
    await docker("network", "disconnect", "two", "ca");
    expect(await refused("network", "disconnect", "two", "ca")).toMatch(
      /container \w+ is not connected to (the )?network two$/,
    );
    expect(await docker("network", "prune", "-f")).toContain("two");
    await docker("rm", "-f", "ca");
    expect(await docker("network", "prune", "-f")).toContain("one");
  });

  test("none and host", async () => {
    const names = async (mode: string) =>
      (await docker("run", "--rm", "--network", mode, "alpine", "ls", "/sys/class/net")).split(
        /\s+/,
      );
    expect(await names("none")).toEqual(["lo"]);
    expect(await names("host")).toContain("eth0");
  });

  test("options are honoured, or refused by name", async () => {
    const create = (option: string) =>
      refused("network", "create", "-o", `com.docker.network.${option}`, "odd");
    expect(await create("bridge.gateway_mode_ipv4=routed")).toMatch(/not part of this release/);
    expect(await create("bridge.trusted_host_interfaces=eth0")).toMatch(/not part of this release/);
    expect(await create("bridge.mistyped=1")).toMatch(/unknown driver option/);
    await docker("network", "create", "-o", "com.docker.network.bridge.gateway_mode_ipv4=nat", "x");
  });
});

describe("docker_gwbridge", () => {
  test("keeps clear of routes, those that come later too, and the log says so; internal networks have none", async () => {
    const route = (prefix: string) =>
      lab.ok("h1", "ip", "route", "add", prefix, "via", "192.168.33.254");
    await route("172.18.0.0/16");
    await route("172.20.0.0/16");
    await docker("swarm", "init", "--advertise-addr", "192.168.33.10");
    const subnet = () => inspect<{ Subnet: string }[]>(".IPAM.Config", "docker_gwbridge");
    expect((await subnet())[0]?.Subnet).toBe("172.19.0.0/16");
    await docker("network", "create", "-d", "overlay", "--attachable", "over");
    await docker("network", "create", "-d", "overlay", "--attachable", "--internal", "inner");
    await route("172.19.128.0/17");
    await run("ca", "--network", "over");
    expect((await subnet())[0]?.Subnet).toMatch(/^172\.(2[1-9]|3\d)\.0\.0\/16$/);
    expect(await docker("exec", "ca", "ls", "/sys/class/net")).toMatch(/eth0\s+eth1/);
    await run("cb", "--network", "inner");
    expect(await docker("exec", "cb", "ls", "/sys/class/net")).not.toContain("eth1");
    const log = lab.log("h1");
    expect(log).toContain("the next was chosen for a bridge");
    expect(log).toContain("a route of this machine overlaps a bridge's subnet: another was chosen");
    // Something is on it now: it stays.
    await route("172.21.0.0/17");
    const before = await subnet();
    await run("cc", "--network", "over");
    expect(await subnet()).toEqual(before);
    expect(Object.keys(await inspect<object>(".Containers", "docker_gwbridge"))).toHaveLength(2);
  });
});
