// One service and its tasks while they are planned: what is changed is seen at once by what comes after,
// and in the end only the difference remains.
import {
  type Service,
  type Task,
  TaskState,
  TaskStatus,
  type UpdateStatus,
} from "../../proto/gen/service.js";
import type { StoreView } from "../store/view.js";
import { isUnassigned, type NewTask, newTask } from "./task.js";

export interface PlanContext {
  /** Unix milliseconds by the leader's clock. */
  readonly nowMs: number;
  newId(): string;
}

export type TaskChange =
  | { readonly kind: "create"; readonly task: Task }
  | { readonly kind: "update"; readonly task: Task }
  | { readonly kind: "remove"; readonly task: Task };

export class Work {
  readonly #before = new Map<string, Task>();
  readonly #tasks = new Map<string, Task>();
  readonly #touched = new Set<string>();
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #updateStatus: UpdateStatus | undefined;
  #rollback: string | undefined;
  /** Something was left undone for want of room: plan again. */
  unfinished = false;
  /** Grows with each change of a task. */
  edits = 0;

  constructor(
    readonly view: StoreView,
    readonly service: Service | undefined,
    tasks: Iterable<Task>,
    readonly ctx: PlanContext,
    private readonly room: number,
  ) {
    for (const task of tasks) {
      this.#before.set(task.id, task);
      this.#tasks.set(task.id, task);
    }
    this.#updateStatus = service?.updateStatus;
  }

  get nowMs(): number {
    return this.ctx.nowMs;
  }

  tasks(): Iterable<Task> {
    return this.#tasks.values();
  }

  get(id: string): Task | undefined {
    return this.#tasks.get(id);
  }

  /** Whether one more slot may be changed; if not, the plan is to be made again after this one is done. */
  hasRoom(): boolean {
    if (this.#touched.size < this.room) return true;
    this.unfinished = true;
    return false;
  }

  create(service: Service, wish: Omit<NewTask, "id" | "nowMs">): Task {
    const task = newTask(service, { ...wish, id: this.ctx.newId(), nowMs: this.nowMs });
    this.#put(task);
    return task;
  }

  /** A desired state only grows. One that no node has heard of ends at once: nobody else would say so. */
  desire(task: Task, desiredState: TaskState): Task {
    const now = this.#tasks.get(task.id) ?? task;
    if (now.desiredState >= desiredState) return now;
    const after = { ...now, desiredState };
    if (desiredState < TaskState.SHUTDOWN || !isUnassigned(now)) return this.#put(after);
    return this.end(after, TaskState.SHUTDOWN, "shut down before it was given to a node");
  }

  /** Records an end that no node will report. */
  end(task: Task, state: TaskState, message: string): Task {
    const status = task.status ?? TaskStatus.create();
    const ended = { ...status, state, atMs: this.nowMs, message, err: "" };
    return this.#put({ ...task, status: ended });
  }

  remove(task: Task): void {
    this.edits++;
    this.#tasks.delete(task.id);
    this.#touched.add(task.id);
  }

  wakeAt(ms: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, ms);
  }

  get wakeAtMs(): number | undefined {
    return Number.isFinite(this.#wakeAtMs) ? this.#wakeAtMs : undefined;
  }

  get updateStatus(): UpdateStatus | undefined {
    return this.#updateStatus;
  }
  setUpdateStatus(status: UpdateStatus): void {
    this.#updateStatus = status;
  }

  /** The spec goes back to the previous one, with this as its message. */
  rollBack(message: string): void {
    this.#rollback = message;
  }
  get rollback(): string | undefined {
    return this.#rollback;
  }

  changes(): readonly TaskChange[] {
    const changes: TaskChange[] = [];
    for (const id of this.#touched) {
      const before = this.#before.get(id);
      const after = this.#tasks.get(id);
      if (before === undefined && after !== undefined) {
        changes.push({ kind: "create", task: after });
      } else if (before !== undefined && after !== undefined && before !== after) {
        changes.push({ kind: "update", task: after });
      } else if (before !== undefined && after === undefined) {
        changes.push({ kind: "remove", task: before });
      }
    }
    return changes;
  }

  #put(task: Task): Task {
    this.edits++;
    this.#tasks.set(task.id, task);
    this.#touched.add(task.id);
    return task;
  }
}
