import { setMaxListeners } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../common/log.js";
import {
  type AgentMessage,
  type Assignments,
  Hello,
  type ManagerMessage,
} from "../../proto/gen/dispatcher.js";
import { Role } from "../../proto/gen/types.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import type { Caller } from "../seams.js";
import type { StoreView } from "../store/view.js";
import { Sessions } from "./sessions.js";
import type { Request, Writer } from "./write.js";

let swarm: SwarmState;
let clock: ManualClock;
let over: AbortController;
let sessions: Sessions;
/** What each node was sent. */
let told: Map<string, Assignments[]>;

beforeEach(() => {
  swarm = new SwarmState();
  for (const name of ["a", "b"]) swarm.network({ name });
  clock = new ManualClock();
  over = new AbortController();
  setMaxListeners(0, over.signal);
  told = new Map();
  const writer = {
    write: async <T, Answer>(request: Request<T>, after: (view: StoreView, result: T) => Answer) =>
      after(
        swarm.view,
        swarm.must((draft) => request(draft, 1)),
      ),
  };
  sessions = new Sessions({
    store: swarm.store,
    writer: writer as unknown as Writer,
    clock,
    log: silentLogger(),
    helloMs: 1_000,
    onCheckReport: () => {},
    onClock: () => {},
    onProbeReport: () => {},
    onTaskReports: () => {},
    onEnded: () => {},
  });
  void sessions.run(over.signal);
});
afterEach(() => over.abort());

/** A node whose agent says hello and listens. */
function open(nodeId: string): void {
  swarm.node(nodeId);
  const messages: Assignments[] = [];
  told.set(nodeId, messages);
  const caller: Caller = {
    peer: { nodeId, role: Role.WORKER } as Caller["peer"],
    local: false,
    forwarded: false,
    requestId: "",
    remoteAddr: "192.0.2.1",
    signal: over.signal,
  };
  async function* incoming(): AsyncGenerator<AgentMessage> {
    yield { message: { $case: "hello", value: Hello.create({}) } };
    await new Promise((resolve) => over.signal.addEventListener("abort", resolve));
  }
  const send = async ({ message }: ManagerMessage) => {
    if (message?.$case === "assignments") messages.push(message.value);
  };
  sessions.serve(caller, incoming(), send, over.signal).catch(() => {});
}

test("one endpoint's change is one message to each node of its network, the same object for all that it does not name, and nothing to anybody else", async () => {
  const [onA, onB] = [
    ["n1", "n2", "n3"],
    ["n4", "n5", "n6"],
  ];
  for (const node of [...onA, ...onB]) open(node);
  await clock.advance(10);
  for (const node of onA) swarm.attach("a", { node });
  for (const node of onB) swarm.attach("b", { node });
  await clock.advance(10);
  for (const messages of told.values()) messages.length = 0;

  swarm.attach("a", { node: "n1" });
  await clock.advance(10);
  const counts = [...told].map(([node, messages]) => [node, messages.length]);
  expect(Object.fromEntries(counts)).toEqual({ n1: 1, n2: 1, n3: 1, n4: 0, n5: 0, n6: 0 });
  expect(told.get("n2")?.[0]).toBe(told.get("n3")?.[0]);
  expect(told.get("n2")?.[0]).toMatchObject({ full: false, endpoints: [{ nodeId: "n1" }] });
});

test("changes in one go are one message", async () => {
  open("n1");
  await clock.advance(10);
  swarm.attach("a", { node: "n1" });
  await clock.advance(10);
  const before = told.get("n1")?.length ?? 0;
  for (let i = 0; i < 50; i++) swarm.attach("a");
  await clock.advance(10);
  const [message, ...more] = told.get("n1")?.slice(before) ?? [];
  expect(message?.endpoints).toHaveLength(50);
  expect(more).toEqual([]);
});
