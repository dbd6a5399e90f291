// Managers' consensus loops on fakes: one clock, one network, a disk each, and a list as state machine.
import { setMaxListeners } from "node:events";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import { startConsensus } from "../../manager/loops/consensus.js";
import type { RunningConsensus } from "../../manager/loops/consensus-options.js";
import type { Bootstrap, SnapshotSlices, StateMachine } from "../../manager/seams.js";
import { ConfChangeKind, type Entry, EntryKind, type RaftMember } from "../../proto/gen/raft.js";
import { MemoryLogDisk } from "./log-disk.js";
import { ManualClock, settle } from "./manual-clock.js";
import { RaftNetwork } from "./raft-network.js";

/** Remembers what was applied; an entry's outcome is its place. */
export class ListMachine implements StateMachine<number> {
  items: string[] = [];
  restores = 0;
  /** How many steps a snapshot takes. */
  slices = 1;

  apply(_index: number, data: Uint8Array): number {
    return this.items.push(Buffer.from(data).toString());
  }
  *snapshotSlices(): SnapshotSlices {
    const data = this.snapshot();
    for (let slice = 1; slice < this.slices; slice++) yield;
    return data;
  }
  snapshot(): Buffer {
    return Buffer.from(JSON.stringify(this.items));
  }
  restore(data: Uint8Array): void {
    this.restores++;
    this.items = JSON.parse(Buffer.from(data).toString());
  }
}

export interface Manager {
  readonly raftId: number;
  readonly disk: MemoryLogDisk;
  readonly machine: ListMachine;
  readonly consensus: RunningConsensus<number>;
  readonly failures: unknown[];
}

export function member(raftId: number, learner = false): RaftMember {
  return { raftId, nodeId: `node${raftId}`, addr: `10.0.0.${raftId}:2377`, learner };
}

/** Any two of an index and a term are the same, but for `text`. */
export function entry(index: number, term: number, text = `${term}.${index}`): Entry {
  return { term, index, kind: EntryKind.NORMAL, data: Buffer.from(text) };
}

const TICK_MS = 100;
export const { signal: never } = new AbortController();
setMaxListeners(0, never);

export class RaftCluster {
  readonly clock = new ManualClock();
  readonly network = new RaftNetwork();
  readonly managers = new Map<number, Manager>();

  constructor(private readonly snapshotInterval = 10_000) {}

  async start(bootstrap: Bootstrap, disk = new MemoryLogDisk()): Promise<Manager> {
    const raftId = bootstrap.kind === "resume" ? bootstrap.raftId : bootstrap.self.raftId;
    const machine = new ListMachine();
    const failures: unknown[] = [];
    const consensus = await startConsensus({
      bootstrap,
      clusterId: "cluster",
      disk,
      transport: this.network.attach(raftId),
      machine,
      clock: this.clock,
      random: seededRandom(raftId),
      timing: { raftTickMs: TICK_MS },
      log: silentLogger(),
      snapshotInterval: this.snapshotInterval,
      onFailure: (error) => failures.push(error),
    });
    const manager = { raftId, disk, machine, consensus, failures };
    this.managers.set(raftId, manager);
    return manager;
  }

  /** Adds a learner and promotes it when it has caught up. */
  async join(raftId: number): Promise<Manager> {
    const manager = await this.joinAsLearner(raftId);
    const leader = this.leader();
    await this.until(() => leader.consensus.caughtUpLearners().length > 0);
    await this.settled(
      leader.consensus.changeMembers(
        { kind: ConfChangeKind.PROMOTE, member: member(raftId) },
        never,
      ),
    );
    return manager;
  }

  async joinAsLearner(raftId: number): Promise<Manager> {
    const { consensus } = this.leader();
    const self = member(raftId, true);
    await this.settled(
      consensus.changeMembers({ kind: ConfChangeKind.ADD_LEARNER, member: self }, never),
    );
    return this.start({ kind: "join", self, members: consensus.status().members });
  }

  /** A crash: nothing more happens in it, and what its disk has is what it has. */
  async stop(raftId: number): Promise<MemoryLogDisk> {
    const manager = this.manager(raftId);
    this.network.detach(raftId);
    this.managers.delete(raftId);
    await manager.consensus.close();
    return manager.disk;
  }

  manager(raftId: number): Manager {
    const manager = this.managers.get(raftId);
    if (manager === undefined) throw new Error(`no manager ${raftId}`);
    return manager;
  }

  maybeLeader(): Manager | undefined {
    const leaders = [...this.managers.values()].filter(
      ({ consensus }) => consensus.status().role === "leader" && consensus.status().ready,
    );
    return leaders.sort((a, b) => b.consensus.status().term - a.consensus.status().term)[0];
  }

  leader(): Manager {
    const leader = this.maybeLeader();
    if (leader === undefined) throw new Error("no leader");
    return leader;
  }

  async ticks(count: number): Promise<void> {
    await this.clock.advance(count * TICK_MS);
  }

  async until(condition: () => boolean, ticksMax = 100): Promise<void> {
    for (let i = 0; i < ticksMax; i++) {
      await settle();
      if (condition()) return;
      await this.ticks(1);
    }
    throw new Error(`not within ${ticksMax} ticks`);
  }

  /** The promise, with time passing until it settles. */
  async settled<T>(promise: Promise<T>, ticksMax = 100): Promise<T> {
    let done = false;
    const settle = () => {
      done = true;
    };
    promise.then(settle, settle);
    await this.until(() => done, ticksMax);
    return promise;
  }

  propose(manager: Manager, text: string): Promise<number> {
    return this.settled(manager.consensus.propose(Buffer.from(text), never));
  }
}

export async function clusterOf(count: number, snapshotInterval?: number): Promise<RaftCluster> {
  const cluster = new RaftCluster(snapshotInterval);
  await cluster.start({ kind: "new", self: member(1) });
  for (let raftId = 2; raftId <= count; raftId++) await cluster.join(raftId);
  return cluster;
}
