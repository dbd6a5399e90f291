import { PassThrough, Readable } from "node:stream";
import { expect, test } from "vitest";
import { silentLogger } from "../../common/log.js";
import { LogOptions } from "../../proto/gen/control.js";
import type { LogBatch } from "../../proto/gen/dispatcher.js";
import { TaskState, TaskStatus } from "../../proto/gen/service.js";
import { settle } from "../../test/fakes/manual-clock.js";
import { EMPTY_SPEC } from "../task/container-spec.js";
import { encodeFrame, STDERR, STDOUT } from "../task/stdio-frame.js";
import { TaskLogs, type TaskLogTools } from "./task-logs.js";
import { TaskReports } from "./task-reports.js";

const T = "2026-11-21T03:09:21.000000005Z";
const NS = String(BigInt(Date.parse("2026-11-21T03:09:21Z")) * 1_000_000n + 5n);

function world() {
  const reports = new TaskReports();
  const streams = new Map<string, Readable>();
  const asked: unknown[] = [];
  const startedAtMs = new Map<string, number>();
  const tools = {
    containers: {
      get: (id: string) => ({
        spec: { ...EMPTY_SPEC, labels: { "com.docker.swarm.service.id": "s1" } },
        startedAtMs: startedAtMs.get(id) ?? 1,
      }),
      logs: (id: string, options: unknown) => {
        asked.push(options);
        return streams.get(id) ?? Readable.from([]);
      },
    },
    tasks: { containerOf: (id: string) => `c-${id}`, reports, source: { node: { id: "n1" } } },
    log: silentLogger(),
  } as unknown as TaskLogTools;
  const logs = new TaskLogs(tools);
  const session = new AbortController();
  const lines: string[] = [];
  let over = 0;
  const subscribe = (taskIds: string[], follow: boolean, read = takeAll) => {
    const options = LogOptions.create({ stdout: true, stderr: true, follow, tail: 5 });
    const publish = async (batches: AsyncIterable<LogBatch>) => {
      await read(batches);
      over++;
    };
    logs.subscribe({ subscriptionId: 7, taskIds, options }, publish, session.signal);
  };
  async function takeAll(batches: AsyncIterable<LogBatch>) {
    for await (const { subscriptionId, messages } of batches) {
      expect(subscriptionId).toBe(7);
      for (const { taskId, nodeId, serviceId, timeNs, stream, data } of messages) {
        lines.push([taskId, nodeId, serviceId, timeNs, stream, String(data)].join(" "));
      }
    }
  }
  const put = (id: string, stream: Readable) => streams.set(`c-${id}`, stream);
  return { logs, reports, session, lines, subscribe, put, asked, startedAtMs, over: () => over };
}

const line = (stream: number, text: string) => encodeFrame(stream, Buffer.from(`${T} ${text}\n`));
const soon = (look: () => unknown) => expect.poll(look, { interval: 1, timeout: 5_000 });

test("what tasks have said is published, line by line, and that is all", async () => {
  const all = world();
  all.put("t1", Readable.from([line(STDOUT, "one"), line(STDERR, "two")]));
  all.subscribe(["t1", "t2"], false);
  await soon(all.over).toBe(1);
  expect(all.lines).toEqual([`t1 n1 s1 ${NS} 0 one\n`, `t1 n1 s1 ${NS} 1 two\n`]);
  expect(all.asked[0]).toMatchObject({ timestamps: true, tail: 5, follow: false });
});

test("whoever follows hears of tasks that come later, until nobody reads", async () => {
  const all = world();
  const growing = new PassThrough();
  all.put("t1", growing);
  all.subscribe(["t1"], true);
  growing.write(line(STDOUT, "one"));
  await soon(() => all.lines.length).toBe(1);
  all.put("t2", Readable.from([line(STDOUT, "two")]));
  all.subscribe(["t1", "t2"], true);
  await soon(() => all.lines.length).toBe(2);
  expect(all.over()).toBe(0);
  all.logs.closed(7);
  await soon(all.over).toBe(1);
  expect(growing.destroyed).toBe(true);
});

test("a follower waits for a task that has not begun", async () => {
  const all = world();
  all.startedAtMs.set("c-t1", 0);
  all.put("t1", Readable.from([line(STDOUT, "one")]));
  all.subscribe(["t1"], true);
  await settle();
  expect(all.asked).toEqual([]);
  all.startedAtMs.set("c-t1", 1);
  all.reports.set("t1", TaskStatus.create({ state: TaskState.RUNNING }));
  await soon(() => all.lines.length).toBe(1);
  // However few lines were asked for: these are all new.
  expect(all.asked).toMatchObject([{ tail: undefined, follow: true }]);
  all.session.abort();
  await soon(all.over).toBe(1);
});

test("a manager that does not read holds the reader back, and nothing is dropped", async () => {
  const all = world();
  let made = 0;
  const endless = function* () {
    while (made < 20_000) yield line(STDOUT, String(made++));
  };
  all.put("t1", Readable.from(endless()));
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  let count = 0;
  all.subscribe(["t1"], false, async (batches) => {
    for await (const { messages } of batches) {
      if (count === 0) await gate;
      for (const { data } of messages) expect(String(data)).toBe(`${count++}\n`);
    }
  });
  for (let i = 0; i < 200; i++) await settle();
  expect(made).toBeLessThan(5_000);
  go();
  await soon(all.over).toBe(1);
  expect(count).toBe(20_000);
});

test("so many readers and no more", async () => {
  const all = world();
  let begun = 0;
  for (let id = 0; id < 40; id++) {
    all.logs.subscribe(
      { subscriptionId: id, taskIds: [], options: LogOptions.create({ follow: true }) },
      async (_batches, signal) => {
        begun++;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
      all.session.signal,
    );
  }
  expect(begun).toBe(32);
  all.logs.close();
});
