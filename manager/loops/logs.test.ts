import { beforeEach, describe, expect, test } from "vitest";
import { messageOf } from "../../common/fault.js";
import { type LogMessage, LogStream } from "../../proto/gen/control.js";
import type { LogBatch, LogSubscription } from "../../proto/gen/dispatcher.js";
import { type Service, TaskState } from "../../proto/gen/service.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { makeService, makeTask, serviceSpec } from "../../test/fakes/services.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { LogBroker } from "./logs.js";

const OPTIONS = { stdout: true, stderr: true, follow: false, tail: 5, sinceMs: 0, untilMs: 0 };

/** Nodes that were asked, as their agents would see it. */
class Nodes {
  readonly connected = new Set<string>();
  readonly asked: { readonly nodeId: string; readonly subscription: LogSubscription }[] = [];
  readonly closed: string[] = [];

  askLogs(nodeId: string, subscription: LogSubscription): boolean {
    if (!this.connected.has(nodeId)) return false;
    this.asked.push({ nodeId, subscription });
    return true;
  }
  closeLogs(nodeId: string): boolean {
    this.closed.push(nodeId);
    return true;
  }
}

let swarm: SwarmState;
let clock: ManualClock;
let nodes: Nodes;
let broker: LogBroker;
let service: Service;

beforeEach(() => {
  swarm = new SwarmState();
  clock = new ManualClock();
  nodes = new Nodes();
  broker = new LogBroker({ store: swarm.store, clock }, nodes);
  service = makeService(swarm, serviceSpec());
});

function running(nodeId: string) {
  if (swarm.view.node(nodeId) === undefined) swarm.node(nodeId);
  return makeTask(swarm, service, { nodeId, status: { state: TaskState.RUNNING } });
}

function line(taskId: string, text: string, timeNs = "1000000"): LogMessage {
  const data = Buffer.from(text);
  return { serviceId: "?", taskId, nodeId: "?", timeNs, stream: LogStream.STDOUT, data };
}

/** Reads until the end; what it threw is the last line. */
function read(options: Partial<typeof OPTIONS> = {}) {
  const gone = new AbortController();
  const term = new AbortController();
  const request = { serviceIds: ["web"], taskIds: [], options: { ...OPTIONS, ...options } };
  const lines: string[] = [];
  const ended = (async () => {
    try {
      for await (const { data } of broker.read(request, term.signal, gone.signal)) {
        lines.push(data.toString());
      }
    } catch (error) {
      lines.push(messageOf(error));
    }
  })();
  return { gone, term, lines, ended };
}

/** A node's stream: batches, and at the end that it is the end. */
async function* batches(...texts: readonly (readonly LogMessage[])[]): AsyncIterable<LogBatch> {
  yield* cut(...texts);
  yield { subscriptionId: subscriptionId(), messages: [], last: true };
}

/** The same, cut off before the end. */
async function* cut(...texts: readonly (readonly LogMessage[])[]): AsyncIterable<LogBatch> {
  for (const messages of [[], ...texts]) {
    yield { subscriptionId: subscriptionId(), messages, last: false };
  }
}

function subscriptionId(): number {
  return nodes.asked.at(-1)?.subscription.subscriptionId ?? 0;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) {
    if (holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`never: ${what}`);
}

describe("a reader without follow", () => {
  test("gets what each node has, and ends when all have sent it", async () => {
    const [one, two] = [running("n1"), running("n2")];
    nodes.connected.add("n1").add("n2");
    const { lines, ended } = read();
    await until("both are asked", () => nodes.asked.length === 2);
    expect(nodes.asked.map(({ subscription }) => subscription.taskIds)).toEqual([
      [one.id],
      [two.id],
    ]);
    await broker.publish("n1", batches([line(one.id, "a")], [line(one.id, "b")]));
    await broker.publish("n2", batches([line(two.id, "c")]));
    await ended;
    expect(lines).toEqual(["a", "b", "c"]);
    expect(nodes.closed).toEqual([]);
  });

  test("ends when a node has nothing", async () => {
    running("n1");
    nodes.connected.add("n1");
    const { lines, ended } = read();
    await until("it is asked", () => nodes.asked.length === 1);
    await broker.publish("n1", batches());
    await ended;
    expect(lines).toEqual([]);
  });

  test("says what is missing: a node out of reach, a task without node", async () => {
    running("n1");
    const waiting = makeTask(swarm, service);
    const { lines, ended } = read();
    await ended;
    expect(lines).toEqual([
      `warning: incomplete log stream. some logs could not be retrieved for the following reasons: node n1 is not available, task ${waiting.id} has not been scheduled`,
    ]);
  });

  test("does not wait for a node that does not begin", async () => {
    running("n1");
    nodes.connected.add("n1");
    const { lines, ended } = read();
    await until("it is asked", () => nodes.asked.length === 1);
    for (let second = 0; second < 12; second++) {
      await clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    expect(lines[0]).toContain("node n1 did not answer in time");
  });

  test("does not take a stream that was cut off for one that ended", async () => {
    const task = running("n1");
    nodes.connected.add("n1");
    const { lines, ended } = read();
    await until("it is asked", () => nodes.asked.length === 1);
    await broker.publish("n1", cut([line(task.id, "a")]));
    await ended;
    expect(lines[0]).toBe("a");
    expect(lines[1]).toContain("node n1 stopped sending");
  });

  test("ends with the lead", async () => {
    running("n1");
    nodes.connected.add("n1");
    const { lines, ended, term } = read();
    await until("it is asked", () => nodes.asked.length === 1);
    term.abort();
    await ended;
    expect(lines).toEqual(["this manager no longer leads the swarm"]);
  });
});

test("a node publishes only what it was asked for, and to readers there are", async () => {
  const [one, two] = [running("n1"), running("n2")];
  nodes.connected.add("n1").add("n2");
  const { lines, gone, ended } = read();
  await until("both are asked", () => nodes.asked.length === 2);
  await broker.publish("n1", batches([line(two.id, "not mine"), line(one.id, "mine")]));
  await until("it came", () => lines.length === 1);
  expect(lines).toEqual(["mine"]);
  await expect(broker.publish("n3", batches([]))).rejects.toThrow("nobody reads these logs");
  gone.abort();
  await ended;
  expect(nodes.closed).toEqual(["n2"]);
  await expect(broker.publish("n2", batches([]))).rejects.toThrow("nobody reads these logs");
});

test("a publisher waits while its reader is slow, and is let go when the reader leaves", async () => {
  const task = running("n1");
  nodes.connected.add("n1");
  const request = { serviceIds: ["web"], taskIds: [], options: OPTIONS };
  const gone = new AbortController();
  const iterator = broker
    .read(request, new AbortController().signal, gone.signal)
    [Symbol.asyncIterator]();
  const first = iterator.next();
  await until("it is asked", () => nodes.asked.length === 1);
  const big = "x".repeat(600_000);
  let sent = 0;
  async function* many() {
    for await (const batch of batches(...Array(20).fill([line(task.id, big)]))) {
      sent++;
      yield batch;
    }
  }
  const publishing = broker.publish("n1", many()).catch(messageOf);
  await first;
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toBeLessThan(6);
  await iterator.return?.();
  expect(await publishing).toBe("the reader has gone");
});

describe("a reader with follow", () => {
  test("gets tasks that come later, and goes on where a node was cut off", async () => {
    const one = running("n1");
    nodes.connected.add("n1");
    const { lines, gone, ended } = read({ follow: true });
    await until("it is asked", () => nodes.asked.length === 1);
    const two = running("n1");
    await until("it is asked for the new one", () => nodes.asked.length === 2);
    expect(nodes.asked[1]?.subscription.taskIds).toEqual([two.id]);
    async function* cutOff() {
      yield* cut([line(one.id, "a", "1700000000123456789")]);
      throw new Error("connection lost");
    }
    await broker.publish("n1", cutOff()).catch(messageOf);
    await clock.advance(1_000);
    await until("it is asked again", () => nodes.asked.length === 3);
    expect(nodes.asked[2]?.subscription).toMatchObject({
      taskIds: [one.id, two.id],
      options: { follow: true, tail: undefined, sinceMs: 1_700_000_000_124 },
    });
    await broker.publish("n1", batches([line(two.id, "b")]));
    await until("it came", () => lines.length === 2);
    gone.abort();
    await ended;
    expect(lines).toEqual(["a", "b"]);
  });
});
