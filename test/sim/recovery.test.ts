// A group that has lost its quorum for good, and goes on from one manager; and what becomes of the others when they
// were not gone for good after all.
import { expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { itself } from "../../manager/loops/itself.js";
import { Role } from "../../proto/gen/types.js";
import { Credentials } from "../fakes/seat-credentials.js";
import { SeatSwarm } from "../fakes/seat-swarm.js";

const credentials = await Credentials.of(["n1", "n2", "n3", "n4"]);
const OWN_AGENT = itself(new AbortController().signal);
const SOON_MS = 60_000;

async function withSwarm(run: (swarm: SeatSwarm) => Promise<void>): Promise<void> {
  const voter = (id: string, raftId: number) =>
    ({ id, wanted: "manager", seat: { raftId, learner: false } }) as const;
  const members = [voter("n1", 1), voter("n2", 2), voter("n3", 3)];
  const swarm = new SeatSwarm(credentials, [...members, { id: "n4", wanted: "worker" }]);
  try {
    swarm.start();
    await swarm.until(
      () => swarm.maybeLeader() !== undefined,
      SOON_MS,
      () => "nobody leads",
    );
    await run(swarm);
  } finally {
    swarm.stop();
  }
}

/** As `skein swarm recover --yes` there. */
async function recover(swarm: SeatSwarm, id: string, onlyPlan = false) {
  const node = swarm.node(id);
  const request = {
    identity: credentials.identity(id, "manager"),
    listenAddr: node.addr,
    advertiseAddr: node.addr,
    onlyPlan,
  };
  const answer = node.process?.manager.api().recover(request, OWN_AGENT);
  if (answer === undefined) throw new Error("no process");
  return swarm.settled(answer);
}

function die(swarm: SeatSwarm, ...ids: readonly string[]): void {
  for (const id of ids) {
    swarm.node(id).killAgent();
    swarm.node(id).process?.kill();
  }
}

const members = (swarm: SeatSwarm) => swarm.leader().consensus.status().members;
const others = (id: string) => ["n1", "n2", "n3"].filter((each) => each !== id);

test("a survivor goes on alone, with all that the swarm had, and can be joined again", () =>
  withSwarm(async (swarm) => {
    die(swarm, "n2", "n3");
    await swarm.pass(5_000);
    const before = swarm.node("n1").process?.member?.store.view;
    const token = before?.cluster()?.joinSecrets?.worker;
    const recovered = await recover(swarm, "n1");
    expect(recovered).toMatchObject({ nodeId: "n1", isWhole: false });
    expect(isRefusal(recovered) ? [] : recovered.lost.map(({ nodeId }) => nodeId)).toEqual([
      "n2",
      "n3",
    ]);
    const { view } = swarm.leader().store;
    expect(members(swarm).map(({ nodeId }) => nodeId)).toEqual(["n1"]);
    expect(members(swarm)[0]?.raftId).not.toBe(1);
    expect([...view.nodes()].map(({ id }) => id).sort()).toEqual(["n1", "n2", "n3", "n4"]);
    expect(view.node("n2")).toMatchObject({ role: Role.WORKER, manager: undefined });
    expect(view.ingressNetwork()).toBeDefined();
    expect(view.cluster()?.joinSecrets?.worker).toBe(token);
    expect(await swarm.wish("n4", "manager")).toBeUndefined();
    await swarm.until(
      () => members(swarm).some(({ nodeId, learner }) => nodeId === "n4" && !learner),
      SOON_MS,
      () => swarm.node("n4").problem,
    );
  }));

test.each(["n1", "n2", "n3"])(
  "there is one swarm in the end when the others of %s come back, a majority of what was",
  (id) =>
    withSwarm(async (swarm) => {
      die(swarm, ...others(id));
      await swarm.pass(5_000);
      expect(isRefusal(await recover(swarm, id))).toBe(false);
      const recovered = swarm.node(id).process?.member;
      for (const other of others(id)) swarm.node(other).startAgent();
      await swarm.until(
        () => others(id).every((other) => swarm.node(other).certificate === "worker"),
        SOON_MS,
        () =>
          others(id)
            .map((other) => swarm.node(other).problem)
            .join("; "),
      );
      await swarm.pass(20_000);
      expect(swarm.node(id).process?.member).toBe(recovered);
      expect(swarm.leaderNode().id).toBe(id);
      expect(others(id).map((other) => swarm.node(other).disk.identity)).toEqual([
        undefined,
        undefined,
      ]);
      expect(members(swarm).map(({ nodeId }) => nodeId)).toEqual([id]);
    }),
);

test("what the others did behind a cut is given up when they are heard again, and never the recovered swarm", () =>
  withSwarm(async (swarm) => {
    swarm.network.cut(swarm.node("n1").addr);
    await swarm.pass(5_000);
    // They have a leader, and nobody can know it here.
    expect(isRefusal(await recover(swarm, "n1"))).toBe(false);
    const recovered = swarm.node("n1").process?.member;
    swarm.network.heal(swarm.node("n1").addr);
    await swarm.until(
      () => ["n2", "n3"].every((other) => swarm.node(other).certificate === "worker"),
      SOON_MS,
      () => `${swarm.node("n2").problem}; ${swarm.node("n3").problem}`,
    );
    expect(swarm.node("n1").process?.member).toBe(recovered);
    expect(swarm.leaderNode().id).toBe("n1");
  }));

test("it is refused while there is a quorum, and nothing is changed", () =>
  withSwarm(async (swarm) => {
    die(swarm, "n3");
    await swarm.pass(5_000);
    const seats = members(swarm);
    const answer = await recover(swarm, "n1");
    expect(isRefusal(answer) && answer.message).toMatch(
      /has a quorum: most of its 3 managers answer/,
    );
    expect(members(swarm)).toEqual(seats);
  }));

test("a plan changes nothing; a manager that is alone and works has nothing to recover", () =>
  withSwarm(async (swarm) => {
    die(swarm, "n2", "n3");
    await swarm.pass(5_000);
    const { process } = swarm.node("n1");
    const plan = await recover(swarm, "n1", true);
    expect(plan).toMatchObject({ isWhole: false, keptAside: "" });
    expect(process?.member?.consensus.status().members).toHaveLength(3);
    await recover(swarm, "n1");
    const generation = swarm.leader().store.view.cluster()?.generation;
    expect(await recover(swarm, "n1")).toMatchObject({ isWhole: true });
    expect(swarm.leader().store.view.cluster()?.generation).toBe(generation);
  }));
