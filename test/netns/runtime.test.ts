// The process runtime for real: processes, namespaces, terminals, and what is left when somebody dies.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { hostname as ownHostname, tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ContainerSpec, LogOptions } from "../../agent/seams.js";
import { FrameDecoder } from "../../agent/task/stdio-frame.js";
import { isRefusal, orThrow, type Refusal } from "../../common/fault.js";
import { openNode, specOf } from "./runtime-node.js";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));
const SHIM = join(dist, "agent/runtime/shim.js");
const AGENT = join(dist, "test/netns/runtime-agent.js");
const never = new AbortController().signal;

let folder = "";
let node: Awaited<ReturnType<typeof openNode>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skein-runtime-"));
  node = await openNode(folder, SHIM);
});

afterEach(async () => {
  for (const { id } of node.containers.list()) await node.containers.remove(id, true);
});

afterAll(async () => {
  await node.containers.close();
  await node.releases.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(command: readonly string[], more: Partial<ContainerSpec> = {}): Promise<string> {
  const { id } = orThrow(await node.containers.create(specOf(command, more)));
  noRefusal(await node.containers.start(id));
  return id;
}

async function finish(id: string): Promise<number> {
  return orThrow(await node.containers.wait(id, "not-running", never)).exitCode;
}

function noRefusal(refusal: Refusal | undefined): void {
  if (isRefusal(refusal)) throw new Error(refusal.message);
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Frames as `1:text 2:text`. */
function unframe(data: Buffer): { readonly stream: number; readonly text: string }[] {
  const frames = new FrameDecoder().push(data) ?? [];
  return frames.map(({ stream, payload }) => ({ stream, text: payload.toString() }));
}

const ALL: LogOptions = {
  stdout: true,
  stderr: true,
  follow: false,
  timestamps: false,
  tail: undefined,
  sinceMs: 0,
  untilMs: 0,
};

async function logsOf(id: string, options: Partial<LogOptions> = {}): Promise<string[]> {
  const stream = orThrow(node.containers.logs(id, { ...ALL, ...options }, never));
  return unframe(await collect(stream)).map(({ stream: number, text }) => `${number}:${text}`);
}

async function outputOf(command: readonly string[], more: Partial<ContainerSpec> = {}) {
  const id = await run(command, more);
  await finish(id);
  return (await logsOf(id)).map((line) => line.slice(2)).join("");
}

/** Processes whose environment or command line names the folder of this test, or that hold its namespaces. */
function supervisors(): readonly string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/run/`)
      );
    } catch {
      return false;
    }
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await sleep(20);
  expect(condition()).toBe(true);
}

/** Reads until `wanted` has been seen. */
function seen(stream: Duplex, wanted: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (chunk: Buffer) => {
      text += chunk.toString();
      if (!text.includes(wanted)) return;
      stream.off("data", onData);
      resolve(text);
    };
    stream.on("data", onData);
    stream.once("close", () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}

describe("a command", () => {
  test("its exit code is the container's", async () => {
    expect(await finish(await run(["sh", "-c", "exit 7"]))).toBe(7);
  });

  test("a signal's number and 128 are the exit code of what it ended", async () => {
    expect(await finish(await run(["sh", "-c", "kill -SEGV $$"]))).toBe(139);
  });

  test.each([
    {
      command: ["nosuchcommand"],
      exitCode: 127,
      says: 'exec: "nosuchcommand": executable file not found in $PATH',
    },
    { command: ["/etc/passwd"], exitCode: 126, says: 'exec: "/etc/passwd": permission denied' },
    { command: ["/no/such"], exitCode: 127, says: 'exec: "/no/such": no such file or directory' },
  ])("$command does not start: $exitCode", async ({ command, exitCode, says }) => {
    const { id } = orThrow(await node.containers.create(specOf(command)));
    const refusal = await node.containers.start(id);
    expect(isRefusal(refusal) && refusal.message).toContain(says);
    expect(node.containers.get(id)).toMatchObject({ state: "created", exitCode });
    await until(() => supervisors().length === 0);
  });

  test("it has its own network, host name, process list and names, and Docker's environment", async () => {
    const script =
      "hostname; readlink /proc/self/ns/net; cat /etc/hostname; env; ls /sys/class/net; ps ax -o pid=,args=";
    const text = await outputOf(["sh", "-c", script], { hostname: "loom", env: ["A=b c"] });
    expect(text).toMatch(/^loom\nnet:\[\d+\]\nloom\n/);
    expect(text).not.toContain(readlinkSync("/proc/self/ns/net"));
    expect(text).toContain("A=b c\n");
    expect(text).toContain("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    expect(text).toContain("HOSTNAME=loom\n");
    expect(text).toMatch(/\nlo\n\s+1 sleep infinity\n/);
    expect(ownHostname()).not.toBe("loom");
  });

  test("it finds its own name at its address", async () => {
    const endpoints = [{ network: "overnet", aliases: ["db"], ipv4: "", ipv6: "" }];
    const id = await run(["sleep", "100"], {
      hostname: "loom",
      networkMode: "networks",
      endpoints,
    });
    const container = orThrow(node.containers.get(id));
    const exec = await execIn(id, ["cat", "/etc/hosts"]);
    const address = container.endpoints[0]?.endpoint.ipv4.split("/")[0];
    expect(exec.output).toContain(`${address}\tloom\n`);
    expect(node.endpoints.asked.at(-1)?.aliases).toEqual(["db", id.slice(0, 12)]);
    await node.containers.stop(id, undefined);
    expect(node.endpoints.given.size).toBe(0);
    expect(existsSync(container.sandboxPath)).toBe(false);
  });

  test("it runs as the user and in the folder that were asked for", async () => {
    const text = await outputOf(["sh", "-c", "id -u; id -g; id -G; pwd"], {
      user: "1234:99",
      workingDir: "/usr",
    });
    expect(text).toBe("1234\n99\n99\n/usr\n");
  });

  test("without a network of its own it is on the machine's, and still finds its name", async () => {
    const more = { networkMode: "host", hostname: "loom" } as const;
    const text = await outputOf(
      ["sh", "-c", "readlink /proc/self/ns/net; getent hosts loom"],
      more,
    );
    expect(text).toMatch(
      new RegExp(
        `^${readlinkSync("/proc/self/ns/net").replace(/[[\]]/g, "\\$&")}\n127\\.0\\.1\\.1 +loom`,
      ),
    );
  });

  test("who reads slowly slows it down, and still gets everything", async () => {
    const { id } = orThrow(await node.containers.create(specOf(["seq", "1", "500000"])));
    const stream = orThrow(node.containers.attach(id, { stdin: false, logs: false }));
    noRefusal(await node.containers.start(id));
    // The pipe and the queues hold far less than the command has to say.
    await sleep(500);
    expect(node.containers.get(id)).toMatchObject({ state: "running" });
    const text = unframe(await collect(stream)).map((frame) => frame.text);
    expect(text.join("").trimEnd().split("\n")).toHaveLength(500_000);
    expect(await finish(id)).toBe(0);
  });

  test("orphans are reaped, and end with the command", async () => {
    const id = await run([
      "sh",
      "-c",
      "(sleep 0.05 &); (sleep 1000 &); sleep 0.3; ps ax -o stat=,args=",
    ]);
    await finish(id);
    const text = (await logsOf(id)).join("");
    expect(text).toContain("sleep 1000");
    expect(text).not.toMatch(/Z.*defunct/);
    await until(() => supervisors().length === 0);
  });
});

describe("stopping", () => {
  test("SIGTERM ends a plain command at once", async () => {
    const id = await run(["sleep", "1000"]);
    const before = Date.now();
    noRefusal(await node.containers.stop(id, undefined));
    expect(Date.now() - before).toBeLessThan(5_000);
    expect(node.containers.get(id)).toMatchObject({ state: "exited", exitCode: 143 });
  });

  test("who ignores SIGTERM gets SIGKILL when the time is over", async () => {
    const id = await run(["sh", "-c", "trap '' TERM; echo set; while :; do sleep 0.1; done"]);
    await until(
      () => readFileSync(join(node.stateDir, "containers", id, "log.json"), "utf8") !== "",
    );
    noRefusal(await node.containers.stop(id, 0.3));
    expect(node.containers.get(id)).toMatchObject({ state: "exited", exitCode: 137 });
  });

  test("a running container is not removed, but by force", async () => {
    const id = await run(["sleep", "1000"]);
    const refusal = await node.containers.remove(id, false);
    expect(isRefusal(refusal) && refusal.message).toBe(
      `You cannot remove a running container ${id}. Stop the container before attempting removal or force remove`,
    );
    noRefusal(await node.containers.remove(id, true));
    expect(isRefusal(node.containers.get(id))).toBe(true);
    expect(existsSync(join(node.stateDir, "containers", id))).toBe(false);
  });

  test("with --rm it is gone when it has ended", async () => {
    const { id } = orThrow(await node.containers.create(specOf(["true"], { autoRemove: true })));
    const removed = node.containers.wait(id, "removed", never);
    noRefusal(await node.containers.start(id));
    expect(await removed).toEqual({ exitCode: 0, error: "" });
    expect(node.containers.list()).toEqual([]);
  });

  test("it can be started again", async () => {
    const id = await run(["sh", "-c", "echo once"]);
    await finish(id);
    noRefusal(await node.containers.start(id));
    await finish(id);
    expect(await logsOf(id)).toEqual(["1:once\n", "1:once\n"]);
    expect(readdirSync(join(node.stateDir, "containers", id)).sort()).toEqual([
      "container.json",
      "exit-2.json",
      "log.json",
    ]);
  });
});

describe("logs", () => {
  test("lines of both streams come in order, with their times", async () => {
    const id = await run(["sh", "-c", "echo a; sleep 0.1; echo b >&2; sleep 0.1; printf c"]);
    await finish(id);
    expect(await logsOf(id)).toEqual(["1:a\n", "2:b\n", "1:c"]);
    expect(await logsOf(id, { tail: 2 })).toEqual(["2:b\n", "1:c"]);
    expect(await logsOf(id, { stdout: false })).toEqual(["2:b\n"]);
    const [first] = await logsOf(id, { timestamps: true });
    expect(first).toMatch(/^1:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z a\n$/);
  });

  test("following goes on to the end and then ends", async () => {
    const id = await run(["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]);
    expect(await logsOf(id, { follow: true })).toEqual(["1:1\n", "1:2\n", "1:3\n"]);
  });

  test("a flood is rotated, and the end of it is all there", async () => {
    const id = await run(["sh", "-c", "seq 1 1000000"]);
    await finish(id);
    const files = readdirSync(join(node.stateDir, "containers", id)).filter((name) =>
      name.startsWith("log."),
    );
    expect(files.sort()).toEqual(["log.json", "log.json.1", "log.json.2"]);
    const lines = await logsOf(id, { tail: 1000 });
    expect(lines).toHaveLength(1000);
    expect(lines[0]).toBe("1:999001\n");
    expect(lines.at(-1)).toBe("1:1000000\n");
  }, 60_000);
});

describe("attached", () => {
  test("who attaches before the start misses nothing, and its end of input ends the command's", async () => {
    const { id } = orThrow(
      await node.containers.create(specOf(["cat"], { openStdin: true, stdinOnce: true })),
    );
    const stream = orThrow(node.containers.attach(id, { stdin: true, logs: false }));
    stream.end("hello\n");
    noRefusal(await node.containers.start(id));
    expect(unframe(await collect(stream))).toEqual([{ stream: 1, text: "hello\n" }]);
    expect(await finish(id)).toBe(0);
  });

  test("who only looks on does not end the input of who types", async () => {
    const { id } = orThrow(
      await node.containers.create(specOf(["cat"], { openStdin: true, stdinOnce: true })),
    );
    const onlooker = orThrow(node.containers.attach(id, { stdin: false, logs: false }));
    const typist = orThrow(node.containers.attach(id, { stdin: true, logs: false }));
    onlooker.end();
    noRefusal(await node.containers.start(id));
    typist.end("typed\n");
    expect(unframe(await collect(onlooker))).toEqual([{ stream: 1, text: "typed\n" }]);
    expect(unframe(await collect(typist))).toEqual([{ stream: 1, text: "typed\n" }]);
  });

  test("megabytes through a command come back whole", async () => {
    const { id } = orThrow(
      await node.containers.create(specOf(["cat"], { openStdin: true, stdinOnce: true })),
    );
    const stream = orThrow(node.containers.attach(id, { stdin: true, logs: false }));
    const sent = Buffer.alloc(32 * 1024 * 1024, "0123456789abcde\n");
    stream.end(sent);
    noRefusal(await node.containers.start(id));
    const text = unframe(await collect(stream)).map((frame) => frame.text);
    expect(Buffer.from(text.join("")).equals(sent)).toBe(true);
  });

  test("a terminal echoes, has the size it is given, and is not framed", async () => {
    const id = await run(["sh"], { tty: true, openStdin: true });
    const stream = orThrow(node.containers.attach(id, { stdin: true, logs: false }));
    stream.write("echo $((6*7)); tty\n");
    expect(await seen(stream, "/dev/pts/")).toMatch(/echo \$\(\(6\*7\)\); tty\r\n(.*\r\n)?42\r\n/);
    noRefusal(await node.containers.resize(id, 41, 99));
    stream.write("stty size\n");
    expect(await seen(stream, "41 99")).toContain("41 99\r\n");
    stream.write("exit 5\n");
    expect(await finish(id)).toBe(5);
  });

  test("closing detaches and leaves it running", async () => {
    const id = await run(["sleep", "1000"]);
    orThrow(node.containers.attach(id, { stdin: false, logs: false })).destroy();
    await sleep(50);
    expect(node.containers.get(id)).toMatchObject({ state: "running" });
  });
});

async function execIn(id: string, command: readonly string[], input = "") {
  const spec = {
    command,
    env: [],
    workingDir: "",
    user: "",
    tty: false,
    attachStdin: input !== "",
    attachStdout: true,
    attachStderr: true,
  };
  const execId = orThrow(await node.containers.createExec(id, spec));
  const stream = orThrow(await node.containers.startExec(execId));
  stream.end(input);
  const output = unframe(await collect(stream))
    .map((frame) => frame.text)
    .join("");
  return { output, state: orThrow(node.containers.getExec(execId)) };
}

test("what was said before can be had together with what follows", async () => {
  const id = await run(["sh", "-c", "echo early; sleep 0.3; echo late"]);
  await sleep(100);
  const stream = orThrow(node.containers.attach(id, { stdin: false, logs: true }));
  expect(unframe(await collect(stream)).map(({ text }) => text)).toEqual(["early\n", "late\n"]);
});

describe("exec", () => {
  test("another command sees the same namespaces, and has its own exit code", async () => {
    const id = await run(["sleep", "1000"], { hostname: "loom", env: ["A=1"] });
    const { output, state } = await execIn(
      id,
      ["sh", "-c", "hostname; echo $A; cat; exit 3"],
      "typed\n",
    );
    expect(output).toBe("loom\n1\ntyped\n");
    expect(state).toMatchObject({ running: false, exitCode: 3 });
    expect(node.containers.get(id)).toMatchObject({ state: "running" });
  });

  test("what is not there is said so", async () => {
    const id = await run(["sleep", "1000"]);
    const spec = {
      env: [],
      workingDir: "",
      user: "",
      tty: false,
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
    };
    const execId = orThrow(await node.containers.createExec(id, { ...spec, command: ["nosuch"] }));
    const refusal = await node.containers.startExec(execId);
    expect(isRefusal(refusal) && refusal.message).toContain(
      'exec: "nosuch": executable file not found in $PATH',
    );
    expect(node.containers.getExec(execId)).toMatchObject({ running: false, exitCode: 127 });
  });
});

describe("deaths", () => {
  test("a killed agent's containers run on, and the next agent has them with their end", async () => {
    const home = mkdtempSync(join(folder, "killed-"));
    const agent = spawn(
      process.execPath,
      [AGENT, home, SHIM, "web", "sh", "-c", "sleep 1; exit 9"],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const id = String((await agent.stdout.iterator().next()).value).trim();
    agent.kill("SIGKILL");
    const first = await openNode(home, SHIM);
    expect(first.containers.get("web")).toMatchObject({ id, state: "running" });
    expect([...first.placing.owned.values()]).toEqual([
      { sandbox: { kind: "own", id }, interfaceName: "eth0" },
    ]);
    expect(await first.containers.wait(id, "not-running", never)).toMatchObject({ exitCode: 9 });
    expect(first.placing.owned.size).toBe(0);
    await first.containers.close();
    const second = await openNode(home, SHIM);
    expect(second.containers.get(id)).toMatchObject({ state: "exited", exitCode: 9 });
    await second.containers.remove(id, false);
    await second.containers.close();
  });

  test("an end that came while there was no agent is learnt", async () => {
    const home = mkdtempSync(join(folder, "missed-"));
    const agent = spawn(
      process.execPath,
      [AGENT, home, SHIM, "web", "sh", "-c", "sleep 0.3; exit 4"],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const id = String((await agent.stdout.iterator().next()).value).trim();
    agent.kill("SIGKILL");
    await until(() => existsSync(join(home, "state/containers", id, "exit-1.json")));
    const next = await openNode(home, SHIM);
    expect(next.containers.get(id)).toMatchObject({
      state: "exited",
      exitCode: 4,
      pid: 0,
      endpoints: [],
    });
    expect(readdirSync(join(home, "run/netns"))).toEqual([]);
    await next.containers.remove(id, false);
    await next.containers.close();
  });

  test("a killed supervisor takes the container with it, and that is said", async () => {
    const id = await run(["sh", "-c", "(sleep 4321 &); sleep 4321"]);
    const [supervisor] = supervisors();
    process.kill(Number(supervisor), "SIGKILL");
    expect(await finish(id)).toBe(137);
    expect(node.containers.get(id)).toMatchObject({
      state: "exited",
      error: "the container's supervisor was killed",
    });
    const left = () => execFileSync("ps", ["ax", "-o", "args="]).toString();
    await until(() => !left().includes("sleep 4321"));
  });

  test("fifty at once start, and leave nothing behind", async () => {
    const mounts = () =>
      readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(node.runDir) || line.includes(node.stateDir));
    const mountsBefore = mounts();
    const ids = await Promise.all(Array.from({ length: 50 }, () => run(["sleep", "1000"])));
    expect(node.containers.list().filter(({ state }) => state === "running")).toHaveLength(50);
    expect(supervisors()).toHaveLength(50);
    await Promise.all(ids.map(async (id) => noRefusal(await node.containers.remove(id, true))));
    await until(() => supervisors().length === 0);
    expect(readdirSync(join(node.runDir, "containers"))).toEqual([]);
    expect(readdirSync(join(node.runDir, "netns"))).toEqual([]);
    expect(readdirSync(join(node.stateDir, "containers"))).toEqual([]);
    expect(mounts()).toEqual(mountsBefore);
  }, 60_000);
});
