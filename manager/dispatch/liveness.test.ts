import { expect, test } from "vitest";
import { SwarmState } from "../../test/fakes/swarm-state.js";
import { updateCluster } from "../control/cluster.js";
import { DEFAULT_CLUSTER_SPEC } from "../control/cluster-spec.js";
import { setManagerMember } from "../control/membership.js";
import { markNodeDown } from "../control/session.js";
import { type Affected, affectedNodes } from "./affected.js";
import { Liveness } from "./liveness.js";
import { nodeUpdateFor } from "./node-update.js";

test("a node is late after three missed beats, and is named once", () => {
  const liveness = new Liveness(5_000);
  liveness.beat("a", 0);
  liveness.beat("b", 1_000);
  liveness.beat("a", 5_000);
  expect(liveness.nextDeadlineMs()).toBe(16_000);
  expect(liveness.takeExpired(15_999)).toEqual([]);
  expect(liveness.takeExpired(16_000)).toEqual(["b"]);
  expect(liveness.takeExpired(16_000)).toEqual([]);
  expect(liveness.isWatched("b")).toBe(false);
  expect(liveness.takeExpired(20_000)).toEqual(["a"]);
  expect(liveness.nextDeadlineMs()).toBeUndefined();
});

test("a new leader gives everybody one full window", () => {
  const liveness = new Liveness(5_000);
  liveness.beat("gone", 0);
  liveness.begin(["a", "b"], 100_000);
  liveness.beat("a", 110_000);
  expect(liveness.takeExpired(114_999)).toEqual([]);
  expect(liveness.takeExpired(115_000)).toEqual(["b"]);
});

test("a longer period holds for beats that came before it; a node that left is not waited for", () => {
  const liveness = new Liveness(1_000);
  liveness.beat("a", 0);
  liveness.beat("b", 0);
  liveness.setPeriod(2_000);
  liveness.forget("b");
  expect(liveness.takeExpired(3_000)).toEqual([]);
  expect(liveness.takeExpired(6_000)).toEqual(["a"]);
});

test("a node is told of the managers, the root and the heartbeat", () => {
  const swarm = new SwarmState();
  swarm.node("n1");
  expect(nodeUpdateFor(swarm.view, "n1")).toMatchObject({
    node: { id: "n1" },
    managers: [{ nodeId: "node0", addr: "192.168.33.10:2377" }],
    heartbeatPeriodMs: 5_000,
  });
  expect(nodeUpdateFor(swarm.view, "nobody")).toBeUndefined();
});

test("what concerns everybody, and what concerns one", () => {
  const swarm = new SwarmState();
  swarm.node("n1");
  const seen: Affected[] = [];
  swarm.store.changes.subscribe((change) => seen.push(affectedNodes(change, swarm.view)));
  swarm.must((draft) => markNodeDown(draft, "n1", "heartbeat failure") ?? true);
  swarm.must((draft) =>
    setManagerMember(draft, { nodeId: "n1", raftId: 2, addr: "192.168.34.1:2377" }),
  );
  const version = swarm.view.cluster()?.meta?.version ?? 0;
  const spec = { ...DEFAULT_CLUSTER_SPEC, heartbeatPeriodMs: 3_000 };
  const request = {
    version,
    spec,
    rotateWorkerToken: false,
    rotateManagerToken: false,
    rotateUnlockKey: false,
    dataPathPort: 0,
  };
  swarm.must((draft) =>
    updateCluster(draft, request, { worker: "", manager: "", unlockKey: Buffer.alloc(32) }),
  );
  expect(seen.map(({ nodeUpdates }) => nodeUpdates)).toEqual([new Set(["n1"]), "all", "all"]);
});
