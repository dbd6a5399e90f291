// A containerd of a test's own: its socket, its files, its shims and its control groups, all in one
// temporary folder and under one name, and all gone at the end.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Containerd } from "../../agent/containerd/connection.js";
import { imageArchive } from "../images/images.js";

export class ContainerdHost {
  readonly folder = mkdtempSync(join(tmpdir(), "skein-ctr-"));
  readonly socketPath = join(this.folder, "c.sock");
  /** Also the name of the control group that its containers are in. */
  readonly namespace = `${process.env["SKEIN_TEST_PREFIX"] ?? ""}skein${process.pid}`;
  readonly connection = new Containerd(this);
  #process: ChildProcess | undefined;
  readonly #imageIds = new Map<string, string>();

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async start(): Promise<void> {
    const config = join(this.folder, "config.toml");
    writeFileSync(
      config,
      [
        "version = 2",
        `root = "${this.folder}/root"`,
        `state = "${this.folder}/state"`,
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        "[grpc]",
        `address = "${this.socketPath}"`,
        "",
      ].join("\n"),
    );
    mkdirSync(join(this.folder, "state"), { recursive: true });
    const log = openSync(join(this.folder, "log"), "a");
    this.#process = spawn("containerd", ["--config", config], {
      stdio: ["ignore", log, log],
      detached: true,
    });
    for (let i = 0; i < 500; i++) {
      try {
        await this.connection.version({ timeoutMs: 1_000 });
        return;
      } catch {
        await sleep(20);
      }
    }
    throw new Error(`containerd did not start: ${readFileSync(join(this.folder, "log"), "utf8")}`);
  }

  /** Its shims go on. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    this.#process = undefined;
  }

  /** The id of the image ("sha256:…"), which is imported when it is not there. */
  imageId(name: "alpine" | "nginx"): string {
    const known = this.#imageIds.get(name);
    if (known !== undefined) return known;
    this.ctr("images", "import", imageArchive(name));
    const rows = this.ctr("images", "ls").split("\n");
    const row = rows.find((line) => line.includes(`/${name}:`)) ?? "";
    let manifest = this.#json(/sha256:[0-9a-f]{64}/.exec(row)?.[0] ?? "");
    if (Array.isArray(manifest["manifests"]))
      manifest = this.#json(manifest["manifests"][0].digest);
    const id: string = (manifest["config"] as { digest: string }).digest;
    this.#imageIds.set(name, id);
    return id;
  }

  ctr(...args: string[]): string {
    const words = ["--address", this.socketPath, "--namespace", this.namespace, ...args];
    return execFileSync("ctr", words, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  }

  #json(digest: string) {
    return JSON.parse(this.ctr("content", "get", digest));
  }

  async stop(): Promise<void> {
    this.connection.close();
    await this.kill();
    for (const pid of this.shims()) process.kill(pid, "SIGKILL");
    for (const pid of this.left()) process.kill(pid, "SIGKILL");
    for (let i = 0; i < 100 && this.left().length > 0; i++) await sleep(20);
    this.unmount();
    for (const group of this.#groups()) removeGroup(group);
    rmSync(this.folder, { recursive: true, force: true });
  }

  unmount(): void {
    const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
    const ours = mounts
      .map((line) => line.split(" ")[1] ?? "")
      .filter((path) => path.startsWith(this.folder));
    for (const path of ours.reverse()) execFileSync("umount", ["-l", path]);
  }

  /** Pids of the supervisors of its containers. */
  shims(): readonly number[] {
    return readdirSync("/proc")
      .filter((pid) => /^\d+$/.test(pid))
      .filter((pid) => {
        try {
          const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
          return argv[0]?.includes("containerd-shim") && argv.includes(this.socketPath);
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  /** Pids in its control groups. */
  left(): readonly number[] {
    return this.#groups().flatMap((group) => pidsIn(group));
  }

  #groups(): readonly string[] {
    const roots = ["", ...readdirSync("/sys/fs/cgroup")];
    return roots
      .map((root) => join("/sys/fs/cgroup", root, this.namespace))
      .filter((path) => existsSync(path));
  }
}

function pidsIn(group: string): number[] {
  const own = readFileSync(join(group, "cgroup.procs"), "utf8")
    .split("\n")
    .filter(Boolean)
    .map(Number);
  return [...own, ...foldersIn(group).flatMap(pidsIn)];
}

function removeGroup(group: string): void {
  for (const folder of foldersIn(group)) removeGroup(folder);
  rmdirSync(group);
}

function foldersIn(group: string): string[] {
  return readdirSync(group, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(group, entry.name));
}
