// When a member takes a snapshot of its own state, and forgets the log before it, or offers one to a member that needs
// more than the log has. A large state is encoded in slices, between which all else goes on; one at a time.
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { RaftSnapshot } from "../../proto/gen/raft.js";
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
  readonly machine: Pick<StateMachine<unknown>, "snapshotSlices">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Applied entries between snapshots. */
  readonly interval: number;
  /** The disk failed. That it is full is none: the log grows meanwhile. */
  readonly onFailure: (error: unknown) => void;
  /** The group has something to send. */
  readonly onOffered: () => void;
}

export class OwnSnapshots {
  interval: number;
  /** Somebody waits for the next one. */
  isDue = false;
  /** What the last one covers. */
  #index: number;
  /** Of data, applied since. */
  #behindBytes = 0;
  #encoding = false;
  readonly #closed = new AbortController();
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
    const { raft } = this.options;
    const { applied } = raft;
    const isDue =
      this.isDue || applied - this.#index >= this.interval || this.#behindBytes >= LOG_BYTES_MAX;
    if (!isDue || this.#encoding || raft.restoring || applied < this.#notBefore) return;
    const before = this.#index;
    this.replaced(applied);
    this.isDue = false;
    this.#encode((snapshot) => this.#save(snapshot, applied, before));
  }

  /** To whom the log cannot help; asked again until there is one. */
  offer(): void {
    const { raft, onOffered } = this.options;
    this.#encode((snapshot) => {
      raft.offerSnapshot(snapshot);
      onOffered();
    });
  }

  close(): void {
    this.#closed.abort();
  }

  /** The state as it is now. What fits into one slice is done when this returns. */
  #encode(use: (snapshot: RaftSnapshot) => void): void {
    if (this.#encoding) return;
    const { raft, machine, clock, onFailure } = this.options;
    const meta = raft.snapshotMeta();
    const slices = machine.snapshotSlices();
    this.#encoding = true;
    const go = async () => {
      let step = slices.next();
      while (step.done !== true) {
        await clock.sleep(0, this.#closed.signal);
        step = slices.next();
      }
      this.#encoding = false;
      use({ meta, data: step.value });
    };
    go().catch((error) => {
      if (!this.#closed.signal.aborted) onFailure(error);
    });
  }

  #save(snapshot: RaftSnapshot, index: number, before: number): void {
    const { raft, disk } = this.options;
    disk
      .take(async (log) => {
        // Another's, which is newer, came meanwhile.
        if (this.#index === index) await log.saveSnapshot(snapshot, index + 1);
      })
      .then(
        () => raft.compact(raft.compactable(index - TRAILING_ENTRIES)),
        (error) => this.#notTaken(error, before, index),
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
