// The routing mesh on three hosts and a client beside them: published ports on every node, the client's own
// address, and what happens when things go.
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab, run, until, WATCHED_BRIEFLY } from "./lab.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const ECHO = join(here, "echo.mjs");
const CLIENT = "192.168.33.100";
const CLIENT6 = "fd00:33::100";
const HOSTS = ["h1", "h2", "h3"] as const;
type HostName = (typeof HOSTS)[number];
const address = (host: HostName) => `192.168.33.1${Number(host[1]) - 1}`;
const address6 = (host: HostName) => `fd00:33::1${Number(host[1]) - 1}`;
// The whole of it takes two minutes of both cores.
const CONNECTIONS = Number(process.env["SKEIN_MESH_CONNECTIONS"] ?? 2_000);

// Two seconds, and as long as an attempt takes that began before them and was in vain.
const MOVED_MS = 2_000 + 1_500;

let lab: Lab;
const servers = new Map<string, ReturnType<Lab["start"]>>();

beforeAll(async () => {
  lab = await Lab.up("mesh", 3);
  await lab.must("images", "alpine");
  await lab.must("netns", "client");
  const [client, wire] = [lab.netns("client"), `skein-${lab.name}`];
  await ip("-n", client, "link", "set", "lo", "up");
  await ip(
    "-n",
    client,
    "link",
    "add",
    "eth0",
    "type",
    "veth",
    "peer",
    "name",
    "client",
    "netns",
    wire,
  );
  await ip("-n", client, "addr", "add", `${CLIENT}/24`, "dev", "eth0");
  await ip("-n", client, "addr", "add", `${CLIENT6}/64`, "dev", "eth0", "nodad");
  await ip("-n", client, "link", "set", "eth0", "up");
  await ip("-n", wire, "link", "set", "client", "master", "br0", "up");
  for (const host of HOSTS) {
    await ip("-n", lab.netns(host), "addr", "add", `${address6(host)}/64`, "dev", "eth0", "nodad");
  }
  await lab.swarm();
}, 120_000);
afterAll(() => lab.down());

async function ip(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run("ip", args);
  if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

type Protocol = "tcp" | "udp";

/** Who answers, and whom it sees: "h2 192.168.33.100"; or why not. */
async function ask(from: string, to: string, port: number, protocol: Protocol = "tcp") {
  const args = ["node", ECHO, "ask", protocol, to, String(port)];
  const answer =
    from === "client"
      ? await run("nsenter", [`--net=/run/netns/${lab.netns("client")}`, ...args])
      : await lab.on(from, ...args);
  return answer.stdout;
}

const namespaces = (host: HostName) => {
  const folder = `${lab.folder(host)}/run/netns`;
  return existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
};
const sandboxes = (host: HostName) =>
  namespaces(host).filter((file) => basename(file).startsWith("sb-"));

/** Its tasks sleep; a server in each one's sandbox says the host's name and who asks. */
async function service(name: string, port: number, ...args: readonly string[]): Promise<void> {
  const before = new Set(HOSTS.flatMap(sandboxes));
  await lab.docker(
    ...["h1", "service", "create", "-q", "--name", name, "--stop-grace-period", "1s", ...args],
    ...[...WATCHED_BRIEFLY, "alpine", "sleep", "1d"],
  );
  await serve(before, port);
}

async function serve(before: ReadonlySet<string>, port: number): Promise<void> {
  for (const host of HOSTS) {
    for (const file of sandboxes(host).filter((each) => !before.has(each))) {
      const server = lab.start(
        host,
        "nsenter",
        `--net=${file}`,
        "node",
        ECHO,
        "serve",
        host,
        String(port),
      );
      servers.set(file, server);
      await until("the server listens", () => server.output().includes("ready"));
    }
  }
}

async function remove(name: string): Promise<void> {
  await lab.docker("h1", "service", "rm", name);
  for (const server of servers.values()) await server.stop("SIGKILL");
  servers.clear();
  await until("its sandboxes are gone", () => HOSTS.flatMap(sandboxes).length === 0);
}

const onH2 = ["--constraint", "node.hostname==h2"];

test("every node answers, and the server sees the client's own address", async () => {
  await service("web", 80, ...onH2, "-p", "8080:80", "-p", "8053:80/udp");
  for (const host of HOSTS) {
    for (const protocol of ["tcp", "udp"] as const) {
      const port = protocol === "tcp" ? 8080 : 8053;
      expect(await ask("client", address(host), port, protocol)).toBe(`h2 ${CLIENT}`);
      expect(await ask("client", address6(host), port, protocol)).toBe(`h2 ${CLIENT6}`);
    }
  }
}, 60_000);

test("a node itself is answered by its address and by loopback, in both families", async () => {
  for (const host of HOSTS) {
    const own = `h2 ${address(host)}`;
    expect(await ask(host, "127.0.0.1", 8080)).toBe(own);
    expect(await ask(host, address(host), 8080)).toBe(own);
    expect(await ask(host, "127.0.0.1", 8053, "udp")).toBe(own);
    // What comes from ::1 has the node's own source in the mesh, made of its VTEP.
    expect(await ask(host, "::1", 8080)).toMatch(/^h2 fd73:6b65:696e:1::/);
    expect(await ask(host, address6(host), 8080)).toBe(`h2 ${address6(host)}`);
  }
  for (const host of HOSTS)
    expect(await ask("h1", address(host), 8080)).toBe(`h2 ${address("h1")}`);
}, 60_000);

test("a container is answered by every node, from its node's address", async () => {
  const [file = ""] = sandboxes("h2");
  await lab.docker("h3", "run", "-d", "--name", "asks", "alpine", "sleep", "1d");
  const [asks = ""] = sandboxes("h3");
  const from = (host: HostName, netns: string, to: string) =>
    lab.on(host, "nsenter", `--net=${netns}`, "node", ECHO, "ask", "tcp", to, "8080");
  for (const host of HOSTS) {
    expect((await from("h3", asks, address(host))).stdout).toMatch(/^h2 192\.168\.33\.1\d$/);
  }
  // The task itself, by its own node.
  expect((await from("h2", file, address("h2"))).stdout).toBe(`h2 ${address("h2")}`);
  await lab.docker("h3", "rm", "-f", "asks");
}, 60_000);

test("nobody comes into the mesh but by a published port, nor out of it", async () => {
  const inMesh = await lab.ok(
    "h2",
    "nsenter",
    `--net=${sandboxes("h2")[0]}`,
    "ip",
    "-4",
    "-o",
    "addr",
    "show",
    "dev",
    "eth0",
  );
  const backend = / (10\.0\.\d+\.\d+)\//.exec(inMesh)?.[1] ?? "";
  const netns = lab.netns("client");
  await ip("-n", netns, "route", "add", `${backend}/32`, "via", address("h1"));
  expect(await ask("client", backend, 80)).toBe("timeout");
  await ip("-n", netns, "route", "del", `${backend}/32`);
  // A task cannot reach the machine by the mesh's device.
  const listener = lab.start("h1", "node", ECHO, "serve", "machine", "9999");
  await until("it listens", () => listener.output().includes("ready"));
  const [file = ""] = sandboxes("h2");
  await run("nsenter", [
    `--net=${file}`,
    "ip",
    "route",
    "add",
    `${address("h1")}/32`,
    "dev",
    "eth0",
  ]);
  const mac = "02:53:c0:a8:21:0a";
  await run("nsenter", [
    ...[`--net=${file}`, "ip", "neigh", "add", address("h1"), "lladdr", mac, "dev", "eth0"],
  ]);
  const tried = await lab.on(
    "h2",
    "nsenter",
    `--net=${file}`,
    "node",
    ECHO,
    "ask",
    "tcp",
    address("h1"),
    "9999",
  );
  expect(tried.stdout).toBe("timeout");
  await run("nsenter", [`--net=${file}`, "ip", "route", "del", `${address("h1")}/32`]);
  await listener.stop("SIGKILL");
}, 60_000);

test("the port moves, and the old one leads nowhere", async () => {
  const before = new Set(HOSTS.flatMap(sandboxes));
  await lab.docker(
    ...[
      "h1",
      "service",
      "update",
      "-q",
      "--publish-rm",
      "8080:80",
      "--publish-add",
      "8081:80",
      "web",
    ],
  );
  await serve(before, 80);
  await until(
    "the new port answers",
    async () => (await ask("client", address("h1"), 8081)) === `h2 ${CLIENT}`,
  );
  for (const host of HOSTS) expect(await ask("client", address(host), 8080)).toBe("ECONNREFUSED");
}, 60_000);

test("without a usable backend the client is refused at once", async () => {
  await lab.docker("h1", "service", "scale", "web=0");
  for (const host of HOSTS) {
    await until(
      "it is refused",
      async () => (await ask("client", address(host), 8081)) === "ECONNREFUSED",
    );
    expect(await ask("client", address(host), 8053, "udp")).toBe("ECONNREFUSED");
    expect(await ask(host, "127.0.0.1", 8081)).toBe("ECONNREFUSED");
  }
}, 60_000);

test("with the service all of it goes: devices, tables, networks, ports", async () => {
  await remove("web");
  for (const host of HOSTS) {
    await until("nothing of the mesh is left", async () => {
      const links = await lab.ok(host, "ip", "-o", "link");
      const tables = await lab.ok(host, "nft", "list", "tables");
      return !/skmesh|_mesh/.test(links + tables) && namespaces(host).length === 0;
    });
    const holder = lab.start(host, "node", ECHO, "hold", "8081");
    await until("the port is free", () => holder.output().includes("ready"));
    await holder.stop("SIGKILL");
  }
}, 60_000);

test("labels: local asks only this node's, snat hides the client", async () => {
  await service("near", 80, ...onH2, "-p", "8082:80", "--label", "skein.ingress=local");
  expect(await ask("client", address("h2"), 8082)).toBe(`h2 ${CLIENT}`);
  expect(await ask("client", address("h1"), 8082)).toBe("ECONNREFUSED");
  await remove("near");
  await service("hidden", 80, ...onH2, "-p", "8083:80", "--label", "skein.ingress=snat");
  expect(await ask("client", address("h1"), 8083)).toBe(`h2 ${address("h1")}`);
  expect(await ask("client", address6("h1"), 8083)).toMatch(/^h2 fd73:6b65:696e:1::/);
  await remove("hidden");
}, 60_000);

test("a port that the swarm chooses, and one of the task's own node beside it", async () => {
  await service("auto", 80, ...onH2, "-p", "80", "-p", "mode=host,published=8085,target=80");
  const format =
    '{{range .Endpoint.Ports}}{{if eq .PublishMode "ingress"}}{{.PublishedPort}}{{end}}{{end}}';
  const port = Number(await lab.docker("h1", "service", "inspect", "--format", format, "auto"));
  expect(port).toBeGreaterThanOrEqual(30_000);
  expect(port).toBeLessThanOrEqual(32_767);
  for (const host of HOSTS) expect(await ask("client", address(host), port)).toBe(`h2 ${CLIENT}`);
  expect(await ask("client", address("h2"), 8085)).toBe(`h2 ${CLIENT}`);
  expect(await ask("client", address("h1"), 8085)).toBe("ECONNREFUSED");
  await remove("auto");
}, 60_000);

test("a task that is on internal networks alone answers too", async () => {
  await lab.docker("h1", "network", "create", "-d", "overlay", "--internal", "inner");
  await service("inside", 80, ...onH2, "--network", "inner", "-p", "8086:80", "-p", "8087:80/udp");
  const route = await lab.ok("h2", "nsenter", `--net=${sandboxes("h2")[0]}`, "ip", "route");
  expect({ route, hasDefault: /default/.test(route) }).toMatchObject({ route });
  expect(await ask("client", address("h1"), 8086)).toBe(`h2 ${CLIENT}`);
  expect(await ask("client", address("h1"), 8087, "udp")).toBe(`h2 ${CLIENT}`);
  expect(await ask("client", address6("h1"), 8087, "udp")).toBe(`h2 ${CLIENT6}`);
  await remove("inside");
  await lab.docker("h1", "network", "rm", "inner");
}, 60_000);

test("a program keeps the port that it has, and what is published cannot be taken", async () => {
  const sshd = lab.start("h1", "node", ECHO, "serve", "machine", "8090");
  await until("it listens", () => sshd.output().includes("ready"));
  await service("late", 80, ...onH2, "-p", "8090:80");
  expect(await ask("client", address("h1"), 8090)).toBe(`machine ${CLIENT}`);
  expect(await ask("client", address("h3"), 8090)).toBe(`h2 ${CLIENT}`);
  expect(lab.log("h1")).toMatch(/a published port is taken by another program/);
  const doctor = await lab.on("h1", "skein", "doctor");
  expect(doctor).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/Port 8090\/tcp of service late/),
  });
  await sshd.stop("SIGKILL");
  await until(
    "the mesh has it",
    async () => (await ask("client", address("h1"), 8090)) === `h2 ${CLIENT}`,
    30_000,
  );
  const refused = await lab.on("h1", "docker", "run", "--rm", "-p", "8090:80", "alpine", "true");
  expect(refused.stderr).toMatch(/port is already allocated/);
  await remove("late");
}, 90_000);

test("connections from one address by all nodes: none is refused", async () => {
  await service("busy", 80, "--mode", "global", "-p", "8091:80");
  const hosts = HOSTS.map(address).join(",");
  const { stdout } = await run(
    "nsenter",
    [
      ...[
        `--net=/run/netns/${lab.netns("client")}`,
        "sh",
        "-c",
        'ulimit -n 65536; exec "$@"',
        "sh",
      ],
      ...["node", ECHO, "many", hosts, "8091", String(CONNECTIONS), "100"],
    ],
    { timeoutMs: 280_000 },
  );
  expect(JSON.parse(stdout)).toEqual({ ok: CONNECTIONS });
}, 300_000);

test("an agent that is killed and comes back is not noticed", async () => {
  const chat = (to: string) =>
    lab.start("h1", "sh", "-c", `sleep 1d | node ${ECHO} chat ${to} 8091`);
  const open = chat(address("h3"));
  await until("it is greeted", () => open.output().includes("\n"));
  for (const host of HOSTS) await lab.must("kill", host, "agent");
  for (const host of HOSTS) expect(await ask("client", address(host), 8091)).toMatch(/^h\d /);
  for (const host of HOSTS) await lab.must("start", host);
  let failed = 0;
  for (let n = 0; n < 30; n++) {
    const answer = await ask("client", address(HOSTS[n % 3] ?? "h1"), 8091);
    if (!answer.endsWith(CLIENT)) failed++;
  }
  expect(failed).toBe(0);
  await open.stop("SIGKILL");
}, 90_000);

test("a node that dies is asked no more within two seconds", async () => {
  await lab.must("cut", "h3");
  const cutMs = performance.now();
  // Ten in a row by another node: with a dead one among three backends, chance would not do that.
  let sinceMs = 0;
  for (let inARow = 0; inARow < 10; ) {
    const startMs = performance.now() - cutMs;
    const isAnswered = (await ask("client", address("h1"), 8091)).startsWith("h");
    if (!isAnswered) inARow = 0;
    else if (inARow++ === 0) sinceMs = startMs;
  }
  expect(sinceMs).toBeLessThan(MOVED_MS);
  await lab.must("heal");
  await until("it is asked again", async () =>
    (await ask("client", address("h1"), 8091)).startsWith("h3"),
  );
  await remove("busy");
}, 90_000);
