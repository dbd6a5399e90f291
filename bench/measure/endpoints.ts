// Endpoints: one until it is pinged, one more among many, a thousand at once, containers.
import { type Lab, run, until } from "../../test/netns/lab.js";
import { api, client, createNetwork } from "./clients.js";
import { heading, report, timed } from "./table.js";

export async function attachToPing(lab: Lab, runs: number): Promise<void> {
  const ms: number[] = [];
  await createNetwork(lab, "h1", "overnet", "10.99.0.0/24");
  for (let i = 0; i < runs; i++) {
    await lab.skein("h1", "attach", "--network", "overnet", "--ip", "10.99.0.2");
    ms.push(
      await timed(async () => {
        await api(lab, "h2", "POST", "/skein/v1/attachments", { Network: "overnet" });
        const ping = await run("nsenter", [
          `--net=/run/netns/${lab.netns("h2")}`,
          ..."ping -c 1 -W 2 10.99.0.2".split(" "),
        ]);
        if (ping.code !== 0) throw new Error(`no answer: ${ping.stdout}`);
      }),
    );
    await lab.skein("h1", "detach", "overnet");
    await lab.skein("h2", "detach", "overnet");
    await withdrawn(lab, ["h1", "h2"]);
  }
  await api(lab, "h1", "DELETE", "/networks/overnet");
  report("`attach` on a second host, its first endpoint there, to the first ping answered", ms);
}

async function withdrawn(lab: Lab, hosts: readonly string[]): Promise<void> {
  await until("the network is withdrawn", async () => {
    for (const host of hosts) {
      if ((await lab.ok(host, "ls", `${lab.folder(host)}/run/netns`)) !== "") return false;
    }
    return true;
  });
}

/** What the kernel alone costs: the same links and rows, made by iproute2 in one shell. */
export async function scriptedLinks(runs: number): Promise<void> {
  const ms: number[] = [];
  for (let i = 0; i < runs; i++) {
    // The network's namespace, and one that an endpoint is in.
    const [network, inside] = ["n", "i"].map((part) => `skein-bench-${process.pid}-${i}${part}`);
    const script = `ip netns add ${network}
      ip netns add ${inside}
      ip -n ${network} link add br0 type bridge
      ip -n ${network} link add vxlan0 type vxlan id 77 dstport 4789 local 127.0.0.1 nolearning
      ip -n ${network} link add port0 type veth peer name eth0 netns ${inside}
      ip -n ${network} link set vxlan0 master br0 up
      ip -n ${network} link set port0 master br0 up
      ip -n ${network} link set br0 up
      ip -n ${inside} addr add 10.0.1.3/24 dev eth0
      ip -n ${inside} link set eth0 up
      bridge -n ${network} fdb replace 02:42:0a:00:01:02 dev vxlan0 dst 192.168.33.10
      ip -n ${network} neigh replace 10.0.1.2 lladdr 02:42:0a:00:01:02 dev br0`;
    ms.push(
      await timed(async () => {
        const made = await run("sh", ["-ec", script]);
        if (made.code !== 0) throw new Error(made.stderr);
      }),
    );
    for (const name of [network, inside]) await run("ip", ["netns", "del", String(name)]);
  }
  report("(the same namespaces, links and rows by an `ip` script)", ms);
}

export async function containers(lab: Lab, runs: number): Promise<void> {
  const first: number[] = [];
  const next: number[] = [];
  const remove: number[] = [];
  await createNetwork(lab, "h1", "runs", "10.98.0.0/24");
  const start = (name: string) =>
    timed(() =>
      client(
        lab,
        "h1",
        "skein",
        ..."run -d --network runs --name".split(" "),
        name,
        "--",
        "sleep",
        "1d",
      ),
    );
  for (let i = 0; i < runs; i++) {
    first.push(await start("first"));
    next.push(await start("second"));
    for (const name of ["first", "second"])
      remove.push(await timed(() => client(lab, "h1", "docker", "rm", "-f", name)));
    await withdrawn(lab, ["h1"]);
  }
  await api(lab, "h1", "DELETE", "/networks/runs");
  report("`skein run -d --network`, the first on the host", first);
  report("- the second", next);
  report("`docker rm -f` of one", remove);
}

/** Endpoints arrive at all hosts in steps; between steps, one more is timed. */
export async function arrivals(lab: Lab, steps: readonly number[]): Promise<void> {
  const total = (steps.at(-1) ?? 0) + steps.length;
  const name = (i: number) => `skein-${lab.name}-e${i}`;
  const each = (what: string) =>
    run(
      "sh",
      ["-c", `for i in $(seq 0 ${total - 1}); do ip netns ${what} skein-${lab.name}-e$i; done`],
      {
        timeoutMs: 300_000,
      },
    );
  await each("add");
  try {
    await createNetwork(lab, "h1", "large", "10.77.0.0/20");
    heading("endpoints on one network of 3 hosts");
    let used = 0;
    for (const step of steps) {
      const from = used;
      const names = Array.from({ length: step - used }, (_, i) => name(used + i));
      used = step;
      const attached: number[] = [];
      const whole = await timed(() => attachAll(lab, names, attached, used));
      report(`${from} → ${step}: until every kernel has all rows`, [whole]);
      report("- one attach meanwhile (48 at once)", attached);
      const alone = { Network: "large", Netns: name(used++) };
      report(`- one more alone, with ${step} there`, [
        await timed(() => api(lab, "h1", "POST", "/skein/v1/attachments", alone)),
      ]);
    }
  } finally {
    await each("del");
  }
}

async function attachAll(
  lab: Lab,
  names: readonly string[],
  attached: number[],
  total: number,
): Promise<void> {
  const hosts = lab.hosts.map((host) => host.name);
  const attach = (host: string, netns: string) =>
    timed(() =>
      api(lab, host, "POST", "/skein/v1/attachments", { Network: "large", Netns: netns }),
    );
  await Promise.all(
    hosts.flatMap((host, h) => {
      const mine = names.filter((_, i) => i % hosts.length === h);
      return Array.from({ length: 16 }, async () => {
        for (let next = mine.pop(); next; next = mine.pop())
          attached.push(await attach(host, next));
      });
    }),
  );
  await Promise.all(hosts.map((host) => hasAllRows(lab, host, total)));
}

/** A host's own endpoints are ports of its bridge; each of the others is a row. */
async function hasAllRows(lab: Lab, host: string, total: number): Promise<void> {
  const [network] = JSON.parse(await lab.skein("h1", "network", "inspect", "large"));
  const vni = network.Options["com.docker.network.driver.overlay.vxlanid_list"];
  const file = `${lab.folder(host)}/run/netns/net-${vni}`;
  const own = JSON.parse(await api(lab, host, "GET", "/skein/v1/attachments")) as unknown[];
  await until(
    `${host}'s kernel has every row`,
    async () => {
      const rows = await run("nsenter", [
        `--net=${file}`,
        ..."ip neigh show nud permanent".split(" "),
      ]);
      return rows.stdout.split("\n").length - 1 >= total - own.length;
    },
    120_000,
  );
}
