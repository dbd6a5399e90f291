// Runs one member of the Raft group: feeds it ticks, messages and wishes, and does what it asks for. One
// write to the disk is under way at a time; what is proposed meanwhile shares the next (group commit).
// Messages that promise nothing durable go out at once, so a slow or full disk stops no heartbeat.
import { assert, Fault, messageOf } from "../../common/fault.js";
import { Topic, type Unsubscribe } from "../../common/watch.js";
import {
  type ConfChange,
  type Entry,
  EntryKind,
  type RaftMember,
  type RaftMessage,
  type RaftReport,
  type RaftSnapshot,
} from "../../proto/gen/raft.js";
import { votersOf } from "../raft/conf.js";
import type { Raft } from "../raft/raft.js";
import type { Persist, Ready } from "../raft/ready.js";
import type { LogDisk, RaftStatus } from "../seams.js";
import { CommitNews } from "./commit-news.js";
import { MemberChanges } from "./consensus-changes.js";
import type { ConsensusOptions, MemberProgress, RunningConsensus } from "./consensus-options.js";
import { PendingEntries } from "./consensus-pending.js";
import { ReadBarriers } from "./consensus-reads.js";
import { OwnSnapshots } from "./consensus-snapshots.js";
import { openRaft } from "./consensus-start.js";
import { faultOf, progressOf, reportOf, sameStatus, statusOf } from "./consensus-status.js";
import { Transfers } from "./consensus-transfers.js";
import { DiskTurns, isDiskFull } from "./disk-turns.js";
import { DiskWatch } from "./disk-watch.js";

export type { ConsensusOptions, RunningConsensus } from "./consensus-options.js";

/** Choice: a full disk is tried again this often; each try is one small write. */
const DISK_RETRY_TICKS = 10;
/** Choice: a leader that cannot write for this long hands over to one that can. */
const HAND_OVER_TICKS = 30;

/** Resolves when what the disk holds is applied and, for "new", this manager leads. */
export async function startConsensus<Outcome>(
  options: ConsensusOptions<Outcome>,
): Promise<RunningConsensus<Outcome>> {
  try {
    const raft = await openRaft(options);
    const loop = new ConsensusLoop(raft, options);
    await loop.start();
    return loop;
  } catch (error) {
    await options.disk.close();
    throw error;
  }
}

class ConsensusLoop<Outcome> implements RunningConsensus<Outcome> {
  readonly changed = new Topic<RaftStatus>();
  readonly #pending = new PendingEntries<Outcome>();
  readonly #changes: MemberChanges;
  readonly #reads: ReadBarriers;
  readonly #transfers = new Transfers();
  readonly #stops: Unsubscribe[] = [];
  readonly #snapshots: OwnSnapshots;
  #status: RaftStatus;
  #pumpScheduled = false;
  readonly #disk: DiskTurns;
  readonly #diskWatch: DiskWatch;
  readonly #commitNews: CommitNews;
  /** Ticks since the disk was found full; undefined while it is not. */
  #fullTicks: number | undefined;
  /** What the disk said when it was last found full. */
  #fullFault: Fault | undefined;
  #stopped: Fault | undefined;

  constructor(
    private readonly raft: Raft,
    private readonly options: ConsensusOptions<Outcome>,
  ) {
    this.#disk = new DiskTurns(options.disk);
    this.#diskWatch = new DiskWatch(raft, options.clock, options.log);
    this.#snapshots = new OwnSnapshots({
      raft,
      disk: this.#disk,
      machine: options.machine,
      clock: options.clock,
      log: options.log,
      interval: options.snapshotInterval,
      onFailure: (error) => this.#fail(error),
      onOffered: () => this.#schedulePump(),
    });
    this.#commitNews = new CommitNews(raft, options.clock, () => this.#pump());
    this.#reads = new ReadBarriers(options.random.below(2 ** 40));
    this.#changes = new MemberChanges(raft);
    this.#status = statusOf(raft);
  }

  async start(): Promise<void> {
    const { clock, timing, transport, bootstrap } = this.options;
    const known = this.raft.members;
    transport.setMembers(known.length > 0 || bootstrap.kind !== "join" ? known : bootstrap.members);
    this.#pump();
    this.#stops.push(
      transport.received.subscribe((message) => this.#receive(message)),
      // After a pause (a stopped process, a suspended machine) there is one late tick, not many: who
      // slept hears what the others said meanwhile before it believes that they are silent.
      clock.every(timing.raftTickMs, () => this.#tick()),
    );
    const voters = votersOf(this.raft.members);
    if (voters.length === 1 && voters[0] === this.raft.id) await this.#leadAlone();
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  /** The only voter has nobody to wait for. */
  async #leadAlone(): Promise<void> {
    this.raft.campaign();
    this.#pump();
    while (this.#disk.busy && !this.raft.settled) await this.#disk.idle();
  }

  // ---- For callers --------------------------------------------------------------------------------

  status(): RaftStatus {
    return statusOf(this.raft);
  }

  progress(): readonly MemberProgress[] {
    return progressOf(this.raft);
  }

  report(): RaftReport {
    const disk = this.#diskWatch.report(this.#fullTicks !== undefined);
    return reportOf(this.raft, disk, this.options.clock.monotonicMs());
  }

  setSnapshotInterval(entries: number): void {
    this.#snapshots.interval = entries;
  }

  snapshotSoon(): void {
    this.#snapshots.isDue = true;
    this.#schedulePump();
  }

  async propose(data: Uint8Array, signal: AbortSignal): Promise<Outcome> {
    assert(data.length > 0, "an entry without data is a new leader's own");
    this.#mustWrite(signal);
    const proposed = this.raft.propose(data);
    if (proposed.kind === "refused") throw faultOf(proposed, this.raft);
    this.#schedulePump();
    return this.#pending.wait(proposed.index, proposed.term, signal);
  }

  async readBarrier(signal: AbortSignal): Promise<void> {
    this.#mustRun(signal);
    this.#schedulePump();
    return this.#reads.wait(signal);
  }

  async changeMembers(change: ConfChange, signal: AbortSignal): Promise<void> {
    this.#mustLead(signal);
    this.#mustWrite(signal);
    this.#schedulePump();
    return this.#changes.wait(change, signal);
  }

  caughtUpLearners(): readonly RaftMember[] {
    return this.raft.members.filter(
      (member) => member.learner && this.raft.hasCaughtUp(member.raftId),
    );
  }

  async transferLeadership(toRaftId: number, signal: AbortSignal): Promise<void> {
    this.#mustLead(signal);
    if (toRaftId === this.raft.id) return;
    if (!this.raft.transferLeader(toRaftId)) {
      throw new Fault("TRANSFER_REFUSED", { toRaftId, why: "it is not a voting member" });
    }
    this.#schedulePump();
    return this.#transfers.wait(toRaftId, signal);
  }

  reachable(raftId: number): boolean {
    return this.raft.isReachable(raftId);
  }

  async close(): Promise<void> {
    this.#stop(new Fault("STOPPED"));
    await this.#disk.close();
  }

  #mustRun(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  #mustLead(signal: AbortSignal): void {
    this.#mustRun(signal);
    if (this.raft.role !== "leader") throw faultOf({ reason: "not-leader" }, this.raft);
  }

  #mustWrite(signal: AbortSignal): void {
    this.#mustRun(signal);
    if (this.#fullTicks !== undefined && this.raft.role === "leader")
      throw diskFull(this.#fullFault);
  }

  // ---- What happens -------------------------------------------------------------------------------

  #receive(message: RaftMessage): void {
    this.raft.setTime(this.options.clock.monotonicMs());
    const dropped = this.#guarded(() => this.raft.step(message));
    if (dropped !== undefined) {
      this.options.log.debug({ peer: message.from, why: dropped }, "dropped a raft message");
    }
    this.#schedulePump();
  }

  #tick(): void {
    this.raft.setTime(this.options.clock.monotonicMs());
    this.#guarded(() => this.raft.tick());
    this.#reads.tick();
    this.#diskWatch.tick();
    if (this.#fullTicks !== undefined) {
      this.#fullTicks++;
      if (this.#fullTicks === HAND_OVER_TICKS) this.#handOver();
    }
    this.#pump();
  }

  #schedulePump(): void {
    if (this.#pumpScheduled || this.#stopped !== undefined) return;
    this.#pumpScheduled = true;
    // Everything that this turn of the event loop brings is looked at together.
    queueMicrotask(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  /** Does everything there is to do now. */
  #pump(): void {
    if (this.#stopped !== undefined) return;
    this.#guarded(() => {
      this.#changes.propose();
      this.#reads.ask(this.raft);
      this.#do(this.raft.ready(this.#mayWrite(), this.#commitNews.take()));
      this.#commitNews.look();
      this.#publish();
    });
  }

  /** A broken invariant ends the loop, and with it the process: better stopped than wrong. */
  #guarded<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  // ---- What is to be done -------------------------------------------------------------------------

  #do(ready: Ready): void {
    for (const message of ready.messages) this.options.transport.send(message);
    for (const entry of ready.committed) this.#apply(entry);
    this.#changes.look();
    if (ready.snapshotWanted) this.#snapshots.offer();
    this.#reads.confirmed(ready.reads);
    if (!this.raft.restoring) this.#reads.applied(this.raft.applied);
    if (ready.persist !== undefined) this.#write(ready.persist);
    // Nothing left to write: whoever proposes next will find out whether there is space.
    else if (this.#mayWrite() && !this.#disk.busy) this.#fullTicks = undefined;
    if (this.#fullTicks === undefined) this.#snapshots.maybeTake();
  }

  #apply(entry: Entry): void {
    this.#snapshots.applied(entry.data.length);
    if (entry.kind === EntryKind.CONF_CHANGE) {
      this.options.transport.setMembers(this.raft.members);
      this.#changes.applied(entry);
    } else if (entry.data.length > 0) {
      const outcome = this.options.machine.apply(entry.index, entry.data);
      this.#pending.applied(entry.index, entry.term, outcome);
    }
  }

  #write(persist: Persist): void {
    const { snapshot, hardState, entries } = persist;
    const write = async (disk: LogDisk) => {
      if (snapshot !== undefined) await disk.saveSnapshot(snapshot, indexOf(snapshot) + 1);
      if (hardState === undefined && entries.length === 0) return;
      await this.#diskWatch.persist(disk, hardState, entries);
    };
    this.#disk.take(write).then(
      () => this.#guarded(() => this.#written(persist)),
      (error) => this.#guarded(() => this.#notWritten(error)),
    );
  }

  #written({ snapshot, hardState, entries, messages }: Persist): void {
    if (this.#stopped !== undefined) return;
    if (hardState !== undefined || entries.length > 0) this.#diskHasSpace();
    if (snapshot !== undefined) {
      this.options.machine.restore(snapshot.data);
      this.#snapshots.replaced(indexOf(snapshot));
      this.options.transport.setMembers(this.raft.members);
    }
    for (const message of messages) this.options.transport.send(message);
    this.raft.advance();
    this.#pump();
  }

  #publish(): void {
    const { role, term } = this.raft;
    if (this.#status.role === "leader" && (role !== "leader" || term !== this.#status.term)) {
      const lost = new Fault("LEADERSHIP_LOST", { term: this.#status.term });
      this.#pending.rejectBefore(role === "leader" ? term : Number.POSITIVE_INFINITY, lost);
      this.#changes.rejectAll(lost);
      // A read that began at the leader is for the next leader to answer; here it might wait for ever.
      this.#reads.rejectAll(new Fault("NOT_LEADER", { term: this.#status.term }));
    }
    this.#transfers.look(this.raft);
    const status = statusOf(this.raft);
    if (sameStatus(status, this.#status)) return;
    this.#status = status;
    this.changed.publish(status);
  }

  // ---- A full disk --------------------------------------------------------------------------------

  #mayWrite(): boolean {
    return this.#fullTicks === undefined || this.#fullTicks % DISK_RETRY_TICKS === 0;
  }

  #notWritten(error: unknown): void {
    if (this.#stopped !== undefined) return;
    if (!isDiskFull(error)) throw error;
    this.#fullFault = error;
    if (this.#fullTicks === undefined) {
      this.options.log.error(
        { err: messageOf(error) },
        "the disk is full: no writes until it is not",
      );
    }
    // Not a multiple of the retry interval: the next try is due after one whole interval.
    this.#fullTicks = (this.#fullTicks ?? 0) + 1;
    this.raft.retract();
    const dropped = this.raft.dropUnwritten();
    if (dropped !== undefined) {
      this.#pending.rejectFrom(dropped, diskFull(error));
      this.#changes.rejectAll(diskFull(error));
    }
    this.#pump();
  }

  #diskHasSpace(): void {
    if (this.#fullTicks === undefined) return;
    this.#fullTicks = undefined;
    this.options.log.info("the disk has space again");
  }

  /** To the member that has the most of the log: its disk works. */
  #handOver(): void {
    const fittest = [...this.raft.matches()]
      .filter(([raftId]) => this.raft.isReachable(raftId))
      .sort(([, a], [, b]) => b - a)
      .find(([raftId]) => this.raft.transferLeader(raftId));
    if (fittest !== undefined) {
      this.options.log.warn({ peer: fittest[0] }, "handing over leadership: the disk is full");
    }
  }

  // ---- The end ------------------------------------------------------------------------------------

  #fail(error: unknown): void {
    if (this.#stopped !== undefined) return;
    this.options.log.error({ err: messageOf(error) }, "the consensus cannot go on");
    this.#stop(new Fault("STOPPED", {}, error));
    this.options.onFailure(error);
  }

  #stop(fault: Fault): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = fault;
    for (const stop of this.#stops) stop();
    this.#commitNews.close();
    this.#snapshots.close();
    this.#pending.rejectAll(fault);
    this.#changes.rejectAll(fault);
    this.#reads.rejectAll(fault);
    this.#transfers.rejectAll(fault);
  }
}

function indexOf(snapshot: RaftSnapshot): number {
  return snapshot.meta?.index ?? 0;
}

/** For those who asked; with the folder, as the disk said it. */
function diskFull(cause: Fault | undefined): Fault {
  return new Fault("DISK_FULL", { ...cause?.data }, cause);
}
