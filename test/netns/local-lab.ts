// One host whose loop of local networks runs, and one neighbour on the same wire, for the tests of a node's own
// networks. A sandbox stands for a container, and a small server inside says who asked it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect } from "vitest";
import type { LocalJoin } from "../../agent/loops/placing.js";
import type { PortBinding } from "../../agent/seams.js";
import { type Endpoint, type Network, NetworkSpec } from "../../proto/gen/types.js";
import { inside, Lab } from "./kernel-lab.js";

export const ECHO = new URL("echo.mjs", import.meta.url).pathname;
// A port that nothing else in the namespaces has.
export const WEB = 8080;
export const ids = { a: "a".repeat(64), b: "b".repeat(64), c: "c".repeat(64), d: "d".repeat(64) };
export type Name = keyof typeof ids;
const NAMES = ["a", "b", "c", "d"] as const;

export interface Joined {
  readonly endpoint: Endpoint;
  readonly network: Network;
  readonly ports: readonly PortBinding[];
  readonly netns: string;
  /** Without prefix length; empty: it has none. */
  readonly ip: string;
  readonly ip6: string;
}

export const port = (more: Partial<PortBinding> = {}): PortBinding => ({
  containerPort: 80,
  protocol: "tcp",
  hostIp: "",
  hostPort: WEB,
  ...more,
});

export const spec = (name: string, more: Partial<NetworkSpec> = {}): NetworkSpec =>
  NetworkSpec.fromPartial({ name, driver: "bridge", ipamDriver: "default", ...more });

export class LocalLab {
  readonly lab: Lab;
  readonly #children = new Set<ChildProcess>();

  constructor(prefix: string) {
    this.lab = new Lab(process.env["SKEIN_TEST_PREFIX"] ?? prefix, 2, 4, "local-nets-host");
  }

  get host() {
    return this.lab.host(1);
  }
  /** The namespace of the other machine on the wire. */
  get neighbour(): string {
    return this.lab.host(2).netns;
  }

  /** The agent begins, with nothing to declare again. */
  async start(): Promise<void> {
    this.host.start();
    await this.host.ask({ call: "restored" });
  }

  async down(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await this.lab.down();
  }

  async create(wanted: NetworkSpec): Promise<Network> {
    const answer = await this.host.ask({ call: "create", spec: wanted });
    expect(answer.error).toBeUndefined();
    return answer.value as Network;
  }

  async remove(ref: string): Promise<void> {
    expect((await this.host.ask({ call: "remove", ref })).error).toBeUndefined();
  }

  async joining(
    name: Name,
    network: string,
    ports: readonly PortBinding[] = [],
    more: Partial<LocalJoin> = {},
  ) {
    const id = ids[name];
    await this.host.ask({ call: "sandbox", id });
    const request: LocalJoin = {
      endpointId: `endpoint-${name}`,
      network,
      containerId: id,
      interfaceName: "eth0",
      name: `c-${name}`,
      aliases: [],
      hostname: name,
      ipv4: "",
      ipv6: "",
      ports,
      gateway: true,
      ...more,
    };
    return this.host.ask({ call: "join", request });
  }

  /** A container on the network, with a server on port 80 of its own. */
  async joined(
    name: Name,
    network = "bridge",
    ports: readonly PortBinding[] = [],
    more: Partial<LocalJoin> = {},
  ): Promise<Joined> {
    const answer = await this.joining(name, network, ports, more);
    expect(answer.error).toBeUndefined();
    const value = answer.value as Omit<Joined, "netns">;
    const netns = this.host.sandbox(ids[name]);
    await this.serve(netns, ["serve", name, "80"]);
    const [ip = ""] = value.endpoint.ipv4.split("/");
    const [ip6 = ""] = value.endpoint.ipv6.split("/");
    return { ...value, netns, ip, ip6 };
  }

  async gone(name: Name): Promise<void> {
    await this.host.ask({ call: "leave", id: `endpoint-${name}` });
    await this.host.ask({ call: "drop", id: ids[name] });
  }
  async allGone(): Promise<void> {
    for (const name of NAMES) await this.gone(name);
  }

  /** A child of ours in a namespace, once it says that it is ready. */
  async serve(netns: string, args: readonly string[]): Promise<ChildProcess> {
    const child = this.spawn(netns, args);
    await lines(child).next();
    return child;
  }

  spawn(netns: string, args: readonly string[]): ChildProcess {
    const child = spawn("nsenter", [`--net=${netns}`, process.execPath, ECHO, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children.add(child);
    return child;
  }

  /** Ended, and its ports free again. */
  async end(child: ChildProcess): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  nft(...args: string[]): string {
    return inside(this.host.netns, "nft", ...args);
  }
  links(): string {
    return inside(this.host.netns, "ip", "-br", "link");
  }

  async logged(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { value } = await this.host.ask({ call: "logged" });
    return value as readonly Readonly<Record<string, unknown>>[];
  }
}

export function lines(child: ChildProcess): AsyncIterator<string> {
  if (child.stdout === null) throw new Error("no pipe");
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

/** What the one asked says: its name, and the address that it was asked from; or the error, or "timeout". */
export const ask = (netns: string, to: string, at = WEB, protocol = "tcp") =>
  inside(netns, process.execPath, ECHO, "ask", protocol, to, String(at));

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 5_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
