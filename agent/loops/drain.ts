// Before a task that was serving is stopped because the swarm wants it, every node is to have heard of it:
// nobody sends it a new connection then. All tasks that were told at once wait with one question.
import type { Clock } from "../../common/clock.js";
import { type Task, TaskState } from "../../proto/gen/service.js";
import type { HeldAssignments } from "./held-assignments.js";

// Choice: the manager answers after two seconds at the latest; a network that loses its answer costs one more.
const DEADLINE_MS = 3_000;

export class Drain {
  readonly #asked = new Map<number, Promise<void>>();

  /** `settle` asks the leader; `isOpen`: there is a session. */
  constructor(
    private readonly held: Pick<HeldAssignments, "current">,
    private readonly settle: (revision: number, timeoutMs: number) => Promise<void>,
    private readonly isOpen: () => boolean,
    private readonly clock: Clock,
  ) {}

  /** Resolves when it may be stopped; rejects only if aborted. */
  async drained(task: Task, signal: AbortSignal): Promise<void> {
    const { revision, services } = this.held.current;
    if (task.desiredState < TaskState.SHUTDOWN || task.endpointIds.length === 0) return;
    // A service that was removed has no address any more to which anybody could send.
    if (!services.some(({ id }) => id === task.serviceId) || !this.isOpen()) return;
    const over = new AbortController();
    const late = this.clock.sleep(DEADLINE_MS, AbortSignal.any([signal, over.signal]));
    try {
      await Promise.race([this.#ask(revision), late]);
    } finally {
      over.abort();
      await late.catch(() => {});
    }
    signal.throwIfAborted();
  }

  #ask(revision: number): Promise<void> {
    const known = this.#asked.get(revision);
    if (known !== undefined) return known;
    const asked = this.settle(revision, DEADLINE_MS)
      // Nobody answers: nobody is waited for.
      .catch(() => {})
      .finally(() => this.#asked.delete(revision));
    this.#asked.set(revision, asked);
    return asked;
  }
}
