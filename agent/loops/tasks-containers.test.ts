// Tasks over the real loop of containers; only the processes, the kernel and the swarm are fakes.
import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { type Assignments, AttachRequest } from "../../proto/gen/dispatcher.js";
import { ContainerSpec, Task, TaskSpec, TaskState, TaskStatus } from "../../proto/gen/service.js";
import { containerParts, FakeImages, MemoryVolumeDisk } from "../../test/fakes/containers.js";
import { NO_LOCAL_NETWORKS } from "../../test/fakes/none.js";
import { FakeEndpoints, FakePlacing } from "../../test/fakes/placing.js";
import { FakeRuntime, MemoryContainerDisk } from "../../test/fakes/runtime.js";
import { NOTHING } from "../assignments/merge.js";
import { ContainerLoop } from "./containers.js";
import { EventLog } from "./events.js";
import { HeldAssignments } from "./held-assignments.js";
import { NO_IMAGES } from "./none.js";
import { Releases } from "./releases.js";
import { TaskLoop } from "./tasks.js";

const NODE = { id: "node1", hostname: "h1", architecture: "x86_64", os: "linux" };
const timing = { ...DEFAULT_TIMING, retryMinMs: 1, retryMaxMs: 2 };
const log = silentLogger();

async function world() {
  const endpoints = new FakeEndpoints();
  await endpoints.attach(
    AttachRequest.create({ endpointId: "e1", network: "overnet", ownerId: "t1" }),
  );
  return {
    endpoints,
    runtime: new FakeRuntime(),
    containerd: new FakeRuntime(),
    disk: new MemoryContainerDisk(),
    images: new FakeImages(),
    volumeDisk: new MemoryVolumeDisk(),
    journal: [] as Assignments[],
  };
}

async function agentIn(outside: Awaited<ReturnType<typeof world>>, seed = 1) {
  const { endpoints, disk, journal } = outside;
  const placing = new FakePlacing();
  const events = new EventLog();
  const releaseDisk = { load: async () => [], save: async () => {} };
  const releases = new Releases(endpoints, releaseDisk, systemClock, timing, log);
  const common = { endpoints, placing, releases, disk, events, log, random: seededRandom(seed) };
  const tools = { ...common, ...containerParts(outside, events as never), clock: systemClock };
  const containers: ContainerLoop = new ContainerLoop(tools);
  await containers.restore();
  const journalDisk = {
    load: async () => undefined,
    save: async (assignments: Assignments) => void journal.push(assignments),
    clear: async () => {},
  };
  const held = new HeldAssignments(journal.at(-1), NODE.id, journalDisk, systemClock, timing, log);
  const tasks = new TaskLoop({
    ...{ containers, images: NO_IMAGES, localNets: NO_LOCAL_NETWORKS, events },
    ...{ clock: systemClock, timing, log },
  });
  const said: string[] = [];
  let owned: number | undefined;
  tasks.reports.opened(({ reports }) => {
    for (const { taskId, status } of reports) {
      said.push(`${taskId} ${TaskState[status?.state ?? 0]}${status?.err ? ` ${status.err}` : ""}`);
    }
    owned = placing.owned.size + placing.sandboxes.size;
  });
  tasks.setSource({ node: NODE, held, drain: { drained: async () => {} } });
  tasks.start();
  return {
    ...outside,
    ...{ placing, containers, held, tasks, said },
    ownedWhenSaid: () => owned,
    async killed() {
      tasks.setSource(undefined);
      await tasks.close();
      await held.close();
    },
  };
}

function taskOf(version: number, desired = TaskState.RUNNING) {
  const container = ContainerSpec.create({ command: ["sleep"], args: ["1d"] });
  return Task.create({
    ...{ id: "t1", serviceId: "s1", serviceName: "web", slot: 1, nodeId: NODE.id },
    ...{ desiredState: desired, endpointIds: ["e1"] },
    meta: { version, createdVersion: 1, createdAtMs: 0, updatedAtMs: 0 },
    spec: TaskSpec.create({ runtime: "process", container }),
    status: TaskStatus.create({ state: TaskState.ASSIGNED }),
  });
}

const tell = (agent: Awaited<ReturnType<typeof agentIn>>, revision: number, task: Task) =>
  agent.held.hear({ ...NOTHING, full: false, revision, tasks: [task] });
const soon = (look: () => unknown) => expect.poll(look, { interval: 1, timeout: 5_000 });

test("a task has the address that came with it, and its end is said when that is gone", async () => {
  const agent = await agentIn(await world());
  tell(agent, 1, taskOf(1));
  await soon(() => agent.said.at(-1)).toBe("t1 RUNNING");
  expect([...agent.placing.owned.keys()]).toEqual(["e1"]);
  const [container] = agent.containers.list();
  agent.runtime.processes.get(container?.id ?? "")?.end(7);
  await soon(() => agent.said.at(-1)).toBe("t1 FAILED task: non-zero exit (7)");
  expect(agent.ownedWhenSaid()).toBe(0);
  // The address is the managers' to take back.
  expect(agent.endpoints.given.has("e1")).toBe(true);
  tell(agent, 2, taskOf(2, TaskState.REMOVE));
  await soon(() => agent.containers.list().length).toBe(0);
  await agent.killed();
});

test("one that ignores its signal is killed in the end", async () => {
  const agent = await agentIn(await world());
  const task = taskOf(1);
  const container = task.spec?.container;
  const spec =
    task.spec && container
      ? { ...task.spec, container: { ...container, stopGracePeriodNs: 0 } }
      : task.spec;
  tell(agent, 1, { ...task, spec });
  await soon(() => agent.said.at(-1)).toBe("t1 RUNNING");
  const process = agent.runtime.processes.get(agent.containers.list()[0]?.id ?? "");
  process?.endsOn.delete(15);
  tell(agent, 2, { ...taskOf(2, TaskState.SHUTDOWN), spec });
  await soon(() => agent.said.at(-1)).toBe("t1 SHUTDOWN");
  expect(process?.signals).toEqual([15, 9]);
  expect(agent.tasks.reports.status("t1")?.exitCode).toBe(137);
  await agent.killed();
});

test("a container that somebody starts again when its task is over is stopped", async () => {
  const agent = await agentIn(await world());
  tell(agent, 1, taskOf(1));
  await soon(() => agent.said.at(-1)).toBe("t1 RUNNING");
  const id = agent.containers.list()[0]?.id ?? "";
  await agent.containers.stop(id, undefined);
  await soon(() => agent.said.at(-1)).toMatch(/^t1 FAILED task: non-zero exit/);
  await agent.containers.start(id);
  await soon(() => agent.containers.list()[0]?.state).toBe("exited");
  await agent.killed();
});

test("whatever moment the agent is killed in, the next one brings the task to run, once", async () => {
  const outside = await world();
  const first = await agentIn(outside);
  tell(first, 1, taskOf(1));
  await soon(() => first.said.at(-1)).toBe("t1 RUNNING");
  await first.killed();
  const moments = [undefined, ...outside.disk.history];
  expect(moments.length).toBeGreaterThan(4);
  for (const record of moments) {
    // A journal is written a moment later, so it may be as it was when the task had just come.
    const journal = [{ ...NOTHING, revision: 1, tasks: [taskOf(1)] }];
    const later = { ...(await world()), journal };
    // The process is there from the moment in which it was told to go.
    if (record !== undefined) later.disk.files.set(record.id, JSON.stringify(record));
    const process = record && outside.runtime.processes.get(record.id);
    if (record?.phase === "running" && process) later.runtime.processes.set(record.id, process);
    const next = await agentIn(later, 3);
    await soon(() => next.said.at(-1)).toBe("t1 RUNNING");
    expect(next.containers.list().filter(({ state }) => state === "running")).toHaveLength(1);
    expect([...next.placing.owned.keys()]).toEqual(["e1"]);
    tell(next, 2, taskOf(2, TaskState.REMOVE));
    await soon(() => next.containers.list().length).toBe(0);
    await next.killed();
  }
});
