// Beside other packet filters: nothing of theirs is ever changed, ours comes back when they take it away, and who
// stands in our way is named, with what to do about it.
import { execFileSync, spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { inside } from "./kernel-lab.js";
import { ask, LocalLab, port, until, WEB } from "./local-lab.js";

const BACK_MS = 5_000;
let local: LocalLab;
const netns = () => local.host.netns;
const fromOutside = () => ask(local.neighbour, local.host.vtep);
const isReached = () => /^a /.test(fromOutside());

beforeEach(() => {
  local = new LocalLab("fw");
});
afterEach(() => local.down());

/** A program that reads standard input, in the host's namespace. */
function feed(input: string, ...command: string[]): void {
  execFileSync("nsenter", [`--net=${netns()}`, ...command], {
    input,
    stdio: ["pipe", "ignore", "pipe"],
  });
}

/** All rules of the machine but ours, without what counts by itself. */
function theirs(): string {
  const tables = local
    .nft("list", "tables")
    .split("\n")
    .filter((line) => line !== "" && !line.includes(" skein"));
  return tables
    .map((line) => local.nft("list", ...line.split(" ")))
    .join("")
    .replaceAll(/packets \d+ bytes \d+/g, "packets bytes");
}

/** What dockerd 28 makes of an empty machine (moby libnetwork/drivers/bridge), as iptables-save shows it. */
const DOCKER = `*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
COMMIT
`;

/** The forwarding part of what firewalld 2 makes, and of a ruleset of /etc/nftables.conf. */
const FIREWALLD = `table inet firewalld {
  chain mangle_PREROUTING { type filter hook prerouting priority -140; policy accept; }
  chain filter_FORWARD {
    type filter hook forward priority 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    reject with icmpx admin-prohibited
  }
}
`;

function dockerZero(): void {
  for (const args of [
    ["link", "add", "docker0", "up", "type", "bridge"],
    ["addr", "add", "172.17.0.1/16", "dev", "docker0"],
  ]) {
    inside(netns(), "ip", ...args);
  }
}

async function warned(): Promise<string> {
  const lines = await local.logged();
  const found = lines.filter(({ msg }) => String(msg).includes("packet filter drops"));
  return String(found.at(-1)?.["chains"] ?? "");
}

describe("ours comes back", () => {
  const reloads: readonly [string, () => void][] = [
    ["nft flush ruleset", () => local.nft("flush", "ruleset")],
    [
      "a whole ruleset is loaded in the place of what was there",
      () => feed(`flush ruleset\n${FIREWALLD}`, "nft", "-f", "-"),
    ],
    [
      "another program's tables are deleted and made again",
      () => {
        feed(FIREWALLD, "nft", "-f", "-");
        feed(`delete table inet firewalld\n${FIREWALLD}`, "nft", "-f", "-");
      },
    ],
    [
      "iptables is restored",
      () => {
        feed(DOCKER.replace("FORWARD DROP", "FORWARD ACCEPT"), "iptables-nft-restore");
        feed(DOCKER.replace("FORWARD DROP", "FORWARD ACCEPT"), "iptables-nft-restore");
      },
    ],
    [
      "our table is deleted, a hundred times in a row",
      () => {
        const [, table = ""] = /table (\w+ skein_\w+)/.exec(local.nft("list", "tables")) ?? [];
        for (let i = 0; i < 100; i++)
          feed(`add table ${table}\ndelete table ${table}\n`, "nft", "-f", "-");
      },
    ],
  ];
  test.each(reloads)("when %s, within five seconds", async (_name, reload) => {
    await local.start();
    const a = await local.joined("a", "bridge", [port()]);
    expect(isReached()).toBe(true);
    const before = local.nft("list", "ruleset");
    reload();
    const foreign = theirs();
    await until("the port answers again", isReached, BACK_MS);
    // All of it: what was made is what was there, beside what the other program has.
    await until(
      "the table is whole",
      () => strip(local.nft("list", "ruleset"), foreign) === before,
    );
    expect(theirs()).toBe(foreign);
    expect(ask(netns(), a.ip, 80)).toMatch(/^a /);
  });
});

/** `all` without the tables of others. */
function strip(all: string, foreign: string): string {
  return all
    .split(/(?=^table )/m)
    .filter((table) => !foreign.includes(table.split("{")[0] ?? ""))
    .join("");
}

describe("nothing of others' is changed", () => {
  test("by starting, publishing, a flush of ours, a kill, leaving and going", async () => {
    dockerZero();
    feed(DOCKER, "iptables-nft-restore");
    feed(FIREWALLD.replace("firewalld", "site"), "nft", "-f", "-");
    const before = theirs();
    await local.start();
    await local.joined("a", "bridge", [port()]);
    await local.joined("b", "docker_gwbridge", [port({ hostPort: WEB + 1 })]);
    await local.host.kill();
    await local.start();
    await local.joined("a", "bridge", [port()]);
    await local.allGone();
    await until("ours is gone", () => !local.nft("list", "tables").includes(" skein"));
    expect(theirs()).toBe(before);
  });
});

const hasLegacy = spawnSync("unshare", ["-n", "iptables-legacy", "-t", "nat", "-L"]).status === 0;

describe.each([
  ["iptables-nft", "ip filter FORWARD"],
  ["iptables-legacy", "ip filter FORWARD (iptables-legacy)"],
])("beside Docker's rules, written by %s", (iptables, chain) => {
  const isHere = iptables === "iptables-nft" || hasLegacy;
  // Reason to skip: a kernel without CONFIG_IP_NF_IPTABLES_LEGACY has no such tables.
  test.skipIf(!isHere)("who drops is named, and told to let ours through, all works", async () => {
    dockerZero();
    feed(DOCKER, `${iptables}-restore`);
    await local.start();
    const a = await local.joined("a", "bridge", [port()]);
    const b = await local.joined("b", "docker_gwbridge", [port({ hostPort: WEB + 1 })]);
    expect(a.endpoint.ipv4).toMatch(/^172\.18\./);
    expect(await warned()).toBe(chain);
    // From the machine itself nothing is forwarded.
    expect(ask(netns(), "127.0.0.1")).toMatch(/^a /);
    expect(fromOutside()).toBe("timeout");
    // docs/local-networks.md says this.
    for (const device of ["skein0", "skein_gwbridge"]) {
      inside(netns(), iptables, "-I", "DOCKER-USER", "-i", device, "-j", "ACCEPT");
      inside(netns(), iptables, "-I", "DOCKER-USER", "-o", device, "-j", "ACCEPT");
    }
    expect(fromOutside()).toMatch(/^a /);
    expect(ask(local.neighbour, local.host.vtep, WEB + 1)).toMatch(/^b /);
    expect(ask(a.netns, local.host.vtep, WEB + 1)).toMatch(/^b /);
    const outside = await local.serve(local.neighbour, ["serve", "neighbour", "80"]);
    for (const from of [a, b]) {
      const says = ask(from.netns, local.lab.host(2).vtep, 80);
      expect(says).toBe(`neighbour ${local.host.vtep}`);
    }
    await local.end(outside);
    // What Docker was told to let through is still only what we let through.
    inside(local.neighbour, "ip", "route", "add", "172.18.0.0/16", "via", local.host.vtep);
    expect(ask(local.neighbour, a.ip, 80)).toBe("timeout");
  });
});

describe("beside a filter whose last rule refuses", () => {
  test("it is named; ports lead inside, and with its leave containers reach out", async () => {
    feed(FIREWALLD, "nft", "-f", "-");
    await local.start();
    const a = await local.joined("a", "bridge", [port()]);
    expect(await warned()).toBe("inet firewalld filter_FORWARD");
    expect(fromOutside()).toMatch(/^a /);
    const outside = await local.serve(local.neighbour, ["serve", "neighbour", "80"]);
    const out = () => ask(a.netns, local.lab.host(2).vtep, 80);
    expect(out()).not.toMatch(/^neighbour/);
    local.nft(
      "insert",
      "rule",
      "inet",
      "firewalld",
      "filter_FORWARD",
      "iifname",
      "skein0",
      "accept",
    );
    expect(out()).toMatch(/^neighbour/);
    await local.end(outside);
  });

  test("nothing is warned of where nothing drops, nor what another family's filter does", async () => {
    local.nft("add", "table", "ip", "site");
    local.nft("add", "chain", "ip", "site", "f", "{ type filter hook forward priority 0; }");
    local.nft("add", "rule", "ip", "site", "f", "iifname", "nobody0", "counter", "drop");
    local.nft("add", "table", "ip6", "site");
    local.nft(
      "add",
      "chain",
      "ip6",
      "site",
      "f",
      "{ type filter hook forward priority 0; policy drop; }",
    );
    await local.start();
    await local.joined("a", "bridge", [port()]);
    expect(await warned()).toBe("");
    local.nft("add", "rule", "ip", "site", "f", "counter", "drop");
    await until("the new rule is named", async () => (await warned()) === "ip site f", 15_000);
  });
});
