// Says to the leader what of the assignments is in the kernel. What comes while it waits is said together.
import { Signal } from "../../common/watch.js";
import type { Applied as AppliedMessage } from "../../proto/gen/dispatcher.js";
import type { HeldAssignments } from "./held-assignments.js";

/** On which ports frames are taken, and why not on all. */
export type Way = Pick<AppliedMessage, "dataPathPorts" | "dataPathProblem">;

// Choice: a port that was taken is tried again by the applier; so late it is heard of when that has helped.
const PROBLEM_AGAIN_MS = 500;

export class Applied {
  /** `reached` resolves when what is held by now is in the kernel's tables. */
  constructor(
    private readonly held: HeldAssignments,
    private readonly reached: (signal: AbortSignal) => Promise<Way>,
  ) {}

  /** A session is open: says so once, and each time that more is applied, until the returned function is called. */
  opened(send: (applied: AppliedMessage) => void): () => void {
    const stop = new AbortController();
    const news = new Signal();
    const unfollow = this.held.changed.subscribe(() => news.notify());
    void this.#say(send, news, stop.signal).finally(unfollow);
    return () => stop.abort();
  }

  async #say(
    send: (applied: AppliedMessage) => void,
    news: Signal,
    signal: AbortSignal,
  ): Promise<void> {
    let said: AppliedMessage = { revision: 0, dataPathPorts: [], dataPathProblem: "" };
    while (!signal.aborted) {
      const { revision } = this.held.current;
      try {
        if (revision <= said.revision && said.dataPathProblem !== "") {
          const soon = AbortSignal.any([signal, AbortSignal.timeout(PROBLEM_AGAIN_MS)]);
          await news.wait(soon).catch(() => {});
          signal.throwIfAborted();
        } else if (revision <= said.revision || !this.held.isTold) {
          await news.wait(signal);
          continue;
        }
        const next = { revision, ...(await this.reached(signal)) };
        if (revision <= said.revision && next.dataPathProblem === said.dataPathProblem) continue;
        said = next;
        send(said);
      } catch {
        // The applier is closed, or the session is over.
        return;
      }
    }
  }
}
