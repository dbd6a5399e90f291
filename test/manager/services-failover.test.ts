// Services while managers die: asked for by any, made once, and known to the next leader.
import { afterAll, beforeAll, expect, test } from "vitest";
import { isRefusal, orThrow } from "../../common/fault.js";
import type { LogMessage } from "../../proto/gen/control.js";
import { LogStream } from "../../proto/gen/control.js";
import { SecretSpec, TaskState, TaskStatus } from "../../proto/gen/service.js";
import { serviceSpec } from "../fakes/services.js";
import { compiledManager } from "./compiled.js";
import { startThree, TestAgent, type TestManager, type TestSession, until } from "./harness.js";

const managers: TestManager[] = [];
let agent: TestAgent;

beforeAll(async () => {
  const main = await compiledManager();
  const first = await startThree(main, managers);
  agent = await TestAgent.join(first.addr, await first.token("worker"));
}, 120_000);
afterAll(async () => {
  for (const manager of managers) await manager.close();
});

async function leaderAndFollowers() {
  return until("a leader", async () => {
    const alive = managers[1] ?? managers[0];
    const { leaderNodeId } = await (alive?.status() ?? Promise.reject(new Error("nobody")));
    const leader = managers.find(({ nodeId }) => nodeId === leaderNodeId);
    const followers = managers.filter((each) => each !== leader);
    const [one, two] = followers;
    return leader && one && two && { leader, one, two };
  });
}

async function openSession(leader: TestManager, revision: number): Promise<TestSession> {
  const session = agent.openSession(leader.addr, revision);
  await session.heard("assignments");
  return session;
}

// Nodes that are only a manager here take no tasks: nobody would report on them.
const placement = { constraints: ["node.role == worker"] };

test("a service asked of a follower is dispatched by the leader, and by the next one with its secret", async () => {
  const { leader, one, two } = await leaderAndFollowers();
  const spec = SecretSpec.fromPartial({ name: "pass", data: Buffer.from("s3cret") });
  await one.must(one.control, one.control.createSecret, { spec });
  const session = await openSession(leader, 0);
  const secrets = [{ secretName: "pass", file: { name: "pass" } }];
  const made = await two.must(two.control, two.control.createService, {
    spec: serviceSpec({ task: { placement } }, { secrets }),
  });
  const id = made.service?.id ?? "";
  const task = await until(
    "its task",
    () => session.assignments().flatMap(({ tasks }) => tasks)[0],
  );
  const revision = session.assignments().at(-1)?.revision ?? 0;
  await leader.kill();
  session.close();
  // Through one that lives, while the others agree on the next leader.
  const scaled = await until("a leader again", async () => {
    const answer = await one.call(one.control, one.control.getService, { ref: id });
    return isRefusal(answer) ? undefined : answer;
  });
  expect(scaled.spec?.name).toBe("web");
  const { leaderNodeId } = await one.status();
  const next = [one, two].find(({ nodeId }) => nodeId === leaderNodeId) ?? one;
  const again = await openSession(next, revision);
  const [message] = again.assignments();
  expect(message?.full).toBe(false);
  expect(message?.secrets.map((each) => each.spec?.data.toString())).toEqual(["s3cret"]);
  const status = TaskStatus.fromPartial({ state: TaskState.RUNNING });
  again.send({ $case: "tasks", value: { reports: [{ taskId: task.id, status }] } });
  await until("it runs", async () => {
    const answer = await two.must(two.control, two.control.listServices, { withStatus: true });
    return answer.statuses.find((each) => each.running === 1);
  });

  const reader = next === one ? two : one;
  const stream = reader.control.serviceLogs({ serviceIds: [id], taskIds: [], options: undefined });
  const [asked] = await again.heard("logs");
  if (asked?.$case !== "logs") throw new Error("not asked");
  const { dispatcher, close } = agent.clients(next.addr);
  const publishing = dispatcher.publishLogs(() => {});
  const line = { serviceId: "", taskId: task.id, nodeId: "", timeNs: "1000000" };
  publishing.write({
    subscriptionId: asked.value.subscriptionId,
    messages: [{ ...line, stream: LogStream.STDERR, data: Buffer.from("hello") }],
    last: true,
  });
  publishing.end();
  const lines: LogMessage[] = [];
  for await (const each of stream) lines.push(each);
  expect(lines.map(({ data }) => data.toString())).toEqual(["hello"]);
  close();
  again.close();
  await leader.spawn();
});

test("services that are asked for while the leader dies are made once each, or refused", async () => {
  const { leader, one } = await leaderAndFollowers();
  const names = Array.from({ length: 40 }, (_, i) => `svc${i}`);
  const asked = names.map((name) =>
    one.call(one.control, one.control.createService, {
      spec: serviceSpec({
        name,
        task: { placement },
        endpoint: { ports: [{ targetPort: 80 }] },
      }),
    }),
  );
  await leader.kill();
  const answers = await Promise.all(asked);
  await leader.spawn();
  const made = answers.filter((answer) => !isRefusal(answer)).map((answer) => orThrow(answer));
  const { services } = await one.must(one.control, one.control.listServices, { withStatus: false });
  const mine = services.filter(({ spec }) => spec?.name.startsWith("svc"));
  expect(new Set(mine.map(({ spec }) => spec?.name)).size).toBe(mine.length);
  const ports = mine.flatMap((service) => service.ports.map((port) => port.publishedPort));
  expect(new Set(ports).size).toBe(mine.length);
  const ids = new Set(mine.map(({ id }) => id));
  expect(made.every(({ service }) => ids.has(service?.id ?? ""))).toBe(true);
  expect(made.length).toBeGreaterThan(0);
});
