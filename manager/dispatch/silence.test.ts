import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Node } from "../../proto/gen/types.js";
import { beatMsFor, onlySilence, Silence } from "./silence.js";

const BEAT = 500;
const WINDOW = 1_250;

/** Heard at these times; looked at after every 10 ms. What is said, by time. */
function said(heardMs: readonly number[], untilMs: number, silence = new Silence()): string[] {
  const said: string[] = [];
  const due = [...heardMs];
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 10) {
    while (due[0] !== undefined && due[0] <= nowMs) {
      silence.heard("n", BEAT, nowMs);
      due.shift();
    }
    silence.judge(nowMs);
    for (const [, isSilent] of silence.takeChanged()) {
      said.push(`${nowMs} ${isSilent ? "silent" : "heard"}`);
    }
  }
  return said;
}

const every = (fromMs: number, toMs: number, stepMs: number) =>
  Array.from({ length: Math.floor((toMs - fromMs) / stepMs) + 1 }, (_, i) => fromMs + i * stepMs);

describe("a node", () => {
  test("that misses two beats and more is silent, and is believed again with its next word", () => {
    expect(said([0, 500, 1_000, 4_000, 4_500], 5_000)).toEqual(["2250 silent", "4000 heard"]);
  });

  test("that beats a little late is not silent", () => {
    expect(said(every(0, 60_000, 1_200), 60_000)).toEqual([]);
  });

  test("that comes and goes must be steady for a while, longer each time", () => {
    const beats = [0, 2_000, ...every(4_000, 10_000, BEAT), ...every(12_000, 30_000, BEAT)];
    expect(said(beats, 30_000)).toEqual([
      ...["1250 silent", "2000 heard"],
      ...["3250 silent", "6000 heard"],
      ...["11250 silent", "16000 heard"],
    ]);
  });

  test("that was good for long is forgiven", () => {
    const beats = [0, 2_000, ...every(4_000, 400_000, BEAT), 403_000];
    expect(said(beats, 403_000).slice(-2)).toEqual(["401250 silent", "403000 heard"]);
  });

  test("of which a new leader has not heard yet gets time; what the last one thought is kept", () => {
    const silence = new Silence();
    const nodes = [Node.fromPartial({ id: "n" }), Node.fromPartial({ id: "x", silent: true })];
    silence.begin(nodes, 0);
    silence.heard("other", BEAT, 0);
    expect(silence.nextMs()).toBe(WINDOW);
    expect(said([], 4_900, silence)).toEqual(["1250 silent"]);
    expect([silence.isSilent("n"), silence.isSilent("x")]).toEqual([false, true]);
    silence.judge(5_000);
    silence.heard("x", BEAT, 5_000);
    expect([...silence.takeChanged()]).toEqual([
      ["n", true],
      ["x", false],
    ]);
  });

  test("is not blamed for what held the leader up, and not thought of when it is gone", () => {
    const silence = new Silence();
    silence.heard("n", BEAT, 0);
    silence.heard("gone", BEAT, 0);
    silence.excuse(3_000, 3_100);
    silence.forget("gone");
    silence.judge(3_100);
    expect(silence.isSilent("n")).toBe(false);
    silence.judge(3_000 + WINDOW);
    expect([silence.isSilent("n"), silence.isSilent("gone")]).toEqual([true, false]);
  });
});

test("however a node comes and goes, it is no news more often than twice in its time of trust", () => {
  const gaps = fc.array(fc.integer({ min: 100, max: 4_000 }), { minLength: 20, maxLength: 300 });
  fc.assert(
    fc.property(gaps, (list) => {
      let atMs = 0;
      const beats = list.map((gap) => (atMs += gap));
      const news = said([0, ...beats], atMs);
      // 2, 4, 8 … 60 seconds without a gap between the ends of silence, after the first.
      expect(news.length).toBeLessThanOrEqual(4 + 2 * Math.log2(1 + atMs / 2_000) + atMs / 30_000);
    }),
    { numRuns: 50 },
  );
});

test("the leader hears 2,000 beats a second at most, and nobody less often than its heartbeat", () => {
  expect([1, 1_000, 4_000].map((nodes) => beatMsFor(nodes, 5_000))).toEqual([500, 500, 2_000]);
  expect(beatMsFor(1, 100)).toBe(100);
});

test("silence alone is told apart from other changes of a node", () => {
  const node = Node.fromPartial({ id: "n", addr: "a" });
  expect(onlySilence(node, { ...node, silent: true })).toBe(true);
  expect(onlySilence(node, { ...node, silent: true, addr: "b" })).toBe(false);
  expect(onlySilence(node, node)).toBe(false);
});
