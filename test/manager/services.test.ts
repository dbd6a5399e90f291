// Services over real gRPC: asked for by a person, dispatched to agents that are only their network side,
// reported, logged and taken away. Tasks are as the manager's own loops make them.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRefusal, orThrow, Refused } from "../../common/fault.js";
import { ControlService, type LogMessage, LogStream, SwarmEvent } from "../../proto/gen/control.js";
import { Secret, SecretSpec, type Task, TaskState, TaskStatus } from "../../proto/gen/service.js";
import { serviceSpec } from "../fakes/services.js";
import { compiledManager } from "./compiled.js";
import { TestAgent, TestManager, type TestSession, until } from "./harness.js";

let manager: TestManager;
let agent: TestAgent;
let session: TestSession;

beforeAll(async () => {
  manager = await TestManager.start(await compiledManager());
  const made = await manager.init();
  if (isRefusal(made)) throw new Refused(made);
  // Its own node has no agent here; tasks go to the other one.
  const { nodes } = await manager.must(manager.control, manager.control.listNodes, {});
  const own = nodes[0];
  if (own?.spec === undefined) throw new Error("no node");
  await manager.must(manager.control, manager.control.updateNode, {
    id: own.id,
    version: own.meta?.version ?? 0,
    spec: { ...own.spec, availability: 2 },
  });
  agent = await TestAgent.join(manager.addr, await manager.token("worker"));
  session = agent.openSession();
  await session.heard("assignments");
}, 120_000);
afterAll(async () => {
  session?.close();
  await manager?.close();
});

const create = (parts: object = {}, container: object = {}) =>
  manager.call(manager.control, manager.control.createService, {
    spec: serviceSpec(parts, container),
  });

/** The last word on each task that the agent was told of. */
function told(): Task[] {
  const tasks = new Map<string, Task>();
  for (const message of session.assignments()) {
    if (message.full) tasks.clear();
    for (const id of message.removedTasks) tasks.delete(id);
    for (const task of message.tasks) tasks.set(task.id, task);
  }
  return [...tasks.values()];
}

const toldOf = (what: string, holds: (tasks: readonly Task[]) => boolean) =>
  until(what, () => {
    if (session.error) throw session.error;
    return holds(told()) ? told() : undefined;
  });

function report(tasks: readonly Task[], state: TaskState): void {
  const reports = tasks.map(({ id }) => ({
    taskId: id,
    status: TaskStatus.fromPartial({ state, atMs: Date.now() }),
  }));
  session.send({ $case: "tasks", value: { reports } });
}

/** The answer of a manager as it comes over the wire; empty when it was refused. */
function raw(path: string, request: Buffer): Promise<Buffer> {
  const same = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    manager.control.makeUnaryRequest(path, same, same, request, (_error, bytes) =>
      resolve(bytes ?? Buffer.alloc(0)),
    );
  });
}

describe("secrets", () => {
  test("are made once, never shown, and refused in SwarmKit's words", async () => {
    const spec = SecretSpec.fromPartial({ name: "pass", data: Buffer.from("s3cret") });
    const { control } = manager;
    const secret = await manager.must(control, control.createSecret, { spec });
    expect([secret.spec?.name, secret.spec?.data.length]).toEqual(["pass", 0]);
    const again = await manager.call(control, control.createSecret, { spec });
    expect(isRefusal(again) && again.message).toBe("secret pass already exists");
    const { secrets } = await manager.must(control, control.listSecrets, {});
    expect(secrets.map((each) => each.spec?.data.length)).toEqual([0]);
  });
});

describe("a service", () => {
  let id = "";

  test("is refused by its references, and names nothing that is not there", async () => {
    const answer = await create({ task: { networks: [{ target: "nosuch" }] } });
    expect(isRefusal(answer) && answer.message).toBe("network nosuch not found");
  });

  test("gets its tasks to a node, with addresses and the secret", async () => {
    const network = await manager.createNetwork("overnet");
    if (isRefusal(network)) throw new Refused(network);
    const mode = { $case: "replicated", value: { replicas: 2 } };
    const made = orThrow(
      await create(
        { mode, task: { networks: [{ target: "overnet" }] } },
        { registryAuth: "token", secrets: [{ secretName: "pass", file: { name: "pass" } }] },
      ),
    );
    id = made.service?.id ?? "";
    expect(made.service?.virtualIps).toMatchObject([
      { networkId: network.id, addr: "10.0.1.2/24" },
    ]);
    expect(made.service?.spec?.task?.container?.registryAuth).toBe("");
    const tasks = await toldOf("two tasks", (all) => all.length === 2);
    expect(tasks.map((task) => task.spec?.container?.registryAuth)).toEqual(["token", "token"]);
    const secrets = session.assignments().flatMap((message) => message.secrets);
    expect(secrets[0]?.spec?.data.toString()).toBe("s3cret");
  });

  test("is counted as its node reports", async () => {
    report(told(), TaskState.RUNNING);
    const { control } = manager;
    const status = await until("both run", async () => {
      const answer = await manager.must(control, control.listServices, { withStatus: true });
      return answer.statuses.find((each) => each.running === 2);
    });
    expect(status).toMatchObject({ serviceId: id, desired: 2 });
    const listed = await manager.must(control, control.listTasks, {
      serviceIds: [id],
      nodeId: "",
    });
    expect(listed.tasks).toHaveLength(2);
    expect(JSON.stringify(listed)).not.toContain("token");
  });

  test("shows the output that its nodes publish", async () => {
    const stream = manager.control.serviceLogs({
      serviceIds: [id],
      taskIds: [],
      options: undefined,
    });
    const [asked] = await session.heard("logs");
    if (asked?.$case !== "logs") throw new Error("not asked");
    const { subscriptionId, taskIds } = asked.value;
    const { dispatcher, close } = agent.clients();
    const publishing = dispatcher.publishLogs(() => {});
    const line = (taskId: string): LogMessage => ({
      ...{ serviceId: "", taskId, nodeId: "", timeNs: "1000000", stream: LogStream.STDOUT },
      data: Buffer.from(`of ${taskId}`),
    });
    publishing.write({ subscriptionId, messages: taskIds.map(line), last: true });
    publishing.end();
    const lines: LogMessage[] = [];
    for await (const each of stream) lines.push(each);
    expect(lines.map(({ nodeId, serviceId }) => [nodeId, serviceId])).toEqual([
      [agent.nodeId, id],
      [agent.nodeId, id],
    ]);
    expect(lines.map(({ data }) => data.toString())).toEqual(taskIds.map((each) => `of ${each}`));
    close();
  });

  test("says so when a node is cut off while it sends", async () => {
    const request = { serviceIds: [id], taskIds: [], options: undefined };
    const stream = manager.control.serviceLogs(request);
    const asked = (await session.heard("logs", 2)).at(-1);
    if (asked?.$case !== "logs") throw new Error("not asked");
    const { dispatcher, close } = agent.clients();
    const publishing = dispatcher.publishLogs(() => {});
    publishing.on("error", () => {});
    const { subscriptionId, taskIds } = asked.value;
    const data = Buffer.from("one");
    const line = { serviceId: "", taskId: taskIds[0] ?? "", nodeId: "", timeNs: "1000000" };
    const messages = [{ ...line, stream: LogStream.STDOUT, data }];
    publishing.write({ subscriptionId, messages, last: false });
    const lines: string[] = [];
    const read = async () => {
      for await (const each of stream) {
        lines.push((each as LogMessage).data.toString());
        publishing.cancel();
      }
    };
    await expect(read()).rejects.toThrow(`node ${agent.nodeId} stopped sending`);
    expect(lines).toEqual(["one"]);
    close();
  });

  test("scales down: one task is told to go, and goes when its node says so", async () => {
    const { control } = manager;
    const service = await manager.must(control, control.getService, { ref: "web" });
    if (service.spec === undefined) throw new Error("no spec");
    const mode = { $case: "replicated", value: { replicas: 1 } } as const;
    const request = { id, version: service.meta?.version ?? 0, spec: { ...service.spec, mode } };
    const rest = { rollback: false, authFromPrevious: false };
    await manager.must(control, control.updateService, { ...request, ...rest });
    const isGoing = (task: Task) => task.desiredState === TaskState.REMOVE;
    const tasks = await toldOf("one is to go", (all) => all.some(isGoing));
    report(tasks.filter(isGoing), TaskState.SHUTDOWN);
    await toldOf("it is gone", (all) => all.length === 1);
    const stale = await manager.call(control, control.updateService, { ...request, ...rest });
    expect(isRefusal(stale) && stale.message).toBe("update out of sequence");
  });

  test("shows nobody the value of its secret: no answer, event, log line or file has it", async () => {
    const { control } = manager;
    const { secrets } = await manager.must(control, control.listSecrets, {});
    const [secret] = secrets;
    if (secret?.spec === undefined) throw new Error("no secret");
    const events = control.watchEvents({});
    const heard: Buffer[] = [];
    events.on("error", () => {});
    events.on("data", (event) => heard.push(Buffer.from(SwarmEvent.encode(event).finish())));
    // The first change after the stream is there is the first event; so it is made until one is heard.
    const shown = await until("an event", async () => {
      const { secrets: now } = await manager.must(control, control.listSecrets, {});
      const version = now[0]?.meta?.version ?? 0;
      const spec = { ...secret.spec, labels: { version: `${version}` } } as SecretSpec;
      const request = { id: secret.id, version, spec };
      const updated = await manager.must(control, control.updateSecret, request);
      return heard.length > 0
        ? [Buffer.from(Secret.encode(updated).finish()), ...heard]
        : undefined;
    });
    events.cancel();
    for (const method of Object.values(ControlService)) {
      if (!/\/(Get|List)/.test(method.path)) continue;
      for (const ref of ["", id, secret.id, "web"]) {
        const parts = { ...method.requestDeserialize(Buffer.alloc(0)), ref };
        shown.push(await raw(method.path, method.requestSerialize(parts as never)));
      }
    }
    expect(shown.length).toBeGreaterThan(20);
    for (const name of await readdir(manager.dir, { recursive: true })) {
      const path = join(manager.dir, name);
      if ((await stat(path)).isFile()) shown.push(await readFile(path));
    }
    shown.push(Buffer.from(manager.logs.join("")));
    for (const value of ["s3cret", Buffer.from("s3cret").toString("base64")]) {
      expect(shown.filter((bytes) => bytes.includes(value))).toEqual([]);
    }
  });

  test("keeps what it uses, and goes with all it had", async () => {
    const { control } = manager;
    const { secrets } = await manager.must(control, control.listSecrets, {});
    const secret = { id: secrets[0]?.id ?? "" };
    const inUse = await manager.call(control, control.removeSecret, secret);
    expect(isRefusal(inUse) && inUse.message).toBe(
      "secret 'pass' is in use by the following service: web",
    );
    await manager.must(control, control.removeService, { id });
    const tasks = await toldOf("all are to go", (all) =>
      all.every((task) => task.desiredState === TaskState.REMOVE),
    );
    report(tasks, TaskState.SHUTDOWN);
    await toldOf("all are gone", (all) => all.length === 0);
    await manager.must(control, control.removeSecret, secret);
    const found = await manager.call(control, control.getService, { ref: "web" });
    expect(isRefusal(found) && found.message).toBe("service web not found");
    const { networks } = await manager.must(control, control.listNetworks, {});
    const network = networks.find((each) => each.spec?.name === "overnet");
    await manager.must(control, control.removeNetwork, { id: network?.id ?? "" });
  });
});

test("configs that are together more than a manager takes from anybody reach their node, and lists", async () => {
  const { control } = manager;
  const data = Buffer.alloc(1_000 * 1024 - 1, 7);
  const names = Array.from({ length: 18 }, (_, i) => `conf${i}`);
  // All at once: each is nearly an entry of the log of its own.
  await Promise.all(
    names.map((name) =>
      manager.must(control, control.createConfig, { spec: { ...NO_CONFIG, name, data } }),
    ),
  );
  const configs = names.map((configName) => ({ configName, file: { name: configName } }));
  orThrow(await create({ name: "large" }, { configs }));
  await toldOf("its task", (all) => all.some((task) => task.serviceName === "large"));
  const got = session.assignments().flatMap((message) => message.configs);
  expect(got.map((each) => each.spec?.data.length)).toEqual(names.map(() => data.length));
  const listed = await manager.must(control, control.listConfigs, {});
  expect(listed.configs).toHaveLength(names.length);
});

const NO_CONFIG = { labels: {}, templating: "" };

test("a node that floods its session with reports of what is not its own changes nothing", async () => {
  const reports = Array.from({ length: 20_000 }, (_, i) => ({
    taskId: `nosuch${i}`,
    status: TaskStatus.fromPartial({ state: TaskState.RUNNING }),
  }));
  const { applied } = await manager.status();
  for (let i = 0; i < 10; i++) session.send({ $case: "tasks", value: { reports } });
  session.send({ $case: "heartbeat", value: { nowMs: 0 } });
  const asked = Date.now();
  await manager.must(manager.control, manager.control.listNodes, {});
  expect(Date.now() - asked).toBeLessThan(5_000);
  expect((await manager.status()).applied - applied).toBeLessThan(5);
  expect(session.ended).toBe(false);
});
