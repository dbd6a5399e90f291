// Encrypted networks on real daemons: three hosts, everything on their wire captured from before the first frame to
// after the last, through every state that WireGuard can be in. Nothing of what is said inside is ever to be seen.
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, run, until } from "./lab.js";

const CALLER = join(import.meta.dirname, "caller.mjs");
const HOSTS = ["h1", "h2", "h3"];
// ping(8) repeats it through each packet; the server of caller.mjs says it to who connects.
const PATTERN = "5ec4e7c1ea47e8";
const ECHO = Buffer.from(PATTERN.repeat(2), "hex");
// docs/peers.md: VNI 16777214, as VXLAN's second word has it (RFC 7348 section 5).
const PROBES = "0xfffffe00";
const SECRET = "this-is-not-to-be-seen";
// A kernel with its own WireGuard has no process to kill.
const hasProcess = !existsSync("/sys/module/wireguard");

let lab: Lab;
let folder: string;
let capture: ReturnType<typeof spawn> | undefined;
const addresses = new Map<string, string>();
const boxes = new Map<string, string>();

const pcap = () => join(folder, "wire.pcap");
const frames = (filter: string, file = pcap()) =>
  execFileSync("tcpdump", ["-nn", "-r", file, ...filter.split(" ")], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 64 << 20,
  })
    .split("\n")
    .filter(Boolean);

/** That nothing has been seen so far, and that the capture sees what there is. */
function nothingInClear() {
  const bytes = readFileSync(pcap());
  expect(bytes.includes(ECHO), "a ping inside was seen on the wire").toBe(false);
  expect(bytes.includes(SECRET), "what a server said was seen on the wire").toBe(false);
  // But for what the agents ask each other to know that the path is there, on a VNI of their own.
  expect(frames(`udp port 4789 and udp[12:4] != ${PROBES}`)).toEqual([]);
}
/** By the namespace itself: it is there without an agent too. */
const pings = async (from: string, to: string, more: readonly string[] = []) => {
  const into = `--net=${lab.folder(from)}/run/netns/sb-${boxes.get(from)?.slice(0, 12)}`;
  const how = ["ping", "-c", "1", "-W", "1", "-p", PATTERN, ...more];
  return (await run("nsenter", [into, ...how, addresses.get(to) ?? ""])).code === 0;
};
const reaches = (from: string, to: string, ms = 30_000) =>
  until(`${from} reaches ${to}`, () => pings(from, to), ms);
const wireguardPid = (host: string): number | undefined => {
  const file = `${lab.folder(host)}/run/wireguard-go.pid`;
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).pid : undefined;
};
const killWireguard = (host: string) => process.kill(wireguardPid(host) ?? 0, "SIGKILL");
const findings = async (host: string) =>
  lab.on(host, "skein", "doctor").then(({ stdout }) => stdout);

beforeAll(async () => {
  lab = await Lab.up("encrypted", 3);
  folder = mkdtempSync(join(tmpdir(), "skein-wire-"));
  const wire = ["netns", "exec", `skein-${lab.name}`, "tcpdump", "-i", "any", "-U", "-w", pcap()];
  capture = spawn("ip", wire, { stdio: "ignore" });
  await until("the capture has begun", () => existsSync(pcap()) && statSync(pcap()).size > 0);
  await lab.swarm("worker");
  await lab.docker("h1", ..."network create -d overlay --attachable -o encrypted sec".split(" "));
  for (const host of HOSTS) {
    boxes.set(
      host,
      await lab.skein(host, ..."run -d --name box --network sec -- sleep 1d".split(" ")),
    );
    const shown = await lab.skein(host, ..."exec box ip -4 -o addr show eth0".split(" "));
    addresses.set(host, / inet ([\d.]+)\//.exec(shown)?.[1] ?? "");
  }
}, 180_000);

afterAll(async () => {
  capture?.kill("SIGKILL");
  await lab?.down();
  if (folder) rmSync(folder, { recursive: true });
});

describe("what is said on an encrypted network is not seen", () => {
  test("from the first frame on: echoes of every size, and TCP", async () => {
    for (const to of ["h2", "h3"]) await reaches("h1", to);
    const mtu = Number(
      /mtu (\d+)/.exec(await lab.skein("h1", ..."exec box ip link show eth0".split(" ")))?.[1],
    );
    expect(mtu).toBe(1370);
    await until("the largest packet gets through whole", () =>
      pings("h1", "h2", ["-M", "do", "-s", String(mtu - 28)]),
    );
    await until("larger ones get through in pieces", () => pings("h1", "h2", ["-s", "8000"]));
    const server = [process.execPath, CALLER, "serve", "80"];
    await lab.skein(
      "h2",
      ..."run -d --name web --network sec --env".split(" "),
      `NAME=${SECRET}`,
      "--",
      ...server,
    );
    const shown = await until("the server has its address", () =>
      lab.skein("h2", ..."exec web ip -4 -o addr show eth0".split(" ")),
    );
    const web = / inet ([\d.]+)\//.exec(shown)?.[1] ?? "";
    const count = [process.execPath, CALLER, "count", web, "80", "20"];
    await until("the server answers", async () => {
      const said = await lab.on("h1", "skein", "exec", "box", ...count);
      return said.stdout.includes(`"${SECRET}":20`);
    });
    expect(frames("udp port 4788").length).toBeGreaterThan(20);
    nothingInClear();
  }, 90_000);

  test.skipIf(!hasProcess)(
    "when wireguard-go is killed; it is started again, and that is told",
    async () => {
      const before = wireguardPid("h1");
      killWireguard("h1");
      await pings("h1", "h2");
      await reaches("h1", "h2");
      expect(wireguardPid("h1")).not.toBe(before);
      await until(
        "it is told",
        async () => (await findings("h1")).includes("and was made again"),
        40_000,
      );
      nothingInClear();
    },
    90_000,
  );

  test("while the agent is dead, when frames go on; and when wireguard-go dies as well, when none do", async () => {
    await lab.must("kill", "h1", "agent");
    expect(await pings("h1", "h2"), "frames do not need the agent").toBe(true);
    if (hasProcess) {
      killWireguard("h1");
      await until("nothing passes", async () => !(await pings("h1", "h2")));
      expect(await pings("h1", "h3")).toBe(false);
    }
    nothingInClear();
    await lab.must("start", "h1");
    await reaches("h1", "h2");
    await reaches("h3", "h1");
    nothingInClear();
  }, 90_000);

  test("when the node's key is lost: there is a new one, and the others follow", async () => {
    const key = join(lab.folder("h1"), "state/identity/wireguard.key");
    const before = readFileSync(key, "utf8");
    expect(statSync(key).mode & 0o777).toBe(0o600);
    await lab.must("stop", "h1");
    rmSync(key);
    await lab.must("start", "h1");
    await until("there is a key", () => existsSync(key) && readFileSync(key, "utf8") !== before);
    await reaches("h1", "h2", 40_000);
    await reaches("h3", "h1", 40_000);
    const logs = HOSTS.map((host) => lab.log(host)).join();
    expect(logs).not.toContain(readFileSync(key, "utf8").trim());
    nothingInClear();
  }, 120_000);

  test("the private key is in no argument, environment or file of the run directory", async () => {
    const secret = readFileSync(
      join(lab.folder("h1"), "state/identity/wireguard.key"),
      "utf8",
    ).trim();
    const hex = Buffer.from(secret, "base64").toString("hex");
    const pid = wireguardPid("h1");
    const texts = [
      ...(pid === undefined
        ? []
        : ["cmdline", "environ"].map((name) => readFileSync(`/proc/${pid}/${name}`, "latin1"))),
      lab.log("h1"),
      await lab.docker("h1", "node", "inspect", "self"),
    ];
    for (const text of texts) for (const each of [secret, hex]) expect(text).not.toContain(each);
  });
});

// Last, because what they do is seen on the wire.
describe.skipIf(!hasProcess)("a node that cannot encrypt", () => {
  let bin: string;

  beforeAll(async () => {
    bin = mkdtempSync(join(tmpdir(), "skein-bin-"));
    const seen = new Set(["wireguard-go"]);
    for (const from of (process.env["PATH"] ?? "").split(":").filter((each) => existsSync(each))) {
      for (const name of readdirSync(from)) {
        if (seen.has(name)) continue;
        seen.add(name);
        symlinkSync(join(from, name), join(bin, name));
      }
    }
    await lab.must("kill", "h3", "agent");
    killWireguard("h3");
    const script = join(import.meta.dirname, "../../scripts/lab");
    const env = { SKEIN_LAB: lab.name, PATH: bin };
    const started = await run(script, ["start", "h3"], { env });
    expect(started.stderr + started.stdout).toBe("");
    expect(started.code).toBe(0);
  }, 60_000);
  afterAll(() => bin && rmSync(bin, { recursive: true }));

  const said = "there is no wireguard-go on its PATH";

  test("says so, is not sent anything, and sends nothing", async () => {
    const status = ["node", "inspect", "--format", "{{.Status.Message}}", "h3"];
    await until("it has said so", async () => (await lab.docker("h1", ...status)).includes(said));
    await until(
      "its peers have heard it",
      async () =>
        (await findings("h1")).includes(
          "Node h3 is on an encrypted network and has no WireGuard key",
        ),
      40_000,
    );
    await until(
      "it knows itself",
      async () => (await findings("h3")).includes("This node cannot encrypt"),
      40_000,
    );
    expect(await pings("h1", "h3")).toBe(false);
    expect(await pings("h3", "h1")).toBe(false);
    await reaches("h1", "h2");
    nothingInClear();
  }, 120_000);

  test("gets no task on such a network, and no endpoint", async () => {
    const on =
      "service create -d -q --name only --runtime process --network sec --constraint node.hostname==h3";
    await lab.skein("h1", ...on.split(" "), "--", "sleep", "1d");
    const why = ["service", "ps", "--no-trunc", "--format", "{{.Error}}", "only"];
    await until("the task says why it waits", async () =>
      (await lab.docker("h1", ...why)).includes("encrypted networks are not supported on 1 node"),
    );
    await lab.docker("h1", "service", "rm", "only");
    const attached = await lab.on("h3", "skein", "attach", "--network", "sec");
    expect(attached.code).not.toBe(0);
    expect(attached.stderr).toContain("network sec is encrypted, and node h3 cannot encrypt");
    expect(attached.stderr).toContain(said);
  }, 60_000);
});

const FORGED = "badc0de0badc0d";

interface Attack {
  readonly network: string;
  /** What the outer packets say that they come from. */
  readonly outer: string;
}

/** h1's and h2's end of a network, by name: address and MAC. */
async function endOf(host: string, box: string) {
  const shown = await lab.skein(
    host,
    ..."exec BOX ip -o addr show eth0".replace("BOX", box).split(" "),
  );
  const link = await lab.skein(
    host,
    ..."exec BOX ip link show eth0".replace("BOX", box).split(" "),
  );
  const ip = / inet ([\d.]+)\//.exec(shown)?.[1] ?? "";
  return { ip, mac: /link\/ether (\S+)/.exec(link)?.[1] ?? "" };
}

describe("a stranger on the wire", () => {
  let rogue: string;
  const ends = new Map<string, readonly [string, string]>([["sec", ["box", "box"]]]);

  beforeAll(async () => {
    nothingInClear();
    capture?.kill("SIGKILL");
    rogue = `skein-${lab.name}-rogue`;
    await lab.must("netns", "rogue");
    await lab.docker("h1", ..."network create -d overlay --attachable open".split(" "));
    for (const host of ["h1", "h2"])
      await lab.skein(host, ..."run -d --name bare --network open -- sleep 1d".split(" "));
    ends.set("open", ["bare", "bare"]);
  }, 60_000);

  /** Whether what it sends as h1's endpoint, by VXLAN in clear, is taken by h2. */
  async function isTaken({ network, outer }: Attack): Promise<boolean> {
    const [one = "", two = ""] = ends.get(network) ?? [];
    const [from, to] = await Promise.all([endOf("h1", one), endOf("h2", two)]);
    const option = '{{index .Options "com.docker.network.driver.overlay.vxlanid_list"}}';
    const vni = await lab.docker("h1", "network", "inspect", "--format", option, network);
    const wire = /link\/ether (\S+)/.exec(await lab.ok("h2", "ip", "link", "show", "eth0"))?.[1];
    const file = join(folder, `${network}-${outer}.pcap`);
    // In the network's namespace: what its VXLAN device takes at all.
    const inside = `--net=${lab.folder("h2")}/run/netns/net-${vni}`;
    const watch = spawn("nsenter", [inside, "tcpdump", "-i", "any", "-U", "-w", file, "icmp"], {
      stdio: "ignore",
    });
    try {
      await until("the inside is watched", () => existsSync(file) && statSync(file).size > 0);
      const script = `
        ip link del eth0 2>/dev/null || true
        ip link add eth0 type veth peer name rogue netns skein-${lab.name}
        ip -n skein-${lab.name} link set rogue master br0 up
        ip link set eth0 up
        ip addr add ${outer}/32 dev eth0
        ip route add 192.168.33.11 dev eth0 src ${outer}
        ip neigh add 192.168.33.11 lladdr ${wire} dev eth0
        ip link add vx0 address ${from.mac} type vxlan id ${vni} local ${outer} remote 192.168.33.11 dstport 4789
        ip addr add ${from.ip}/24 dev vx0
        ip link set vx0 up
        ip neigh add ${to.ip} lladdr ${to.mac} dev vx0
        until ip link show eth0 | grep -q "state UP"; do sleep 0.05; done
        ping -c 5 -i 0.2 -W 1 -p ${FORGED} ${to.ip} >/dev/null || true
        ip link del vx0`;
      const made = await run("nsenter", [`--net=/run/netns/${rogue}`, "sh", "-ec", script]);
      expect([made.code, made.stderr]).toEqual([0, ""]);
      // By then the watch has written what came before: what is rightly there comes after the forged.
      await until("what is rightly there is seen", async () => {
        const ping = `exec ${one} ping -c 1 -W 1 -p ${PATTERN} ${to.ip}`;
        await lab.on("h1", "skein", ...ping.split(" "));
        return readFileSync(file).includes(ECHO);
      });
      return readFileSync(file).includes(Buffer.from(FORGED.repeat(2), "hex"));
    } finally {
      watch.kill("SIGKILL");
    }
  }

  test("has its frames taken on a network in clear, if it sends from a node's address", async () => {
    expect(await isTaken({ network: "open", outer: "192.168.33.10" })).toBe(true);
  }, 60_000);

  test("finds nobody who takes them on an encrypted one, whatever address it sends from", async () => {
    for (const outer of ["192.168.33.10", "192.168.33.99"])
      expect(await isTaken({ network: "sec", outer })).toBe(false);
  }, 60_000);
});
