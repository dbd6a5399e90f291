// The one way in which the leader changes the swarm. Requests queue here; a batch of them runs against
// one draft of the store, becomes one Raft entry, and is answered when that entry is applied. So a
// request's allocations are inside its own transaction, two requests never conflict, and many share
// one fsync. One batch is outstanding at a time.
//
// A refusal is an answer too, and so is "nothing to do": it rests on what was read here, perhaps on what another
// request of the batch wrote. It is given when the batch's entry is applied or, when there is none, when a majority
// has confirmed that this manager still leads.
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Clock } from "../../common/clock.js";
import { assert, Fault, isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import { newSwarmId } from "../../common/ids.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { Signal } from "../../common/watch.js";
import { Transaction } from "../../proto/gen/store.js";
import type { Context } from "../control/context.js";
import type { Consensus } from "../seams.js";
import type { Outcomes, Store } from "../store/store.js";
import type { Draft, StoreView } from "../store/view.js";

// Choice: more waiting than this is answered "busy" at once.
const QUEUE_MAX = 4096;
const BATCH_MAX = 256;
// Choice: half of what an entry may be (manager/raft/limits.ts). What would make a batch larger waits for
// the next one; a single request that is larger is refused for itself, and no other with it.
const BATCH_BYTES_MAX = 1024 * 1024;
// proto/store.proto: Batch.transactions, length-delimited.
const TRANSACTIONS_TAG = (1 << 3) | 2;

export type Request<T> = (draft: Draft, nowMs: number) => T | Refusal;

/** Time and chance for one request, as the cores take them. */
export function requestContext(nowMs: number, random: Random): Context {
  return { nowMs, newId: () => newSwarmId(random), randomBytes: (length) => random.bytes(length) };
}

interface Waiting {
  /** Runs in the draft. */
  attempt(draft: Draft, nowMs: number): Attempted;
  fail(error: unknown): void;
}
interface Attempted {
  /** What was read is so, and what was written is applied. */
  done(view: StoreView): void;
  refused(refusal: Refusal): void;
}

export interface WriterOptions {
  readonly store: Store;
  readonly consensus: Consensus<Outcomes>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Writer {
  readonly #queue: Waiting[] = [];
  readonly #wake = new Signal();
  #stopped: Fault | undefined;

  constructor(private readonly options: WriterOptions) {}

  /**
   * Runs `request` in the next batch; `after` makes the answer from the applied store (a draft's objects
   * have no version yet). Throws Fault NOT_LEADER when nothing was done and another manager leads, and
   * LEADERSHIP_LOST when the lead was lost in the middle: nobody knows yet whether it was done.
   */
  write<T, Answer = T>(
    request: Request<T>,
    after: (view: StoreView, result: T) => Answer,
  ): Promise<Answer | Refusal> {
    if (this.#queue.length >= QUEUE_MAX) {
      const why = `the manager is busy: ${QUEUE_MAX} requests are waiting`;
      return Promise.resolve(refuse("resource-exhausted", why));
    }
    return new Promise((resolve, reject) => {
      if (this.#stopped) return reject(this.#stopped);
      this.#queue.push({
        attempt(draft, nowMs) {
          const result = draft.attempt(nowMs, (inner) => request(inner, nowMs));
          if (isRefusal(result)) return { done: () => resolve(result), refused: resolve };
          return { done: (view) => resolve(after(view, result)), refused: resolve };
        },
        fail(error) {
          const refusal = refusalOf(error);
          if (refusal) resolve(refusal);
          else reject(error);
        },
      });
      this.#wake.notify();
    });
  }

  /** Until aborted; then everything that waits fails with the signal's reason. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#wake.wait(signal);
        while (this.#queue.length > 0 && !signal.aborted) await this.#runBatch(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      const stopped = new Fault("STOPPED", {}, signal.reason);
      this.#stopped = stopped;
      for (const waiting of this.#queue.splice(0)) waiting.fail(stopped);
    }
  }

  async #runBatch(signal: AbortSignal): Promise<void> {
    const { store, consensus } = this.options;
    const batch = this.#queue.splice(0, BATCH_MAX);
    const status = consensus.status();
    if (status.role !== "leader" || !status.ready) {
      for (const waiting of batch) waiting.fail(new Fault("NOT_LEADER"));
      return;
    }
    const { data, pending } = this.#draft(batch);
    if (data === undefined) {
      // The next batch need not wait for that.
      void this.#confirm(pending, signal);
      return;
    }
    try {
      const outcomes = await consensus.propose(data, signal);
      answerAll(pending, outcomes, store.view);
    } catch (error) {
      for (const { waiting } of pending) waiting.fail(error);
    }
  }

  async #confirm(pending: readonly Pending[], signal: AbortSignal): Promise<void> {
    if (pending.length === 0) return;
    const { store, consensus } = this.options;
    try {
      await consensus.readBarrier(signal);
      for (const { attempted } of pending) attempted.done(store.view);
    } catch (error) {
      for (const { waiting } of pending) waiting.fail(error);
    }
  }

  /**
   * Runs the requests, and puts back those that would make the entry too large. `pending` are those that ran,
   * with the transaction that each became; `data` is the entry, if anything changed.
   */
  #draft(batch: readonly Waiting[]): {
    data: Uint8Array | undefined;
    pending: readonly Pending[];
  } {
    const nowMs = this.options.clock.nowMs();
    const pending: Pending[] = [];
    const encoded: Uint8Array[] = [];
    let bytes = 0;
    this.options.store.draft((draft) => {
      for (const [i, waiting] of batch.entries()) {
        if (bytes >= BATCH_BYTES_MAX) {
          this.#queue.unshift(...batch.slice(i));
          return;
        }
        try {
          const attempted = waiting.attempt(draft, nowMs);
          const transaction = draft.transactions[encoded.length];
          const position = transaction && encoded.length;
          if (transaction) {
            const data = Transaction.encode(transaction).finish();
            encoded.push(data);
            bytes += data.length;
          }
          pending.push({ waiting, attempted, position });
        } catch (error) {
          // A bug in one request; its changes are undone, the others go on.
          this.options.log.error({ err: messageOf(error) }, "request threw");
          waiting.fail(error);
          // It changed the draft, and cannot be written: nobody after it may build on that.
          if (draft.transactions.length > encoded.length) {
            this.#queue.unshift(...batch.slice(i + 1));
            return;
          }
        }
      }
    });
    return { data: encoded.length === 0 ? undefined : entryOf(encoded), pending };
  }
}

/** A Batch, from transactions that are encoded already. */
function entryOf(transactions: readonly Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const data of transactions) writer.uint32(TRANSACTIONS_TAG).bytes(data);
  return writer.finish();
}

interface Pending {
  readonly waiting: Waiting;
  readonly attempted: Attempted;
  /** Its transaction in the batch; undefined: it changed nothing. */
  readonly position: number | undefined;
}

function answerAll(pending: readonly Pending[], outcomes: Outcomes, view: StoreView): void {
  for (const { attempted, position } of pending) {
    assert(position === undefined || position < outcomes.length, "one outcome a transaction");
    const refusal = position === undefined ? undefined : outcomes[position];
    if (refusal) attempted.refused(refusal);
    else attempted.done(view);
  }
}

/** Faults of the log that the asker can do something about. */
function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof Fault)) return undefined;
  switch (error.code) {
    case "DISK_FULL":
      return refuse("resource-exhausted", diskFullSentence(error));
    case "BUSY":
      return refuse("unavailable", "the manager is busy; try again");
    case "TOO_LARGE":
      return refuse("resource-exhausted", "the change is too large to be agreed on at once");
    case "STOPPED":
      return refuse("unavailable", "this manager is stopping; try again on another");
    default:
      return undefined;
  }
}

/** The leader may be another machine than the one that was asked, so the folder alone would mislead. */
function diskFullSentence({ data }: Fault): string {
  const where = typeof data["dir"] === "string" ? ` (no space left for ${data["dir"]})` : "";
  return `the leading manager's disk is full${where}; free some space on it and try again: nothing was changed`;
}
