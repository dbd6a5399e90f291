// Single ways into and out of the managers that once went wrong; the whole table is in seats.test.ts.
import { expect, test } from "vitest";
import { itself } from "../../manager/loops/itself.js";
import { Credentials } from "../fakes/seat-credentials.js";
import { SeatSwarm } from "../fakes/seat-swarm.js";

const credentials = await Credentials.of(["n1", "n2", "n3", "n4"]);
const SOON_MS = 30_000;

async function withSwarm(run: (swarm: SeatSwarm) => Promise<void>): Promise<void> {
  const voter = (id: string, raftId: number) =>
    ({ id, wanted: "manager", seat: { raftId, learner: false } }) as const;
  const swarm = new SeatSwarm(credentials, [
    voter("n1", 1),
    voter("n2", 2),
    voter("n3", 3),
    voter("n4", 4),
  ]);
  try {
    swarm.start();
    await leaderAmong(swarm, "n1", "n2", "n3");
    await run(swarm);
  } finally {
    swarm.stop();
  }
}

/** So that the node that the test is about does not lead. */
async function leaderAmong(swarm: SeatSwarm, ...ids: readonly string[]): Promise<void> {
  const leads = () => swarm.maybeLeader() !== undefined;
  await swarm.until(leads, SOON_MS, () => "nobody leads");
  while (!ids.includes(swarm.leaderNode().id)) {
    await swarm.handOver();
    await swarm.until(leads, SOON_MS, () => "nobody leads");
  }
}

const seatsOf = (swarm: SeatSwarm, id: string) =>
  (swarm.maybeLeader()?.consensus.status().members ?? []).filter(({ nodeId }) => nodeId === id);
const isVoter = (swarm: SeatSwarm, id: string) =>
  seatsOf(swarm, id).some(({ raftId, learner }) => !learner && raftId === swarm.node(id).raftId);

async function votes(swarm: SeatSwarm): Promise<void> {
  await swarm.until(
    () => isVoter(swarm, "n4"),
    SOON_MS,
    () => swarm.node("n4").problem,
  );
}

/** n4, a worker, becomes a manager and leads while n2 is away, who then hears of it all the same. */
async function leadsUnheard(swarm: SeatSwarm, wake: () => void = () => {}): Promise<void> {
  const away = swarm.node("n2");
  const heard = () => away.process?.member?.store.view.node("n4")?.manager;
  await swarm.until(
    () => heard() === undefined,
    SOON_MS,
    () => "n2 is behind",
  );
  await leaderAmong(swarm, "n1", "n3");
  swarm.network.cut(away.addr);
  await swarm.pass(3_000);
  await swarm.wish("n4", "manager");
  wake();
  await votes(swarm);
  await leaderAmong(swarm, "n4");
  swarm.network.heal(away.addr);
  await swarm.until(
    () => heard()?.raftId === swarm.node("n4").raftId,
    SOON_MS,
    () => "n2 hears nothing",
  );
}

test("demoted while its process still resumes, a manager is wiped", () =>
  withSwarm(async (swarm) => {
    const node = swarm.node("n4");
    // Another program has its port: it resumes for as long as that runs.
    node.portTaken = true;
    node.process?.kill();
    await swarm.pass(3_000);
    expect(node.process?.alive).toBe(true);
    expect(await swarm.wish("n4", "worker")).toBeUndefined();
    await swarm.until(
      () => node.disk.identity === undefined && node.certificate === "worker",
      SOON_MS,
      () => node.problem,
    );
    expect(node.process).toBeUndefined();
    expect(seatsOf(swarm, "n4")).toEqual([]);
  }));

test("who asks for a seat again gets a new number, not its old one with an empty log", () =>
  withSwarm(async (swarm) => {
    const node = swarm.node("n4");
    node.killAgent();
    node.process?.kill();
    node.disk.erase();
    node.startAgent();
    await votes(swarm);
    expect(node.raftId).not.toBe(4);
    expect(seatsOf(swarm, "n4")).toHaveLength(1);
  }));

test("dropped and wanted again before it heard of either, a manager takes a new seat under the same leader", () =>
  withSwarm(async (swarm) => {
    const node = swarm.node("n4");
    const leader = swarm.leader();
    node.killAgent();
    node.process?.kill();
    await swarm.wish("n4", "worker");
    await swarm.until(
      () => seatsOf(swarm, "n4").length === 0,
      SOON_MS,
      () => "it has a seat",
    );
    await swarm.wish("n4", "manager");
    node.startAgent();
    await votes(swarm);
    expect(swarm.maybeLeader()).toBe(leader);
    expect(node.raftId).not.toBe(4);
  }));

test("dropped and wanted again as a learner that never speaks first, it takes a new seat", () =>
  withSwarm(async (swarm) => {
    const node = swarm.node("n4");
    node.killAgent();
    node.process?.kill();
    await swarm.wish("n4", "worker");
    await swarm.until(
      () => seatsOf(swarm, "n4").length === 0,
      SOON_MS,
      () => "it has a seat",
    );
    await swarm.wish("n4", "manager");
    // What it would have on disk had it been killed before it was made a voter.
    const members = swarm.group().map((member) => ({ ...member, learner: member.nodeId === "n4" }));
    swarm.giveLog(node, members);
    node.startAgent();
    await votes(swarm);
  }));

test("two questions of one node at once give it one seat", () =>
  withSwarm(async (swarm) => {
    const { services } = swarm.leader();
    const node = swarm.node("n4");
    node.killAgent();
    node.process?.kill();
    const caller = itself(new AbortController().signal);
    const ask = () => services.membership.join({ nodeId: "n4", addr: node.addr }, caller);
    const answers = await swarm.settled(Promise.all([ask(), ask()]));
    const [seat] = seatsOf(swarm, "n4");
    expect(seatsOf(swarm, "n4")).toHaveLength(1);
    expect(answers[1]).toMatchObject({ raftId: seat?.raftId });
  }));

test("the manager that it would join by is down: another is asked", () =>
  withSwarm(async (swarm) => {
    await swarm.wish("n4", "worker");
    const node = swarm.node("n4");
    await swarm.until(
      () => node.certificate === "worker",
      SOON_MS,
      () => node.problem,
    );
    await leaderAmong(swarm, "n2", "n3");
    swarm.network.cut("10.0.0.1:2377");
    await swarm.wish("n4", "manager");
    await votes(swarm);
  }));

test("to ask whether a seat is there does not take it away", () =>
  withSwarm(async (swarm) => {
    const node = swarm.node("n4");
    const api = node.process?.manager.api();
    const caller = itself(new AbortController().signal);
    const managers = swarm.members.map(({ id }) => swarm.node(id).addr);
    const status = await swarm.settled(
      api?.confirmSeat({ managers }, caller) ?? Promise.reject(new Error("no process")),
    );
    expect(status).toMatchObject({ state: "running", raftId: 4 });
    expect(isVoter(swarm, "n4")).toBe(true);
  }));

test("a manager that was away while a worker became one, and leads now, catches up under it", () =>
  withSwarm(async (swarm) => {
    const node = swarm.node("n4");
    await swarm.wish("n4", "worker");
    const isWorker = () => node.certificate === "worker" && seatsOf(swarm, "n4").length === 0;
    await swarm.until(isWorker, SOON_MS, () => node.problem);
    await leadsUnheard(swarm);
    expect(swarm.leaderNode().id).toBe("n4");
  }));

test("it catches up under one, too, that was dropped and wanted again with the certificate it had", () =>
  withSwarm(async (swarm) => {
    const node = swarm.node("n4");
    node.killAgent();
    node.process?.kill();
    await swarm.wish("n4", "worker");
    await leadsUnheard(swarm, () => node.startAgent());
  }));
