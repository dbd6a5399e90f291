// What a person gets who asks wrongly: a sentence, a non-zero exit, and nothing changed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Lab, until } from "./lab.js";

let lab: Lab;
let token = "";

beforeAll(async () => {
  lab = await Lab.up("refusals", 3);
});
afterAll(() => lab?.down());

async function refused(host: string, command: readonly string[], words: RegExp, withinMs = 5_000) {
  const started = performance.now();
  const result = await lab.on(host, "skein", ...command);
  expect(result.stderr).toMatch(words);
  expect(result.code).not.toBe(0);
  expect(performance.now() - started).toBeLessThan(withinMs);
}

describe("outside a swarm", () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      "node ls",
      ["node", "ls"],
      /This node is not a swarm manager\. Use "docker swarm init" or "docker swarm join"/,
    ],
    ["leave", ["swarm", "leave"], /This node is not part of a swarm/],
    [
      "network create",
      ["network", "create", "-d", "overlay", "n"],
      /This node is not a swarm manager/,
    ],
    [
      "an address that is none",
      ["swarm", "init", "--advertise-addr", "nonsense"],
      /nonsense|advertise address/,
    ],
    [
      "a token that is none",
      ["swarm", "join", "--token", "bogus", "192.168.33.10:2377"],
      /invalid join token/,
    ],
    [
      "a truncated token",
      ["swarm", "join", "--token", "SWMTKN-1-abc", "192.168.33.10:2377"],
      /invalid join token/,
    ],
  ];
  test.each(cases)("%s", async (_name, command, words) => {
    await refused("h2", command, words);
    expect(await lab.skein("h2", "info", "--format", "{{.Swarm.LocalNodeState}}")).toBe("inactive");
  });

  test("port 2377 taken is said by its number, and nothing is left of the attempt", async () => {
    const taken = lab.start(
      "h3",
      "node",
      "-e",
      'require("net").createServer().listen(2377, "0.0.0.0", () => console.log("taken"))',
    );
    await until("the port is taken", () => taken.output().includes("taken"));
    await refused("h3", ["swarm", "init", "--advertise-addr", "192.168.33.12"], /2377.*in use/);
    await taken.stop();
    expect(await lab.skein("h3", "info", "--format", "{{.Swarm.LocalNodeState}}")).toBe("inactive");
    await lab.skein("h3", "swarm", "init", "--advertise-addr", "192.168.33.12");
    token = await lab.token("h3", "worker");
    await lab.skein("h3", "swarm", "leave", "--force");
  });
});

describe("joining", () => {
  beforeAll(async () => {
    await lab.skein("h1", "swarm", "init", "--advertise-addr", "192.168.33.10");
  });

  test("nobody listens there: the address and the cause are named", () =>
    refused(
      "h2",
      ["swarm", "join", "--token", token, "192.168.33.12:2377"],
      /192\.168\.33\.12:2377.*(refused|connect)/s,
    ));

  test("no such machine: under five seconds", () =>
    refused(
      "h2",
      ["swarm", "join", "--token", token, "192.168.33.77:2377"],
      /192\.168\.33\.77:2377/,
      6_000,
    ));

  test("the token of another swarm: the digest does not match", () =>
    refused(
      "h2",
      ["swarm", "join", "--token", token, "192.168.33.10:2377"],
      /(CA|fingerprint|digest)/,
    ));

  test("the right swarm with a wrong secret", async () => {
    const right = await lab.token("h1", "worker");
    const wrong = right.replace(/[0-9a-z]{25}$/, "0123456789abcdefghijklmno");
    await refused(
      "h2",
      ["swarm", "join", "--token", wrong, "192.168.33.10:2377"],
      /[Ii]nvalid join token|valid join token/,
    );
  });

  test("a rotated token opens nothing, the new one does", async () => {
    const old = await lab.token("h1", "worker");
    await lab.skein("h1", "swarm", "join-token", "--rotate", "worker");
    await refused(
      "h2",
      ["swarm", "join", "--token", old, "192.168.33.10:2377"],
      /[Ii]nvalid join token|valid join token/,
    );
    const fresh = await lab.token("h1", "worker");
    expect(fresh).not.toBe(old);
    await lab.skein("h2", "swarm", "join", "--token", fresh, "192.168.33.10:2377");
    await refused(
      "h2",
      ["swarm", "join", "--token", fresh, "192.168.33.10:2377"],
      /already part of a swarm/,
    );
  });

  test("init twice", () => refused("h1", ["swarm", "init"], /already part of a swarm/));

  test("a worker's swarm commands are refused in Docker's words", () =>
    refused(
      "h2",
      ["node", "ls"],
      /This node is not a swarm manager\. Worker nodes can't be used to view or modify cluster state/,
    ));

  test("the last manager cannot be demoted, and the call says why", () =>
    refused("h1", ["node", "demote", "h1"], /last manager/));
});

describe("networks", () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["a name of bad characters", ["bad name!"], /name/],
    ["a name that is too long", ["n".repeat(300)], /name/],
    ["a subnet that is none", ["--subnet", "10.300.0.0/16", "n"], /10\.300\.0\.0\/16/],
    ["a subnet that is too small", ["--subnet", "10.99.0.0/31", "n"], /10\.99\.0\.0\/31/],
    [
      "a gateway outside",
      ["--subnet", "10.98.0.0/24", "--gateway", "10.97.0.1", "n"],
      /10\.97\.0\.1/,
    ],
    [
      "an overlapping subnet, naming the other",
      ["--subnet", "10.0.1.128/25", "n"],
      /10\.0\.1\.128\/25.*overlaps?.*base/s,
    ],
    ["a name that is taken", ["base"], /network with name base already exists/],
    ["an MTU that is none", ["--opt", "com.docker.network.driver.mtu=many", "n"], /many/],
    [
      "a VNI that is taken",
      ["--opt", "com.docker.network.driver.overlay.vxlanid_list=4097", "n"],
      /4097/,
    ],
  ];
  beforeAll(async () => {
    await lab.skein("h1", "network", "create", "-d", "overlay", "--attachable", "base");
    await lab.skein("h1", "network", "create", "-d", "overlay", "closed");
  });
  test.each(cases)("%s", async (_name, args, words) => {
    const before = await lab.skein("h1", "network", "ls", "--no-trunc");
    await refused("h1", ["network", "create", "-d", "overlay", ...args], words);
    expect(await lab.skein("h1", "network", "ls", "--no-trunc")).toBe(before);
  });

  test("attaching to what is missing or not attachable", async () => {
    await refused("h2", ["attach", "--network", "missing"], /network missing not found|missing/);
    await refused(
      "h2",
      ["attach", "--network", "closed"],
      /network closed not manually attachable/,
    );
    await refused(
      "h2",
      ["run", "--rm", "--network", "closed", "--", "true"],
      /network closed not manually attachable/,
    );
  });

  test("an address that is taken, or outside", async () => {
    await lab.skein("h1", "attach", "--network", "base", "--ip", "10.0.1.50");
    await refused("h2", ["attach", "--network", "base", "--ip", "10.0.1.50"], /10\.0\.1\.50/);
    await refused("h2", ["attach", "--network", "base", "--ip", "10.0.2.50"], /10\.0\.2\.50/);
    await lab.skein("h1", "detach", "base");
  });

  test("a full network says so at once", async () => {
    await lab.skein(
      "h1",
      "network",
      "create",
      "-d",
      "overlay",
      "--attachable",
      "--subnet",
      "10.66.0.0/29",
      "tiny",
    );
    for (let i = 0; i < 5; i++)
      await lab.skein(
        "h2",
        "run",
        "-d",
        "--name",
        `t${i}`,
        "--network",
        "tiny",
        "--",
        "sleep",
        "infinity",
      );
    await refused(
      "h2",
      ["run", "-d", "--network", "tiny", "--", "sleep", "infinity"],
      /tiny|10\.66\.0\.0\/29/,
    );
    for (let i = 0; i < 5; i++) await lab.skein("h2", "rm", "-f", `t${i}`);
  });
});

test("garbage on 2377, 4789 and the local socket costs nothing", async () => {
  const garbage = `
    const net = require("net"), dgram = require("dgram"), crypto = require("crypto");
    const tcp = (options) => new Promise((done) => {
      const socket = net.connect(options, () => { socket.write(crypto.randomBytes(9000)); socket.end(); });
      socket.on("error", () => {}); socket.on("close", done); socket.resume();
    });
    (async () => {
      for (let i = 0; i < 20; i++) { await tcp({ host: "192.168.33.10", port: 2377 }); await tcp({ path: process.argv[1] }); }
      const udp = dgram.createSocket("udp4");
      for (let i = 0; i < 100; i++) await new Promise((done) => udp.send(crypto.randomBytes(i * 10), 4789, "192.168.33.10", done));
      udp.close();
    })();`;
  await lab.ok("h1", "node", "-e", garbage, lab.socket("h1"));
  expect(await lab.skein("h1", "node", "ls", "-q")).not.toBe("");
});
