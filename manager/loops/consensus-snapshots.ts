// When a member takes a snapshot of its own state, and forgets the log before it.
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Raft } from "../raft/raft.js";
import type { StateMachine } from "../seams.js";
import { type DiskTurns, isDiskFull } from "./disk-turns.js";

/** As SwarmKit's LogEntriesForSlowFollowers: who is a little behind needs no whole snapshot. */
const TRAILING_ENTRIES = 500;
/** A log that has grown by this much is compacted, however few entries that is. Choice: four segments of the disk. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;

export interface SnapshotsOptions {
  readonly raft: Raft;
  readonly disk: DiskTurns;
  readonly machine: Pick<StateMachine<unknown>, "snapshot">;
  readonly log: Logger;
  /** Applied entries between snapshots. */
  readonly interval: number;
  /** The disk failed. That it is full is none: the log grows meanwhile. */
  readonly onFailure: (error: unknown) => void;
}

export class OwnSnapshots {
  interval: number;
  /** Somebody waits for the next one. */
  isDue = false;
  /** What the last one covers. */
  #index: number;
  /** Of data, applied since. */
  #behindBytes = 0;
  /** After one that did not fit on the disk: none is tried before this is applied. */
  #notBefore = 0;

  constructor(private readonly options: SnapshotsOptions) {
    this.interval = options.interval;
    this.#index = options.raft.firstIndex - 1;
  }

  applied(bytes: number): void {
    this.#behindBytes += bytes;
  }

  /** One of another's is on the disk, and in the state machine. */
  replaced(index: number): void {
    this.#index = index;
    this.#behindBytes = 0;
  }

  maybeTake(): void {
    const { raft, disk, machine } = this.options;
    const { applied } = raft;
    const isDue =
      this.isDue || applied - this.#index >= this.interval || this.#behindBytes >= LOG_BYTES_MAX;
    if (!isDue || raft.restoring || applied < this.#notBefore) return;
    const snapshot = { meta: raft.snapshotMeta(), data: Buffer.from(machine.snapshot()) };
    const before = this.#index;
    this.replaced(applied);
    this.isDue = false;
    disk
      .take((log) => log.saveSnapshot(snapshot, applied + 1))
      .then(
        () => raft.compact(raft.compactable(applied - TRAILING_ENTRIES)),
        (error) => this.#notTaken(error, before, applied),
      );
  }

  #notTaken(error: unknown, before: number, applied: number): void {
    const { log, onFailure } = this.options;
    if (!isDiskFull(error)) {
      onFailure(error);
      return;
    }
    this.#index = before;
    this.#notBefore = applied + Math.ceil(this.interval / 10);
    log.warn({ err: messageOf(error) }, "no space for a snapshot; the log grows");
  }
}
