// The one way in which the leader changes the swarm. Requests queue here; a batch of them runs against
// one draft of the store, becomes one Raft entry, and is answered when that entry is applied. So a
// request's allocations are inside its own transaction, two requests never conflict, and many share
// one fsync. One batch is outstanding at a time.
import type { Clock } from "../../common/clock.js";
import { assert, Fault, isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import { newSwarmId } from "../../common/ids.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { Signal } from "../../common/watch.js";
import { Batch, type Transaction } from "../../proto/gen/store.js";
import type { Context } from "../control/context.js";
import type { Consensus } from "../seams.js";
import type { Outcomes, Store } from "../store/store.js";
import type { Draft, StoreView } from "../store/view.js";

// Choice: more waiting than this is answered "busy" at once; a batch stays far below a Raft message.
const QUEUE_MAX = 4096;
const BATCH_MAX = 256;

export type Request<T> = (draft: Draft, nowMs: number) => T | Refusal;

/** Time and chance for one request, as the cores take them. */
export function requestContext(nowMs: number, random: Random): Context {
  return { nowMs, newId: () => newSwarmId(random), randomBytes: (length) => random.bytes(length) };
}

interface Waiting {
  /** Runs in the draft. Undefined: answered already, and nothing was kept. */
  attempt(draft: Draft, nowMs: number): Attempted | undefined;
  fail(error: unknown): void;
}
interface Attempted {
  /** The entry is applied. */
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
          if (isRefusal(result)) {
            resolve(result);
            return undefined;
          }
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
    const { transactions, pending } = this.#draft(batch);
    if (transactions.length === 0) {
      for (const { attempted } of pending) attempted.done(store.view);
      return;
    }
    try {
      const data = Batch.encode({ transactions }).finish();
      const outcomes = await consensus.propose(data, signal);
      answerAll(pending, outcomes, store.view);
    } catch (error) {
      for (const { waiting } of pending) waiting.fail(error);
    }
  }

  /** Runs the requests; `pending` are those not answered, with the transaction that each became. */
  #draft(batch: readonly Waiting[]): {
    transactions: readonly Transaction[];
    pending: readonly Pending[];
  } {
    const nowMs = this.options.clock.nowMs();
    const pending: Pending[] = [];
    const transactions = this.options.store.draft((draft) => {
      for (const waiting of batch) {
        const before = draft.transactions.length;
        try {
          const attempted = waiting.attempt(draft, nowMs);
          const position = draft.transactions.length > before ? before : undefined;
          if (attempted) pending.push({ waiting, attempted, position });
        } catch (error) {
          // A bug in one request; its changes are undone, the others go on.
          this.options.log.error({ err: messageOf(error) }, "request threw");
          waiting.fail(error);
        }
      }
      return [...draft.transactions];
    });
    return { transactions, pending };
  }
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
