import { beforeEach, expect, test } from "vitest";
import { Applied } from "../../proto/gen/dispatcher.js";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { removeNode } from "../control/node.js";
import { recordNodeSession } from "../control/session.js";
import { affectedNodes } from "./affected.js";
import { Following } from "./following.js";
import { SharedDeltas } from "./shared-deltas.js";

let swarm: SwarmState;
/** Whether the last change left something to send. */
let isDue: boolean;
const shared = new SharedDeltas();
beforeEach(() => {
  swarm = new SwarmState();
  for (const name of ["n1", "n2"]) swarm.node(name);
  for (const name of ["a", "b"]) swarm.network({ name });
});

function follow(nodeId: string, revision = 0): Following {
  const following = new Following(nodeId, revision);
  swarm.store.changes.subscribe((change) => {
    isDue = following.note(affectedNodes(change, swarm.view), change.revision);
  });
  return following;
}
/** Sends it all there is. */
function catchUp(following: Following): void {
  following.takeUpdate(swarm.view);
  following.takeAssignments(swarm.view, shared);
}

test("a new session is told all, even if that is nothing: so the agent knows that it is up to date", () => {
  const following = follow("n1", swarm.view.revision);
  expect(following.assignmentsDue).toBe(true);
  expect(following.takeUpdate(swarm.view)).toMatchObject({ node: { id: "n1" } });
  expect(following.takeAssignments(swarm.view, shared)).toMatchObject({
    full: false,
    endpoints: [],
  });
  expect(following.sent).toBe(swarm.view.revision);
  expect(following.assignmentsDue).toBe(false);
});

test("many changes are one message", () => {
  const following = follow("n1");
  catchUp(following);
  swarm.attach("a", { node: "n1" });
  swarm.attach("b", { node: "n1" });
  expect(isDue).toBe(true);
  expect(following.takeAssignments(swarm.view, shared)?.endpoints).toHaveLength(2);
  expect(following.takeAssignments(swarm.view, shared)).toBeUndefined();
});

test("what does not concern the node is not sent, and the next message goes on from there", () => {
  const following = follow("n1");
  catchUp(following);
  const sent = following.sent;
  for (let n = 0; n < 5; n++) swarm.attach("a", { node: "n2" });
  expect(isDue).toBe(false);
  expect(following.takeAssignments(swarm.view, shared)).toBeUndefined();
  expect(following.sent).toBe(sent);
  swarm.attach("b", { node: "n1" });
  expect(following.takeAssignments(swarm.view, shared)).toMatchObject({ full: false });
});

test("what a node is told of itself is sent again only when it says something else", () => {
  const following = follow("n1");
  catchUp(following);
  following.note({ nodeUpdates: "all", assignments: new Set() }, swarm.view.revision);
  expect(following.takeUpdate(swarm.view)).toBeUndefined();
  const moved = { nodeId: "n1", description: undefined, addr: "192.0.2.9", dataPathAddr: "" };
  swarm.must((draft) => recordNodeSession(draft, moved));
  expect(following.takeUpdate(swarm.view)).toMatchObject({ node: { id: "n1" } });
});

test("a node that was removed is told so", () => {
  const following = follow("n1");
  catchUp(following);
  swarm.must((draft) => removeNode(draft, { id: "n1", force: true }, swarm.context));
  expect(following.takeUpdate(swarm.view)).toBe("removed");
});

test("an agent cannot have applied what the store does not have, nor take back what it said", () => {
  const following = follow("n1");
  const newest = swarm.view.revision;
  following.hasApplied(Applied.create({ revision: newest + 1_000 }), newest);
  expect(following.applied).toBe(newest);
  following.hasApplied(Applied.create({ revision: 1 }), newest);
  expect(following.applied).toBe(newest);
});

test("of what an agent says of its data path no more is kept than there can be", () => {
  const following = follow("n1");
  const said = { dataPathPorts: [1, 2, 3, 4, 5, 6], dataPathProblem: "x".repeat(10_000) };
  following.hasApplied(Applied.create(said), swarm.view.revision);
  expect(following.way.ports).toEqual([1, 2, 3, 4]);
  expect(following.way.problem).toHaveLength(500);
});
