// Durable proposals a second, on one manager and on three in this process, each with a real log on a real
// disk, against what the disk itself can do in the same run.
//
//   node dist/bench/raft.js [folder to write in]
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../common/clock.js";
import { silentLogger } from "../common/log.js";
import { systemRandom } from "../common/random.js";
import { Topic } from "../common/watch.js";
import { openLogDisk } from "../manager/disk/log-disk.js";
import { openStateDir } from "../manager/disk/state-dir.js";
import { startConsensus } from "../manager/loops/consensus.js";
import type { Bootstrap, RunningConsensus } from "../manager/loops/consensus-options.js";
import type { RaftTransport, StateMachine } from "../manager/seams.js";
import { ConfChangeKind, type RaftMember, type RaftMessage } from "../proto/gen/raft.js";

const ENTRY_BYTES = 512;
const RUN_MS = 2_000;
const RUNS = 5;
const { signal } = new AbortController();

const counter = (): StateMachine<number> => {
  let count = 0;
  return { apply: () => ++count, snapshot: () => Buffer.from("{}"), restore: () => {} };
};

/** Hands messages over in the same process, a turn later, as a socket would. */
class Wire {
  readonly #ends = new Map<number, RaftTransport>();

  end(raftId: number): RaftTransport {
    const end: RaftTransport = {
      setMembers: () => {},
      send: (message: RaftMessage) => {
        setImmediate(() => this.#ends.get(message.to)?.received.publish(message));
      },
      received: new Topic(),
    };
    this.#ends.set(raftId, end);
    return end;
  }
}

const member = (raftId: number, learner = false): RaftMember => ({
  raftId,
  nodeId: `node${raftId}`,
  addr: `127.0.0.1:${raftId}`,
  learner,
});

async function manager(folder: string, wire: Wire, bootstrap: Bootstrap) {
  const raftId = bootstrap.kind === "resume" ? bootstrap.raftId : bootstrap.self.raftId;
  const dir = await openStateDir(join(folder, `manager${raftId}`));
  const log = silentLogger();
  const consensus = await startConsensus({
    bootstrap,
    clusterId: "bench",
    disk: await openLogDisk({ dir, log }),
    transport: wire.end(raftId),
    machine: counter(),
    clock: systemClock,
    random: systemRandom,
    timing: { raftTickMs: 100 },
    log,
    snapshotInterval: 10_000,
    onFailure: (error) => {
      throw error;
    },
  });
  return { consensus, close: () => consensus.close().then(() => dir.close()) };
}

async function group(folder: string, size: number) {
  const wire = new Wire();
  const first = await manager(folder, wire, { kind: "new", self: member(1) });
  const managers = [first];
  for (let raftId = 2; raftId <= size; raftId++) {
    const self = member(raftId, true);
    await first.consensus.changeMembers({ kind: ConfChangeKind.ADD_LEARNER, member: self }, signal);
    managers.push(
      await manager(folder, wire, {
        kind: "join",
        self,
        members: first.consensus.status().members,
      }),
    );
    while (first.consensus.caughtUpLearners().length === 0) await systemClock.sleep(10, signal);
    await first.consensus.changeMembers({ kind: ConfChangeKind.PROMOTE, member: self }, signal);
  }
  return { leader: first.consensus, close: () => Promise.all(managers.map((one) => one.close())) };
}

async function proposals(leader: RunningConsensus<number>, inFlight: number): Promise<number> {
  const data = Buffer.alloc(ENTRY_BYTES, 1);
  const startMs = performance.now();
  let done = 0;
  const worker = async () => {
    while (performance.now() - startMs < RUN_MS) {
      // A signal of its own for each, as each request has.
      await leader.propose(data, new AbortController().signal);
      done++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return (done * 1_000) / (performance.now() - startMs);
}

async function rawSyncs(folder: string): Promise<number> {
  const file = await open(join(folder, "raw"), "w");
  const data = Buffer.alloc(ENTRY_BYTES, 1);
  const startMs = performance.now();
  let done = 0;
  for (; performance.now() - startMs < RUN_MS; done++) {
    await file.write(data);
    await file.datasync();
  }
  await file.close();
  return (done * 1_000) / (performance.now() - startMs);
}

async function median(measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let run = 0; run < RUNS; run++) values.push(await measure());
  return values.sort((a, b) => a - b)[RUNS >> 1] ?? 0;
}

const base = process.argv[2] ?? tmpdir();
await mkdir(base, { recursive: true });
const folder = await mkdtemp(join(base, "skein-bench-raft-"));
try {
  const raw = await median(() => rawSyncs(folder));
  const rows: { readonly what: string; readonly perSecond: number }[] = [
    { what: `write of ${ENTRY_BYTES} B and fdatasync, one after the other`, perSecond: raw },
  ];
  for (const size of [1, 3]) {
    const { leader, close } = await group(join(folder, `of${size}`), size);
    for (const inFlight of [1, 64]) {
      const perSecond = await median(() => proposals(leader, inFlight));
      rows.push({ what: `${size} manager(s), ${inFlight} in flight`, perSecond });
    }
    await close();
  }
  console.log(`| medians of ${RUNS} runs of ${RUN_MS / 1000} s | per second | of raw |`);
  console.log("|---|---:|---:|");
  for (const { what, perSecond } of rows) {
    console.log(`| ${what} | ${Math.round(perSecond)} | ${(perSecond / raw).toFixed(2)} |`);
  }
} finally {
  await rm(folder, { recursive: true });
}
