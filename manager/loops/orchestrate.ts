// Brings services to what was asked for, on the leader: notes which of them a change may concern, plans
// those anew against a draft, and writes what is to be done. Whatever is missed is found by the next leader,
// which looks at all of them.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import { Signal } from "../../common/watch.js";
import { Affected } from "../orchestrator/affected.js";
import { applyPlan } from "../orchestrator/apply.js";
import { planService } from "../orchestrator/plan.js";
import type { Store } from "../store/store.js";
import type { Draft } from "../store/view.js";
import { Deadlines } from "./deadlines.js";
import { waitFor } from "./timed-signal.js";
import { requestContext, type Writer } from "./write.js";

// Choice: of a usual size, this many tasks make an entry of about 200 KB.
const CHANGES_MAX = 200;
// Choice: what could not be written (a full disk, a service that the store refuses) is tried again this
// much later.
const RETRY_MS = 2_000;
/** A clock that was set is noticed after this long. */
const LOOK_MS = 30_000;

export interface OrchestrateOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class Orchestrator {
  readonly #dirty = new Set<string>();
  readonly #affected = new Affected();
  readonly #wake = new Signal();
  readonly #deadlines = new Deadlines();
  /** Tasks, and services, of one write. Fewer after a refusal, so that one service does not stop the others. */
  #room = CHANGES_MAX;

  constructor(private readonly options: OrchestrateOptions) {}

  /** Until the term ends. */
  async run(term: AbortSignal): Promise<void> {
    const { store, clock, log } = this.options;
    const unsubscribe = store.changes.subscribe((change) => {
      this.#affected.note(change, store.view, this.#dirty);
      if (this.#dirty.size > 0) this.#wake.notify();
    });
    try {
      while (!term.aborted) {
        try {
          this.#affected.begin(store.view, this.#dirty);
          await this.#follow(term);
        } catch (error) {
          if (term.aborted || isLost(error)) return;
          log.error({ err: messageOf(error) }, "orchestration begins anew");
          await clock.sleep(RETRY_MS, term).catch(() => undefined);
        }
      }
    } finally {
      unsubscribe();
    }
  }

  async #follow(term: AbortSignal): Promise<void> {
    const { clock } = this.options;
    if (this.#dirty.size > 0) this.#wake.notify();
    for (;;) {
      await waitFor(this.#wake, this.#untilNextMs(), clock, term);
      for (const id of this.#deadlines.takeDue(clock.nowMs())) this.#dirty.add(id);
      while (this.#dirty.size > 0 && !term.aborted) await this.#planSome(term);
    }
  }

  #untilNextMs(): number | undefined {
    const next = this.#deadlines.nextMs();
    if (next === undefined) return undefined;
    return Math.min(Math.max(0, next - this.options.clock.nowMs()), LOOK_MS);
  }

  async #planSome(term: AbortSignal): Promise<void> {
    const { writer, clock, log } = this.options;
    const taken: string[] = [];
    const result = await writer
      .write(
        (draft, nowMs) => this.#planInto(draft, nowMs, taken),
        () => true,
      )
      .catch((error: unknown) => {
        if (isLost(error)) throw error;
        // A bug in the plan of one of them; the others are to go on.
        return refuse("failed-precondition", messageOf(error));
      });
    if (!isRefusal(result)) {
      this.#room = Math.min(CHANGES_MAX, 2 * this.#room);
      return;
    }
    log.warn({ service: taken[0], services: taken.length, err: result.message }, "plan refused");
    this.#room = Math.max(1, this.#room >> 3);
    if (taken.length === 1) {
      for (const id of taken) this.#deadlines.set(id, clock.nowMs() + RETRY_MS);
    } else {
      for (const id of taken) this.#dirty.add(id);
    }
    // Nothing can be written at the moment, whatever it is.
    if (result.code !== "failed-precondition") await clock.sleep(RETRY_MS, term);
  }

  #planInto(draft: Draft, nowMs: number, taken: string[]): true | Refusal {
    const ctx = requestContext(nowMs, this.options.random);
    let room = this.#room;
    for (const id of this.#dirty) {
      if (room <= 0 || taken.length >= this.#room) break;
      this.#dirty.delete(id);
      taken.push(id);
      const plan = planService(draft, id, ctx, room);
      const refusal = applyPlan(draft, id, plan, ctx);
      if (refusal !== undefined) return refusal;
      room -= plan.tasks.length;
      this.#deadlines.set(id, plan.unfinished ? nowMs : plan.wakeAtMs);
    }
    return true;
  }
}

function isLost(error: unknown): boolean {
  return error instanceof Fault && ["NOT_LEADER", "LEADERSHIP_LOST"].includes(error.code);
}
