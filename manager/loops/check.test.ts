import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { CheckRequest, Finding, NodeCheck } from "../../proto/gen/control.js";
import type { Check } from "../../proto/gen/dispatcher.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import type { Heard } from "../dispatch/findings.js";
import { Checks } from "./check.js";

const WELL: Heard = { clockAheadMs: () => 0, answers: () => true };

/** Two nodes of which the second has no session, and what is asked of the first. */
function swarm() {
  const state = new SwarmState();
  const near = state.node("h1");
  const far = state.node("h2");
  const asked: Check[] = [];
  const sessions = {
    check: (nodeId: string, check: Check) => nodeId === near.id && asked.push(check) > 0,
  };
  return { state, near, far, asked, sessions, checks: new Checks(systemClock) };
}

test("what a node says is its own, bounded, and who cannot be asked is named", async () => {
  const { state, near, far, asked, sessions, checks } = swarm();
  const request = CheckRequest.fromPartial({});
  const { signal } = new AbortController();
  const answers: NodeCheck[] = [];
  const reading = (async () => {
    for await (const each of checks.run(request, state.view, sessions, WELL, signal))
      answers.push(each);
  })();
  while (asked.length === 0) await systemClock.sleep(1, signal);
  const finding = Finding.fromPartial({ subject: "x", what: "w".repeat(5_000) });
  const check = NodeCheck.fromPartial({
    nodeId: far.id,
    fromLeader: true,
    findings: Array.from({ length: 500 }, () => finding),
  });
  const checkId = asked[0]?.checkId ?? 0;
  checks.report(far.id, { checkId, check });
  checks.report(near.id, { checkId, check });
  checks.report(near.id, { checkId, check });
  await reading;
  const said = answers.filter(({ error, fromLeader }) => error === "" && !fromLeader);
  expect(said.map(({ nodeId }) => nodeId)).toEqual([near.id]);
  expect(said[0]?.findings).toHaveLength(100);
  expect(said[0]?.findings[0]?.what.length).toBeLessThan(1_100);
  expect(answers).toContainEqual(
    NodeCheck.fromPartial({ nodeId: far.id, error: "It has no session with the leader." }),
  );
});

test("who does not answer in time is named", async () => {
  const { state, near, sessions, checks } = swarm();
  const request = CheckRequest.fromPartial({ timeoutMs: 5 });
  const { signal } = new AbortController();
  const answers: NodeCheck[] = [];
  for await (const each of checks.run(request, state.view, sessions, WELL, signal))
    answers.push(each);
  expect(answers).toContainEqual(
    NodeCheck.fromPartial({ nodeId: near.id, error: "It did not answer in time." }),
  );
});

test("what the leader knows is remembered since when, and narrowed to a network", async () => {
  const { state, near, far, sessions, checks } = swarm();
  const network = state.network({ name: "overnet", attachable: true });
  state.attach(network.id, { node: near.id });
  const skewed: Heard = { ...WELL, clockAheadMs: (id) => (id === far.id ? 90_000 : 0) };
  const ask = async (networkId: string) => {
    const answers: NodeCheck[] = [];
    const request = CheckRequest.fromPartial({ networkId, timeoutMs: 5 });
    const { signal } = new AbortController();
    for await (const each of checks.run(request, state.view, sessions, skewed, signal))
      answers.push(each);
    return answers.filter(({ fromLeader }) => fromLeader);
  };
  const [first] = await ask("");
  const [again] = await ask("");
  expect(first).toMatchObject({ nodeId: far.id, findings: [{ subject: "clock" }] });
  expect(again?.findings[0]?.sinceMs).toBe(first?.findings[0]?.sinceMs);
  expect(await ask("overnet")).toEqual([]);
});
