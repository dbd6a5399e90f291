// IPv6 on the node's own bridges and ports, on a real kernel: addresses, ways out, published ports, who is kept
// apart, and a machine that lives by router advertisements.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inside } from "./kernel-lab.js";
import { ask, LocalLab, port, spec, until, WEB } from "./local-lab.js";

const MACHINE = "2001:db8::1";
const NEIGHBOUR = "2001:db8::2";
const IP_FORWARD = "net.ipv6.conf.all.forwarding";
let local: LocalLab;
const netns = () => local.host.netns;
const neighbour = () => local.neighbour;
const six = (name: string, subnet: string, more: object = {}) =>
  spec(name, {
    ipv6: true,
    ipam: [{ subnet, gateway: "", ipRange: "", auxAddresses: {} }],
    ...more,
  });
const sysctl = (key: string) => inside(netns(), "sysctl", "-n", key).trim();

beforeAll(async () => {
  local = new LocalLab("l6");
  for (const [where, address] of [
    [netns(), MACHINE],
    [neighbour(), NEIGHBOUR],
  ] as const) {
    inside(where, "ip", "addr", "add", `${address}/64`, "dev", "ul0", "nodad");
  }
  inside(netns(), "sysctl", "-qw", "net.ipv6.conf.ul0.accept_ra=1");
  await local.start();
  await local.create(six("web", "fd00:77::/64"));
});
afterEach(() => local.allGone());
afterAll(() => local.down());

describe("a bridge with IPv6", () => {
  test("forwards, and the machine goes on taking router advertisements", async () => {
    await until("it forwards", () => sysctl(IP_FORWARD) === "1");
    expect(sysctl("net.ipv6.conf.ul0.accept_ra")).toBe("2");
  });

  test("its containers talk to each other, to the machine, and out with the machine's address", async () => {
    const a = await local.joined("a", "web");
    const b = await local.joined("b", "web");
    expect([a.endpoint.ipv6, b.endpoint.ipv6]).toEqual(["fd00:77::2/64", "fd00:77::3/64"]);
    expect(ask(a.netns, b.ip6, 80)).toBe(`b ${a.ip6}`);
    expect(ask(netns(), a.ip6, 80)).toBe("a fd00:77::1");
    const outside = await local.serve(neighbour(), ["serve", "neighbour", "80"]);
    expect(ask(a.netns, NEIGHBOUR, 80)).toBe(`neighbour ${MACHINE}`);
    expect(ask(a.netns, NEIGHBOUR, 80, "udp")).toBe(`neighbour ${MACHINE}`);
    expect(ask(a.netns, local.lab.host(2).vtep, 80)).toBe(`neighbour ${local.host.vtep}`);
    await local.end(outside);
    const routes = inside(a.netns, "ip", "-6", "route", "show", "default");
    expect(routes).toMatch(/^default via fd00:77::1 dev eth0/);
  });

  test("nobody on the wire reaches what was not published, and an advertisement changes nothing inside", async () => {
    const a = await local.joined("a", "web", [port()]);
    inside(neighbour(), "ip", "route", "add", "fd00:77::/64", "via", MACHINE);
    expect(ask(neighbour(), a.ip6, 80)).toBe("timeout");
    inside(neighbour(), "ip", "route", "del", "fd00:77::/64");
    expect(inside(a.netns, "sysctl", "-n", "net.ipv6.conf.eth0.accept_ra").trim()).toBe("0");
  });

  test("a default subnet is this node's own unique local one", async () => {
    const network = await local.create(spec("ula", { ipv6: true }));
    const a = await local.joined("a", "ula");
    expect(network.subnets[1]?.cidr).toMatch(/^fd[0-9a-f:]+::\/64$/);
    expect(ask(netns(), a.ip6, 80)).toMatch(/^a fd/);
    await local.gone("a");
    await local.remove("ula");
  });
});

describe.each([
  ["with", 1],
  ["without", 0],
])("a published port on a machine %s br_netfilter", (_name, on) => {
  beforeAll(() => {
    for (const table of ["iptables", "ip6tables"])
      inside(netns(), "sysctl", "-qw", `net.bridge.bridge-nf-call-${table}=${on}`);
  });

  test.each(["tcp", "udp"] as const)(
    "of %s answers on both families: on the wire, on the machine, and to containers",
    async (protocol) => {
      const a = await local.joined("a", "web", [port({ protocol })]);
      const b = await local.joined("b", "web");
      const c = await local.joined("c", "bridge");
      expect(a.ports.map(({ hostIp }) => hostIp)).toEqual(["", "::"]);
      const says = (from: string, to: string) => ask(from, to, WEB, protocol);
      expect(says(neighbour(), MACHINE)).toBe(`a ${NEIGHBOUR}`);
      expect(says(neighbour(), local.host.vtep)).toBe(`a ${local.lab.host(2).vtep}`);
      for (const to of [MACHINE, "127.0.0.1", local.host.vtep]) {
        expect([to, says(netns(), to)]).toEqual([to, expect.stringMatching(/^a /)]);
      }
      // Nothing leads from ::1, so `localhost` has to hear at once that it is to be 127.0.0.1.
      if (protocol === "tcp") expect(says(netns(), "::1")).toBe("ECONNREFUSED");
      for (const from of [a.netns, b.netns]) {
        expect(says(from, MACHINE)).toMatch(/^a /);
        expect(says(from, "fd00:77::1")).toMatch(/^a /);
      }
      expect(says(c.netns, local.host.vtep)).toMatch(/^a /);
    },
  );

  test("of a network whose own do not talk leads inside, and nothing else does", async () => {
    const driverOpts = { "com.docker.network.bridge.enable_icc": "false" };
    await local.create(six("apart", "fd00:78::/64", { driverOpts }));
    const a = await local.joined("a", "apart");
    const b = await local.joined("b", "apart", [port()]);
    expect(ask(a.netns, b.ip6, 80)).not.toMatch(/^b /);
    expect(ask(a.netns, b.ip, 80)).not.toMatch(/^b /);
    expect(ask(a.netns, MACHINE)).toMatch(/^b /);
    expect(ask(a.netns, local.host.vtep)).toMatch(/^b /);
    await local.allGone();
    await local.remove("apart");
  });
});

describe("ports of IPv6", () => {
  test("on one address answer on no other, and not of the other family", async () => {
    await local.joined("a", "web", [port({ hostIp: MACHINE })]);
    expect(ask(neighbour(), MACHINE)).toBe(`a ${NEIGHBOUR}`);
    expect(ask(netns(), MACHINE)).toMatch(/^a /);
    expect(ask(netns(), "fd00:77::1")).toBe("ECONNREFUSED");
    expect(ask(netns(), "127.0.0.1")).toBe("ECONNREFUSED");
    expect(ask(neighbour(), local.host.vtep)).toBe("ECONNREFUSED");
  });

  test("are held: another's is refused by name, and no other program takes one", async () => {
    await local.joined("a", "web", [port()]);
    const refused = await local.joining("b", "web", [port({ hostIp: "::" })]);
    expect(refused.error).toMatch(/Bind for \[::\]:8080 failed: port is already allocated$/);
    const taking = `require("node:net").createServer().on("error",(e)=>console.log(e.code)).listen({port:${WEB},host:"::",ipv6Only:true},()=>process.exit())`;
    expect(inside(netns(), process.execPath, "-e", taking).trim()).toBe("EADDRINUSE");
    const bridge = await local.joining("c", "bridge", [port({ hostIp: "::", hostPort: 9 })]);
    expect(bridge.error).toMatch(/publishing on \[::\]: network bridge has no IPv6 addresses/);
  });

  test("an internal network leads nowhere by IPv6 either", async () => {
    await local.create(six("back", "fd00:79::/64", { internal: true }));
    const a = await local.joined("a", "back");
    const b = await local.joined("b", "back");
    const c = await local.joined("c", "web");
    expect(ask(a.netns, b.ip6, 80)).toBe(`b ${a.ip6}`);
    expect(ask(c.netns, a.ip6, 80)).toBe("timeout");
    expect(ask(a.netns, NEIGHBOUR, 80)).toMatch(/ENETUNREACH|EHOSTUNREACH|timeout/);
    await local.allGone();
    await local.remove("back");
  });

  test("come back after a flush, and go with the last bridge that has IPv6", async () => {
    await local.joined("a", "web", [port()]);
    local.nft("flush", "ruleset");
    await until("it answers", () => /^a /.test(ask(neighbour(), MACHINE)));
    await local.gone("a");
    await local.remove("web");
    expect(local.nft("list", "ruleset")).toBe("");
    await local.joined("b", "bridge", [port()]);
    expect(local.nft("list", "ruleset")).not.toContain("ports6");
    await local.create(six("web", "fd00:77::/64"));
  });
});
