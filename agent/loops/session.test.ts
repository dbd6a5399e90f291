import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import type { AgentMessage, Hello, ManagerMessage } from "../../proto/gen/dispatcher.js";
import { TaskState, TaskStatus } from "../../proto/gen/service.js";
import { Endpoint, Network } from "../../proto/gen/types.js";
import { NOTHING } from "../assignments/merge.js";
import type { Journal, ManagerLink, Session } from "../seams.js";
import { Applied } from "./applied.js";
import { HeldAssignments } from "./held-assignments.js";
import { SessionLoop, type SessionState } from "./session.js";
import { TaskReports } from "./task-reports.js";

const timing = { ...DEFAULT_TIMING, retryMinMs: 1, retryMaxMs: 4 };
const meta = { version: 7, createdVersion: 7, createdAtMs: 0, updatedAtMs: 0 };

/** Managers by address: each says what it does with the next session. */
class FakeManagers {
  readonly asked: string[] = [];
  readonly hellos: Hello[] = [];
  readonly sent: AgentMessage[] = [];
  readonly live = new Map<string, (message: ManagerMessage | "end") => void>();
  behave = (_addr: string): "serve" | "down" | Refusal => "serve";

  readonly link: Pick<ManagerLink, "openSession"> = {
    openSession: async (addr, hello, signal) => {
      signal.throwIfAborted();
      this.asked.push(addr);
      const how = this.behave(addr);
      if (how === "down") throw new Fault("RPC_UNREACHABLE", { addr });
      if (how !== "serve") return how;
      this.hellos.push(hello);
      return this.#serve(addr);
    },
  };

  #serve(addr: string): Session {
    const queue: (ManagerMessage | "end")[] = [];
    let wake = () => {};
    const push = (message: ManagerMessage | "end") => {
      queue.push(message);
      wake();
    };
    this.live.set(addr, push);
    const messages = (async function* () {
      for (;;) {
        const next = queue.shift();
        if (next === "end") return;
        if (next) yield next;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    })();
    return {
      addr,
      welcome: {
        clusterId: "c",
        heartbeatPeriodMs: 100,
        dataPathPort: 4789,
        beatMs: 0,
        generation: 0,
      },
      messages,
      send: (message) => void this.sent.push(message),
      close: () => push("end"),
    };
  }
}

const journal: Journal = {
  load: async () => undefined,
  save: async () => {},
  clear: async () => {},
};

function start(managers: FakeManagers, addresses: readonly string[]) {
  const stop = new AbortController();
  const states: SessionState[] = [];
  const reports = new TaskReports();
  const log = silentLogger();
  const held = new HeldAssignments(undefined, "me", journal, systemClock, timing, log);
  const loop = new SessionLoop({
    link: managers.link as ManagerLink,
    held,
    clock: systemClock,
    random: seededRandom(1),
    timing,
    log,
    addresses: () => addresses,
    hello: () => ({
      description: undefined,
      dataPathAddr: "192.0.2.1",
      clusterId: "c",
      generation: 0,
    }),
    onGeneration: () => {},
    onNode: () => {},
    onCheck: ({ checkId }) => ({ checkId, check: undefined }),
    onProbe: () => {},
    onState: (state) => states.push(state),
    tasks: { reports, logs: { subscribe: () => {}, closed: () => {} } },
    inquiries: { begin: () => {}, closed: () => {} },
    applied: new Applied(held, async () => ({ dataPathPorts: [4789], dataPathProblem: "" })),
  });
  const done = loop.run(stop.signal);
  return {
    held,
    loop,
    states,
    reports,
    async end() {
      stop.abort();
      await done;
      await held.close();
    },
  };
}

const soon = (look: () => void) => expect.poll(look, { interval: 1, timeout: 5_000 });

test("when a manager falls silent the next one is asked, with the revision that is held", async () => {
  const managers = new FakeManagers();
  const session = start(managers, ["a", "b"]);
  await soon(() => managers.live.has("a")).toBe(true);
  const network = Network.create({ id: "n", meta });
  const endpoint = Endpoint.create({ id: "e", networkId: "n", nodeId: "me", meta });
  const value = { ...NOTHING, revision: 7, networks: [network], endpoints: [endpoint] };
  managers.live.get("a")?.({ message: { $case: "assignments", value } });
  await soon(() => session.held.current.revision).toBe(7);

  managers.behave = (addr) => (addr === "a" ? "down" : "serve");
  managers.live.get("a")?.("end");
  await soon(() => managers.hellos.at(-1)?.revision).toBe(7);
  expect(managers.asked).toEqual(["a", "a", "b"]);
  // What it was told goes on being held.
  expect(session.held.current.endpoints).toHaveLength(1);

  // The one that failed goes to the end of the line.
  managers.live.get("b")?.("end");
  await soon(() => managers.hellos.length).toBe(3);
  await session.end();
});

test("a manager that does not answer is asked last the next time", async () => {
  const managers = new FakeManagers();
  managers.behave = () => "down";
  const session = start(managers, ["a", "b"]);
  await soon(() => managers.asked.length).toBeGreaterThanOrEqual(4);
  expect(managers.asked.slice(0, 4)).toEqual(["a", "b", "a", "b"]);
  await session.end();
});

test("a refusal is a state with its sentence, and is asked again", async () => {
  const managers = new FakeManagers();
  managers.behave = () => refuse("permission-denied", "node me was removed from the swarm");
  const session = start(managers, ["a"]);
  await soon(() => session.states.at(-1)).toEqual({
    kind: "refused",
    problem: "node me was removed from the swarm",
  });
  managers.behave = () => "serve";
  await soon(() => session.states.at(-1)?.kind).toBe("open");
  await session.end();
});

test("it beats at the period that it was told", async () => {
  const managers = new FakeManagers();
  const session = start(managers, ["a"]);
  await soon(() => managers.sent.filter((m) => m.message?.$case === "heartbeat").length).toBe(2);
  await session.end();
});

test("news that come faster than its beats do not keep a node from beating", async () => {
  const managers = new FakeManagers();
  const session = start(managers, ["a"]);
  await soon(() => managers.live.has("a")).toBe(true);
  const news: ManagerMessage = {
    message: {
      $case: "node",
      value: { node: undefined, managers: [], heartbeatPeriodMs: 100 },
    },
  } as unknown as ManagerMessage;
  const beats = () => managers.sent.filter((m) => m.message?.$case === "heartbeat").length;
  for (let told = 0; told < 40 && beats() === 0; told++) {
    managers.live.get("a")?.(news);
    await new Promise((wake) => setTimeout(wake, 10));
  }
  expect(beats()).toBeGreaterThan(0);
  await session.end();
});

test("a session that is reopened is so at once, and at the same manager", async () => {
  const managers = new FakeManagers();
  const session = start(managers, ["a", "b"]);
  await soon(() => session.states.at(-1)?.kind).toBe("open");
  session.loop.reopen();
  await soon(() => managers.asked).toEqual(["a", "a"]);
  expect(session.states.map((state) => state.kind)).toEqual(["open", "open"]);
  await session.end();
});

test("a session that is to be reopened while it is being opened is so once it is open", async () => {
  const managers = new FakeManagers();
  const session = start(managers, ["a"]);
  expect([managers.asked, session.states]).toEqual([["a"], []]);
  session.loop.reopen();
  await soon(() => managers.asked).toEqual(["a", "a"]);
  await soon(() => session.states.map((state) => state.kind)).toEqual(["open", "open"]);
  await session.end();
});

test("what tasks report in one turn is one message, and a new session is told all", async () => {
  const managers = new FakeManagers();
  const session = start(managers, ["a"]);
  await soon(() => session.states.at(-1)?.kind).toBe("open");
  const status = (state: TaskState) => TaskStatus.create({ state });
  session.reports.set("t1", status(TaskState.ACCEPTED));
  session.reports.set("t2", status(TaskState.RUNNING));
  session.reports.set("t1", status(TaskState.PREPARING));
  // Never back.
  session.reports.set("t1", status(TaskState.ACCEPTED));
  const said = () =>
    managers.sent.flatMap(({ message }) =>
      message?.$case === "tasks"
        ? [message.value.reports.map(({ taskId, status: its }) => [taskId, its?.state])]
        : [],
    );
  const both = [
    ["t1", TaskState.PREPARING],
    ["t2", TaskState.RUNNING],
  ];
  await soon(said).toEqual([both]);
  session.loop.reopen();
  await soon(said).toEqual([both, both]);
  session.reports.set("t2", status(TaskState.FAILED));
  await soon(said).toEqual([both, both, [["t2", TaskState.FAILED]]]);
  await session.end();
});
