import { expect, test } from "vitest";
import { ConfChangeKind } from "../../proto/gen/raft.js";
import { settle } from "../../test/fakes/manual-clock.js";
import { clusterOf, member, never, RaftCluster } from "../../test/fakes/raft-cluster.js";

const bytes = (text: string) => Buffer.from(text);

test("a group of one leads and commits with no time passing", async () => {
  const cluster = new RaftCluster();
  const one = await cluster.start({ kind: "new", self: member(1) });
  expect(one.consensus.status()).toMatchObject({ role: "leader", leaderId: 1, ready: true });
  expect(await one.consensus.propose(bytes("a"), never)).toBe(1);
  await one.consensus.readBarrier(never);
  expect(cluster.clock.nowMs()).toBe(0);
});

test("proposals of one turn share one write", async () => {
  const cluster = await clusterOf(1);
  const one = cluster.manager(1);
  const before = one.disk.writes;
  const outcomes = Array.from({ length: 64 }, (_, i) =>
    one.consensus.propose(bytes(`${i}`), never),
  );
  expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
  expect(one.disk.writes - before).toBe(1);
});

test("three managers agree", async () => {
  const cluster = await clusterOf(3);
  await cluster.propose(cluster.leader(), "a");
  await cluster.propose(cluster.leader(), "b");
  await cluster.ticks(1);
  for (const { machine } of cluster.managers.values()) expect(machine.items).toEqual(["a", "b"]);
  expect(cluster.leader().consensus.status().members).toEqual([member(1), member(2), member(3)]);
});

test("that a write is committed goes with the next, and by itself when none follows", async () => {
  const cluster = await clusterOf(3);
  const leader = cluster.leader();
  await cluster.ticks(1);
  const before = cluster.network.sent;
  for (let i = 0; i < 10; i++) await leader.consensus.propose(bytes(`${i}`), never);
  // Each: to two followers, and an answer of each; the last ones may be under way.
  expect(cluster.network.sent - before).toBeLessThanOrEqual(40);
  const { machine } = cluster.manager(2);
  await settle();
  expect(machine.items).toHaveLength(9);
  await cluster.clock.advance(10);
  expect(machine.items).toHaveLength(10);
});

test("a follower refuses proposals and says who leads", async () => {
  const cluster = await clusterOf(3);
  const refusal = cluster.manager(2).consensus.propose(bytes("a"), never);
  await expect(refusal).rejects.toMatchObject({ code: "NOT_LEADER", data: { leaderId: 1 } });
});

test("a follower's read barrier waits for what the leader had committed", async () => {
  const cluster = await clusterOf(3);
  await cluster.leader().consensus.propose(bytes("a"), never);
  const two = cluster.manager(2);
  await cluster.settled(two.consensus.readBarrier(never));
  expect(two.machine.items).toEqual(["a"]);
});

test("when the leader dies another leads within two seconds, with all that was committed", async () => {
  const cluster = await clusterOf(3);
  await cluster.propose(cluster.leader(), "a");
  await cluster.stop(1);
  const diedMs = cluster.clock.nowMs();
  await cluster.until(() => cluster.maybeLeader() !== undefined);
  expect(cluster.clock.nowMs() - diedMs).toBeLessThanOrEqual(2_500);
  await cluster.propose(cluster.leader(), "b");
  expect(cluster.leader().machine.items).toEqual(["a", "b"]);
});

test("a leader that is cut off loses its pending proposals and steps down", async () => {
  const cluster = await clusterOf(3);
  const old = cluster.leader();
  const roles: string[] = [];
  old.consensus.changed.subscribe((status) => roles.push(status.role));
  cluster.network.isolate(old.raftId);
  const lost = old.consensus.propose(bytes("lost"), never);
  await expect(cluster.settled(lost)).rejects.toMatchObject({ code: "LEADERSHIP_LOST" });
  expect(roles[0]).toBe("follower");
  await cluster.until(() => cluster.maybeLeader() !== undefined);
  await cluster.propose(cluster.leader(), "kept");
  cluster.network.heal();
  await cluster.until(() => old.machine.items.length > 0);
  expect(old.machine.items).toEqual(["kept"]);
  expect(cluster.maybeLeader()?.raftId).not.toBe(old.raftId);
});

test("a read barrier of a leader that is cut off fails when it steps down, and says to ask another", async () => {
  const cluster = await clusterOf(3);
  cluster.network.isolate(1);
  const read = cluster.manager(1).consensus.readBarrier(never);
  const ended = expect(read).rejects.toMatchObject({ code: "NOT_LEADER" });
  await cluster.ticks(40);
  await ended;
});

test("what was committed is there after all have crashed", async () => {
  const cluster = await clusterOf(3);
  for (let i = 0; i < 5; i++) await cluster.propose(cluster.leader(), `${i}`);
  const disks = [];
  for (const raftId of [1, 2, 3]) disks.push(await cluster.stop(raftId));
  for (const raftId of [1, 2, 3])
    await cluster.start({ kind: "resume", raftId }, disks[raftId - 1]);
  await cluster.until(() => cluster.maybeLeader() !== undefined);
  await cluster.propose(cluster.leader(), "after");
  expect(cluster.leader().machine.items).toEqual(["0", "1", "2", "3", "4", "after"]);
});

test("a group of one resumes as leader with no time passing", async () => {
  const cluster = await clusterOf(1);
  await cluster.propose(cluster.leader(), "a");
  const disk = await cluster.stop(1);
  const atMs = cluster.clock.nowMs();
  const one = await cluster.start({ kind: "resume", raftId: 1 }, disk);
  expect(one.consensus.status().ready).toBe(true);
  expect(one.machine.items).toEqual(["a"]);
  expect(cluster.clock.nowMs()).toBe(atMs);
});

test("snapshots bound the log, and a manager resumes from one", async () => {
  const cluster = await clusterOf(1, 100);
  const one = cluster.manager(1);
  for (let i = 0; i < 1_000; i++) await one.consensus.propose(bytes(`${i}`), never);
  await settle();
  expect(one.disk.snapshot?.meta?.index).toBeGreaterThan(900);
  expect(one.disk.entries.length).toBeLessThanOrEqual(200);
  const again = await cluster.start({ kind: "resume", raftId: 1 }, await cluster.stop(1));
  expect(again.machine.items).toHaveLength(1_000);
});

test("a manager that joins late is sent a snapshot", async () => {
  const cluster = await clusterOf(1, 100);
  const one = cluster.manager(1);
  for (let i = 0; i < 1_000; i++) await one.consensus.propose(bytes(`${i}`), never);
  const two = await cluster.join(2);
  expect(two.machine.restores).toBeGreaterThan(0);
  await cluster.propose(one, "more");
  await cluster.ticks(2);
  expect(two.machine.items).toEqual(one.machine.items);
});

test("the snapshot interval can be changed while it runs", async () => {
  const cluster = await clusterOf(1);
  const one = cluster.manager(1);
  one.consensus.setSnapshotInterval(10);
  for (let i = 0; i < 20; i++) await one.consensus.propose(bytes(`${i}`), never);
  await settle();
  expect(one.disk.snapshot?.meta?.index).toBeGreaterThan(5);
});

test("a removed manager hears of it, and the others go on without it", async () => {
  const cluster = await clusterOf(3);
  const { consensus } = cluster.leader();
  const remove = { kind: ConfChangeKind.REMOVE, member: member(3) };
  await cluster.settled(consensus.changeMembers(remove, never));
  await cluster.ticks(2);
  const left = cluster.manager(3).consensus.status();
  expect(left.members.map(({ raftId }) => raftId)).toEqual([1, 2]);
  await cluster.stop(3);
  await cluster.propose(cluster.leader(), "a");
});

test("a leader that removes itself is followed by another at once", async () => {
  const cluster = await clusterOf(3);
  const remove = { kind: ConfChangeKind.REMOVE, member: member(1) };
  await cluster.settled(cluster.leader().consensus.changeMembers(remove, never));
  await cluster.ticks(2);
  expect(cluster.leader().raftId).not.toBe(1);
  expect(cluster.leader().consensus.status().members).toHaveLength(2);
});

test("membership changes wait for each other", async () => {
  const cluster = await clusterOf(1);
  const { consensus } = cluster.leader();
  const changes = [2, 3, 4].map((raftId) =>
    consensus.changeMembers(
      { kind: ConfChangeKind.ADD_LEARNER, member: member(raftId, true) },
      never,
    ),
  );
  await cluster.settled(Promise.all(changes));
  expect(consensus.status().members).toHaveLength(4);
  const again = consensus.changeMembers(
    { kind: ConfChangeKind.ADD_LEARNER, member: member(2, true) },
    never,
  );
  await expect(cluster.settled(again)).rejects.toMatchObject({ code: "BAD_CHANGE" });
});

test("leadership moves where it is asked to", async () => {
  const cluster = await clusterOf(3);
  const before = cluster.clock.nowMs();
  await cluster.settled(cluster.leader().consensus.transferLeadership(3, never));
  await cluster.until(() => cluster.maybeLeader() !== undefined);
  expect(cluster.leader().raftId).toBe(3);
  expect(cluster.clock.nowMs() - before).toBeLessThanOrEqual(300);
});

test("a transfer to a member that is gone fails, and proposals flow again", async () => {
  const cluster = await clusterOf(3);
  const one = cluster.leader();
  cluster.network.isolate(3);
  await cluster.propose(one, "a");
  const transfer = one.consensus.transferLeadership(3, never);
  await expect(cluster.settled(transfer)).rejects.toMatchObject({ code: "TRANSFER_FAILED" });
  await cluster.propose(one, "b");
});

test("who is reachable is known", async () => {
  const cluster = await clusterOf(3);
  cluster.network.isolate(3);
  await cluster.ticks(15);
  const { consensus } = cluster.leader();
  expect([1, 2, 3].map((raftId) => consensus.reachable(raftId))).toEqual([true, true, false]);
});

test("on a full disk a group of one refuses writes, reads, and recovers", async () => {
  const cluster = await clusterOf(1);
  const one = cluster.manager(1);
  await cluster.propose(one, "a");
  one.disk.full = true;
  await expect(one.consensus.propose(bytes("b"), never)).rejects.toMatchObject({
    code: "DISK_FULL",
  });
  await expect(one.consensus.propose(bytes("c"), never)).rejects.toMatchObject({
    code: "DISK_FULL",
  });
  await one.consensus.readBarrier(never);
  expect(one.consensus.status().role).toBe("leader");
  await cluster.ticks(50);
  one.disk.full = false;
  await cluster.ticks(15);
  expect(await cluster.propose(one, "d")).toBe(2);
  expect(one.machine.items).toEqual(["a", "d"]);
});

test("a leader on a full disk keeps its followers, and hands over when it stays full", async () => {
  const cluster = await clusterOf(3);
  const one = cluster.leader();
  const { term } = one.consensus.status();
  one.disk.full = true;
  one.consensus.propose(bytes("b"), never).catch(() => {});
  await cluster.ticks(20);
  expect(one.consensus.status()).toMatchObject({ role: "leader", term });
  await cluster.settled(one.consensus.readBarrier(never));
  await cluster.until(() => cluster.leader().raftId !== 1);
  await cluster.propose(cluster.leader(), "c");
  one.disk.full = false;
  await cluster.until(() => one.machine.items.includes("c"));
  expect(one.machine.items).toEqual(cluster.leader().machine.items);
});

test("a disk that fails ends the loop, and every caller hears it", async () => {
  const cluster = await clusterOf(1);
  const one = cluster.manager(1);
  one.disk.broken = new Error("EIO");
  await expect(one.consensus.propose(bytes("a"), never)).rejects.toMatchObject({ code: "STOPPED" });
  expect(one.failures).toHaveLength(1);
  await expect(one.consensus.readBarrier(never)).rejects.toMatchObject({ code: "STOPPED" });
});

test("a slow disk stops no heartbeat", async () => {
  const cluster = await clusterOf(3);
  const one = cluster.leader();
  const { term } = one.consensus.status();
  let release = () => {};
  one.disk.beforeWrite = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  const slow = one.consensus.propose(bytes("slow"), never);
  await cluster.ticks(30);
  expect(one.consensus.status()).toMatchObject({ role: "leader", term });
  one.disk.beforeWrite = async () => {};
  release();
  expect(await cluster.settled(slow)).toBe(1);
});

/** Writes from now on take so long, on the cluster's clock. */
function slowDown(cluster: RaftCluster, raftId: number, ms: number): void {
  const { disk } = cluster.manager(raftId);
  disk.beforeWrite = () => (ms === 0 ? Promise.resolve() : cluster.clock.sleep(ms, never));
}

/** A write every second, by whoever leads. */
async function busySeconds(cluster: RaftCluster, count: number): Promise<number[]> {
  const leaders: number[] = [];
  for (let i = 0; i < count; i++) {
    const leader = cluster.maybeLeader();
    leader?.consensus.propose(bytes("x"), never).catch(() => {});
    await cluster.ticks(10);
    leaders.push(leader?.raftId ?? 0);
  }
  return leaders;
}

test("a leader whose disk has become slow hands over to one whose disk is not, and the lead stays there", async () => {
  const cluster = await clusterOf(3);
  slowDown(cluster, 2, 20);
  await busySeconds(cluster, 31);
  slowDown(cluster, 1, 400);
  const leaders = await busySeconds(cluster, 90);
  expect(leaders.at(0)).toBe(1);
  expect(leaders.slice(15).every((raftId) => raftId === 3)).toBe(true);
  // A disk that is as slow as the one before, and that one in order again.
  slowDown(cluster, 1, 0);
  slowDown(cluster, 3, 400);
  const moves = (await busySeconds(cluster, 90)).filter(
    (raftId, i, all) => i > 0 && raftId !== all[i - 1],
  );
  expect(moves).toHaveLength(1);
});

test("a leader whose write does not come back hands over", async () => {
  const cluster = await clusterOf(3);
  await busySeconds(cluster, 31);
  slowDown(cluster, 1, 600_000);
  const leaders = await busySeconds(cluster, 12);
  expect(leaders.at(-1)).not.toBe(1);
});

test("where all disks are slow the lead stays where it is", async () => {
  const cluster = await clusterOf(3);
  for (const raftId of [1, 2, 3]) slowDown(cluster, raftId, 400);
  const leaders = await busySeconds(cluster, 120);
  expect(new Set(leaders)).toEqual(new Set([1]));
});

test("a follower whose disk is slow unseats nobody", async () => {
  const cluster = await clusterOf(3);
  const { term } = cluster.leader().consensus.status();
  slowDown(cluster, 3, 3_000);
  await busySeconds(cluster, 60);
  expect(cluster.manager(1).consensus.status()).toMatchObject({ role: "leader", term });
});

test("a manager that was stopped for a minute unseats nobody when it goes on", async () => {
  const cluster = await clusterOf(3);
  const { term } = cluster.leader().consensus.status();
  const disk = await cluster.stop(3);
  await cluster.ticks(600);
  await cluster.start({ kind: "resume", raftId: 3 }, disk);
  await cluster.ticks(40);
  expect(cluster.leader().consensus.status().term).toBe(term);
});

test("close rejects what waits and closes the disk", async () => {
  const cluster = await clusterOf(3);
  cluster.network.isolate(1);
  const one = cluster.manager(1);
  const waits = one.consensus.propose(bytes("a"), never);
  const closed = one.consensus.close();
  await expect(waits).rejects.toMatchObject({ code: "STOPPED" });
  await closed;
  await expect(one.disk.persist(undefined, [])).rejects.toThrow("after close");
});
