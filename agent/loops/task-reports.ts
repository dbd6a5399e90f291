// What this node says of its tasks: the last status of each. What changes while a session is open is sent
// together at the next turn; a new session is sent all, so that no report is lost with an old one.
import { Topic } from "../../common/watch.js";
import type { TaskReports as Message } from "../../proto/gen/dispatcher.js";
import type { TaskStatus } from "../../proto/gen/service.js";

// Choice: some 150 KiB a message.
const REPORTS_PER_MESSAGE = 500;

export class TaskReports {
  /** The id of a task whose status has changed. */
  readonly changed = new Topic<string>();
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #unsent = new Set<string>();
  #send: ((message: Message) => void) | undefined;
  #isDue = false;

  status(taskId: string): TaskStatus | undefined {
    return this.#statuses.get(taskId);
  }

  /** A state never goes back; what would is not said. */
  set(taskId: string, status: TaskStatus): void {
    const known = this.#statuses.get(taskId);
    if (known !== undefined && known.state > status.state) return;
    this.#statuses.set(taskId, status);
    this.#unsent.add(taskId);
    this.changed.publish(taskId);
    this.#flushSoon();
  }

  /** The swarm has forgotten it. */
  forget(taskId: string): void {
    this.#statuses.delete(taskId);
    this.#unsent.delete(taskId);
    this.changed.publish(taskId);
  }

  clear(): void {
    this.#statuses.clear();
    this.#unsent.clear();
  }

  /** A session is open: all is said again, then what changes, until the returned function is called. */
  opened(send: (message: Message) => void): () => void {
    this.#send = send;
    for (const id of this.#statuses.keys()) this.#unsent.add(id);
    this.#flush();
    return () => {
      if (this.#send === send) this.#send = undefined;
    };
  }

  /** States that follow at once (accepted, preparing) are one report. */
  #flushSoon(): void {
    if (this.#isDue || this.#send === undefined) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#send === undefined) return;
    const reports = [...this.#unsent].flatMap((taskId) => {
      const status = this.#statuses.get(taskId);
      return status === undefined ? [] : [{ taskId, status }];
    });
    this.#unsent.clear();
    for (let at = 0; at < reports.length; at += REPORTS_PER_MESSAGE) {
      this.#send({ reports: reports.slice(at, at + REPORTS_PER_MESSAGE) });
    }
  }
}
