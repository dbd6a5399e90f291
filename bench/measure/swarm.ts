// A swarm made, joined, left; its leader killed; a node cut off.
import { type Lab, until } from "../../test/netns/lab.js";
import { client, createNetwork, nodes } from "./clients.js";
import { momentOf, nodeIs } from "./cut-off.js";
import { heading, report, timed } from "./table.js";

async function ready(lab: Lab, count: number, managers: number): Promise<void> {
  await until(`${count} nodes are ready`, async () => {
    const all = await nodes(lab);
    const reachable = all.filter((node) => node.ManagerStatus?.Reachability === "reachable");
    return (
      all.filter((node) => node.Status.State === "ready").length === count &&
      reachable.length === managers
    );
  });
}

export async function leaveAll(lab: Lab): Promise<void> {
  for (const host of ["h3", "h2", "h1"]) await lab.on(host, "skein", "swarm", "leave", "--force");
}

export async function joins(lab: Lab, runs: number): Promise<void> {
  const init: number[] = [];
  const wall = { worker: [] as number[], manager: [] as number[] };
  const seen = { worker: [] as number[], manager: [] as number[] };
  for (let i = 0; i < runs; i++) {
    const address = ["--advertise-addr", "192.168.33.10"];
    init.push(await timed(() => client(lab, "h1", "docker", "swarm", "init", ...address)));
    await ready(lab, 1, 1);
    for (const [host, role, count] of [
      ["h2", "worker", 2],
      ["h3", "manager", 3],
    ] as const) {
      const token = await client(lab, "h1", "docker", "swarm", "join-token", "-q", role);
      const from = performance.now();
      const listed = ready(lab, count, role === "manager" ? 2 : 1).then(() => performance.now());
      await client(lab, host, "docker", "swarm", "join", "--token", token, "192.168.33.10:2377");
      wall[role].push(performance.now() - from);
      seen[role].push((await listed) - from);
    }
    await leaveAll(lab);
  }
  heading("swarm, 3 hosts");
  report("`docker swarm init`", init);
  report("`docker swarm join`, worker", wall.worker);
  report("- from its start until the manager lists it Ready (looked at every 25 ms)", seen.worker);
  report("`docker swarm join`, manager", wall.manager);
  report("- from its start until Ready and Reachable", seen.manager);
}

async function reachableAll(lab: Lab, host: string): Promise<void> {
  await until(
    "all managers are back",
    async () => {
      const managers = (await nodes(lab, host)).map((node) => node.ManagerStatus?.Reachability);
      return managers.length === 3 && managers.every((each) => each === "reachable");
    },
    30_000,
  );
}

export async function failover(lab: Lab, runs: number): Promise<void> {
  const writes: number[] = [];
  const back: number[] = [];
  for (let i = 0; i < runs; i++) {
    const leader = (await nodes(lab)).find((node) => node.ManagerStatus?.Leader);
    const old = leader?.Description.Hostname ?? "h1";
    const other = lab.hosts.find(({ name }) => name !== old)?.name ?? "h1";
    await lab.must("kill", old, "manager");
    const from = performance.now();
    await until(
      "a write is taken",
      async () => (await createNetwork(lab, other, `failover-${i}`)) !== "",
      30_000,
    );
    writes.push(performance.now() - from);
    await reachableAll(lab, other);
    back.push(performance.now() - from);
  }
  report("leader's manager `kill -9`: until another takes a `network create`", writes);
  report("- until the killed one is Reachable again", back);
}

export async function cutLink(lab: Lab, runs: number): Promise<void> {
  const down: number[] = [];
  const back: number[] = [];
  for (let i = 0; i < runs; i++) {
    await momentOf(i, runs);
    down.push(
      await timed(async () => {
        await lab.must("cut", "h2");
        await nodeIs(lab, "h2", "down");
      }),
    );
    back.push(
      await timed(async () => {
        await lab.must("heal");
        await nodeIs(lab, "h2", "ready");
      }),
    );
  }
  report("worker's link cut: until Down", down);
  report("- link back: until Ready", back);
}
