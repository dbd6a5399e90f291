// Hosts for the kernel tests: network namespaces on one bridge, each with a `kernel-host` process
// inside. Everything has the test's own prefix and is gone after `down`.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Counts } from "../../agent/bpf/reasons.js";
import type { HostWant } from "../../agent/reconcile/want.js";
import type { HostRequest } from "./kernel-host.js";
import type { LocalRequest } from "./local-nets-host.js";

export function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** A command in the network namespace that `file` names, its output as text. */
export function inside(file: string, command: string, ...args: string[]): string {
  return execFileSync("nsenter", [`--net=${file}`, command, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

// The benchmarks run this file as it is built, tests as it is written.
const BUILT = import.meta.url.includes("/dist/") ? "./" : "../../dist/test/netns/";

export interface Answer {
  readonly error?: string;
  readonly problems?: Readonly<Record<string, string>>;
  readonly problem?: string;
  readonly value?: unknown;
  readonly counts?: Readonly<Record<string, number>>;
  readonly payloads?: readonly string[];
  readonly outcomes?: readonly {
    readonly address: string;
    readonly sent: number;
    readonly rttsUs: number[];
    readonly error: string;
  }[];
  readonly carried?: Readonly<Record<number, Counts>>;
  readonly ms: number;
}

export class Host {
  readonly netns: string;
  readonly runDir: string;
  #child: ChildProcess | undefined;
  #answers: AsyncIterator<string> | undefined;

  constructor(
    private readonly name: string,
    readonly vtep: string,
    private readonly driver = "kernel-host",
  ) {
    this.netns = `/run/netns/${name}`;
    this.runDir = mkdtempSync(`/tmp/${name}-`);
  }

  start(...more: readonly string[]): void {
    const driver = new URL(`${BUILT}${this.driver}.js`, import.meta.url).pathname;
    const args = [`--net=${this.netns}`, process.execPath, driver, this.runDir, ...more];
    this.#child = spawn("nsenter", args, { stdio: ["pipe", "pipe", "inherit"] });
    const stdout = this.#child.stdout;
    if (stdout === null) throw new Error("no pipe");
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  async ask(request: HostRequest | LocalRequest): Promise<Answer> {
    this.#child?.stdin?.write(
      `${JSON.stringify(request, (_, value) => (typeof value === "bigint" ? `${value}n` : value))}\n`,
    );
    const line = await this.#answers?.next();
    if (line === undefined || line.done) throw new Error(`${this.name} ended`);
    return JSON.parse(line.value) as Answer;
  }

  set(want: HostWant): Promise<Answer> {
    const key = want.wireguard?.key.text();
    return this.ask({ call: "set", want, ...(key && { key }) });
  }

  /** Asks and does not wait: for a host that is to be killed meanwhile. */
  tell(request: HostRequest | LocalRequest): void {
    this.ask(request).catch(() => undefined);
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    this.#child = undefined;
  }

  /** It and all that it left outside its network namespace. */
  async clear(): Promise<void> {
    await this.kill();
    const { runDir } = this;
    const unmount = `for f in ${runDir}/netns/* ${runDir}/bpf; do umount $f 2>/dev/null; done; true`;
    execFileSync("sh", ["-c", unmount]);
    rmSync(runDir, { recursive: true, force: true });
  }

  net(vni: number): string {
    return `${this.runDir}/netns/net-${vni}`;
  }
  sandbox(id: string): string {
    return `${this.runDir}/netns/sb-${id.slice(0, 12)}`;
  }
}

/** `count` hosts 192.0.2.1, .2, … (RFC 5737) on a bridge in a namespace of its own. */
export class Lab {
  readonly #prefix: string;
  readonly hosts: Host[] = [];

  constructor(prefix: string, count: number, family: 4 | 6 = 4, driver = "kernel-host") {
    this.#prefix = `${prefix}${process.pid}`;
    const wire = `${this.#prefix}w`;
    ip("netns", "add", wire);
    ip("-n", wire, "link", "add", "br0", "up", "type", "bridge");
    for (let i = 1; i <= count; i++) {
      const name = `${this.#prefix}h${i}`;
      ip("netns", "add", name);
      ip(
        "-n",
        wire,
        "link",
        "add",
        `p${i}`,
        "up",
        "master",
        "br0",
        "type",
        "veth",
        "peer",
        "name",
        "ul0",
        "netns",
        name,
      );
      const address = family === 4 ? `192.0.2.${i}` : `2001:db8::${i}`;
      const nodad = family === 6 ? ["nodad"] : [];
      ip("-n", name, "addr", "add", `${address}/${family === 4 ? 24 : 64}`, "dev", "ul0", ...nodad);
      ip("-n", name, "link", "set", "ul0", "up");
      ip("-n", name, "link", "set", "lo", "up");
      this.hosts.push(new Host(name, address, driver));
    }
  }

  host(number: number): Host {
    const host = this.hosts[number - 1];
    if (host === undefined) throw new Error(`no host ${number}`);
    return host;
  }

  async down(): Promise<void> {
    for (const host of this.hosts) {
      await host.clear();
      ip("netns", "del", host.netns.slice("/run/netns/".length));
    }
    ip("netns", "del", `${this.#prefix}w`);
  }
}
