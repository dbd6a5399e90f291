import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { FakeAgentNode } from "../../test/fakes/agent-node.js";
import { PLAIN_INIT } from "../../test/fakes/init-swarm.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { becomingManager } from "../member/words.js";
import { nameOf, networkViews } from "./network-view.js";

const clock = new ManualClock();

/** A manager whose agent was started a moment ago: its process does not run yet. */
class Starting extends FakeAgentNode {
  starting = true;
  problem = "";
  override control() {
    return this.starting ? becomingManager(this.problem) : super.control();
  }
}

async function manager(): Promise<Starting> {
  const node = new Starting({ hostname: "h1", addr: "192.0.2.1" });
  await node.init(PLAIN_INIT);
  return node;
}

const signal = new AbortController().signal;

test("of a manager that is starting nobody is told that the swarm has no networks", async () => {
  const node = await manager();
  const views = networkViews({ node, clock, signal });
  await clock.advance(1_000);
  node.starting = false;
  await clock.advance(1_000);
  expect((await views).map(nameOf)).toContain("ingress");
});

test("one that does not start says so", async () => {
  const node = await manager();
  const views = networkViews({ node, clock, signal }).catch((error: unknown) => error);
  await clock.advance(10_000);
  expect(await views).toMatchObject({ status: 503, message: becomingManager().message });
});

test("a worker tells what it knows", async () => {
  const node = new FakeAgentNode({ hostname: "h1", addr: "192.0.2.1" });
  expect(isRefusal(node.control())).toBe(true);
  const names = (await networkViews({ node, clock, signal })).map(nameOf);
  expect(names).not.toContain("ingress");
});

test("one that was not let in yet is waited for all the same, and says why", async () => {
  const node = await manager();
  node.problem = "becoming a manager: the managers' disk is full";
  const views = networkViews({ node, clock, signal });
  await clock.advance(1_000);
  node.starting = false;
  await clock.advance(1_000);
  expect((await views).map(nameOf)).toContain("ingress");
  node.starting = true;
  const late = networkViews({ node, clock, signal }).catch((error: unknown) => error);
  await clock.advance(10_000);
  expect(await late).toMatchObject({ status: 503, message: expect.stringContaining(node.problem) });
});
