import { beforeEach, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import type { InquiryPart } from "../../proto/gen/control.js";
import type { AgentInquiry, InquiryBatch } from "../../proto/gen/dispatcher.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import type { Store } from "../store/store.js";
import { InquiryBroker } from "./inquiries.js";

let swarm: SwarmState;
let asked: { readonly nodeId: string; readonly inquiry: AgentInquiry }[];
let closed: string[];
let broker: InquiryBroker;
const stop = () => new AbortController();

beforeEach(() => {
  swarm = new SwarmState();
  asked = [];
  closed = [];
  const sessions = {
    inquire: (nodeId: string, inquiry: AgentInquiry) => asked.push({ nodeId, inquiry }) > 0,
    closeInquiry: (nodeId: string) => closed.push(nodeId) > 0,
  };
  const store = { view: swarm.view } as unknown as Store;
  broker = new InquiryBroker({ store, clock: systemClock }, sessions);
});

const begun: InquiryPart["part"] = { $case: "begun", value: {} };
const ask = (nodeIds: string[], caller: AbortSignal) =>
  broker.inquire({ nodeIds, inquiry: undefined }, stop().signal, caller)[Symbol.asyncIterator]();

async function* batches(last: boolean): AsyncGenerator<InquiryBatch> {
  const inquiryId = asked[0]?.inquiry.inquiryId ?? 0;
  yield { inquiryId, parts: [{ nodeId: "somebody else", part: begun }], last: false };
  if (last) yield { inquiryId, parts: [], last: true };
}

test("parts are told with the node that its certificate names, and the stream ends with the last node", async () => {
  const node = swarm.node("h1").id;
  const parts = ask([node], stop().signal);
  const first = parts.next();
  await broker.publish(node, batches(true));
  expect((await first).value).toEqual({ nodeId: node, part: begun });
  expect((await parts.next()).done).toBe(true);
  expect(closed).toEqual([]);
});

test("a node that stops in the middle, and one whose session ends, are told so", async () => {
  const [one, two] = [swarm.node("h1").id, swarm.node("h2").id];
  const parts = ask([one, two], stop().signal);
  const first = parts.next();
  await broker.publish(one, batches(false));
  broker.ended(two);
  expect((await first).value?.part?.$case).toBe("begun");
  const rest = [(await parts.next()).value, (await parts.next()).value];
  expect(rest).toEqual([
    { nodeId: one, part: { $case: "failed", value: "the node stopped answering" } },
    { nodeId: two, part: { $case: "failed", value: "the node's session ended" } },
  ]);
  expect((await parts.next()).done).toBe(true);
});

test("when the asker goes, nodes are told, and what they publish is refused", async () => {
  const node = swarm.node("h1").id;
  const caller = stop();
  const parts = ask([node], caller.signal);
  const first = parts.next();
  await expect.poll(() => asked.length).toBe(1);
  caller.abort();
  expect((await first).done).toBe(true);
  expect(closed).toEqual([node]);
  await expect(broker.publish(node, batches(false))).rejects.toThrow(/nobody waits/);
});

test("a node that has begun and tells nothing more hears that the asker has gone", async () => {
  const node = swarm.node("h1").id;
  const caller = stop();
  const parts = ask([node], caller.signal);
  const first = parts.next();
  await expect.poll(() => asked.length).toBe(1);
  async function* silent(): AsyncGenerator<InquiryBatch> {
    yield* batches(false);
    await new Promise(() => {});
  }
  const published = broker.publish(node, silent());
  expect((await first).value?.part?.$case).toBe("begun");
  const next = parts.next();
  caller.abort();
  await expect(published).rejects.toThrow(/nobody waits/);
  expect((await next).done).toBe(true);
});

test("a node that there is not is refused", async () => {
  swarm.node("h1");
  await expect(ask(["nowhere"], stop().signal).next()).rejects.toThrow("node nowhere not found");
});
