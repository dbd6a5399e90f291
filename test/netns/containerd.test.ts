// The containerd runtime for real: a containerd of the test's own, runc, and a busybox image.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ContainerdRuntime } from "../../agent/containerd/containerd-runtime.js";
import type { ContainerSpec, ExecSpec, MountPoint } from "../../agent/seams.js";
import { EMPTY_SPEC } from "../../agent/task/container-spec.js";
import type { Exit, Started, Supervised, Surroundings } from "../../agent/task/runtime.js";
import { FrameDecoder } from "../../agent/task/stdio-frame.js";
import { isRefusal, orThrow } from "../../common/fault.js";
import { ContainerdHost } from "./containerd-host.js";

const host = new ContainerdHost();
const never = new AbortController().signal;
const openRuntime = () =>
  new ContainerdRuntime({
    containerd: host.connection,
    runDir: join(host.folder, "run"),
    stateDir: join(host.folder, "agent"),
    helperPath: fileURLToPath(
      new URL("../../dist/agent/containerd/path-helper.js", import.meta.url),
    ),
  });
let runtime: ContainerdRuntime;
const made = new Set<string>();

beforeAll(async () => {
  await host.start();
  host.imageId("alpine");
  runtime = openRuntime();
});

afterEach(async () => {
  for (const id of made) await runtime.erase(id);
  made.clear();
});

afterAll(async () => {
  await host.stop();
});

const BIND = {
  ...{ kind: "bind" as const, source: "", target: "", readOnly: false, propagation: "" },
  ...{ recursive: true, createSource: false, noCopy: false, subpath: "", volumeDriver: "" },
  ...{ volumeOptions: {}, volumeLabels: {}, tmpfsBytes: 0, tmpfsMode: undefined },
  tmpfsOptions: [],
};

interface Running {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly control: Supervised;
  readonly started: Started;
}

const specOf = (command: readonly string[], more: Partial<ContainerSpec> = {}): ContainerSpec => ({
  ...EMPTY_SPEC,
  image: "alpine",
  command,
  ...more,
});

async function prepare(spec: ContainerSpec, mountPoints: readonly MountPoint[] = []) {
  const id = randomBytes(32).toString("hex");
  made.add(id);
  const launch = { id, life: 1, spec, hostname: "h", imageId: host.imageId("alpine"), mountPoints };
  await runtime.create(launch);
  return { id, spec, control: await runtime.prepare(launch, never) };
}

const around = (more: Partial<Surroundings> = {}): Surroundings => ({
  netns: undefined,
  hosts: "127.0.0.1\tlocalhost\n",
  resolvConf: "nameserver 127.0.0.11\n",
  files: [],
  ...more,
});

async function run(
  command: readonly string[],
  more: Partial<ContainerSpec> = {},
  surroundings: Partial<Surroundings> = {},
  mountPoints: readonly MountPoint[] = [],
): Promise<Running> {
  const prepared = await prepare(specOf(command, more), mountPoints);
  const started = await prepared.control.go(around(surroundings));
  if (started.kind === "failed") throw new Error(started.message);
  return { ...prepared, started };
}

async function outputOf(
  script: string,
  more: Partial<ContainerSpec> = {},
  surroundings: Partial<Surroundings> = {},
  mountPoints: readonly MountPoint[] = [],
): Promise<string> {
  const { id, control } = await run(["sh", "-c", script], more, surroundings, mountPoints);
  await control.exited;
  return logsOf(id);
}

async function logsOf(id: string): Promise<string> {
  const ended = AbortSignal.abort();
  const options = {
    ...{ stdout: true, stderr: true, follow: false, timestamps: false, tail: undefined },
    ...{ sinceMs: 0, untilMs: 0, tty: false, ended },
  };
  return unframe(await collect(runtime.readLogs(id, options, never)));
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function unframe(data: Buffer): string {
  return (new FrameDecoder().push(data) ?? []).map(({ payload }) => payload.toString()).join("");
}

function execOf(command: readonly string[], more: Partial<ExecSpec> = {}): ExecSpec {
  return {
    ...{ command, env: [], workingDir: "", user: "", tty: false },
    ...{ attachStdin: false, attachStdout: true, attachStderr: true },
    ...more,
  };
}

async function execIn(
  control: Supervised,
  spec: ExecSpec,
): Promise<{ code: number; text: string }> {
  const outcome = await control.exec(randomBytes(32).toString("hex"), spec);
  if (outcome.kind === "failed") return { code: outcome.exitCode, text: outcome.message };
  const data = collect(outcome.exec.stream);
  const code = await outcome.exec.exited;
  const bytes = await data;
  return { code, text: spec.tty ? bytes.toString() : unframe(bytes) };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await condition()) return;
    await sleep(20);
  }
  throw new Error("it did not happen");
}

describe("a command", () => {
  test("its exit code is the container's, and its output is its log", async () => {
    const { id, control } = await run(["sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect(await control.exited).toMatchObject({ exitCode: 7, error: "" });
    expect((await logsOf(id)).split("\n").sort()).toEqual(["", "err", "out"]);
  });

  test("a signal that ends it is 128 and its number", async () => {
    const { control } = await run(["sleep", "100"]);
    await control.signal(9);
    expect((await control.exited).exitCode).toBe(137);
  });

  test("what is not there is 127, what is not executable 126", async () => {
    const missing = await prepare(specOf(["/no/such"]));
    const started = await missing.control.go(around());
    expect(started).toMatchObject({ kind: "failed", exitCode: 127 });
    expect(started.kind === "failed" && started.message).toMatch(/no such file or directory/);
    const name = await prepare(specOf(["nosuch"]));
    expect(await name.control.go(around())).toMatchObject({
      kind: "failed",
      exitCode: 127,
      message: expect.stringContaining('exec: "nosuch": executable file not found in $PATH'),
    });
    const folder = await prepare(specOf(["/etc/passwd"]));
    expect(await folder.control.go(around())).toMatchObject({ kind: "failed", exitCode: 126 });
  });

  test("a million lines come through whole", async () => {
    const { id, control } = await run(["seq", "200000"], {
      log: { driver: "json-file", maxBytes: 0, maxFiles: 1 },
    });
    await control.exited;
    const lines = (await logsOf(id)).trimEnd().split("\n");
    expect(lines.length).toBe(200_000);
    expect(lines.at(-1)).toBe("200000");
  });
});

describe("Docker's restrictions", () => {
  test("capabilities, seccomp and namespaces are those of docker run", async () => {
    const text = await outputOf(
      "grep -E '^(CapEff|CapBnd|Seccomp|NoNewPrivs):' /proc/self/status; unshare -m true; mount -t tmpfs x /mnt; hostname",
    );
    expect(text).toContain("CapEff:\t00000000a80425fb");
    expect(text).toContain("CapBnd:\t00000000a80425fb");
    expect(text).toContain("Seccomp:\t2");
    expect(text).toContain("NoNewPrivs:\t0");
    expect(text).toMatch(/unshare: .*(not permitted|denied)/i);
    expect(text).toMatch(/mount: .*(permission denied|not permitted)/i);
    expect(text).toMatch(/^h$/m);
  });

  test("a user of the image's, without root's rights", async () => {
    const text = await outputOf("id; grep CapEff /proc/self/status; echo $HOME", { user: "guest" });
    expect(text).toContain("uid=405(guest) gid=100(users)");
    expect(text).toContain("CapEff:\t0000000000000000");
    expect(text).toContain("/dev/null");
    const other = await prepare(specOf(["true"], { user: "nobody-here" }));
    expect(await other.control.go(around())).toMatchObject({
      kind: "failed",
      message: "unable to find user nobody-here: no matching entries in passwd file",
    });
  });

  test("a read-only root, a tmpfs, a bind, and a folder that does not go beyond", async () => {
    const folder = join(host.folder, "bind");
    mkdirSync(folder);
    writeFileSync(join(folder, "f"), "from outside\n");
    const mount = {
      ...{
        kind: "bind" as const,
        source: folder,
        target: "/data",
        readOnly: true,
        propagation: "",
      },
      ...{ recursive: true, createSource: false, noCopy: false, subpath: "", volumeDriver: "" },
      ...{ volumeOptions: {}, volumeLabels: {}, tmpfsBytes: 0, tmpfsMode: undefined },
      tmpfsOptions: [],
    } as const;
    const text = await outputOf(
      "cat /data/f; touch /data/g; touch /x; touch /t/y && echo tmpfs works; df -k /t | tail -1",
      { security: { ...EMPTY_SPEC.security, readOnlyRoot: true } },
      {},
      [
        { mount, source: folder, name: "" },
        {
          mount: { ...mount, kind: "tmpfs", target: "/t", tmpfsBytes: 1 << 20, readOnly: false },
          source: "",
          name: "",
        },
      ],
    );
    expect(text).toContain("from outside");
    expect(text).toContain("touch: /data/g: Read-only file system");
    expect(text).toContain("touch: /x: Read-only file system");
    expect(text).toContain("tmpfs works");
    expect(text).toMatch(/1024 /);
  });

  test("a memory limit ends what goes beyond, and it is said so", async () => {
    const { control } = await run(
      ["sh", "-c", "x=$(head -c 100m /dev/zero | tr '\\0' x); echo $x | wc -c"],
      {
        limits: { ...EMPTY_SPEC.limits, memoryBytes: 16 << 20, pids: 20 },
      },
    );
    expect(await control.exited).toMatchObject({ oomKilled: true });
  });

  test("limits are in the control group, and its use is counted", async () => {
    const { control } = await run(["sleep", "100"], {
      limits: { ...EMPTY_SPEC.limits, memoryBytes: 64 << 20, nanoCpus: 5e8, pids: 33 },
      ulimits: [
        { name: "nofile", soft: 1000, hard: 2000 },
        { name: "core", soft: -1, hard: -1 },
      ],
    });
    const stats = await control.stats();
    expect(stats).toMatchObject({ memoryLimitBytes: 64 << 20, pidsLimit: 33, pids: 1 });
    expect(stats.memoryBytes).toBeGreaterThan(0);
    expect(stats.cpuTotalNs).toBeGreaterThan(0);
    // Of the command itself: runc 1.1.5 may leave an exec the soft limit that Go raised for runc.
    const { text } = await execIn(control, execOf(["cat", "/proc/1/limits"]));
    expect(text).toMatch(/Max open files +1000 +2000 /);
    expect(text).toMatch(/Max core file size +unlimited +unlimited /);
    expect((await control.pids()).length).toBe(1);
  });

  test("secrets are on a tmpfs, read-only, with owner and mode, and gone with the container", async () => {
    const files = [
      {
        ...{ target: "/run/secrets/dbpass", uid: 0, gid: 0, mode: 0o444 },
        ...{ data: Buffer.from("hunter2"), secret: true },
      },
      {
        ...{ target: "/etc/app.conf", uid: 405, gid: 100, mode: 0o440 },
        ...{ data: Buffer.from("a=1\n"), secret: false },
      },
    ];
    const text = await outputOf(
      "ls -ln /run/secrets /etc/app.conf; cat /run/secrets/dbpass /etc/app.conf; mount | grep secrets",
      {},
      { files },
    );
    expect(text).toMatch(/-r--r--r-- +1 0 +0 +7 .* dbpass/);
    expect(text).toMatch(/-r--r----- +1 405 +100 +4 .* \/etc\/app.conf/);
    expect(text).toContain("hunter2a=1");
    expect(text).toMatch(/tmpfs on \/run\/secrets\/dbpass type tmpfs \(ro,/);
    for (const id of made) await runtime.forget(id);
    expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(
      join(host.folder, "run/containers"),
    );
  });

  test("a sysctl that is the machine's is refused", async () => {
    const { control } = await prepare(specOf(["true"], { sysctls: { "kernel.pid_max": "1" } }));
    expect(await control.go(around())).toMatchObject({
      kind: "failed",
      message: expect.stringContaining(
        'sysctl "kernel.pid_max" is not in a separate kernel namespace',
      ),
    });
  });
});

describe("exec and attach", () => {
  test("an exec's output and exit code, and what cannot be executed", async () => {
    const { control } = await run(["sleep", "100"], { env: ["A=1"] });
    expect(await execIn(control, execOf(["sh", "-c", "echo $A; exit 3"]))).toEqual({
      code: 3,
      text: "1\n",
    });
    expect(await execIn(control, execOf(["nosuch"]))).toMatchObject({ code: 126 });
    expect(await execIn(control, execOf(["id", "-u"], { user: "guest" }))).toEqual({
      code: 0,
      text: "405\n",
    });
    expect(await execIn(control, execOf(["tty"], { tty: true }))).toMatchObject({
      code: 0,
      text: expect.stringContaining("/dev/pts/"),
    });
  });

  test("an exec reads what is typed until its end", async () => {
    const { control } = await run(["sleep", "100"]);
    const spec = execOf(["wc", "-c"], { attachStdin: true });
    const outcome = await control.exec("a".repeat(64), spec);
    if (outcome.kind === "failed") throw new Error(outcome.message);
    const data = collect(outcome.exec.stream);
    outcome.exec.stream.end(Buffer.alloc(300_000, "x"));
    expect(await outcome.exec.exited).toBe(0);
    expect(unframe(await data)).toBe("300000\n");
  });

  test("docker run -i: input to its end, output to whoever was there first", async () => {
    const { control } = await prepare(specOf(["cat"], { openStdin: true, stdinOnce: true }));
    const stream = await control.attach({ stdin: true });
    stream.write("typed ahead\n");
    const data = collect(stream);
    await control.go(around());
    stream.end("and more\n");
    expect(unframe(await data)).toBe("typed ahead\nand more\n");
    expect((await control.exited).exitCode).toBe(0);
  });

  test("echo hi | docker run -i: the input may be over before the start", async () => {
    const { control } = await prepare(specOf(["cat"], { openStdin: true, stdinOnce: true }));
    const stream = await control.attach({ stdin: true });
    const data = collect(stream);
    stream.end("hi\n");
    await new Promise((resolve) => stream.once("finish", resolve));
    await control.go(around());
    expect(unframe(await data)).toBe("hi\n");
    expect((await control.exited).exitCode).toBe(0);
  });

  test("a terminal has the size that it is given", async () => {
    const { control } = await prepare(
      specOf(["sh"], { tty: true, openStdin: true, consoleSize: { rows: 11, columns: 22 } }),
    );
    const stream = await control.attach({ stdin: true });
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
    });
    await control.go(around());
    stream.write("stty size\n");
    await until(() => text.includes("11 22"));
    await control.resize(33, 44);
    stream.write("stty size\n");
    await until(() => text.includes("33 44"));
    stream.write("exit 5\n");
    expect((await control.exited).exitCode).toBe(5);
  });

  test("what is paused stands still", async () => {
    const { control } = await run(["sh", "-c", "while :; do :; done"]);
    await control.pause();
    const before = (await control.stats()).cpuTotalNs;
    await sleep(50);
    expect((await control.stats()).cpuTotalNs).toBe(before);
    await control.unpause();
    await until(async () => (await control.stats()).cpuTotalNs > before);
  });
});

describe("deaths", () => {
  test("an agent finds again what runs, with all that it wrote meanwhile", async () => {
    const { id, spec, control } = await run([
      "sh",
      "-c",
      "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done",
    ]);
    await until(async () => (await logsOf(id)).length > 20);
    control.release();
    await sleep(200);
    const adopted = await openRuntime().adopt(id, 1, spec);
    if (adopted.kind !== "running") throw new Error(adopted.kind);
    await sleep(200);
    await adopted.supervised.signal(9);
    expect((await adopted.supervised.exited).exitCode).toBe(137);
    const lines = (await logsOf(id)).trimEnd().split("\n").map(Number);
    expect(lines.length).toBeGreaterThan(30);
    expect(lines).toEqual(lines.map((_, i) => i));
  });

  test("an agent hears how it ended while nobody was there", async () => {
    const { id, spec, control, started } = await run(["sh", "-c", "sleep 0.2; exit 9"]);
    control.release();
    await until(() => started.kind === "running" && !alive(started.pid));
    const adopted = await openRuntime().adopt(id, 1, spec);
    expect(adopted).toMatchObject({ kind: "exited", exit: { exitCode: 9 } });
    expect(await openRuntime().adopt(id, 1, spec)).toMatchObject({ kind: "exited" });
    expect(host.shims()).toEqual([]);
  });

  test("what was only prepared, or is of another life, never ran", async () => {
    const { id, spec } = await prepare(specOf(["true"]));
    expect(await openRuntime().adopt(id, 1, spec)).toEqual({ kind: "never-ran" });
    const other = await run(["sleep", "100"]);
    expect(await openRuntime().adopt(other.id, 2, other.spec)).toEqual({ kind: "never-ran" });
    await until(() => host.shims().length === 0);
  });

  test("containerd may be killed and started again", async () => {
    const { id, control } = await run(["sh", "-c", "while :; do echo x; sleep 0.05; done"]);
    await host.kill();
    await until(() => /does not answer/.test(host.connection.problem()?.message ?? ""));
    await sleep(300);
    await host.start();
    expect((await execIn(control, execOf(["echo", "hello"]))).text).toBe("hello\n");
    await control.signal(9);
    const exit: Exit = await control.exited;
    expect(exit.exitCode).toBe(137);
    expect((await logsOf(id)).split("\n").length).toBeGreaterThan(5);
  });

  test("it ends while containerd is away, and is heard of when it is back", async () => {
    const { control, started } = await run(["sh", "-c", "sleep 0.2; exit 4"]);
    await host.kill();
    await until(() => started.kind === "running" && !alive(started.pid));
    await host.start();
    expect((await control.exited).exitCode).toBe(4);
  });

  test("its supervisor is killed: it is gone, and that is said", async () => {
    const { control } = await run(["sleep", "100"]);
    for (const pid of host.shims()) process.kill(pid, "SIGKILL");
    expect(await control.exited).toMatchObject({ exitCode: 137 });
    await until(() => host.left().length === 0);
  });
});

function alive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

test("a namespace for the network is where it runs", async () => {
  const name = `${process.env["SKEIN_TEST_PREFIX"] ?? ""}ctr${process.pid}`;
  execFileSync("ip", ["netns", "add", name]);
  try {
    const netns = `/run/netns/${name}`;
    const text = await outputOf(
      "ip -o link | wc -l; cat /etc/hosts /etc/resolv.conf",
      {},
      { netns },
    );
    expect(text).toMatch(/^1\n127.0.0.1\tlocalhost\nnameserver 127.0.0.11\n$/);
  } finally {
    execFileSync("ip", ["netns", "del", name]);
  }
});

test("init forwards signals and reaps", async () => {
  const { control } = await prepare(specOf(["true"], { init: true }));
  const started = await control.go(around());
  if (started.kind === "failed") {
    expect(started.message).toMatch(/apt-get install tini/);
    return;
  }
  expect((await control.exited).exitCode).toBe(0);
});

describe("docker cp", () => {
  const tarOf = (folder: string, ...names: string[]) =>
    execFileSync("tar", ["-C", folder, "-cf", "-", ...names], { maxBuffer: 1 << 26 });
  const listOf = (tar: Buffer) =>
    execFileSync("tar", ["-tvf", "-", "--numeric-owner"], { input: tar, encoding: "utf8" });
  const readTar = async (id: string, path: string) =>
    collect(orThrow(await runtime.paths.read(id, path)).tar);

  for (const state of ["running", "stopped"] as const) {
    test(`of a ${state} container: out, in, and what is not there`, async () => {
      const volume = join(host.folder, `volume-${state}`);
      mkdirSync(volume);
      writeFileSync(join(volume, "v"), "in a volume\n");
      const mount = { ...BIND, source: volume, target: "/vol" };
      const script =
        "mkdir -p /a/b; echo one >/a/b/f; ln -s /etc/passwd /a/link; ln /a/b/f /a/hard; chmod 4711 /a/b/f; mkfifo /a/p; sleep 100";
      const { id, control } = await run(["sh", "-c", script], {}, {}, [
        { mount, source: volume, name: "" },
      ]);
      await until(async () => !isRefusal(await runtime.paths.stat(id, "/a/p")));
      if (state === "stopped") {
        await control.signal(9);
        await control.exited;
      }
      expect(await runtime.paths.stat(id, "/a/b")).toMatchObject({
        name: "b",
        mode: 2 ** 31 + 0o755,
        linkTarget: "",
      });
      expect(await runtime.paths.stat(id, "a/link")).toMatchObject({
        mode: 2 ** 27 + 0o777,
        linkTarget: "/etc/passwd",
      });
      expect(await runtime.paths.stat(id, "/a/b/f")).toMatchObject({ mode: 2 ** 23 + 0o711 });
      expect(await runtime.paths.stat(id, "/nope")).toMatchObject({
        code: "not-found",
        message: `Could not find the file /nope in container ${id}`,
      });
      const list = listOf(await readTar(id, "/a"));
      expect(list).toMatch(/drwxr-xr-x 0\/0 .* a\/\n/);
      expect(list).toMatch(/-rws--x--x 0\/0 +4 .* a\/b\/f\n/);
      expect(list).toMatch(/lrwxrwxrwx .* a\/link -> \/etc\/passwd/);
      expect(list).toMatch(/hrws--x--x .* a\/hard link to a\/b\/f/);
      expect(list).toMatch(/prw-r--r-- .* a\/p/);
      expect(listOf(await readTar(id, "/vol/v"))).toMatch(/ v\n$/);

      const source = join(host.folder, `source-${state}`);
      mkdirSync(join(source, "d"), { recursive: true });
      writeFileSync(join(source, "d", "x".repeat(150)), "long name\n");
      writeFileSync(join(source, "big"), Buffer.alloc(3_000_000, "b"));
      const write = (path: string, tar: Buffer, keepKinds = false) =>
        runtime.paths.write(id, path, Readable.from([tar]), { keepKinds });
      expect(await write("/a", tarOf(source, "d", "big"))).toBeUndefined();
      expect(await runtime.paths.stat(id, "/a/big")).toMatchObject({ size: 3_000_000 });
      expect(await runtime.paths.stat(id, `/a/d/${"x".repeat(150)}`)).toMatchObject({ size: 10 });
      expect(listOf(await readTar(id, "/a/d"))).toContain("x".repeat(150));
      expect(await write("/vol", tarOf(source, "big"))).toBeUndefined();
      expect(readFileSync(join(volume, "big")).length).toBe(3_000_000);
      expect(await write("/a/big", tarOf(source, "d"))).toMatchObject({
        message: "extraction point is not a directory",
      });
      expect(await write("/none", tarOf(source, "d"))).toMatchObject({ code: "not-found" });
      writeFileSync(join(source, "b"), "");
      expect(await write("/a", tarOf(source, "b"), true)).toMatchObject({
        message: expect.stringContaining("cannot overwrite directory"),
      });
      const evil = execFileSync("tar", [
        "-C",
        source,
        "-P",
        "--transform",
        "s,^,../../../../evil-,",
        "-cf",
        "-",
        "b",
      ]);
      expect(await write("/a", evil)).toBeUndefined();
      expect(await runtime.paths.stat(id, "/a/evil-b")).toMatchObject({ name: "evil-b" });
      expect(
        await write("/a", Buffer.from("no tar at all, and long enough to be looked at")),
      ).toMatchObject({
        code: "invalid-argument",
      });
    });
  }

  test("a link in the container leads nowhere outside of it", async () => {
    writeFileSync(join(host.folder, "outside"), "secret");
    const { id } = await run([
      "sh",
      "-c",
      `mkdir /x; ln -s ${host.folder} /x/out; ln -s / /x/root; sleep 100`,
    ]);
    await until(async () => !isRefusal(await runtime.paths.stat(id, "/x/root")));
    expect(await runtime.paths.stat(id, "/x/out/outside")).toMatchObject({ code: "not-found" });
    expect(await runtime.paths.stat(id, "/x/root/bin/busybox")).toMatchObject({ name: "busybox" });
    expect(await runtime.paths.stat(id, "../../../../etc/hosts")).toMatchObject({ name: "hosts" });
  });

  test("all of it, without what the kernel makes up", async () => {
    const { id } = await run(["sleep", "100"]);
    const list = listOf(await readTar(id, "/"));
    expect(list).toMatch(/ \/?bin\/busybox\n/);
    expect(list).toMatch(/ \/?proc\/\n/);
    expect(list).not.toMatch(/ \/?proc\/1\//);
  });

  test("nothing is written to what is read-only", async () => {
    const { id } = await run(["sleep", "100"], {
      security: { ...EMPTY_SPEC.security, readOnlyRoot: true },
    });
    const empty = Readable.from([Buffer.alloc(1024)]);
    expect(await runtime.paths.write(id, "/tmp", empty, { keepKinds: false })).toMatchObject({
      message: "container rootfs is marked read-only",
    });
  });
});

test("two hundred containers on one machine start, answer and end", async () => {
  const started = performance.now();
  const running: Running[] = [];
  const starting = Array.from({ length: 8 }, async () => {
    while (made.size < COUNT) {
      running.push(
        await run(["sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.2; done"]),
      );
    }
  });
  await Promise.all(starting);
  const upMs = performance.now() - started;
  expect(running.length).toBe(COUNT);
  const sample = running[COUNT / 2] as Running;
  expect((await execIn(sample.control, execOf(["echo", "still here"]))).text).toBe("still here\n");
  const memory = meanMemory(host.shims());
  const ends = await Promise.all(
    running.map(async ({ control }) => {
      await control.signal(15);
      return control.exited;
    }),
  );
  expect(new Set(ends.map(({ exitCode }) => exitCode))).toEqual(new Set([3]));
  console.log(
    `${COUNT} containers: up in ${(upMs / 1000).toFixed(1)} s, all over after ` +
      `${((performance.now() - started) / 1000).toFixed(1)} s; a supervisor has ${memory} KiB of its own`,
  );
}, 300_000);

const COUNT = 200;

/** What is the shims' own, of all that they have mapped: they share their program. */
function meanMemory(pids: readonly number[]): number {
  const own = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const kib = (name: string) => Number(new RegExp(`${name}: +(\\d+)`).exec(text)?.[1] ?? 0);
    return kib("Private_Clean") + kib("Private_Dirty");
  });
  return Math.round(own.reduce((sum, kib) => sum + kib, 0) / Math.max(1, own.length));
}

test("a start takes about as long as with containerd's own client", async () => {
  const ours: number[] = [];
  const theirs: number[] = [];
  const image = host.ctr("images", "ls", "-q").trim().split("\n")[0] ?? "";
  for (let i = 0; i < 10; i++) {
    const before = performance.now();
    const { control } = await run(["true"]);
    await control.exited;
    ours.push(performance.now() - before);
    const middle = performance.now();
    host.ctr("run", "--rm", image, `measure${i}`, "true");
    theirs.push(performance.now() - middle);
  }
  const median = (all: number[]) => all.sort((a, b) => a - b)[all.length / 2] ?? 0;
  console.log(
    `run and end: ${median(ours).toFixed(0)} ms; ctr run: ${median(theirs).toFixed(0)} ms`,
  );
  expect(median(ours)).toBeLessThan(3 * median(theirs));
});
