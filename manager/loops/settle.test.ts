import { expect, test } from "vitest";
import { seededRandom } from "../../common/random.js";
import { ManualClock } from "../../test/fakes/manual-clock.js";
import { type Follower, hasApplied, Settling } from "./settle.js";

const never = new AbortController().signal;

function lab(count: number) {
  const clock = new ManualClock();
  const settling = new Settling(clock);
  const nodes = Array.from({ length: count }, () => ({
    ...{ sent: 7, applied: 7, assignmentsDue: false },
  }));
  const outcome = (revision: number) => {
    const state = { over: false };
    void settling.settled(revision, nodes as Follower[], never).then(() => (state.over = true));
    return state;
  };
  const turn = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  const node = (at: number) => nodes[at] ?? expect.fail("no such node");
  return { clock, settling, node, outcome, turn };
}

test("nodes that have nothing to hear, or have heard it, are not waited for", async () => {
  const { node, outcome, turn } = lab(2);
  Object.assign(node(1), { sent: 9, applied: 9 });
  const asked = outcome(8);
  await turn();
  expect(asked.over).toBe(true);
});

test("it is over with the last node that applies, is told nothing after all, or is gone", async () => {
  const { settling, node, outcome, turn } = lab(4);
  Object.assign(node(0), { sent: 9 });
  for (const at of [1, 2]) Object.assign(node(at), { assignmentsDue: true });
  Object.assign(node(3), { sent: 9 });
  const asked = outcome(8);
  node(0).applied = 8;
  settling.progressed(node(0));
  node(1).assignmentsDue = false;
  settling.progressed(node(1));
  Object.assign(node(2), { assignmentsDue: false, sent: 10 });
  settling.progressed(node(2));
  settling.ended(node(3));
  await turn();
  expect(asked.over).toBe(false);
  node(2).applied = 10;
  settling.progressed(node(2));
  await turn();
  expect(asked.over).toBe(true);
});

test("a node that does not answer is waited for two seconds", async () => {
  const { clock, node, outcome, turn } = lab(1);
  node(0).assignmentsDue = true;
  const asked = outcome(8);
  await clock.advance(1_999);
  await turn();
  expect(asked.over).toBe(false);
  await clock.advance(1);
  await turn();
  expect(asked.over).toBe(true);
});

test("many that wait at once are each told when its nodes are there and those are who waited before, and no sooner", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const { clock, settling, turn } = lab(0);
    const nodes = Array.from({ length: 6 }, () => ({ sent: 1, applied: 1, assignmentsDue: false }));
    const waiting: { left: Set<Follower>; over: boolean; revision: number }[] = [];
    /** Nobody overtakes who came before. */
    const isDone = (at: number) => waiting.slice(0, at + 1).every(({ left }) => left.size === 0);
    let newest = 1;
    const note = (node: Follower) => {
      settling.progressed(node);
      for (const { left, revision } of waiting) if (hasApplied(node, revision)) left.delete(node);
    };
    for (let step = 0; step < 120; step++) {
      const node = nodes[random.below(nodes.length)] ?? expect.fail("no such node");
      const kind = random.below(5);
      if (kind === 0) {
        newest++;
        for (const each of nodes) if (random.below(2) === 0) each.assignmentsDue = true;
      } else if (kind === 1 && node.assignmentsDue) {
        node.assignmentsDue = false;
        if (random.below(3) > 0) node.sent = newest;
        note(node);
      } else if (kind === 2) {
        node.applied = node.sent;
        note(node);
      } else if (kind === 3) {
        const asked = Math.max(1, newest - random.below(3));
        const isAt = nodes.every((each) => hasApplied(each, asked));
        const latest = waiting.filter((_, at) => !isDone(at)).map(({ revision }) => revision);
        const revision = Math.max(asked, ...latest);
        const left = new Set(nodes.filter((each) => !hasApplied(each, revision)));
        const one = { left, over: false, revision };
        void settling.settled(asked, nodes, never).then(() => (one.over = true));
        if (!isAt) waiting.push(one);
      } else if (random.below(6) === 0) {
        settling.ended(node);
        for (const { left } of waiting) left.delete(node);
        nodes[nodes.indexOf(node)] = { sent: 1, applied: 0, assignmentsDue: true };
      }
      await turn();
      expect(waiting.map(({ over }) => over)).toEqual(waiting.map((_, at) => isDone(at)));
    }
    await clock.advance(2_000);
    await turn();
    expect(waiting.every(({ over }) => over)).toBe(true);
  }
});

test("when more revisions are waited for than are told apart, each is waited for all the same", async () => {
  const { clock, settling, node, outcome, turn } = lab(2);
  for (const at of [0, 1]) Object.assign(node(at), { sent: 200, assignmentsDue: false });
  const asked = Array.from({ length: 100 }, (_, i) => outcome(10 + i));
  node(0).applied = 200;
  settling.progressed(node(0));
  await turn();
  expect(asked.filter(({ over }) => over)).toEqual([]);
  node(1).applied = 30;
  settling.progressed(node(1));
  await turn();
  expect(asked.filter(({ over }) => over)).toHaveLength(21);
  node(1).applied = 108;
  settling.progressed(node(1));
  await turn();
  expect(asked.at(-1)?.over).toBe(false);
  node(1).applied = 109;
  settling.progressed(node(1));
  await turn();
  expect(asked.every(({ over }) => over)).toBe(true);
  expect(clock.monotonicMs()).toBe(0);
});

test("what a node's progress costs does not grow with how many wait", async () => {
  const { settling, turn } = lab(0);
  let looks = 0;
  const nodes = Array.from({ length: 50 }, () => ({
    applied: 1,
    assignmentsDue: false,
    get sent() {
      looks++;
      return 9;
    },
  }));
  const asked = Array.from({ length: 400 }, () => {
    const state = { over: false };
    void settling.settled(9, nodes, never).then(() => (state.over = true));
    return state;
  });
  looks = 0;
  for (const node of nodes) {
    node.applied = 8;
    settling.progressed(node);
    node.applied = 9;
    settling.progressed(node);
  }
  expect(looks).toBeLessThan(4 * nodes.length);
  await turn();
  expect(asked.every(({ over }) => over)).toBe(true);
});
