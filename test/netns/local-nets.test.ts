// The node's own networks on a real kernel: one host whose loop of local networks runs, one neighbour on the
// same wire. A sandbox stands for a container, and a small server inside says who asked it.
import { execFileSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inside, ip } from "./kernel-lab.js";
import { ask, ECHO, ids, LocalLab, lines, type Name, port, spec, until, WEB } from "./local-lab.js";

let local: LocalLab;
const host = () => local.host;
const neighbour = () => local.neighbour;
const joining = (...args: Parameters<LocalLab["joining"]>) => local.joining(...args);
const joined = (...args: Parameters<LocalLab["joined"]>) => local.joined(...args);
const gone = (name: Name) => local.gone(name);
const serve = (netns: string, args: readonly string[]) => local.serve(netns, args);
const nft = (...args: string[]) => local.nft(...args);
const links = () => local.links();

beforeAll(async () => {
  local = new LocalLab("ln");
  await local.start();
});
afterEach(() => local.allGone());
afterAll(() => local.down());

describe("the default bridge", () => {
  test("its containers talk to each other, to the machine, and out with the machine's address", async () => {
    const a = await joined("a");
    const b = await joined("b");
    expect([a.endpoint.ipv4, b.endpoint.ipv4]).toEqual(["172.17.0.2/16", "172.17.0.3/16"]);
    expect(a.endpoint.mac).toBe("02:42:ac:11:00:02");
    expect(ask(a.netns, b.ip, 80)).toBe(`b ${a.ip}`);
    expect(ask(host().netns, a.ip, 80)).toBe("a 172.17.0.1");
    const outside = await serve(neighbour(), ["serve", "neighbour", "80"]);
    expect(ask(a.netns, local.lab.host(2).vtep, 80)).toBe(`neighbour ${host().vtep}`);
    await local.end(outside);
  });

  test("is there while something is on it, and leaves nothing", async () => {
    await joined("a");
    expect(links()).toContain("skein0");
    expect(nft("list", "tables")).toMatch(/table inet skein_[0-9a-f]{8}/);
    await gone("a");
    expect(links()).not.toMatch(/skein|v-/);
    expect(nft("list", "ruleset")).toBe("");
  });

  test("nobody on the wire reaches a port that was not published, even by a route to the bridge", async () => {
    const a = await joined("a", "bridge", [port()]);
    inside(neighbour(), "ip", "route", "add", "172.17.0.0/16", "via", host().vtep);
    expect(ask(neighbour(), a.ip, 80)).toBe("timeout");
    inside(neighbour(), "ip", "route", "del", "172.17.0.0/16");
  });
});

describe.each([
  ["with", 1],
  ["without", 0],
])("a published port on a machine %s br_netfilter", (_name, on) => {
  beforeAll(() => {
    inside(host().netns, "sysctl", "-qw", `net.bridge.bridge-nf-call-iptables=${on}`);
  });

  test("answers on the wire, on the machine, on 127.0.0.1, and to containers, its own too", async () => {
    const a = await joined("a", "bridge", [port()]);
    const b = await joined("b");
    expect(ask(neighbour(), host().vtep)).toBe(`a ${local.lab.host(2).vtep}`);
    expect(ask(host().netns, host().vtep)).toMatch(/^a /);
    expect(ask(host().netns, "127.0.0.1")).toBe("a 172.17.0.1");
    expect(ask(b.netns, host().vtep)).toMatch(/^a /);
    expect(ask(a.netns, host().vtep)).toMatch(/^a /);
    expect(ask(b.netns, "172.17.0.1")).toMatch(/^a /);
  });

  test("of UDP answers everywhere too", async () => {
    const a = await joined("a", "bridge", [port({ protocol: "udp" })]);
    const b = await joined("b");
    for (const [netns, to] of [
      [neighbour(), host().vtep],
      [host().netns, "127.0.0.1"],
      [host().netns, host().vtep],
      [b.netns, host().vtep],
      [a.netns, host().vtep],
    ] as const) {
      expect(ask(netns, to, WEB, "udp")).toMatch(/^a /);
    }
  });

  test("leads from one container on docker_gwbridge to another, and nothing else does", async () => {
    const a = await joined("a", "docker_gwbridge");
    const b = await joined("b", "docker_gwbridge", [port()]);
    expect(ask(a.netns, b.ip, 80)).not.toMatch(/^b /);
    expect(ask(a.netns, host().vtep)).toMatch(/^b /);
    expect(ask(b.netns, host().vtep)).toMatch(/^b /);
  });
});

describe("a published port", () => {
  test("on one address answers on no other, and on 127.0.0.1 not from the wire", async () => {
    await joined("a", "bridge", [port({ hostIp: "127.0.0.1" })]);
    expect(ask(host().netns, "127.0.0.1")).toBe("a 172.17.0.1");
    expect(ask(host().netns, host().vtep)).toBe("ECONNREFUSED");
    expect(ask(neighbour(), host().vtep)).toBe("ECONNREFUSED");
    // A neighbour that sends to our loopback by the wire.
    inside(neighbour(), "sysctl", "-qw", "net.ipv4.conf.ul0.route_localnet=1");
    inside(neighbour(), "ip", "addr", "del", "127.0.0.1/8", "dev", "lo");
    inside(neighbour(), "ip", "route", "add", "127.0.0.1/32", "via", host().vtep, "dev", "ul0");
    expect(ask(neighbour(), "127.0.0.1")).not.toMatch(/^a /);
    inside(neighbour(), "ip", "route", "del", "127.0.0.1/32");
    inside(neighbour(), "ip", "addr", "add", "127.0.0.1/8", "dev", "lo");
  });

  test("is chosen where none was asked for, and refused in Docker's words where it is taken", async () => {
    const a = await joined("a", "bridge", [port({ hostPort: 0 }), port()]);
    const chosen = a.ports[0]?.hostPort ?? 0;
    expect(chosen).toBeGreaterThanOrEqual(32_768);
    expect(ask(neighbour(), host().vtep, chosen)).toMatch(/^a /);
    const says = (at: number) =>
      `driver failed programming external connectivity on endpoint c-b (endpoint-b): Bind for 0.0.0.0:${at} failed: port is already allocated`;
    expect((await joining("b", "bridge", [port()])).error).toBe(says(WEB));
    const other = await serve(host().netns, ["hold", "8081"]);
    const refused = await joining("b", "bridge", [port({ hostPort: 8081 })]);
    expect(refused.error).toBe(says(8081));
    await local.end(other);
    // Nothing half-made: the other port of a refused request is free again.
    const twice = [port({ hostPort: 8082 }), port()];
    expect((await joining("b", "bridge", twice)).error).toBe(says(WEB));
    expect((await joining("b", "bridge", [port({ hostPort: 8082 })])).error).toBeUndefined();
  });

  test("is held: no other program can listen on it", async () => {
    await joined("a", "bridge", [port()]);
    const taking = () =>
      inside(
        host().netns,
        process.execPath,
        "-e",
        `require("node:net").createServer().on("error",(e)=>console.log(e.code)).listen(${WEB},"0.0.0.0",()=>process.exit())`,
      );
    expect(taking().trim()).toBe("EADDRINUSE");
    await gone("a");
    expect(taking().trim()).toBe("");
    expect(ask(neighbour(), host().vtep)).toBe("ECONNREFUSED");
  });

  test("is had at once from a program that just ended, whose connections are remembered", async () => {
    const old = await serve(host().netns, ["serve", "old", "8083"]);
    expect(ask(neighbour(), host().vtep, 8083)).toMatch(/^old /);
    await local.end(old);
    // The one who ended the connection first is the one who remembers it.
    const ended = inside(host().netns, process.execPath, ECHO, "end", "8084");
    expect(ended.trim()).toBe("ended");
    expect(inside(host().netns, "ss", "-Htan", "state", "time-wait")).toContain(":8084");
    const a = await joined("a", "bridge", [port({ hostPort: 8084 }), port({ hostPort: 8083 })]);
    expect(a.ports.length).toBe(2);
    expect(ask(neighbour(), host().vtep, 8084)).toMatch(/^a /);
    expect(ask(host().netns, "127.0.0.1", 8084)).toMatch(/^a /);
  });

  test("a UDP client that goes on asking hears the new container when the port moves", async () => {
    await joined("a", "bridge", [port({ protocol: "udp" })]);
    const from = (name: string) =>
      inside(
        neighbour(),
        process.execPath,
        "-e",
        `const s=require("node:dgram").createSocket("udp4");s.bind(5353,()=>s.send("?",${WEB},"${host().vtep}"));s.on("message",(m)=>{console.log(String(m));process.exit()});setTimeout(()=>{console.log("timeout ${name}");process.exit()},1500)`,
      ).trim();
    expect(from("a")).toMatch(/^a /);
    await joined("b");
    await gone("a");
    await gone("b");
    await joined("b");
    await joined("c", "bridge", [port({ protocol: "udp" })]);
    expect(from("c")).toMatch(/^c /);
  });
});

describe("other networks", () => {
  test("docker_gwbridge leads out, and its containers do not talk to each other", async () => {
    const a = await joined("a", "docker_gwbridge");
    const b = await joined("b", "docker_gwbridge", [port()]);
    const outside = await serve(neighbour(), ["serve", "neighbour", "80"]);
    expect(ask(a.netns, local.lab.host(2).vtep, 80)).toBe(`neighbour ${host().vtep}`);
    await local.end(outside);
    expect(ask(a.netns, b.ip, 80)).not.toMatch(/^b /);
    expect(ask(neighbour(), host().vtep)).toMatch(/^b /);
  });

  test("bridges are apart from each other, and an internal one from everything", async () => {
    for (const each of [spec("front"), spec("back", { internal: true })]) {
      expect((await host().ask({ call: "create", spec: each })).error).toBeUndefined();
    }
    const a = await joined("a", "front", [port()]);
    const b = await joined("b", "back");
    const c = await joined("c", "back");
    const d = await joined("d");
    expect(ask(d.netns, a.ip, 80)).toBe("timeout");
    expect(ask(a.netns, d.ip, 80)).toBe("timeout");
    expect(ask(d.netns, host().vtep)).toMatch(/^a /);
    expect(ask(b.netns, c.ip, 80)).toBe(`c ${b.ip}`);
    expect(ask(a.netns, b.ip, 80)).toBe("timeout");
    expect(ask(b.netns, local.lab.host(2).vtep, 80)).toMatch(/ENETUNREACH|timeout/);
    for (const name of ["a", "b", "c", "d"] as const) await gone(name);
    expect((await host().ask({ call: "remove", ref: "front" })).error).toBeUndefined();
    expect((await host().ask({ call: "remove", ref: "back" })).error).toBeUndefined();
    expect(links()).not.toMatch(/br-/);
  });
});

describe("whoever meddles, and whoever dies", () => {
  test("the rules come back after a flush, and others' tables are never touched", async () => {
    nft("add", "table", "ip", "others");
    nft("add", "chain", "ip", "others", "c", "{ type filter hook input priority 0; }");
    nft("add", "rule", "ip", "others", "c", "counter accept comment theirs");
    const theirs = () =>
      nft("list", "chain", "ip", "others", "c").replace(/packets.*bytes \d+/, "");
    const before = theirs();
    await joined("a", "bridge", [port()]);
    expect(theirs()).toBe(before);
    nft("flush", "ruleset");
    await until("the port answers again", () => /^a /.test(ask(neighbour(), host().vtep)));
    const [table = ""] = /table inet (skein_\w+)/.exec(nft("list", "tables"))?.slice(1) ?? [];
    nft("flush", "chain", "inet", table, "forward");
    await until("the chain is whole", () => nft("list", "ruleset").includes("nothing else into"));
    nft("flush", "map", "inet", table, "ports");
    await until("the map is whole", () => nft("list", "ruleset").includes(`${WEB}`));
    await gone("a");
    expect(nft("list", "ruleset")).toBe("");
  });

  test("a killed agent costs no connection, and the next one has all as it was", async () => {
    const a = await joined("a", "bridge", [port()]);
    const chat = local.spawn(neighbour(), ["chat", host().vtep, String(WEB)]);
    const heard = lines(chat);
    expect((await heard.next()).value).toBe(`a ${local.lab.host(2).vtep}`);
    await host().kill();
    chat.stdin?.write("one\n");
    expect((await heard.next()).value).toBe("one");
    const before = nft("list", "ruleset");
    host().start();
    const again = await joining("a", "bridge", [port()]);
    expect(again.value).toMatchObject({ endpoint: a.endpoint, ports: a.ports });
    await host().ask({ call: "restored" });
    chat.stdin?.write("two\n");
    expect((await heard.next()).value).toBe("two");
    expect(nft("list", "ruleset")).toBe(before);
    await local.end(chat);
  });

  test("what is not joined again after a restart is taken down", async () => {
    await joined("a", "bridge", [port()]);
    await host().kill();
    host().start();
    await host().ask({ call: "restored" });
    await until("nothing is left", () => !/skein0|v-/.test(links()));
    expect(nft("list", "ruleset")).toBe("");
  });

  test("killed at any moment, it converges", async () => {
    for (let delayMs = 0; delayMs <= 60; delayMs += 6) {
      host().tell({ call: "sandbox", id: ids.a });
      void joining("a", "bridge", [port()]).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await host().kill();
      host().start();
      await host().ask({ call: "restored" });
      await until("nothing is left", () => !/skein0|v-|sk-/.test(links()));
      expect(nft("list", "ruleset")).toBe("");
    }
    const a = await joined("a", "bridge", [port()]);
    expect(ask(neighbour(), host().vtep)).toMatch(/^a /);
    expect(a.endpoint.ipv4).toBe("172.17.0.2/16");
  });

  test("a subnet that the machine has a route to is not chosen", async () => {
    const table = ip("-n", host().netns.slice("/run/netns/".length), "route");
    expect(table).not.toContain("172.17");
    await host().kill();
    inside(host().netns, "ip", "link", "add", "docker0", "type", "bridge");
    inside(host().netns, "ip", "addr", "add", "172.17.0.1/16", "dev", "docker0");
    inside(host().netns, "ip", "link", "set", "docker0", "up");
    host().start();
    await host().ask({ call: "restored" });
    const a = await joined("a");
    expect(a.endpoint.ipv4).toMatch(/^172\.(?!17\.)/);
    expect(
      execFileSync("ip", ["-n", host().netns.slice(11), "addr"], { encoding: "utf8" }),
    ).toContain("docker0");
  });
});
