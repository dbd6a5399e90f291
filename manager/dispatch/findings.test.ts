import { expect, test } from "vitest";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { type Heard, leaderFindings } from "./findings.js";

const WELL: Heard = { clockAheadMs: () => 0, answers: () => true };

test("nothing is wrong with a swarm that is well", () => {
  const swarm = new SwarmState();
  const node = swarm.node("h1");
  const network = swarm.network({ name: "overnet", attachable: true });
  swarm.attach(network.id, { node: node.id });
  expect(leaderFindings(swarm.view, WELL)).toEqual([]);
});

test("a clock that differs by seconds is said, with the way it differs", () => {
  const swarm = new SwarmState();
  const { id } = swarm.node("h1");
  const by = (aheadMs: number) => {
    const clockAheadMs = (nodeId: string) => (nodeId === id ? aheadMs : undefined);
    return leaderFindings(swarm.view, { ...WELL, clockAheadMs }).map(({ what }) => what);
  };
  expect(by(90_000)).toEqual(["The clock of h1 is 90 s ahead of the leader's."]);
  expect(by(-90_000)).toEqual(["The clock of h1 is 90 s behind the leader's."]);
  expect(by(1_500)).toEqual([]);
});

test("a pool that runs out is said before it is empty, and when it is", () => {
  const swarm = new SwarmState();
  const node = swarm.node("h1");
  const ipam = [{ subnet: "10.9.0.0/27", gateway: "", ipRange: "", auxAddresses: {} }];
  const network = swarm.network({ name: "small", attachable: true, ipam });
  const pool = () =>
    leaderFindings(swarm.view, WELL).find(({ subject }) => subject.startsWith("pool"));
  for (let used = 0; used < 26; used++) swarm.attach(network.id, { node: node.id });
  expect(pool()).toBeUndefined();
  swarm.attach(network.id, { node: node.id });
  expect(pool()).toMatchObject({
    networkId: network.id,
    what: "2 of the 29 addresses of 10.9.0.0/27 are free (27 in use).",
    where: "network small",
  });
  for (let used = 27; used < 29; used++) swarm.attach(network.id, { node: node.id });
  expect(pool()?.what).toBe("No address of 10.9.0.0/27 is free (29 in use).");
});
