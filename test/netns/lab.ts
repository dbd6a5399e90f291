// A lab for one test file: hosts in network namespaces by scripts/lab, with what the tests ask of them.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatHostPort } from "../../common/address.js";

const here = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
// The benchmarks run this from dist/, where no script is.
const root = basename(here) === "dist" ? dirname(here) : here;
const script = join(root, "scripts/lab");

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Host {
  readonly name: string;
  readonly address: string;
}

/** Runs a program to its end; never throws for its exit code. */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly timeoutMs?: number } = {},
): Promise<Result> {
  return new Promise((resolve) => {
    execFile(
      program,
      [...args],
      {
        env: { ...process.env, ...options.env },
        timeout: options.timeoutMs ?? 60_000,
        maxBuffer: 64 << 20,
        killSignal: "SIGKILL",
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 255;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** Polls until `probe` answers something other than undefined or false; fails with `what` after `ms`. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  ms = 20_000,
): Promise<T> {
  const deadline = performance.now() + ms;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${ms} ms in vain until ${what}`, { cause: last });
    }
    await new Promise((wake) => setTimeout(wake, 25));
  }
}

/** For `service create` without -d: once all tasks run, the CLI watches for so long that they stay; else five seconds. */
export const WATCHED_BRIEFLY: readonly string[] = ["--update-monitor", "100ms"];

export interface Wire {
  /** The hosts have IPv6 addresses and no IPv4. */
  readonly ipv6?: boolean;
  /** `--datapath` of each host, first to last. */
  readonly paths?: readonly string[];
}

export class Lab {
  readonly #background: ChildProcess[] = [];

  private constructor(
    readonly name: string,
    readonly hosts: readonly Host[],
  ) {}

  /**
   * Takes down what a dead run of the same name left, then brings `count` hosts up. SKEIN_TEST_PREFIX lets the
   * same tests run twice on one machine, from two checkouts.
   */
  static async up(
    testName: string,
    count: number,
    agentFlags: readonly string[] = [],
    { ipv6 = false, paths = [] }: Wire = {},
  ): Promise<Lab> {
    const name = `${process.env["SKEIN_TEST_PREFIX"] ?? ""}${testName}`;
    const hosts = Array.from({ length: count }, (_, i) => ({
      name: `h${i + 1}`,
      address: ipv6 ? `fd00:33::${10 + i}` : `192.168.33.${10 + i}`,
    }));
    const lab = new Lab(name, hosts);
    await lab.down();
    const wire = [
      ...(ipv6 ? ["--ipv6"] : []),
      ...(paths.length > 0 ? ["--datapath", paths.join()] : []),
    ];
    await lab.must("up", String(count), ...wire, "--", ...agentFlags);
    return lab;
  }

  async down(): Promise<void> {
    for (const child of this.#background) child.kill("SIGKILL");
    await this.must("down");
  }

  lab(...args: readonly string[]): Promise<Result> {
    return run(script, args, { env: { SKEIN_LAB: this.name } });
  }

  async must(...args: readonly string[]): Promise<string> {
    const result = await this.lab(...args);
    if (result.code !== 0) {
      throw new Error(
        `lab ${args.join(" ")}: exit ${result.code}\n${result.stdout}${result.stderr}`,
      );
    }
    return result.stdout;
  }

  /** A command on a host; never throws. */
  on(host: string, ...command: readonly string[]): Promise<Result> {
    return this.lab("exec", host, ...command);
  }

  /** The same, its output without the last newline; throws unless it exits 0. */
  async ok(host: string, ...command: readonly string[]): Promise<string> {
    const result = await this.on(host, ...command);
    if (result.code !== 0) {
      throw new Error(
        `${host}$ ${command.join(" ")}: exit ${result.code}\n${result.stdout}${result.stderr}`,
      );
    }
    return result.stdout.replace(/\n$/, "");
  }

  skein(host: string, ...args: readonly string[]): Promise<string> {
    return this.ok(host, "skein", ...args);
  }

  docker(host: string, ...args: readonly string[]): Promise<string> {
    return this.ok(host, "docker", ...args);
  }

  /** Runs until `stop` is called or the lab goes down; `output` is what it printed so far. */
  start(host: string, ...command: readonly string[]) {
    const child = spawn(script, ["exec", host, ...command], {
      env: { ...process.env, SKEIN_LAB: this.name },
      stdio: ["pipe", "pipe", "pipe"],
    });
    // One that has ended reads no more.
    child.stdin.on("error", () => {});
    this.#background.push(child);
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    return {
      output: () => output,
      write: (line: string) => void child.stdin.write(`${line}\n`),
      /** Ends its input. */
      end: () => void child.stdin.end(),
      stop: async (signal: NodeJS.Signals = "SIGTERM") => {
        child.kill(signal);
        await ended;
        return output;
      },
    };
  }

  folder(host: string): string {
    return `/run/skein-lab/${this.name}/${host}`;
  }

  socket(host: string): string {
    return `${this.folder(host)}/run/skein.sock`;
  }

  netns(host: string): string {
    return `skein-${this.name}-${host}`;
  }

  log(host: string): string {
    const file = `${this.folder(host)}/agent.log`;
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** h1 leads; the others join with `role`. */
  async swarm(role: "worker" | "manager" = "worker"): Promise<void> {
    const [first, ...rest] = this.hosts;
    if (!first) return;
    await this.skein(first.name, "swarm", "init", "--advertise-addr", first.address);
    const token = await this.token(first.name, role);
    for (const host of rest) {
      const manager = formatHostPort({ host: first.address, port: 2377 });
      await this.skein(host.name, "swarm", "join", "--token", token, manager);
    }
    await until("all nodes are ready", async () => {
      const states = await this.skein(first.name, "node", "ls", "--format", "{{.Status}}");
      return states.split("\n").filter((state) => state === "Ready").length === this.hosts.length;
    });
  }

  /** Another agent in the place of `host`'s, with this `--datapath`; empty: without one. */
  async restart(host: string, path: string): Promise<void> {
    writeFileSync(join(this.folder(host), "datapath"), path);
    await this.must("kill", host, "agent");
    await this.must("start", host);
  }

  /** The network "overnet", with the machine `first` on it and, on `second`, a process "web". */
  async overnet(first: string, second: string): Promise<void> {
    const on = ["--network", "overnet"];
    await this.skein(first, "network", "create", "-d", "overlay", "--attachable", "overnet");
    await this.skein(first, "attach", ...on);
    await this.skein(second, "run", "-d", "--name", "web", ...on, "--", "sleep", "infinity");
  }

  token(host: string, role: "worker" | "manager"): Promise<string> {
    return this.skein(host, "swarm", "join-token", "--quiet", role);
  }
}
