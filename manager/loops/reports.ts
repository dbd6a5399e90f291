// What nodes report of their tasks, gathered and written: while one write is under way all that comes
// meanwhile waits and shares the next one, the newest word on each task standing for the older ones. An
// agent reports everything again when its session begins, so what is lost with the lead is not lost.
import type { Clock } from "../../common/clock.js";
import { isRefusal, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import { Signal } from "../../common/watch.js";
import type { TaskReport } from "../../proto/gen/dispatcher.js";
import { TaskState } from "../../proto/gen/service.js";
import { recordReports } from "../control/task-status.js";
import type { Store } from "../store/store.js";
import type { Writer } from "./write.js";

// Choice: about half a megabyte of tasks in one transaction, far below what an entry of the log may be.
const REPORTS_MAX = 256;
// Choice: a disk that was full may have space now.
const RETRY_MS = 1_000;

export interface ReportsOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Noted {
  readonly nodeId: string;
  readonly report: TaskReport;
}

export class Reports {
  /** By task id, oldest first. Only tasks of the node that reports get in, so it is no longer than the store. */
  readonly #waiting = new Map<string, Noted>();
  readonly #wake = new Signal();

  constructor(private readonly options: ReportsOptions) {}

  note(nodeId: string, reports: readonly TaskReport[]): void {
    const { view } = this.options.store;
    for (const report of reports) {
      if (report.status === undefined || view.task(report.taskId)?.nodeId !== nodeId) continue;
      const known = this.#waiting.get(report.taskId)?.report.status?.state ?? TaskState.NEW;
      if (report.status.state < known) continue;
      this.#waiting.set(report.taskId, { nodeId, report });
    }
    if (this.#waiting.size > 0) this.#wake.notify();
  }

  /** Until the term ends. */
  async run(term: AbortSignal): Promise<void> {
    const { clock, log } = this.options;
    while (!term.aborted) {
      try {
        await this.#wake.wait(term);
        while (this.#waiting.size > 0 && !term.aborted) {
          const why = await this.#writeSome();
          if (why === undefined) continue;
          log.warn({ err: why, reports: this.#waiting.size }, "task reports wait");
          await clock.sleep(RETRY_MS, term);
        }
      } catch (error) {
        if (!term.aborted) log.error({ err: messageOf(error) }, "task reports failed");
      }
    }
  }

  /** Why it could not be done; what was taken waits again then. */
  async #writeSome(): Promise<string | undefined> {
    const taken = [...this.#waiting].slice(0, REPORTS_MAX);
    for (const [taskId] of taken) this.#waiting.delete(taskId);
    const why = await this.#write(taken.map(([, noted]) => noted));
    if (why === undefined) return undefined;
    for (const [taskId, noted] of taken) {
      if (!this.#waiting.has(taskId)) this.#waiting.set(taskId, noted);
    }
    return why;
  }

  async #write(taken: readonly Noted[]): Promise<string | undefined> {
    try {
      const result = await this.options.writer.write(
        (draft, nowMs) => {
          for (const { nodeId, report } of taken) recordReports(draft, nodeId, [report], nowMs);
          return true;
        },
        () => true,
      );
      return isRefusal(result) ? result.message : undefined;
    } catch (error) {
      return messageOf(error);
    }
  }
}
