import { describe, expect, test } from "vitest";
import { silentLogger } from "../../common/log.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { Assignments, TaskReports as Message } from "../../proto/gen/dispatcher.js";
import {
  ContainerSpec,
  PortConfig,
  PublishMode,
  Secret,
  Task,
  TaskSpec,
  TaskState,
  TaskStatus,
} from "../../proto/gen/service.js";
import { ManualClock, settle } from "../../test/fakes/manual-clock.js";
import { NO_LOCAL_NETWORKS } from "../../test/fakes/none.js";
import { FakeNodeContainers, FakeNodeImages } from "../../test/fakes/task-node.js";
import { NOTHING } from "../assignments/merge.js";
import type { Journal } from "../seams.js";
import { HeldAssignments } from "./held-assignments.js";
import { TaskLoop } from "./tasks.js";

const NODE = { id: "node1", hostname: "h1", architecture: "x86_64", os: "linux" };
const TRANSIENT = { version: 1, createdVersion: 1, createdAtMs: 0, updatedAtMs: 0 };

/** What outlives an agent: containers, images, the journal. */
class World {
  readonly containers = new FakeNodeContainers();
  readonly images = new FakeNodeImages();
  readonly clock = new ManualClock();
  saved: Assignments | undefined;
  revision = 0;
  /** Until nobody sends it new connections. */
  drained: () => Promise<void> = async () => {};

  readonly journal: Journal = {
    load: async () => this.saved,
    save: async (assignments) => {
      this.saved = assignments;
    },
    clear: async () => {
      this.saved = undefined;
    },
  };
}

function agentIn(world: World) {
  const { containers, images, clock, journal } = world;
  const log = silentLogger();
  const timing = DEFAULT_TIMING;
  const held = new HeldAssignments(world.saved, NODE.id, journal, clock, timing, log);
  const loop = new TaskLoop({
    containers: containers.seam,
    images: images.seam,
    localNets: NO_LOCAL_NETWORKS,
    events: { follow: (listener) => containers.events.subscribe(listener) },
    clock,
    timing,
    log,
  });
  const said: string[] = [];
  const messages: Message[] = [];
  const send = (message: Message) => {
    messages.push(message);
    for (const { taskId, status } of message.reports) {
      const name = TaskState[status?.state ?? 0] ?? "";
      said.push(`${taskId} ${name}${status?.err ? ` ${status.err}` : ""}`);
    }
  };
  let endSession = loop.reports.opened(send);
  loop.setSource({ node: NODE, held, drain: { drained: () => world.drained() } });
  loop.start();
  return {
    ...world,
    world,
    loop,
    held,
    said,
    messages,
    cutOff: () => endSession(),
    comeBack: () => (endSession = loop.reports.opened(send)),
    async tell(parts: Partial<Assignments>, full = false) {
      held.hear({ ...NOTHING, full, revision: ++world.revision, ...parts });
      for (let i = 0; i < 5; i++) await settle();
    },
    async settle() {
      for (let i = 0; i < 5; i++) await settle();
    },
    /** As kill -9: nothing is said and nothing is taken away. */
    async killed() {
      endSession();
      await loop.close();
      await held.close();
    },
    status: (taskId: string) => loop.reports.status(taskId),
    last: () => said.at(-1),
  };
}

interface Wish {
  readonly id?: string;
  readonly desired?: TaskState;
  readonly state?: TaskState;
  readonly version?: number;
  readonly spec?: Partial<TaskSpec>;
  readonly container?: Partial<ContainerSpec>;
  readonly hostPorts?: readonly PortConfig[];
}

function taskOf(wish: Wish = {}): Task {
  const container = ContainerSpec.create({
    image: "alpine",
    args: ["sleep", "1d"],
    ...wish.container,
  });
  const version = wish.version ?? 1;
  return Task.create({
    id: wish.id ?? "t1",
    meta: { ...TRANSIENT, version },
    serviceId: "s1",
    serviceName: "web",
    slot: 1,
    nodeId: NODE.id,
    spec: TaskSpec.create({ ...wish.spec, container }),
    desiredState: wish.desired ?? TaskState.RUNNING,
    status: TaskStatus.create({ state: wish.state ?? TaskState.ASSIGNED, message: "assigned" }),
    hostPorts: [...(wish.hostPorts ?? [])],
  });
}

function started() {
  const world = new World();
  world.images.local.add("alpine:latest");
  return agentIn(world);
}

async function running(wish: Wish = {}) {
  const agent = started();
  await agent.tell({ tasks: [taskOf(wish)] });
  expect(agent.last()).toBe(`${wish.id ?? "t1"} RUNNING`);
  return agent;
}

describe("a task", () => {
  test("becomes a container with its name and Docker's labels, and runs", async () => {
    const agent = await running();
    const [container] = agent.containers.all.values();
    expect(container?.spec).toMatchObject({
      name: "web.1.t1",
      image: "alpine:latest",
      runtime: "containerd",
      command: ["sleep", "1d"],
      taskId: "t1",
      labels: {
        "com.docker.swarm.node.id": "node1",
        "com.docker.swarm.service.id": "s1",
        "com.docker.swarm.service.name": "web",
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": "t1",
        "com.docker.swarm.task.name": "web.1.t1",
      },
    });
    expect(agent.status("t1")).toMatchObject({ message: "started", containerId: "c1", pid: 100 });
    // States that follow at once are one report.
    expect(agent.said.length).toBeLessThan(6);
  });

  test.each([
    { exitCode: 0, says: "t1 COMPLETE", message: "finished" },
    { exitCode: 7, says: "t1 FAILED task: non-zero exit (7)", message: "started" },
  ])("whose command ends with $exitCode is $says", async ({ exitCode, says, message }) => {
    const agent = await running();
    agent.containers.end("c1", exitCode);
    await agent.settle();
    expect(agent.last()).toBe(says);
    expect(agent.status("t1")).toMatchObject({ message, exitCode, pid: 0, containerId: "c1" });
    // It is replaced, not restarted; its container stays for who wants to look.
    expect(agent.containers.calls.filter((call) => call.startsWith("start"))).toHaveLength(1);
    expect(agent.containers.all.size).toBe(1);
  });

  test("whose image nobody has is rejected in Docker's words", async () => {
    const agent = started();
    await agent.tell({ tasks: [taskOf({ container: { image: "nosuchimage:1" } })] });
    expect(agent.last()).toBe("t1 REJECTED No such image: nosuchimage:1");
    expect(agent.status("t1")?.message).toBe("preparing: the registry does not answer");
  });

  test("whose registry does not answer runs what is here, and does not ask again for a while", async () => {
    const agent = await running();
    await agent.tell({ tasks: [taskOf({ id: "t2" })] });
    expect(agent.last()).toBe("t2 RUNNING");
    expect(agent.images.pulls).toEqual(["alpine:latest"]);
    await agent.clock.advance(31_000);
    await agent.tell({ tasks: [taskOf({ id: "t3" })] });
    expect(agent.images.pulls).toHaveLength(2);
  });

  test("with a digest that is here is not asked for", async () => {
    const agent = started();
    const image = `alpine@sha256:${"a".repeat(64)}`;
    agent.images.local.add(image);
    await agent.tell({ tasks: [taskOf({ container: { image } })] });
    expect(agent.last()).toBe("t1 RUNNING");
    expect(agent.images.pulls).toEqual([]);
  });

  test("brings its registry's credentials", async () => {
    const agent = started();
    agent.images.remote.add("registry.example/app:2");
    const registryAuth = Buffer.from('{"username":"u","password":"p"}').toString("base64url");
    await agent.tell({
      tasks: [taskOf({ container: { image: "registry.example/app:2", registryAuth } })],
    });
    expect(agent.last()).toBe("t1 RUNNING");
    expect(agent.images.auths).toMatchObject([{ username: "u", password: "p" }]);
    expect(JSON.stringify(agent.world.saved ?? {})).not.toContain(registryAuth);
  });

  test("that cannot be started has failed", async () => {
    const { refuse } = await import("../../common/fault.js");
    const agent = started();
    agent.containers.refusals.set("start", refuse("invalid-argument", "no such thing"));
    await agent.tell({ tasks: [taskOf()] });
    expect(agent.last()).toBe("t1 FAILED starting container failed: no such thing");
  });

  test("of the process runtime needs no image", async () => {
    const agent = started();
    await agent.tell({
      tasks: [taskOf({ spec: { runtime: "process" }, container: { image: "" } })],
    });
    expect(agent.last()).toBe("t1 RUNNING");
    expect(agent.images.pulls).toEqual([]);
    expect(agent.containers.all.get("c1")?.spec.runtime).toBe("process");
  });

  test("is prepared and waits when READY is desired, and starts at a word", async () => {
    const agent = started();
    await agent.tell({ tasks: [taskOf({ desired: TaskState.READY })] });
    expect(agent.last()).toBe("t1 READY");
    await agent.clock.advance(60_000);
    expect(agent.last()).toBe("t1 READY");
    await agent.tell({ tasks: [taskOf({ version: 2 })] });
    expect(agent.last()).toBe("t1 RUNNING");
  });

  test("tells the host's ports that it was given", async () => {
    const port = PortConfig.create({ targetPort: 80, publishMode: PublishMode.HOST });
    const agent = await running({ hostPorts: [port] });
    expect(agent.status("t1")?.ports).toEqual([{ ...port, publishedPort: 32_768 }]);
  });
});

describe("a task with a health check", () => {
  async function starting() {
    const agent = started();
    agent.containers.healthOf.set("alpine:latest", "starting");
    await agent.tell({ tasks: [taskOf()] });
    expect(agent.last()).toBe("t1 STARTING");
    return agent;
  }

  test("runs when it is healthy", async () => {
    const agent = await starting();
    agent.containers.healthIs("c1", "healthy");
    await agent.settle();
    expect(agent.last()).toBe("t1 RUNNING");
  });

  test.each([false, true])("ends when it is not (healthy before: %s)", async (before) => {
    const agent = await starting();
    if (before) agent.containers.healthIs("c1", "healthy");
    await agent.settle();
    agent.containers.healthIs("c1", "unhealthy");
    await agent.settle();
    expect(agent.last()).toBe(
      "t1 FAILED task: non-zero exit (143): dockerexec: unhealthy container",
    );
  });

  test("that ends before it is healthy has failed", async () => {
    const agent = await starting();
    agent.containers.end("c1", 3);
    await agent.settle();
    expect(agent.last()).toBe("t1 FAILED task: non-zero exit (3)");
  });
});

describe("a task that nobody wants any more", () => {
  test("is stopped; its container stays", async () => {
    const agent = await running();
    await agent.tell({ tasks: [taskOf({ desired: TaskState.SHUTDOWN, version: 2 })] });
    expect(agent.last()).toBe("t1 SHUTDOWN");
    expect(agent.status("t1")).toMatchObject({ message: "shutdown", exitCode: 143 });
    expect(agent.containers.all.size).toBe(1);
  });

  test("is stopped only when nobody sends it new connections any more", async () => {
    const agent = await running();
    let drained = () => {};
    agent.world.drained = () => new Promise((resolve) => (drained = resolve));
    await agent.tell({ tasks: [taskOf({ desired: TaskState.SHUTDOWN, version: 2 })] });
    expect(agent.containers.calls.filter((call) => call.startsWith("stop"))).toEqual([]);
    expect(agent.last()).toBe("t1 RUNNING");
    drained();
    await agent.settle();
    expect(agent.last()).toBe("t1 SHUTDOWN");
  });

  test("is not said to have ended before it has", async () => {
    const agent = await running();
    const release = agent.containers.hold("stop");
    await agent.tell({ tasks: [taskOf({ desired: TaskState.SHUTDOWN, version: 2 })] });
    await agent.clock.advance(9_000);
    expect(agent.last()).toBe("t1 RUNNING");
    release();
    await agent.settle();
    expect(agent.last()).toBe("t1 SHUTDOWN");
  });

  test("goes with its container when its history goes too", async () => {
    const agent = await running();
    await agent.tell({ tasks: [taskOf({ desired: TaskState.REMOVE, version: 2 })] });
    expect(agent.last()).toBe("t1 SHUTDOWN");
    expect(agent.containers.all.size).toBe(0);
    await agent.tell({ removedTasks: ["t1"] });
    expect(agent.status("t1")).toBeUndefined();
  });

  test("is given up while its image comes", async () => {
    const agent = started();
    agent.images.hanging = true;
    await agent.tell({ tasks: [taskOf()] });
    expect(agent.last()).toBe("t1 PREPARING");
    await agent.tell({ tasks: [taskOf({ desired: TaskState.REMOVE, version: 2 })] });
    expect(agent.last()).toBe("t1 SHUTDOWN");
    await agent.tell({ removedTasks: ["t1"] });
    expect(agent.containers.calls).toEqual([]);
  });

  test("is stopped while it starts", async () => {
    const agent = started();
    const release = agent.containers.hold("start");
    await agent.tell({ tasks: [taskOf()] });
    await agent.tell({ tasks: [taskOf({ desired: TaskState.SHUTDOWN, version: 2 })] });
    release();
    await agent.settle();
    expect(agent.last()).toBe("t1 SHUTDOWN");
    expect(agent.containers.calls.at(-1)).toBe("stop c1");
  });

  test("goes when the swarm forgets it while it runs", async () => {
    const agent = await running();
    await agent.tell({ removedTasks: ["t1"] });
    expect(agent.containers.calls.slice(-2)).toEqual(["stop c1", "remove c1"]);
    expect(agent.containers.all.size).toBe(0);
  });

  test("is stopped when the managers have written it off", async () => {
    const agent = await running();
    await agent.tell({ tasks: [taskOf({ state: TaskState.ORPHANED, version: 2 })] });
    expect(agent.containers.all.get("c1")?.state).toBe("exited");
  });

  test("is asked to stop again when that fails", async () => {
    const { refuse } = await import("../../common/fault.js");
    const agent = await running();
    agent.containers.refusals.set("stop", refuse("unavailable", "not now"));
    await agent.tell({ tasks: [taskOf({ desired: TaskState.SHUTDOWN, version: 2 })] });
    await agent.clock.advance(1_000);
    expect(agent.last()).toBe("t1 RUNNING");
    agent.containers.refusals.clear();
    await agent.clock.advance(5_000);
    expect(agent.last()).toBe("t1 SHUTDOWN");
  });
});

describe("the next agent", () => {
  test("goes on with what runs, and hears of its end", async () => {
    const first = await running();
    await first.killed();
    const second = agentIn(first.world);
    await second.settle();
    expect(second.said).toEqual(["t1 RUNNING"]);
    second.containers.end("c1", 3);
    await second.settle();
    expect(second.last()).toBe("t1 FAILED task: non-zero exit (3)");
    expect(second.containers.calls.filter((call) => call.startsWith("create"))).toHaveLength(1);
  });

  test("tells what ended while there was none", async () => {
    const first = await running();
    await first.killed();
    first.containers.end("c1", 9);
    const second = agentIn(first.world);
    await second.settle();
    expect(second.last()).toBe("t1 FAILED task: non-zero exit (9)");
  });

  test("starts what was prepared", async () => {
    const first = started();
    await first.tell({ tasks: [taskOf({ desired: TaskState.READY })] });
    await first.killed();
    const second = agentIn(first.world);
    await second.settle();
    expect(second.last()).toBe("t1 READY");
    await second.tell({ tasks: [taskOf({ version: 2 })] });
    expect(second.last()).toBe("t1 RUNNING");
    expect(second.containers.all.size).toBe(1);
  });

  test("prepares again what was being prepared", async () => {
    const first = started();
    first.images.hanging = true;
    await first.tell({ tasks: [taskOf()] });
    await first.killed();
    first.images.hanging = false;
    const second = agentIn(first.world);
    await second.settle();
    expect(second.last()).toBe("t1 RUNNING");
  });

  test("says so when somebody took the container away", async () => {
    const first = await running();
    await first.tell({ tasks: [taskOf({ state: TaskState.RUNNING, version: 2 })] });
    await first.killed();
    first.containers.all.clear();
    const second = agentIn(first.world);
    await second.settle();
    expect(second.last()).toMatch(/^t1 FAILED No such container/);
  });

  test("does not do again what was done, though nothing of it is left", async () => {
    const first = await running({ desired: TaskState.COMPLETE });
    first.containers.end("c1", 0);
    await first.settle();
    expect(first.last()).toBe("t1 COMPLETE");
    await first.killed();
    first.containers.all.clear();
    const second = agentIn(first.world);
    await second.settle();
    expect(second.said).toEqual(["t1 COMPLETE"]);
    // Told again as the managers know it, who have not heard of its end.
    await second.tell({ tasks: [taskOf({ desired: TaskState.COMPLETE, version: 3 })] }, true);
    expect(second.containers.all.size).toBe(0);
    expect(second.status("t1")?.state).toBe(TaskState.COMPLETE);
  });

  test("stops and removes what the swarm no longer has, and not before it has said so", async () => {
    const first = await running();
    await first.killed();
    const second = agentIn({ ...first.world, saved: undefined } as World);
    await second.settle();
    expect(second.containers.all.size).toBe(1);
    second.held.hear({ ...NOTHING, revision: 99 });
    await second.settle();
    expect(second.containers.calls.slice(-2)).toEqual(["stop c1", "remove c1"]);
    expect(second.containers.all.size).toBe(0);
  });

  test("waits for a manager when a task needs a secret that no journal keeps", async () => {
    const first = started();
    const secrets = [{ secretId: "x", secretName: "pass", file: undefined }];
    const secret = Secret.create({
      id: "x",
      meta: TRANSIENT,
      spec: { name: "pass", data: Buffer.from("pw") },
    });
    const ready = taskOf({ desired: TaskState.READY, container: { secrets } });
    await first.tell({ tasks: [ready], secrets: [secret] });
    await first.killed();
    expect(JSON.stringify(first.world.saved)).not.toContain(Buffer.from("pw").toString("base64"));
    const saved = first.world.saved as Assignments;
    first.world.saved = { ...saved, tasks: [taskOf({ container: { secrets }, version: 2 })] };
    const second = agentIn(first.world);
    await second.settle();
    expect(second.held.helloRevision).toBe(0);
    expect(second.last()).toBe("t1 STARTING");
    const task = taskOf({ container: { secrets }, version: 2 });
    await second.tell({ tasks: [task], secrets: [secret] }, true);
    expect(second.last()).toBe("t1 RUNNING");
    expect(second.containers.files.get("c1")).toEqual([
      {
        target: "/run/secrets/pass",
        uid: 0,
        gid: 0,
        mode: 0o444,
        data: Buffer.from("pw"),
        secret: true,
      },
    ]);
  });
});

describe("without a session", () => {
  test("tasks go on, and the next session is told all", async () => {
    const agent = await running();
    await agent.tell({ tasks: [taskOf({ id: "t2" })] });
    agent.cutOff();
    agent.said.length = 0;
    agent.containers.end("c2", 1);
    await agent.settle();
    expect(agent.said).toEqual([]);
    agent.comeBack();
    expect(agent.said.sort()).toEqual(["t1 RUNNING", "t2 FAILED task: non-zero exit (1)"]);
    expect(agent.containers.calls.filter((call) => call.startsWith("start"))).toHaveLength(2);
  });
});

test("a node that leaves takes its tasks' containers with it", async () => {
  const agent = await running();
  await agent.loop.leave();
  expect(agent.containers.all.size).toBe(0);
  expect(agent.status("t1")).toBeUndefined();
});

test("the containers of a long history do not fill the node", async () => {
  const agent = started();
  for (let i = 0; i < 300; i++) {
    await agent.tell({ tasks: [taskOf({ id: `t${i}` })] });
    agent.containers.end(agent.loop.containerOf(`t${i}`) ?? "", 0);
  }
  await agent.settle();
  expect(agent.containers.all.size).toBe(250);
  expect(agent.loop.containerOf("t0")).toBe("");
  expect(agent.loop.containerOf("t299")).toBe("c300");
});

test("two hundred tasks come up, so many at once", async () => {
  const agent = started();
  const tasks = Array.from({ length: 200 }, (_, i) => taskOf({ id: `t${i}` }));
  await agent.tell({ tasks });
  for (let i = 0; i < 100; i++) await agent.settle();
  expect(agent.containers.all.size).toBe(200);
  expect([...agent.containers.all.values()].every(({ state }) => state === "running")).toBe(true);
  expect(agent.containers.mostStartsAtOnce).toBeLessThanOrEqual(16);
  expect(agent.images.pulls.length).toBeLessThanOrEqual(8);
});
