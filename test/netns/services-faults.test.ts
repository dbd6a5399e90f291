// Services while things fail: containerd, managers and agents killed, nodes cut off, images that are not there,
// commands that do not end or end at once, memory that runs out; and nothing grows or stays.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ownRegistry } from "../images/registry.js";
import { Lab, until } from "./lab.js";
import { callApi } from "./local-api.js";
import { processesOf } from "./truth.js";

let lab: Lab;
const HOSTS = ["h1", "h2", "h3"];

beforeAll(async () => {
  lab = await Lab.up("svcfaults", 3);
  await lab.must("images", "alpine");
  await lab.swarm("manager");
  await lab.docker("h1", "network", "create", "-d", "overlay", "overnet");
}, 120_000);
afterAll(() => lab?.down());

/** The first process of a container hears no SIGTERM, unless it asks for it. */
const SLEEP = ["--stop-grace-period", "1s", "alpine", "sleep", "1d"];
const ON_H2 = ["--constraint", "node.hostname==h2"];
const create = (...args: readonly string[]) =>
  lab.docker("h1", "service", "create", "-d", "-q", "--restart-delay", "0s", ...args);

const FORMAT = "{{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}";
async function rows(service: string, ...more: readonly string[]): Promise<readonly string[]> {
  const args = ["service", "ps", "--no-trunc", "--format", FORMAT, ...more, service];
  return (await lab.docker("h1", ...args)).split("\n").filter(Boolean);
}
const running = async (service: string) =>
  (await rows(service, "--filter", "desired-state=running")).filter((row) =>
    / Running Running /.test(row),
  );
const containers = async (host: string, ...more: readonly string[]) =>
  (await lab.docker(host, "ps", "-q", "--no-trunc", ...more)).split("\n").filter(Boolean);
const everywhere = async (...more: readonly string[]) =>
  (await Promise.all(HOSTS.map((host) => containers(host, ...more)))).flat();
const run = (service: string, count: number, ms = 60_000) =>
  until(`${count} of ${service} run`, async () => (await running(service)).length === count, ms);

afterEach(async () => {
  const left = async (kind: string) =>
    (await lab.docker("h1", kind, "ls", "-q")).split("\n").filter(Boolean);
  for (const kind of ["service", "secret"]) {
    const ids = await left(kind);
    if (ids.length > 0) await lab.docker("h1", kind, "rm", ...ids);
  }
  await until("nothing is left", async () => (await everywhere("-a")).length === 0, 60_000);
}, 90_000);

/** What a swarm without services has: to be the same after them. */
function traces(): Record<string, number> {
  const files = (path: string) => {
    try {
      return readdirSync(path).length;
    } catch {
      return 0;
    }
  };
  // A group of the host itself comes with its first container and stays, with the kernel's files in it.
  const folders = (path: string) => {
    try {
      return readdirSync(path, { withFileTypes: true }).filter((each) => each.isDirectory()).length;
    } catch {
      return 0;
    }
  };
  const found: Record<string, number> = {};
  for (const host of HOSTS) {
    found[`${host} namespaces`] = files(`${lab.folder(host)}/run/netns`);
    found[`${host} run folders`] = files(`${lab.folder(host)}/run/containers`);
    found[`${host} state folders`] = files(`${lab.folder(host)}/state/containers`);
  }
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  found["mounts"] = mounts.filter((line) => line.includes(`/skein-lab/${lab.name}/`)).length;
  const groups = readdirSync("/sys/fs/cgroup", { withFileTypes: true });
  for (const { name } of groups.filter((each) => each.isDirectory())) {
    const named = folders(`/sys/fs/cgroup/${name}/skein-${lab.name}-h2`);
    if (named > 0) found[`groups of ${name}`] = named;
  }
  return found;
}

async function inContainerd(): Promise<Record<string, number>> {
  const socket = `/run/skein-lab/${lab.name}/containerd/c.sock`;
  const found: Record<string, number> = {};
  for (const host of HOSTS) {
    for (const [what, ...args] of [
      ["containers", "containers", "ls", "-q"],
      ["tasks", "tasks", "ls", "-q"],
      ["leases", "leases", "ls", "-q"],
      ["snapshots", "snapshots", "ls"],
    ] as const) {
      const ctr = ["ctr", "-a", socket, "-n", `skein-${lab.name}-${host}`, ...args];
      found[`${host} ${what}`] = (await lab.ok("h1", ...ctr)).split("\n").filter(Boolean).length;
    }
  }
  return found;
}

test("containerd is killed: what runs runs on, ends are told as they were, and what ended is replaced", async () => {
  const command = 'trap "exit 7" TERM; while :; do sleep 0.1; done';
  await create("--name", "web", "--replicas", "3", "alpine", "sh", "-c", command);
  await run("web", 3);
  const before = await everywhere();
  await lab.must("containerd", "kill");
  expect((await everywhere()).sort()).toEqual([...before].sort());
  const [first = ""] = await containers("h2");
  const stopping = lab.on("h2", "docker", "stop", first);
  const refused = await lab.on("h2", "docker", "run", "--rm", "alpine", "true");
  expect(refused.stderr).toMatch(/containerd/);
  await lab.must("containerd", "start");
  expect((await stopping).code).toBe(0);
  const state = await lab.docker("h2", "inspect", "--format", "{{.State.ExitCode}}", first);
  expect(state).toBe("7");
  await run("web", 3);
  expect((await rows("web")).join("\n")).toMatch(/ Failed .*task: non-zero exit \(7\)/);
  expect((await everywhere()).length).toBe(3);
}, 120_000);

test("containerd is killed while tasks are prepared, and all of them run once", async () => {
  await create("--name", "web", "--network", "overnet", ...SLEEP);
  for (const [replicas, pauseMs] of [
    [6, 300],
    [2, 100],
    [8, 900],
  ] as const) {
    await lab.docker("h1", "service", "scale", "-d", `web=${replicas}`);
    await new Promise((wake) => setTimeout(wake, pauseMs));
    await lab.must("containerd", "kill");
    await lab.must("containerd", "start");
    await run("web", replicas);
    await until("no more", async () => (await everywhere()).length === replicas, 60_000);
  }
}, 180_000);

test("without containerd tasks wait and say why, processes do not; and then all run", async () => {
  await lab.must("containerd", "stop");
  const plugins = "{{range .Description.Engine.Plugins}}{{.Type}}/{{.Name}} {{end}}";
  await until(
    "the nodes say that they have none",
    async () => {
      const said = await lab.docker("h1", "node", "inspect", "--format", plugins, ...HOSTS);
      return !said.includes("Runtime/containerd") && said.includes("Runtime/process");
    },
    40_000,
  );
  await create("--name", "web", "--replicas", "2", ...SLEEP);
  await until("they wait", async () =>
    (await rows("web")).every((row) =>
      / Pending .*no suitable node \(no containerd on 3 nodes\)/.test(row),
    ),
  );
  await lab.skein(
    ...(["h1", "service", "create", "-d", "-q", "--runtime", "process"] as const),
    ...["--name", "own", "sleep", "86397"],
  );
  await run("own", 1);
  await lab.must("containerd", "start");
  await run("web", 2);
}, 120_000);

test("the leader is killed during a scale, and each task is there once", async () => {
  await create("--name", "web", "--replicas", "0", ...SLEEP);
  await lab.docker("h1", "service", "scale", "-d", "web=20");
  const nodes = "{{.Hostname}} {{.ManagerStatus}}";
  const all = await lab.docker("h1", "node", "ls", "--format", nodes);
  const leader = /^(\S+) Leader$/m.exec(all)?.[1] ?? "h1";
  await lab.must("kill", leader, "manager");
  await run("web", 20);
  const slots = (await running("web")).map((row) => row.split(" ")[0]);
  expect(new Set(slots).size).toBe(20);
  await until("no more", async () => (await everywhere()).length === 20);
}, 120_000);

test("agents are killed while services change, and nothing of it stays", async () => {
  // What the test before had goes a moment after its containers.
  await until("nothing is left of a network", async () => {
    const { "h2 namespaces": h2, "h3 namespaces": h3 } = traces();
    return h2 === 0 && h3 === 0;
  });
  const before = { ...traces(), ...(await inContainerd()) };
  const seed = Number(process.env["SKEIN_CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % n;
  };
  try {
    await create("--name", "web", "--network", "overnet", "--replicas", "4", ...SLEEP);
    for (let round = 0; round < 3; round++) {
      const replicas = below(8);
      const change =
        below(2) === 0
          ? ["scale", "-d", `web=${replicas}`]
          : [
              "update",
              "-d",
              "-q",
              "--env-add",
              `ROUND=${round}`,
              "--replicas",
              String(replicas),
              "web",
            ];
      await lab.docker("h1", "service", ...change);
      await new Promise((wake) => setTimeout(wake, below(1_500)));
      const host = HOSTS[1 + below(2)] ?? "h2";
      await lab.must("kill", host, "agent");
      await lab.must("start", host);
      await run("web", replicas, 90_000);
    }
    await lab.docker("h1", "service", "rm", "web");
    await until(
      "all is as it was",
      async () => {
        expect({ ...traces(), ...(await inContainerd()) }).toEqual(before);
        return true;
      },
      60_000,
    );
  } catch (error) {
    console.log(`SKEIN_CHAOS_SEED=${seed}`);
    throw error;
  }
}, 240_000);

test("forty tasks stop, and another's replacement does not wait for them", async () => {
  await create("--name", "other", "--network", "overnet", ...ON_H2, ...SLEEP);
  await create("--name", "big", "--replicas", "40", "--network", "overnet", ...ON_H2, ...SLEEP);
  await run("other", 1);
  await run("big", 40, 120_000);
  const [old = ""] = await containers("h2", "--filter", "name=other.1");
  await lab.docker("h1", "service", "rm", "big");
  await new Promise((wake) => setTimeout(wake, 1_000));
  await lab.docker("h2", "kill", old);
  const began = performance.now();
  await until("another runs", async () => {
    const [now] = await containers("h2", "--filter", "name=other.1");
    return now !== undefined && now !== old;
  });
  console.log(`replaced after ${Math.round(performance.now() - began)} ms`);
  // Choice: what stops takes two processors' time from what starts; a machine under test has others to serve too.
  expect(performance.now() - began).toBeLessThan(15_000);
  expect(lab.log("h2")).not.toMatch(/Another program undoes|does not stay as it is made/);
}, 240_000);

test("who does not hear SIGTERM has its grace, and holds nobody up", async () => {
  const deaf = 'trap "" TERM; while :; do sleep 0.1; done';
  await create("--name", "deaf", "--stop-grace-period", "8s", ...ON_H2, "alpine", "sh", "-c", deaf);
  await create("--name", "quick", "--replicas", "3", ...ON_H2, ...SLEEP);
  await run("deaf", 1);
  await run("quick", 3);
  const began = performance.now();
  await lab.docker("h1", "service", "rm", "deaf", "quick");
  const named = async (name: string) => (await containers("h2", "--filter", `name=${name}`)).length;
  await until("the others are gone", async () => (await named("quick")) === 0, 7_500);
  expect(await named("deaf")).toBe(1);
  await until("it is gone", async () => (await named("deaf")) === 0);
  expect(performance.now() - began).toBeGreaterThan(7_500);
}, 60_000);

test("a network that tasks are just leaving is removed at once, and they keep it until they have ended", async () => {
  await lab.docker("h1", "network", "create", "-d", "overlay", "side");
  const deaf = 'trap "" TERM; while :; do sleep 0.1; done';
  const slow = ["--network", "side", "--stop-grace-period", "6s", ...ON_H2];
  await create("--name", "deaf", ...slow, "alpine", "sh", "-c", deaf);
  await run("deaf", 1);
  const [id = ""] = await containers("h2");
  const busy = await lab.on("h1", "docker", "network", "rm", "side");
  expect(busy.stderr).toMatch(/is in use by service/);
  await lab.docker("h1", "service", "rm", "deaf");
  const began = performance.now();
  expect(await lab.docker("h1", "network", "rm", "side")).toBe("side");
  expect(performance.now() - began).toBeLessThan(3_000);
  expect(await lab.docker("h1", "network", "ls", "-q", "--filter", "name=side")).toBe("");
  expect(await lab.docker("h2", "exec", id, "ip", "addr", "show", "eth0")).toMatch(/inet 10\.0\./);
  await lab.docker("h1", "network", "create", "-d", "overlay", "side");
  await until("it has ended", async () => (await containers("h2", "-a")).length === 0);
  expect(await lab.docker("h1", "network", "ls", "--format", "{{.Name}}")).toMatch(/^side$/m);
  expect(await lab.docker("h1", "network", "rm", "side")).toBe("side");
  await until("nothing is left of either", () => traces()["h2 namespaces"] === 0);
}, 60_000);

test("an image that is nowhere is said in Docker's words, and asked for now and then", async () => {
  await create("--name", "none", ...ON_H2, "nowhere.invalid/none:1", "true");
  await until("it is refused", async () =>
    (await rows("none")).some((row) =>
      /Rejected .*No such image: nowhere\.invalid\/none:1/.test(row),
    ),
  );
  const began = performance.now();
  const tasks = async () => {
    const { body } = await callApi(lab.socket("h1"), "GET", "/tasks");
    return (JSON.parse(body) as readonly unknown[]).length;
  };
  const first = await tasks();
  await create("--name", "crash", ...ON_H2, "alpine", "sh", "-c", "exit 3");
  await until("it has failed", async () => (await rows("crash")).some((row) => /\(3\)/.test(row)));
  await until("six seconds are over", () => performance.now() - began > 6_000);
  // At most one a second of each; the history keeps five of a slot.
  expect(await tasks()).toBeLessThanOrEqual(first + 14);
  expect((await rows("none")).length).toBeLessThanOrEqual(7);
}, 60_000);

test("memory runs out: the task is told as killed, and replaced", async () => {
  await create(
    ...["--name", "greedy", "--limit-memory", "24m", "--restart-max-attempts", "1", ...ON_H2],
    ...["alpine", "sh", "-c", "sleep 1; exec tail /dev/zero"],
  );
  await until("it is told", async () =>
    (await rows("greedy")).some((row) => / Failed .*task: non-zero exit \(137\)/.test(row)),
  );
  await until("another came", async () => (await rows("greedy")).length >= 2);
}, 60_000);

/** All files but what containers see themselves: their root, and what is mounted there (a tmpfs). */
function filesBelow(folder: string): readonly string[] {
  const mounted = new Set(
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[4] ?? ""),
  );
  return entriesOf(folder).flatMap((each) => {
    const path = join(folder, each.name);
    if (mounted.has(path)) return [];
    if (each.isDirectory()) return filesBelow(path);
    return each.isFile() ? [path] : [];
  });
}

/** None of a folder that has gone meanwhile. */
function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function filesOfProcesses(): readonly string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const others = pids.filter((pid) => Number(pid) !== process.pid);
  return others.flatMap((pid) => [`/proc/${pid}/environ`, `/proc/${pid}/cmdline`]);
}

function holdsAny(texts: readonly string[]): (path: string) => boolean {
  return (path) => {
    try {
      const bytes = readFileSync(path);
      return texts.some((text) => bytes.includes(text));
    } catch {
      // It has gone meanwhile.
      return false;
    }
  };
}

test("a secret is on no disk, in no log and in nobody's environment; rotated, the new one is there", async () => {
  const put = (name: string, text: string) =>
    lab.ok("h1", "sh", "-c", 'printf %s "$1" | docker secret create "$0" -', name, text);
  const texts = ["one", "two"].map((each) => `s3cret-${each}-zanzibar`);
  await put("pass1", texts[0] ?? "");
  await put("pass2", texts[1] ?? "");
  const seen = async () => {
    const [id = ""] = await containers("h2");
    return lab.docker("h2", "exec", id, "cat", "/run/secrets/pass").catch(() => "");
  };
  await create("--name", "sec", ...ON_H2, "--secret", "source=pass1,target=pass", ...SLEEP);
  await until("the first is there", async () => (await seen()) === texts[0]);
  const folders = [
    ...HOSTS.map((host) => lab.folder(host)),
    `/run/skein-lab/${lab.name}/containerd`,
  ];
  const anywhere = () =>
    [...folders.flatMap(filesBelow), ...filesOfProcesses()].filter(holdsAny(texts));
  expect(anywhere()).toEqual([]);
  const planted = `${lab.folder("h2")}/state/planted`;
  writeFileSync(planted, `so that the look is known to find it: ${texts[0]}`);
  expect(anywhere()).toEqual([planted]);
  rmSync(planted);
  const rotate = ["--secret-rm", "pass1", "--secret-add", "source=pass2,target=pass", "sec"];
  await lab.docker("h1", "service", "update", "-d", "-q", ...rotate);
  await until("the second is there", async () => (await seen()) === texts[1]);
  await lab.docker("h1", "service", "rm", "sec");
  await until("it is over", async () => (await containers("h2", "-a")).length === 0);
  expect(anywhere()).toEqual([]);
}, 90_000);

test("with-registry-auth gives the nodes what the person has, and nobody else", async () => {
  const registry = await ownRegistry({ name: "ann", password: "hunter2" });
  const image = `${registry.host}/private:1`;
  const path = `/run/skein-lab/${lab.name}/registry.sock`;
  const port = Number(registry.host.split(":")[1]);
  const door = createServer((from) => pipeBoth(from, connect(port, "127.0.0.1"))).listen(path);
  const forwards = HOSTS.map((host) => lab.start(host, ...forwardTo(path, port)));
  try {
    await lab.docker("h1", "tag", "alpine", image);
    const config = `${lab.folder("h1")}/docker-config`;
    const docker = (...args: readonly string[]) =>
      lab.ok("h1", "env", `DOCKER_CONFIG=${config}`, "docker", ...args);
    await until("the registry is reached", async () => {
      const said = await docker("login", "-u", "ann", "-p", "hunter2", registry.host);
      return said.includes("Login Succeeded");
    });
    await docker("push", "-q", image);
    const create = ["service", "create", "-d", "-q", "--restart-delay", "0s", "--mode", "global"];
    const sleep = ["--stop-grace-period", "1s", image, "sleep", "1d"];
    await docker(...create, "--name", "without", "--no-resolve-image", ...sleep);
    await until("those that lack it are refused", async () => {
      const said = await rows("without");
      return ["h2", "h3"].every((host) =>
        said.some((row) => row.includes(` ${host} `) && /Rejected .*No such image/.test(row)),
      );
    });
    await lab.docker("h1", "service", "rm", "without");
    await docker(...create, "--name", "with", "--with-registry-auth", ...sleep);
    await run("with", 3);
    const asked = await lab.docker("h1", "service", "inspect", "with");
    expect(asked).not.toContain("hunter2");
  } finally {
    await Promise.all(forwards.map((each) => each.stop("SIGKILL")));
    door.close();
    await registry.stop();
  }
}, 120_000);

function pipeBoth(one: Socket, other: Socket): void {
  for (const end of [one, other]) {
    end.on("error", () => {
      one.destroy();
      other.destroy();
    });
  }
  one.pipe(other).pipe(one);
}

/** Loopback is each host's own: what connects to the port there is let out by a unix socket. */
function forwardTo(path: string, port: number): readonly string[] {
  const text = `const net = require("node:net");
    const pipeBoth = ${pipeBoth};
    net.createServer((from) => pipeBoth(from, net.connect("${path}"))).listen(${port}, "127.0.0.1");`;
  return [process.execPath, "-e", text];
}

test("round after round nothing grows", async () => {
  const daemons = () =>
    HOSTS.flatMap((host) =>
      processesOf(lab, host).daemons.map((line) => {
        const pid = Number(line.split(" ")[1]);
        const files = readdirSync(`/proc/${pid}/fd`).length;
        const threads = readdirSync(`/proc/${pid}/task`).length;
        return { what: `${host} ${pid}`, files, threads };
      }),
    );
  const round = async () => {
    await create("--name", "web", "--replicas", "6", "--network", "overnet", ...SLEEP);
    await run("web", 6);
    await lab.docker("h1", "service", "rm", "web");
    await until("they are gone", async () => (await everywhere("-a")).length === 0, 60_000);
  };
  await round();
  const before = { ...traces(), ...(await inContainerd()) };
  const first = daemons();
  const rounds = Number(process.env["SKEIN_ROUNDS"] ?? 4);
  for (let i = 0; i < rounds; i++) await round();
  await until("all is as it was", async () => {
    expect({ ...traces(), ...(await inContainerd()) }).toEqual(before);
    return true;
  });
  await until("no daemon has more than before", () => {
    const now = daemons();
    for (const { what, files, threads } of first) {
      const same = now.find((each) => each.what === what);
      expect(same?.files, `files of ${what}`).toBeLessThanOrEqual(files + 6);
      expect(same?.threads, `threads of ${what}`).toBeLessThanOrEqual(threads + 2);
    }
    return true;
  });
}, 240_000);
