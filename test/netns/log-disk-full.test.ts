// A manager's log on a file system that is really full: a small tmpfs.
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/log.js";
import { systemRandom } from "../../common/random.js";
import { Keyring } from "../../manager/disk/keyring.js";
import { openLogDisk } from "../../manager/disk/log-disk.js";
import { openStateDir } from "../../manager/disk/state-dir.js";
import { startConsensus } from "../../manager/loops/consensus.js";
import { ListMachine, member, never } from "../fakes/raft-cluster.js";
import { RaftNetwork } from "../fakes/raft-network.js";

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "skein-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", path]);
});
afterEach(async () => {
  execFileSync("umount", [path]);
  await rm(path, { recursive: true });
});

test("a full disk refuses writes, serves reads, and recovers when there is space", async () => {
  const dir = await openStateDir(join(path, "manager"));
  const machine = new ListMachine();
  const failures: unknown[] = [];
  const start = async (resume: boolean) =>
    startConsensus({
      bootstrap: resume ? { kind: "resume", raftId: 1 } : { kind: "new", self: member(1) },
      clusterId: "cluster",
      disk: await openLogDisk({ dir, keys: await Keyring.open(dir), log: silentLogger() }),
      transport: new RaftNetwork().attach(1),
      machine,
      clock: systemClock,
      random: systemRandom,
      timing: { raftTickMs: 10 },
      log: silentLogger(),
      snapshotInterval: 10_000,
      onFailure: (error) => failures.push(error),
    });
  const consensus = await start(false);
  const propose = (text: string) => consensus.propose(Buffer.from(text), never);
  await propose("before");
  const filler = join(path, "filler");
  await writeFile(filler, Buffer.alloc(2 ** 20)).catch(() => {});
  await expect(propose("x".repeat(10_000))).rejects.toMatchObject({ code: "DISK_FULL" });
  await consensus.readBarrier(never);
  expect(consensus.status().role).toBe("leader");
  await rm(filler);
  for (let done = false; !done; ) {
    done = await propose("after").then(
      () => true,
      () => systemClock.sleep(10, never).then(() => false),
    );
  }
  await consensus.close();
  machine.items = [];
  const again = await start(true);
  expect(machine.items).toEqual(["before", "after"]);
  await again.close();
  await dir.close();
  expect(failures).toEqual([]);
});
