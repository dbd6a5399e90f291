// Services asked for by the docker CLI, and their tasks counted by the API, as a person with `watch` would.
import { type Lab, until } from "../../test/netns/lab.js";
import { api, client } from "./clients.js";
import { timed } from "./table.js";

export interface TaskView {
  readonly ID: string;
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly Slot: number;
  readonly Spec: { readonly ForceUpdate?: number };
  readonly Status: { readonly State: string; readonly ContainerStatus?: { ContainerID?: string } };
}

export interface ContainerView {
  readonly Id: string;
  readonly State: string;
}

/** The command of a task: a first process that ignores TERM, as one without a handler does, or that obeys. */
const COMMANDS = {
  deaf: ["sleep", "1d"],
  obeys: ["sh", "-c", "trap 'exit 0' TERM; sleep 1d & wait"],
} as const;
export type Manner = keyof typeof COMMANDS;

const LONGEST_MS = 180_000;
export const NAME = "measured";

const filters = (of: Record<string, readonly string[]>) => encodeURIComponent(JSON.stringify(of));

/** Tasks of the service that run and are meant to. */
export async function running(lab: Lab): Promise<readonly TaskView[]> {
  const asked = filters({ service: [NAME], "desired-state": ["running"] });
  const tasks = JSON.parse(await api(lab, "h1", "GET", `/tasks?filters=${asked}`)) as TaskView[];
  return tasks.filter(({ Status }) => Status.State === "running");
}

/** Its containers on all hosts, whatever their state. */
async function containers(
  lab: Lab,
  hosts = lab.hosts.map(({ name }) => name),
): Promise<readonly ContainerView[]> {
  const path = `/containers/json?all=1&filters=${filters({
    label: [`com.docker.swarm.service.name=${NAME}`],
  })}`;
  const lists = await Promise.all(hosts.map((host) => api(lab, host, "GET", path)));
  return lists.flatMap((list) => JSON.parse(list) as ContainerView[]);
}

export function untilRunning(lab: Lab, count: number): Promise<unknown> {
  return until(`${count} tasks run`, async () => (await running(lab)).length === count, LONGEST_MS);
}

/** Until exactly `count` of the service's containers run anywhere. */
function untilLeft(lab: Lab, count: number): Promise<unknown> {
  return until(
    `${count} containers are left`,
    async () => {
      const all = await containers(lab);
      return all.filter(({ State }) => State === "running").length === count;
    },
    LONGEST_MS,
  );
}

export function untilGone(lab: Lab): Promise<unknown> {
  return until(
    "no container is left",
    async () => (await containers(lab)).length === 0,
    LONGEST_MS,
  );
}

export async function create(
  lab: Lab,
  replicas: number,
  manner: Manner,
  ...flags: readonly string[]
): Promise<void> {
  await client(
    lab,
    "h1",
    "docker",
    ...["service", "create", "--name", NAME, "--network", "overnet", "--replicas", `${replicas}`],
    ...flags,
    "alpine",
    ...COMMANDS[manner],
  );
}

export const created: typeof create = async (lab, replicas, manner, ...flags) => {
  await create(lab, replicas, manner, "--detach", ...flags);
  await untilRunning(lab, replicas);
};

function scale(lab: Lab, count: number): Promise<string> {
  return client(lab, "h1", "docker", "service", "scale", "--detach", `${NAME}=${count}`);
}

export function scaledUp(lab: Lab, count: number): Promise<number> {
  return timed(async () => {
    await scale(lab, count);
    await untilRunning(lab, count);
  });
}

export function scaledDown(lab: Lab, count: number): Promise<number> {
  return timed(async () => {
    await scale(lab, count);
    await untilLeft(lab, count);
  });
}

/** Removes it and waits for its last container. */
export function removed(lab: Lab): Promise<number> {
  return timed(async () => {
    await client(lab, "h1", "docker", "service", "rm", NAME);
    await untilGone(lab);
  });
}

/** `docker service update --force` with `flags`, until `count` tasks of the new spec run and no other. */
export function updated(lab: Lab, count: number, ...flags: readonly string[]): Promise<number> {
  return timed(async () => {
    const before = (await running(lab)).map(({ Spec }) => Spec.ForceUpdate ?? 0);
    const old = Math.max(...before);
    await client(lab, "h1", "docker", "service", "update", "--detach", "--force", ...flags, NAME);
    await until(
      "the update is through",
      async () => {
        const all = await running(lab);
        return all.length === count && all.every(({ Spec }) => (Spec.ForceUpdate ?? 0) > old);
      },
      LONGEST_MS,
    );
  });
}
