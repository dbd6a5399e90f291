// What the swarm says is compared with what every host's kernel holds: rows, ports, namespaces, mounts,
// links, addresses, routes and processes. Slow and obvious on purpose: it shares no code with the agent.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Lab } from "./lab.js";
import { callApi, getJson } from "./local-api.js";

interface ApiNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Options: Record<string, string>;
  readonly IPAM: {
    readonly Config: readonly { readonly Subnet: string; readonly Gateway: string }[];
  };
  readonly Containers?: Record<string, unknown>;
  readonly Services?: Record<string, { readonly Tasks: readonly ApiTask[] }>;
}
interface ApiTask {
  readonly Name: string;
  readonly EndpointID: string;
  readonly EndpointIP: string;
  readonly Info: Record<string, string>;
}
interface ApiContainer {
  readonly Id: string;
  readonly State: string;
}
interface ApiAttachment {
  readonly Name: string;
  readonly Interface: string;
  readonly IPv4Address: string;
  readonly Problem: string;
}

export interface Endpoint {
  readonly id: string;
  readonly name: string;
  readonly ip: string;
  readonly host: string;
}
export interface Network {
  readonly id: string;
  readonly name: string;
  readonly vni: string;
  readonly encrypted: boolean;
  readonly endpoints: readonly Endpoint[];
}

/** The swarm's overlay networks with all their endpoints, as the manager on `host` says. */
export async function networksOf(lab: Lab, host: string): Promise<readonly Network[]> {
  const socket = lab.socket(host);
  const all = await getJson<readonly ApiNetwork[]>(socket, "/networks");
  const networks: Network[] = [];
  for (const { Id, Driver, Name } of all) {
    if (Driver !== "overlay" || Name === "ingress") continue;
    const network = await getJson<ApiNetwork>(socket, `/networks/${Id}?verbose=true`);
    const tasks = Object.values(network.Services ?? {}).flatMap((service) => service.Tasks);
    networks.push({
      id: Id,
      name: Name,
      vni: network.Options["com.docker.network.driver.overlay.vxlanid_list"] ?? "",
      encrypted: "encrypted" in network.Options,
      endpoints: tasks.map((task) => ({
        id: task.EndpointID,
        name: task.Name,
        ip: task.EndpointIP,
        host: task.Info["Host IP"] ?? "",
      })),
    });
  }
  return networks;
}

async function pathOf(lab: Lab, host: string): Promise<string> {
  const page = await getJson<{
    readonly Nodes: readonly {
      readonly Hostname: string;
      readonly DataPath: { readonly Path: string } | null;
    }[];
  }>(lab.socket(host), "/skein/v1/doctor");
  return page.Nodes.find(({ Hostname }) => Hostname === host)?.DataPath?.Path ?? "";
}

interface Bridge {
  readonly device: string;
  readonly address: string;
  readonly ports: number;
}

/** Those of the node's own networks that something is on: only these have a device. */
async function bridgesOf(lab: Lab, host: string): Promise<readonly Bridge[]> {
  const socket = lab.socket(host);
  const all = await getJson<readonly ApiNetwork[]>(socket, "/networks");
  const bridges: Bridge[] = [];
  for (const { Id, Driver, Options } of all) {
    if (Driver !== "bridge") continue;
    const network = await getJson<ApiNetwork>(socket, `/networks/${Id}`);
    const ports = Object.keys(network.Containers ?? {}).length;
    if (ports === 0) continue;
    const [pool] = network.IPAM.Config;
    bridges.push({
      device: Options["com.docker.network.bridge.name"] ?? `br-${Id.slice(0, 12)}`,
      address: `${pool?.Gateway}/${pool?.Subnet.split("/")[1]}`,
      ports,
    });
  }
  return bridges;
}

/** All differences, each a sentence; none when the lab is as the swarm says. `guide` is asked for the truth. */
export async function differences(lab: Lab, guide: string): Promise<readonly string[]> {
  const found: string[] = [];
  const networks = await networksOf(lab, guide);
  for (const network of networks) {
    const ips = network.endpoints.map(({ ip }) => ip);
    if (new Set(ips).size < ips.length) found.push(`${network.name}: an address twice: ${ips}`);
  }
  for (const { name, address } of lab.hosts) {
    const differ = await hostDifferences(lab, name, address, networks);
    found.push(...differ.map((text) => `${name}: ${text}`));
  }
  return found;
}

async function hostDifferences(
  lab: Lab,
  host: string,
  address: string,
  networks: readonly Network[],
): Promise<readonly string[]> {
  const socket = lab.socket(host);
  const containers = await getJson<readonly ApiContainer[]>(socket, "/containers/json?all=true");
  const attachments = await getJson<readonly ApiAttachment[]>(socket, "/skein/v1/attachments");
  const running = containers.filter(({ State }) => State === "running");
  const here = networks.filter(({ endpoints }) => endpoints.some((e) => e.host === address));
  // By eBPF programs: beside the kernel's own devices a pair for each network, and a place for their tables.
  const isAccelerated = (await pathOf(lab, host)) === "accelerated";
  const accelerated = here.filter(({ encrypted }) => isAccelerated && !encrypted);
  const found: string[] = [];
  const compare = (what: string, want: readonly string[], have: readonly string[]) => {
    const wanted = new Set(want);
    const had = new Set(have);
    const missing = [...wanted].filter((each) => !had.has(each));
    const unwanted = [...had].filter((each) => !wanted.has(each));
    if (missing.length > 0) found.push(`${what}: missing ${missing.join(" | ")}`);
    if (unwanted.length > 0) found.push(`${what}: unwanted ${unwanted.join(" | ")}`);
  };
  const folder = `${lab.folder(host)}/run/netns`;
  // Whoever shares a network watches the others by one of the nodes' own.
  const isShared = here.some(({ endpoints }) => endpoints.some((e) => e.host !== address));
  const files = [
    ...here.map(({ vni }) => `net-${vni}`),
    ...(isShared ? ["net-16777214"] : []),
    ...running.map(({ Id }) => `sb-${Id.slice(0, 12)}`),
  ];
  compare("namespace files", files, listed(folder));
  compare(
    "mounts",
    [
      ...files.map((file) => `${folder}/${file}`),
      ...(accelerated.length > 0 ? [`${lab.folder(host)}/run/bpf`] : []),
    ],
    mountsBelow(lab.folder(host)),
  );
  const { shims, daemons } = processesOf(lab, host);
  compare(
    "shims",
    running.map(({ Id }) => Id.slice(0, 12)),
    shims,
  );
  if (daemons.length > 2) found.push(`daemons: ${daemons.join(", ")}`);
  for (const { Problem, Name } of attachments) {
    if (Problem !== "") found.push(`attachment ${Name}: ${Problem}`);
  }
  const bridges = await bridgesOf(lab, host);
  const links = JSON.parse(await lab.ok(host, "ip", "-j", "link")) as readonly {
    readonly ifname: string;
    readonly master?: string;
  }[];
  const ports = (device: string) => links.filter(({ master }) => master === device).length;
  compare(
    "links",
    [
      "lo",
      "eth0",
      ...attachments.map(({ Interface }) => Interface),
      ...bridges.map(({ device }) => device),
      ...accelerated.map(({ vni }) => `pair of ${vni}`),
    ],
    links
      .filter(({ master }) => master === undefined)
      .map(({ ifname }) => ifname.replace(/^sk-\w+-(?=\d+$)/, "pair of ")),
  );
  compare(
    "ports of bridges",
    bridges.map(({ device, ports: count }) => `${device} ${count}`),
    bridges.map(({ device }) => `${device} ${ports(device)}`),
  );
  const addresses = JSON.parse(await lab.ok(host, "ip", "-j", "-4", "addr")) as readonly {
    ifname: string;
    addr_info: readonly { local: string; prefixlen: number }[];
  }[];
  compare(
    "addresses",
    [
      `eth0 ${address}/24`,
      ...attachments.map(({ Interface, IPv4Address }) => `${Interface} ${IPv4Address}`),
      ...bridges.map((bridge) => `${bridge.device} ${bridge.address}`),
    ],
    addresses
      .filter(({ ifname }) => ifname !== "lo")
      .flatMap(({ ifname, addr_info }) =>
        addr_info.map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`),
      ),
  );
  const routes = JSON.parse(await lab.ok(host, "ip", "-j", "route")) as readonly { dev: string }[];
  compare(
    "routes",
    [
      "eth0",
      ...attachments.map(({ Interface }) => Interface),
      ...bridges.map(({ device }) => device),
    ],
    routes.map(({ dev }) => dev),
  );
  for (const network of here) {
    if (!listed(folder).includes(`net-${network.vni}`)) continue;
    const remote = network.endpoints.filter((endpoint) => endpoint.host !== address);
    const locals = network.endpoints.filter((endpoint) => endpoint.host === address);
    const dump = async (...command: readonly string[]) =>
      JSON.parse(
        await lab.ok(host, "nsenter", `--net=${folder}/net-${network.vni}`, ...command),
      ) as Record<string, string>[];
    const fdb = await dump("bridge", "-j", "fdb");
    const at = (what: string) => `${network.name} (net-${network.vni}) ${what}`;
    compare(
      at("VTEP rows"),
      remote.map(({ ip, host: vtep }) => `${macOf(ip)} ${vtep}`),
      fdb
        .filter((row) => row["dst"] && row["mac"] !== "00:00:00:00:00:00")
        .map((row) => `${row["mac"]} ${row["dst"]}`),
    );
    compare(
      at("flood"),
      remote.map(({ host: vtep }) => vtep),
      fdb
        .filter((row) => row["dst"] && row["mac"] === "00:00:00:00:00:00")
        .map((row) => String(row["dst"])),
    );
    compare(
      at("bridge rows"),
      [
        ...remote.map(({ ip }) => `${macOf(ip)} vxlan`),
        ...locals.map(({ ip }) => `${macOf(ip)} port`),
      ],
      fdb
        .filter((row) => row["master"] === "br0" && row["state"] === "static")
        .map((row) => `${row["mac"]} ${row["ifname"] === "vxlan0" ? "vxlan" : "port"}`),
    );
    compare(
      at("neighbours"),
      remote.map(({ ip }) => `${ip} ${macOf(ip)}`),
      (await dump("ip", "-j", "neigh"))
        .filter((row) => row["state"]?.includes("PERMANENT"))
        .map((row) => `${row["dst"]} ${row["lladdr"]}`),
    );
    const ports = (await dump("ip", "-j", "link")).map((link) => String(link["ifname"]));
    const own = ["lo", "br0", "vxlan0", ...(accelerated.includes(network) ? ["fast0"] : [])];
    const extra = ports.filter((name) => !own.includes(name));
    if (extra.length !== locals.length) {
      found.push(at(`has ports ${extra.join(",")} for ${locals.map(({ name }) => name)}`));
    }
  }
  return found;
}

/** The leader's own measurement; the pairs that did not answer. */
export async function unreachablePairs(lab: Lab, host: string): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const network of await networksOf(lab, host)) {
    if (network.endpoints.length < 2) continue;
    const { status, body } = await callApi(
      lab.socket(host),
      "POST",
      `/skein/v1/networks/${network.id}/ping`,
      { Count: 2, TimeoutMs: 2_000 },
    );
    if (status !== 200) {
      lost.push(`${network.name}: ping ${status} ${body}`);
      continue;
    }
    const names = new Map(network.endpoints.map(({ id, name }) => [id, name]));
    const results = body
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const pairs = results.filter((each) => each["FromEndpoint"] !== "");
    const count = network.endpoints.length;
    if (pairs.length < count * (count - 1)) {
      const sources = new Set(pairs.map((each) => each["FromEndpoint"]));
      const silent = network.endpoints.filter(({ id }) => !sources.has(id));
      const names = silent.map(({ name, host: at }) => `${name} on ${at}`);
      lost.push(`${network.name}: ${pairs.length} results for ${count}, none of ${names}`);
    }
    for (const each of results) {
      if (each["Received"] === each["Sent"] && each["Sent"] !== 0) continue;
      const from = names.get(String(each["FromEndpoint"])) ?? each["FromNode"];
      const to = names.get(String(each["ToEndpoint"])) ?? each["ToNode"];
      lost.push(`${network.name}: ${from} to ${to}: ${JSON.stringify(each)}`);
    }
  }
  return lost;
}

/** 02:42 and the IPv4 address, as Docker's overlay has it. */
function macOf(ip: string): string {
  const bytes = ip.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return `02:42:${bytes.join(":")}`;
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function mountsBelow(folder: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${folder}/`) && !point.startsWith(`${folder}/state`));
}

/** By their command lines, which name the host's folder. */
export function processesOf(lab: Lab, host: string) {
  const shims: string[] = [];
  const daemons: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const mine = line.some((word) => word.startsWith(`${lab.folder(host)}/`));
      if (!mine || /\(Z\)| Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) continue;
      const program = line.find((word) => word.endsWith(".js")) ?? "";
      if (program.endsWith("/shim.js")) {
        const at = line.find((word) => word.includes("/run/containers/")) ?? "";
        shims.push(at.split("/").at(-1) ?? "");
      } else if (/dist\/(agent|manager)\/main\.js$/.test(program)) {
        if (readlinkSync(`/proc/${pid}/exe`) !== "") daemons.push(`${program} ${pid}`);
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return { shims, daemons };
}
