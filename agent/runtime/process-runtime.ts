// The runtime "process": a command of the machine in namespaces of its own, under a supervisor that
// outlives the agent. It is for putting things on a network, not for keeping them in: the command sees
// the machine's files and has its user's rights.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Fault, refuse } from "../../common/fault.js";
import type { ContainerSpec } from "../seams.js";
import type { Adopted, Launch, Runtime, Supervised, Surroundings } from "../task/runtime.js";
import { hostnameOf } from "../task/spec.js";
import { shortId } from "../task/words.js";
import { afterDeath } from "./after-death.js";
import { readLogs } from "./log-reader.js";
import type { NamespaceWish } from "./namespaces.js";
import { ShimControl } from "./shim-control.js";
import { errorPath, forgetExit, type ShimFolders } from "./shim-files.js";

export interface ProcessRuntimeOptions {
  readonly runDir: string;
  readonly stateDir: string;
  /** The supervisor's program; the one beside this file unless a test has another. */
  readonly shimPath?: string;
}

const UNSERVED = refuse("unimplemented", "a process has the machine's own files: copy them there");

export class ProcessRuntime implements Runtime {
  readonly #shimPath: string;

  constructor(private readonly options: ProcessRuntimeOptions) {
    this.#shimPath = options.shimPath ?? fileURLToPath(new URL("./shim.js", import.meta.url));
  }

  async prepare(launch: Launch, signal: AbortSignal): Promise<Supervised> {
    signal.throwIfAborted();
    const folders = this.#folders(launch.id);
    await mkdir(folders.state, { recursive: true, mode: 0o700 });
    // Nothing of an earlier life may be taken for this one's.
    await rm(folders.run, { recursive: true, force: true });
    await forgetExit(folders, launch.life - 1);
    await mkdir(folders.run, { recursive: true, mode: 0o700 });
    const shim = await this.#startShim(folders, launch.life, signal);
    try {
      const { spec, hostname, life } = launch;
      const arrange = (surroundings: Surroundings) =>
        this.#arrange(folders, hostname, surroundings);
      const opened = await ShimControl.open({ folders, life, spec, hostname, arrange });
      return opened.control;
    } catch (error) {
      shim.kill();
      throw error;
    }
  }

  async create(): Promise<void> {}

  async writtenBytes(): Promise<undefined> {
    return undefined;
  }

  async erase(id: string): Promise<void> {
    await this.forget(id);
  }

  readonly paths = {
    stat: async () => UNSERVED,
    read: async () => UNSERVED,
    write: async () => UNSERVED,
  };

  async adopt(id: string, life: number, spec: ContainerSpec): Promise<Adopted> {
    const folders = this.#folders(id);
    const hostname = hostnameOf(id, spec);
    try {
      const { control, pid, atMs } = await ShimControl.open({
        folders,
        life,
        spec,
        hostname,
        arrange: undefined,
      });
      if (pid !== 0) return { kind: "running", supervised: control, pid, atMs };
      await control.destroy();
      return { kind: "never-ran" };
    } catch {
      // Nobody answers, so it is read from what is left.
      const exit = await afterDeath(folders, life);
      return exit === undefined ? { kind: "never-ran" } : { kind: "exited", exit };
    }
  }

  readLogs(id: string, options: Parameters<Runtime["readLogs"]>[1], signal: AbortSignal): Readable {
    const chunks = readLogs(this.#folders(id).state, options, signal);
    return Readable.from(chunks, { objectMode: false });
  }

  hasLeft(id: string): boolean {
    return existsSync(this.#folders(id).run);
  }

  async forget(id: string): Promise<void> {
    await rm(this.#folders(id).run, { recursive: true, force: true });
  }

  #folders(id: string): ShimFolders {
    return {
      run: join(this.options.runDir, "containers", shortId(id)),
      state: join(this.options.stateDir, "containers", id),
    };
  }

  async #arrange(
    folders: ShimFolders,
    hostname: string,
    { hosts, resolvConf, netns }: Surroundings,
  ): Promise<NamespaceWish> {
    const hostsPath = join(folders.run, "hosts");
    const hostnamePath = join(folders.run, "hostname");
    const resolvPath = join(folders.run, "resolv.conf");
    // Everybody inside may read them.
    await writeFile(hostsPath, hosts, { mode: 0o644 });
    await writeFile(hostnamePath, `${hostname}\n`, { mode: 0o644 });
    if (resolvConf !== "") await writeFile(resolvPath, resolvConf, { mode: 0o644 });
    return {
      hostname,
      netns,
      files: [
        { source: hostsPath, target: "/etc/hosts" },
        { source: hostnamePath, target: "/etc/hostname" },
        // Without a text of its own it resolves as the machine does.
        ...(resolvConf === "" ? [] : [{ source: resolvPath, target: "/etc/resolv.conf" }]),
      ],
      netnsFolder: join(this.options.runDir, "netns"),
    };
  }

  /** Resolves when it listens. */
  async #startShim(
    folders: ShimFolders,
    life: number,
    signal: AbortSignal,
  ): Promise<{ kill(): void }> {
    const errors = openSync(errorPath(folders), "a", 0o600);
    // One thread less for the compiler: it has little to compile.
    const argv = ["--v8-pool-size=1", this.#shimPath, folders.run, folders.state, String(life)];
    const shim = spawn(process.execPath, argv, {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["ignore", "pipe", errors],
    });
    closeSync(errors);
    const kill = () => void shim.kill("SIGKILL");
    try {
      await new Promise<void>((resolve, reject) => {
        shim.once("error", reject);
        shim.once("exit", (code) => reject(new Error(`it ended with code ${code}`)));
        shim.stdout?.once("data", () => resolve());
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    } catch (error) {
      kill();
      const said = await readFile(errorPath(folders), "utf8").catch(() => "");
      throw new Fault("SHIM_START", { said: said.slice(-500) || undefined }, error);
    }
    shim.stdout?.destroy();
    // It is not waited for at the agent's end.
    shim.unref();
    return { kill };
  }
}
