// A recovery that is cut short at any change that it makes to the folder: what the next start finds is the log as it
// was, or the one that was begun anew, with everything in it either way.
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isRefusal } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { DEFAULT_TIMING } from "../../common/timing.js";
import { replayed } from "../../manager/control/recovery.js";
import { managerDisk } from "../../manager/disk/identity-file.js";
import { Keyring } from "../../manager/disk/keyring.js";
import { openLogDisk } from "../../manager/disk/log-disk.js";
import { openStateDir, type StateDir } from "../../manager/disk/state-dir.js";
import { recoverLog, settledIdentity } from "../../manager/recovering.js";
import { Store } from "../../manager/store/store.js";
import { EntryKind } from "../../proto/gen/raft.js";
import { Batch } from "../../proto/gen/store.js";
import { Cluster, Network, Node } from "../../proto/gen/types.js";
import { ManualClock } from "../fakes/manual-clock.js";
import { Credentials } from "../fakes/seat-credentials.js";
import { failAt } from "./fail-points.js";

const tls = (await Credentials.of(["n1"])).identity("n1", "manager");
const identity = {
  raftId: 1,
  clusterId: "cluster",
  nodeId: "n1",
  listenAddr: "10.0.0.1:2377",
  advertiseAddr: "10.0.0.1:2377",
  joinedBy: "",
};
const NETWORKS = ["a", "b", "c"];

let root: string;
let whole: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "skein-recovery-"));
  whole = join(root, "whole");
  const dir = await openStateDir(whole);
  await writeSwarm(dir);
  await dir.close();
});
afterAll(() => rm(root, { recursive: true }));

/** Three managers; a snapshot of their nodes, and an entry for each network. */
async function writeSwarm(dir: StateDir): Promise<void> {
  const keys = await Keyring.open(dir);
  const store = new Store();
  const batch = (work: Parameters<typeof store.draft<unknown>>[0]) =>
    Buffer.from(
      Batch.encode({
        transactions: store.draft((draft) => {
          work(draft);
          return draft.transactions;
        }),
      }).finish(),
    );
  const first = batch((draft) =>
    draft.attempt(0, (inner) => {
      inner.create("cluster", Cluster.fromPartial({ id: "cluster" }));
      for (const id of ["n1", "n2", "n3"]) inner.create("node", Node.fromPartial({ id }));
    }),
  );
  store.apply(1, first);
  const log = await openLogDisk({ dir, keys, log: silentLogger() });
  await log.load();
  const member = (raftId: number) => ({
    raftId,
    nodeId: `n${raftId}`,
    addr: `10.0.0.${raftId}:2377`,
    learner: false,
  });
  const conf = { members: [1, 2, 3].map(member) };
  await log.saveSnapshot(
    { meta: { index: 1, term: 1, conf }, data: Buffer.from(store.snapshot()) },
    2,
  );
  for (const [i, id] of NETWORKS.entries()) {
    const index = i + 2;
    const data = batch((draft) =>
      draft.attempt(0, (inner) =>
        inner.create("network", Network.fromPartial({ id, vni: 4097 + i, spec: { name: id } })),
      ),
    );
    store.apply(index, data);
    await log.persist({ term: 2, vote: 1, commit: 1 }, [
      { term: 2, index, kind: EntryKind.NORMAL, data },
    ]);
  }
  await log.close();
  const disk = managerDisk(dir, keys);
  await disk.saveTls(tls);
  await disk.saveIdentity(identity);
}

/** Answers whether it came to its end. */
async function cutShort(dir: StateDir, at: number, how: "before" | "half"): Promise<boolean> {
  let died = () => {};
  const dead = new Promise<false>((resolve) => {
    died = () => resolve(false);
  });
  const point = { folder: dir.path, at, how };
  const undo = failAt({
    ...point,
    die: () => {
      died();
      return new Promise(() => {});
    },
  });
  try {
    const disk = managerDisk(dir, await Keyring.open(dir));
    const tools = {
      disk,
      clock: new ManualClock(),
      random: seededRandom(at),
      timing: DEFAULT_TIMING,
    };
    const done = recoverLog({ identity, tls }, tools).then((answer) => {
      expect(isRefusal(answer)).toBe(false);
      return true as const;
    });
    return await Promise.race([done, dead]);
  } finally {
    undo();
  }
}

test("at each change the next start has all of the old log, or all of the new one, and its seat in it", async () => {
  const seats: number[] = [];
  for (let at = 1; ; at++) {
    const path = join(root, `cut${at}`);
    await cp(whole, path, { recursive: true });
    const dir = await openStateDir(path);
    const done = await cutShort(dir, at, at % 2 === 0 ? "half" : "before");
    const keys = await Keyring.open(dir);
    const disk = managerDisk(dir, keys);
    const found = await disk.loadIdentity();
    const settled = found && (await settledIdentity(found, disk));
    const log = await openLogDisk({ dir, keys, log: silentLogger() });
    const { store, members } = replayed(await log.load());
    await log.close();
    await dir.close();
    expect([...store.view.networks()].map(({ id }) => id)).toEqual(NETWORKS);
    expect([...store.view.nodes()]).toHaveLength(3);
    expect(members.map(({ raftId }) => raftId)).toContain(settled?.raftId);
    expect(settled?.recoversAs).toBeUndefined();
    seats.push(members.length);
    if (done) break;
  }
  // First the old group, from the turning point on the new one.
  expect(seats).toEqual([...seats].sort((a, b) => b - a));
  expect(new Set(seats)).toEqual(new Set([3, 1]));
  expect(seats.length).toBeGreaterThan(10);
});
