// Carries a change of the data path port from step to step, while this manager leads. What it waits for is in the log
// and in what the nodes say, so any leader can go on with it.
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import { Signal } from "../../common/watch.js";
import { advanceMove, giveUpMove } from "../control/data-path-port.js";
import { type MoveStep, moveStep, type NodeWay } from "../dispatch/data-path-move.js";
import { versionOf } from "../store/objects.js";
import type { Store } from "../store/store.js";
import type { Writer } from "./write.js";

// Choice: a person waits; looking costs a walk over the nodes.
const LOOK_MS = 100;

export interface DataPathMovesOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}

export class DataPathMoves {
  constructor(
    private readonly options: DataPathMovesOptions,
    /** Of each node that has a session, about this revision. */
    private readonly ways: (revision: number) => readonly NodeWay[],
  ) {}

  async run(term: AbortSignal): Promise<void> {
    const { store, clock, log } = this.options;
    const news = new Signal();
    const unsubscribe = store.changes.subscribe(() => news.notify());
    let version = 0;
    let sinceMs = 0;
    try {
      while (!term.aborted) {
        const cluster = store.view.cluster();
        if (cluster?.dataPathMove === undefined) {
          await news.wait(term);
          continue;
        }
        if (versionOf(cluster) !== version) {
          version = versionOf(cluster);
          sinceMs = clock.monotonicMs();
        }
        const waitedMs = clock.monotonicMs() - sinceMs;
        await this.#take(moveStep(store.view, this.ways(version), waitedMs), version);
        await clock.sleep(LOOK_MS, term);
      }
    } catch (error) {
      if (!term.aborted) log.error({ err: messageOf(error) }, "data path moves stopped");
    } finally {
      unsubscribe();
    }
  }

  async #take(step: MoveStep, version: number): Promise<void> {
    if (step.kind === "wait") return;
    const { writer, log } = this.options;
    try {
      const written = await writer.write(
        (draft) => {
          // Somebody has asked for another port meanwhile.
          const cluster = draft.cluster();
          if (cluster === undefined || versionOf(cluster) !== version) return undefined;
          return step.kind === "advance" ? advanceMove(draft) : giveUpMove(draft, step.why);
        },
        (_view, cluster) => cluster,
      );
      if (written === undefined || isRefusal(written)) return;
      const { dataPathPort: port, dataPathMove, dataPathProblem: err } = written;
      const also = dataPathMove?.port;
      if (step.kind === "advance") log.info({ port, also }, "data path port");
      else log.warn({ port, err }, "data path port not changed");
    } catch (error) {
      log.warn({ err: messageOf(error) }, "data path move not written");
    }
  }
}
