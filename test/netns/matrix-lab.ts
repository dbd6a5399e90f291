// The swarm of the matrix test: three hosts on a data path each, networks of every family with a task on each host, a
// client on the wire, and a machine without an agent that has plain VXLAN devices on all three networks.
import { join } from "node:path";
import { Lab, run, until } from "./lab.js";
import { getJson } from "./local-api.js";

export const PATHS = ["kernel", "accelerated", "userspace"] as const;
export type Path = (typeof PATHS)[number];
export const INSIDES = { v4: [4], v6: [6], dual: [4, 6] } as const;
export type Inside = keyof typeof INSIDES;
export type Family = 4 | 6;

const PROGRAM = join(import.meta.dirname, "matrix.mjs");
const NODE = process.execPath;
export const PORT = 80;
export const PUBLISHED: Readonly<Record<Inside, number>> = { v4: 8084, v6: 8086, dual: 8088 };
const PLAIN = "h4";
const CREATE: Readonly<Record<Inside, readonly string[]>> = {
  v4: [],
  v6: ["--ipv4=false", "--ipv6"],
  dual: ["--ipv6"],
};

/** Who has addresses on a network: a task, a service, or the plain machine. */
export type Addresses = Readonly<Partial<Record<Family, string>>>;

export interface Member {
  readonly host: string;
  readonly addresses: Addresses;
  /** The namespace that it is in. */
  readonly netns: string;
}

export interface NetworkOf {
  readonly id: string;
  readonly vip: Addresses;
  /** By host. */
  readonly tasks: ReadonlyMap<string, Member>;
  readonly plain: Member;
}

export type Check = Readonly<Record<string, unknown>> & { readonly kind: string };
export type Outcomes = Readonly<Record<string, string>>;

export class MatrixLab {
  readonly networks = new Map<Inside, NetworkOf>();

  private constructor(
    readonly lab: Lab,
    /** Of the wire. */
    readonly family: Family,
  ) {}

  static async up(family: Family): Promise<MatrixLab> {
    const wire = { ipv6: family === 6, paths: [...PATHS, "kernel"] };
    const matrix = new MatrixLab(await Lab.up(`matrix${family}`, 4, [], wire), family);
    await Promise.all([matrix.lab.swarm(), matrix.#makeClient()]);
    const insides = Object.keys(INSIDES) as Inside[];
    await matrix.#makePlain(
      await Promise.all(insides.map((inside) => matrix.#makeNetwork(inside))),
    );
    matrix.lab.start(PLAIN, "env", `NAME=${PLAIN}`, NODE, PROGRAM, "serve", String(PORT));
    return matrix;
  }

  down(): Promise<void> {
    return this.lab.down();
  }

  /** The hosts that have a task of every service, in the order of PATHS. */
  get hosts() {
    return this.lab.hosts.filter(({ name }) => name !== PLAIN);
  }

  get client() {
    const address = this.family === 4 ? "192.168.33.100" : "fd00:33::100";
    return { address, netns: `/run/netns/${this.lab.netns("client")}` };
  }

  /** The path that the agent there took, and why not the one that it was told to. */
  pathOf(host: string): { readonly path: string; readonly why: string } {
    const line = this.lab
      .log(host)
      .split("\n")
      .find((each) => each.includes('"msg":"data path"'));
    const { path = "", why = [] } = JSON.parse(line ?? "{}");
    return { path, why: why.join(" ") };
  }

  network(inside: Inside): NetworkOf {
    const network = this.networks.get(inside);
    if (network === undefined) throw new Error(`there is no network ${inside}`);
    return network;
  }

  async probe(netns: string, checks: Readonly<Record<string, Check>>): Promise<Outcomes> {
    const args = [`--net=${netns}`, NODE, PROGRAM, "probe", JSON.stringify(checks)];
    const { code, stdout, stderr } = await run("nsenter", args);
    if (code !== 0) throw new Error(`the probe in ${netns} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  // On the wire, as a host of somebody else's.
  async #makeClient(): Promise<void> {
    const { lab, client, family } = this;
    await lab.must("netns", "client");
    const wire = `skein-${lab.name}`;
    const own = lab.netns("client");
    const address = `${client.address}/${family === 4 ? 24 : 64}`;
    await sh(`
      ip -n ${own} link add eth0 type veth peer name client netns ${wire}
      ip -n ${own} addr add ${address} dev eth0 ${family === 4 ? "" : "nodad"}
      ip -n ${own} link set eth0 up
      ip -n ${wire} link set client master br0 up
    `);
  }

  /** Answers what the plain machine got of it. */
  async #makeNetwork(inside: Inside): Promise<Plain> {
    const { lab } = this;
    const name = `net-${inside}`;
    const service = `web-${inside}`;
    const create = ["network", "create", "-d", "overlay", "--attachable", ...CREATE[inside], name];
    const id = await lab.docker("h1", ...create);
    const attach = ["--network", name, "--interface", name, "--format", "json"];
    const [attachment] = await Promise.all([
      lab.skein(PLAIN, "attach", ...attach),
      lab.skein(
        ...(["h1", "service", "create", "-d", "-q", "--name", service] as const),
        ...["--mode", "global", "--runtime", "process", "--network", name],
        ...["--constraint", `node.hostname!=${PLAIN}`, "--env", "NAME={{.Node.Hostname}}"],
        ...["-p", `${PUBLISHED[inside]}:${PORT}`, "--", NODE, PROGRAM, "serve", String(PORT)],
      ),
    ]);
    const members = this.hosts.map((host) =>
      until(`${service} runs on ${host.name}`, () => this.#task(host.name, name, service), 60_000),
    );
    const tasks = new Map((await Promise.all(members)).map((member) => [member.host, member]));
    const plain = JSON.parse(attachment) as Plain;
    const { Endpoint } = await this.#look<{
      Endpoint: { VirtualIPs: { NetworkID: string; Addr: string }[] };
    }>("h1", `services/${service}`);
    const vips = Endpoint.VirtualIPs.filter((each) => each.NetworkID === id);
    this.networks.set(inside, {
      id,
      vip: byFamily(vips.map(({ Addr }) => Addr)),
      tasks,
      plain: {
        host: PLAIN,
        addresses: byFamily([plain.IPv4Address, plain.IPv6Address]),
        netns: `/run/netns/${lab.netns(PLAIN)}`,
      },
    });
    return plain;
  }

  async #task(host: string, network: string, service: string): Promise<Member | undefined> {
    type Own = { readonly IPAddress: string; readonly GlobalIPv6Address: string };
    interface Container {
      readonly Id: string;
      readonly NetworkSettings: { readonly Networks: Readonly<Record<string, Own>> };
    }
    const filters = encodeURIComponent(JSON.stringify({ name: [service], status: ["running"] }));
    const [found] = await this.#look<Container[]>(host, `containers/json?filters=${filters}`);
    const own = found?.NetworkSettings.Networks[network];
    if (found === undefined || own === undefined) return undefined;
    const netns = `${this.lab.folder(host)}/run/netns/sb-${found.Id.slice(0, 12)}`;
    return { host, addresses: byFamily([own.IPAddress, own.GlobalIPv6Address]), netns };
  }

  /**
   * What the agent of that machine made goes, and ordinary VXLAN devices have its MACs and addresses, which ask by
   * broadcast and multicast and learn.
   */
  async #makePlain(all: readonly Plain[]): Promise<void> {
    const { lab } = this;
    const own = lab.hosts.find(({ name }) => name === PLAIN)?.address;
    const mtu = this.family === 4 ? 1450 : 1430;
    await lab.must("stop", PLAIN);
    const devices = all.map(async ({ NetworkID, Interface, MacAddress, ...plain }) => {
      const { Options } = await this.#look<{ Options: Record<string, string> }>(
        "h1",
        `networks/${NetworkID}`,
      );
      const vni = Options["com.docker.network.driver.overlay.vxlanid_list"];
      const prefixes = [plain.IPv4Address, plain.IPv6Address].filter(Boolean);
      return `
        ip link del ${Interface}
        ip link add p${vni} address ${MacAddress} type vxlan id ${vni} local ${own} dstport 4789
        ip link set p${vni} mtu ${mtu} up
        ${prefixes.map((prefix) => `ip addr add ${prefix} dev p${vni} nodad`).join("\n")}
        for to in ${this.hosts.map(({ address }) => address).join(" ")}; do
          bridge fdb append 00:00:00:00:00:00 dev p${vni} dst $to
        done
      `;
    });
    // Two devices of one VNI cannot share a port.
    await sh(`
      for file in ${lab.folder(PLAIN)}/run/netns/*; do
        nsenter --net=$file ip link del vxlan0 2>/dev/null || true
      done
      nsenter --net=/run/netns/${lab.netns(PLAIN)} sh -e <<'END'
      ${(await Promise.all(devices)).join("\n")}
END
    `);
  }

  #look<T>(host: string, path: string): Promise<T> {
    return getJson<T>(this.lab.socket(host), `/v1.50/${path}`);
  }
}

/** What `skein attach` says. */
interface Plain {
  readonly NetworkID: string;
  readonly Interface: string;
  readonly MacAddress: string;
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

function byFamily(prefixes: readonly string[]): Addresses {
  const addresses: Partial<Record<Family, string>> = {};
  for (const prefix of prefixes) {
    const address = prefix.split("/")[0] ?? "";
    if (address !== "") addresses[address.includes(":") ? 6 : 4] = address;
  }
  return addresses;
}

async function sh(script: string): Promise<void> {
  const { code, stdout, stderr } = await run("sh", ["-ec", script]);
  if (code !== 0) throw new Error(`exit ${code} of ${script}\n${stdout}${stderr}`);
}
