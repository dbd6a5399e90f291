// What is done with a service from its first task to its last container.
import { type Lab, until } from "../../test/netns/lab.js";
import { api, client } from "./clients.js";
import { momentOf, nodeIs } from "./cut-off.js";
import { heading, report, timed } from "./table.js";
import {
  create,
  created,
  type Manner,
  NAME,
  removed,
  running,
  scaledDown,
  scaledUp,
  untilGone,
  untilRunning,
  updated,
} from "./tasks.js";

const SHORT_GRACE = ["--stop-grace-period", "1s"];

/** `sizes`: it grows from two to each of them in turn. */
export async function growth(lab: Lab, runs: number, sizes: readonly number[]): Promise<void> {
  const first: number[] = [];
  const wall: number[] = [];
  const up = sizes.map((): number[] => []);
  const gone: number[] = [];
  const most = Math.max(...sizes);
  for (let i = 0; i < runs; i++) {
    const from = performance.now();
    const made = untilRunning(lab, 2).then(() => first.push(performance.now() - from));
    await create(lab, 2, "deaf", ...SHORT_GRACE);
    wall.push(performance.now() - from);
    await made;
    for (const [at, size] of sizes.entries()) {
      up[at]?.push(await scaledUp(lab, size));
      if (size !== most) await scaledDown(lab, 2);
    }
    gone.push(await removed(lab));
  }
  report("`service create --replicas 2`: until 2 tasks run", first);
  report("- the command itself, which watches for 5 s", wall);
  for (const [at, size] of sizes.entries()) {
    report(`\`service scale\` 2 → ${size}: until all run`, up[at] ?? []);
  }
  report(`\`service rm\` of ${most}, grace 1 s: until no container is left`, gone);
}

export async function shrinking(lab: Lab, runs: number): Promise<void> {
  for (const [manner, words] of [
    ["obeys", "that obey TERM"],
    ["deaf", "that do not (grace 10 s)"],
  ] as const) {
    const ms: number[] = [];
    await created(lab, 2, manner);
    for (let i = 0; i < runs; i++) {
      await scaledUp(lab, 10);
      ms.push(await scaledDown(lab, 2));
    }
    await removed(lab);
    report(`\`service scale\` 10 → 2, tasks ${words}: until 2 containers run`, ms);
  }
}

export async function updates(lab: Lab, runs: number): Promise<void> {
  const kinds: readonly (readonly [string, number, Manner, readonly string[]])[] = [
    ["4 replicas one by one, that obey TERM", 4, "obeys", []],
    ["4 replicas one by one, that do not", 4, "deaf", []],
    ["4 replicas all at once, that obey", 4, "obeys", ["--update-parallelism", "0"]],
    ["4 replicas one by one, start-first", 4, "obeys", ["--update-order", "start-first"]],
    ["10 replicas one by one, that obey", 10, "obeys", []],
  ];
  for (const [words, replicas, manner, flags] of kinds) {
    const ms: number[] = [];
    await created(lab, replicas, manner);
    // Most of it is the grace period, four times, and no chance is in that.
    const often = manner === "deaf" ? 1 : runs;
    for (let i = 0; i < often; i++) ms.push(await updated(lab, replicas, ...flags));
    await removed(lab);
    report(`\`service update --force\`, ${words}`, ms);
  }
}

/** From `docker kill` of one task's container until its slot's next task runs. */
export async function replacement(lab: Lab, runs: number): Promise<void> {
  for (const [words, flags] of [
    ["restart delay 0", ["--restart-delay", "0s"]],
    ["the default delay of 5 s", []],
  ] as const) {
    const ms: number[] = [];
    await created(lab, 2, "obeys", ...flags);
    for (let i = 0; i < runs; i++) {
      const [task] = await running(lab);
      const host = await hostOf(lab, task?.NodeID);
      ms.push(
        await timed(async () => {
          const id = task?.Status.ContainerStatus?.ContainerID ?? "";
          await client(lab, host, "docker", "kill", id);
          await until("its slot runs again", async () =>
            (await running(lab)).some(({ ID, Slot }) => Slot === task?.Slot && ID !== task.ID),
          );
        }),
      );
    }
    await removed(lab);
    report(`\`docker kill\` of a task, ${words}: until its replacement runs`, ms);
  }
}

async function hostOf(lab: Lab, nodeId: string | undefined): Promise<string> {
  const node = JSON.parse(await api(lab, "h1", "GET", `/nodes/${nodeId}`));
  return node.Description.Hostname as string;
}

async function idOf(lab: Lab, host: string): Promise<string> {
  const all = JSON.parse(await api(lab, "h1", "GET", "/nodes"));
  return all.find((node: { Description: { Hostname: string } }) => {
    return node.Description.Hostname === host;
  }).ID;
}

function elsewhere(lab: Lab, count: number, nodeId: string): Promise<unknown> {
  return until(
    "all tasks run elsewhere",
    async () => {
      const all = await running(lab);
      return all.length === count && all.every(({ NodeID }) => NodeID !== nodeId);
    },
    60_000,
  );
}

export async function drains(lab: Lab, runs: number): Promise<void> {
  const ms: number[] = [];
  const h2 = await idOf(lab, "h2");
  const availability = (word: string) =>
    client(lab, "h1", "docker", "node", "update", "--availability", word, "h2");
  for (let i = 0; i < runs; i++) {
    await created(lab, 6, "deaf", ...SHORT_GRACE);
    ms.push(
      await timed(async () => {
        await availability("drain");
        await elsewhere(lab, 6, h2);
      }),
    );
    await removed(lab);
    await availability("active");
  }
  report("`node update --availability drain`, grace 1 s: until all 6 tasks run elsewhere", ms);
}

export async function cuts(lab: Lab, runs: number): Promise<void> {
  const down: number[] = [];
  const moved: number[] = [];
  const h2 = await idOf(lab, "h2");
  for (let i = 0; i < runs; i++) {
    await created(lab, 6, "deaf", ...SHORT_GRACE);
    await momentOf(i, runs);
    const from = performance.now();
    await lab.must("cut", "h2");
    const isDown = nodeIs(lab, "h2", "down").then(() => down.push(performance.now() - from));
    await elsewhere(lab, 6, h2);
    moved.push(performance.now() - from);
    await isDown;
    await lab.must("heal");
    await nodeIs(lab, "h2", "ready");
    await removed(lab);
  }
  report("worker's link cut: until Down", down);
  report("- until its tasks run elsewhere", moved);
}

export async function startIdle(lab: Lab, count: number): Promise<void> {
  await created(lab, count, "deaf", ...SHORT_GRACE);
}

export async function stopIdle(lab: Lab): Promise<void> {
  await client(lab, "h1", "docker", "service", "rm", NAME);
  await untilGone(lab);
}

/** Containers of a node's own, as `docker run` makes them. */
export async function runs(lab: Lab, count: number): Promise<void> {
  const docker = (...args: readonly string[]) => client(lab, "h1", "docker", ...args);
  const ms = {
    first: [] as number[],
    next: [] as number[],
    rm: [] as number[],
    last: [] as number[],
    true: [] as number[],
  };
  const start = (name: string) =>
    timed(() =>
      docker("run", "-d", "--network", "overnet", "--name", name, "alpine", "sleep", "1d"),
    );
  for (let i = 0; i < count; i++) {
    ms.first.push(await start("first"));
    ms.next.push(await start("second"));
    ms.rm.push(await timed(() => docker("rm", "-f", "first")));
    ms.last.push(await timed(() => docker("rm", "-f", "second")));
    ms.true.push(await timed(() => docker("run", "--rm", "alpine", "true")));
  }
  heading("containers on a host");
  report("`docker run -d --network`, the first on that host", ms.first);
  report("- the second", ms.next);
  report("`docker rm -f` of one of the two", ms.rm);
  report("- of the last: its network goes too", ms.last);
  report("`docker run --rm alpine true`", ms.true);
}
