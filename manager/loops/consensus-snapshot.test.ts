// A snapshot of a large swarm on its way to a manager that joins, while the others go on writing.
import { expect, test } from "vitest";
import { clusterOf, never } from "../../test/fakes/raft-cluster.js";

const ENDPOINTS = 100_000;

test("a snapshot of 100,000 endpoints installs while writes go on, also over a link that breaks", async () => {
  const cluster = await clusterOf(1, 10);
  const one = cluster.manager(1);
  one.machine.items = Array.from({ length: ENDPOINTS }, (_, i) => `${i}`.padEnd(150, "."));
  for (let i = 0; i < 20; i++) await cluster.propose(one, `before ${i}`);
  one.consensus.setSnapshotInterval(10_000);
  const offsets: number[] = [];
  cluster.network.allow = ({ chunk }) => {
    if (chunk !== undefined) offsets.push(chunk.offset);
    return chunk === undefined || chunk.offset < 5_000_000 || !cutOff;
  };
  let cutOff = true;
  const two = await cluster.joinAsLearner(2);
  let written = 0;
  const writes = async (ticks: number) => {
    for (let i = 0; i < ticks; i++) {
      await one.consensus.propose(Buffer.from(`meanwhile ${written++}`), never);
      await cluster.ticks(1);
    }
  };
  await writes(20);
  expect(two.machine.restores).toBe(0);
  // The line is dead for five seconds, and good again.
  cluster.network.isolate(2);
  await writes(50);
  cluster.network.heal();
  cutOff = false;
  const from = offsets.length;
  await writes(60);
  expect(two.machine.restores).toBe(1);
  expect(two.machine.items).toHaveLength(one.machine.items.length);
  expect(two.machine.items.at(-1)).toBe(one.machine.items.at(-1));
  // It went on where it was broken off.
  expect(Math.min(...offsets.slice(from))).toBeGreaterThan(4_000_000);
  expect(one.consensus.caughtUpLearners()).toHaveLength(1);
});

test("while a snapshot is made writes go on, and it is of the state that it was begun in", async () => {
  const cluster = await clusterOf(1, 20);
  const one = cluster.manager(1);
  one.machine.slices = 3;
  for (let i = 0; i < 25; i++) await one.consensus.propose(Buffer.from(`${i}`), never);
  expect(one.disk.snapshot?.meta?.index).toBe(1);
  await cluster.ticks(1);
  const { meta, data } = one.disk.snapshot ?? {};
  const items: string[] = JSON.parse(`${data}`);
  // The first two entries are the group's own.
  expect(items).toHaveLength((meta?.index ?? 0) - 2);
  expect(items.length).toBeLessThan(25);
  const two = await cluster.join(2);
  await cluster.until(() => two.machine.items.length === 25);
  expect(two.machine.restores).toBe(1);
  const again = await cluster.start({ kind: "resume", raftId: 1 }, await cluster.stop(1));
  await cluster.until(() => again.machine.items.length === 25);
});

test("a snapshot that is still being made when a newer one comes from the leader is dropped", async () => {
  const cluster = await clusterOf(3, 1_000);
  const [one, three] = [cluster.leader(), cluster.manager(3)];
  const { restores } = three.machine;
  three.machine.slices = 6_000;
  three.consensus.setSnapshotInterval(10);
  for (let i = 0; i < 20; i++) await cluster.propose(one, `${i}`);
  // It is at it for six seconds. Away for two of these, nothing of the log is kept for it.
  cluster.network.isolate(3);
  await cluster.ticks(20);
  for (let i = 0; i < 1_600; i++) cluster.manager(1).consensus.propose(Buffer.from("x"), never);
  await cluster.until(() => cluster.manager(2).machine.items.length === 1_620);
  cluster.network.heal();
  await cluster.until(() => three.machine.restores > restores);
  const { index } = three.disk.snapshot?.meta ?? { index: 0 };
  expect(index).toBeGreaterThan(1_000);
  await cluster.ticks(60);
  expect(three.disk.snapshot?.meta?.index).toBeGreaterThanOrEqual(index);
  expect(three.machine.items).toHaveLength(1_620);
});

test("a few large entries bound the log as many small ones do", async () => {
  const cluster = await clusterOf(1);
  const one = cluster.manager(1);
  const large = Buffer.alloc(2 * 1024 * 1024, "x");
  for (let i = 0; i < 31; i++) await one.consensus.propose(large, never);
  expect(one.disk.snapshot?.meta?.index).toBe(1);
  await one.consensus.propose(large, never);
  await cluster.ticks(1);
  expect(one.disk.snapshot?.meta?.index).toBeGreaterThan(30);
  expect(one.disk.entries.length).toBeLessThan(3);
});
