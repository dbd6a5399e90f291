// Writes down who is silent and who is heard again, while this manager leads: what changes at about the
// same time goes in one entry.
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import { Signal } from "../../common/watch.js";
import { NodeState } from "../../proto/gen/types.js";
import { recordSilence } from "../control/session.js";
import { beatMsFor, Silence } from "../dispatch/silence.js";
import type { Store } from "../store/store.js";
import type { Writer } from "./write.js";

// Choice: what changes within this time is one entry, and one delta for every node.
const GATHER_MS = 100;
// Choice: with nobody to wait for it is looked again after this long.
const IDLE_MS = 1_000;
// Choice: a look that comes so much later than it was due says that this process was held up, and not they.
const HELD_UP_MS = 200;
const HEAR_MS = 50;

export interface SilenceOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SilenceWatch {
  readonly #silence = new Silence();
  readonly #noted = new Signal();

  constructor(private readonly options: SilenceOptions) {}

  /** How often a node is asked to beat whose session begins now. */
  beatMs(heartbeatPeriodMs: number): number {
    return beatMsFor(this.options.store.view.nodeCount, heartbeatPeriodMs);
  }

  heard(nodeId: string, beatMs: number): void {
    const { clock } = this.options;
    const wasSilent = this.#silence.isSilent(nodeId);
    this.#silence.heard(nodeId, beatMs, clock.monotonicMs());
    if (wasSilent && !this.#silence.isSilent(nodeId)) this.#noted.notify();
  }

  isSilent(nodeId: string): boolean {
    return this.#silence.isSilent(nodeId);
  }

  forget(nodeId: string): void {
    this.#silence.forget(nodeId);
  }

  async run(term: AbortSignal): Promise<void> {
    const { store, clock, log } = this.options;
    const there = [...store.view.nodes()].filter(({ state }) => state !== NodeState.DOWN);
    this.#silence.begin(there, clock.monotonicMs());
    const unsubscribe = store.changes.subscribe(({ changed }) => {
      for (const { kind, id, after } of changed) {
        if (kind === "node" && after === undefined) this.#silence.forget(id);
      }
    });
    try {
      while (!term.aborted) {
        await this.#untilDue(term);
        if (this.#silence.isDue(clock.monotonicMs())) {
          // Were this process held up, they may have spoken: what has come is heard first.
          await this.#sleep(HEAR_MS, term);
          this.#silence.judge(clock.monotonicMs());
        }
        if (await this.#write()) await this.#sleep(GATHER_MS, term);
      }
    } catch (error) {
      if (!term.aborted) log.error({ err: messageOf(error) }, "silence is no longer watched");
    } finally {
      unsubscribe();
    }
  }

  async #untilDue(term: AbortSignal): Promise<void> {
    const nowMs = this.options.clock.monotonicMs();
    const inMs = (this.#silence.nextMs() ?? Number.POSITIVE_INFINITY) - nowMs;
    const over = new AbortController();
    const either = AbortSignal.any([term, over.signal]);
    const due = this.#sleep(Math.min(Math.max(inMs, 0), IDLE_MS), either);
    const noted = this.#noted.wait(either);
    try {
      await Promise.race([due, noted]);
    } finally {
      over.abort(new Fault("WOKEN"));
      await Promise.allSettled([due, noted]);
    }
  }

  /** Who sleeps much too long was not the only one that did nothing meanwhile. */
  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.options;
    const beganMs = clock.monotonicMs();
    await clock.sleep(ms, signal);
    const nowMs = clock.monotonicMs();
    const heldUpMs = nowMs - beganMs - ms;
    if (heldUpMs > HELD_UP_MS) this.#silence.excuse(heldUpMs, nowMs);
  }

  /** Whether there was anything to write. */
  async #write(): Promise<boolean> {
    const { writer, log } = this.options;
    const changed = this.#silence.takeChanged();
    if (changed.size === 0) return false;
    const silent = [...changed].filter(([, is]) => is).map(([id]) => id);
    const heard = [...changed].filter(([, is]) => !is).map(([id]) => id);
    log.info(
      { silent: silent.join(), heard: heard.join() },
      "nodes fell silent or are heard again",
    );
    try {
      const written = await writer.write(
        (draft) => recordSilence(draft, changed),
        () => true,
      );
      if (!isRefusal(written)) return true;
      log.warn({ err: written.message }, "could not write down who is silent");
    } catch (error) {
      log.warn({ err: messageOf(error) }, "could not write down who is silent");
    }
    this.#silence.note(changed.keys());
    return true;
  }
}
