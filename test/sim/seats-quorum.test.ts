// A manager is not taken away when the others would have no quorum, unless a person insists; and it forgets nothing
// before the others can do without it, whatever becomes of them.
import { expect, test } from "vitest";
import { EntryKind } from "../../proto/gen/raft.js";
import { Credentials } from "../fakes/seat-credentials.js";
import { SeatSwarm } from "../fakes/seat-swarm.js";

const credentials = await Credentials.of(["n1", "n2", "n3"]);
const SOON_MS = 30_000;

test("of three managers, one away, another goes by force only; the swarm goes on when that one is back", async () => {
  const voter = (id: string, raftId: number) =>
    ({ id, wanted: "manager", seat: { raftId, learner: false } }) as const;
  const swarm = new SeatSwarm(credentials, [voter("n1", 1), voter("n2", 2), voter("n3", 3)]);
  try {
    swarm.start();
    const leads = () => swarm.maybeLeader() !== undefined;
    await swarm.until(leads, SOON_MS, () => "nobody leads");
    const leader = swarm.leaderNode().id;
    const [goes, away] = ["n1", "n2", "n3"].filter((id) => id !== leader);
    if (goes === undefined || away === undefined) throw new Error("three are there");
    swarm.network.cut(swarm.node(away).addr);
    const awayRaftId = swarm.node(away).raftId ?? 0;
    await swarm.until(
      () => swarm.maybeLeader()?.consensus.reachable(awayRaftId) === false,
      SOON_MS,
      () => "the leader still counts on it",
    );
    const refused = await swarm.wish(goes, "worker");
    expect(refused?.message).toMatch(
      /loss of quorum: 3 managers, 2 reachable; without \w+ 2 remain, both must answer, and 1 does$/,
    );
    // Which leads no longer when it is alone.
    const { process } = swarm.node(leader);
    const seats = () => process?.member?.consensus.status().members ?? [];
    expect(seats()).toHaveLength(3);

    expect(await swarm.wish(goes, "worker", true)).toBeUndefined();
    await swarm.until(
      () => !seats().some(({ nodeId }) => nodeId === goes),
      SOON_MS,
      () => "its seat stays",
    );
    swarm.network.heal(swarm.node(away).addr);
    await swarm.until(
      () => leads() && swarm.node(goes).certificate === "worker",
      SOON_MS,
      () => swarm.node(goes).problem,
    );
    expect(
      seats()
        .map(({ nodeId }) => nodeId)
        .sort(),
    ).toEqual([leader, away].sort());
  } finally {
    swarm.stop();
  }
});

test.each([
  ["both run on", false],
  ["the one that goes is started anew too", true],
])(
  "of two managers one goes, and the other falls before it has written that down: they lead again (%s)",
  async (_, both) => {
    const voter = (id: string, raftId: number) =>
      ({ id, wanted: "manager", seat: { raftId, learner: false } }) as const;
    const swarm = new SeatSwarm(credentials, [voter("n1", 1), voter("n2", 2)]);
    try {
      swarm.start();
      const leads = () => swarm.maybeLeader() !== undefined;
      await swarm.until(leads, SOON_MS, () => "nobody leads");
      const stays = swarm.leaderNode();
      const goes = swarm.node(stays.id === "n1" ? "n2" : "n1");
      // There is space for the removal, and for nothing after it.
      const { log } = stays.disk;
      const persist = log.persist.bind(log);
      log.persist = async (hardState, entries) => {
        await persist(hardState, entries);
        log.full ||= entries.some(({ kind }) => kind === EntryKind.CONF_CHANGE);
      };
      await swarm.wish(goes.id, "worker");
      await swarm.until(
        () => log.full && stays.process?.member?.consensus.status().members.length === 1,
        SOON_MS,
        () => "it keeps its seat",
      );
      // Long enough for its agent to look again, and to ask for its seat.
      await swarm.pass(15_000);

      stays.process?.kill();
      if (both) goes.process?.kill();
      log.full = false;
      log.persist = persist;
      await swarm.until(leads, SOON_MS, () => "nobody leads");
      await swarm.until(
        () => goes.certificate === "worker" && goes.disk.identity === undefined && leads(),
        SOON_MS,
        () => goes.problem,
      );
      expect(swarm.leaderNode()).toBe(stays);
      expect(swarm.leader().consensus.status().members).toHaveLength(1);
    } finally {
      swarm.stop();
    }
  },
);
