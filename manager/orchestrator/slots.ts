// A slot is the place that a task fills: a number of a replicated service, a node of a global one. Its
// tasks follow each other; the newest says how the slot stands.
import { type Service, type Task, TaskState } from "../../proto/gen/service.js";
import { NodeState } from "../../proto/gen/types.js";
import { metaOf } from "../store/objects.js";
import { isOver } from "../store/work-index.js";
import { goalOf, isLeaving, isWanted } from "./task.js";
import type { Work } from "./work.js";

export class Slot {
  readonly #ids: string[];
  /** As they were at that edit of the plan. */
  #tasks: readonly Task[] | undefined;
  #edit = 0;

  constructor(
    private readonly work: Work,
    /** From 1; of a replicated job from 0. 0 of a global service. */
    readonly number: number,
    /** Of a global service, and tells its slots apart; else empty. */
    readonly nodeId: string,
    tasks: readonly Task[] = [],
  ) {
    this.#ids = tasks.map(({ id }) => id);
    this.#tasks = tasks;
    this.#edit = work.edits;
  }

  /** Oldest first, as they are by now. */
  get tasks(): readonly Task[] {
    if (this.#tasks === undefined || this.#edit !== this.work.edits) {
      this.#tasks = this.#ids.flatMap((id) => this.work.get(id) ?? []);
      this.#edit = this.work.edits;
    }
    return this.#tasks;
  }

  /** Those that are to run and have not ended. */
  get living(): readonly Task[] {
    return this.tasks.filter((task) => isWanted(task) && !isOver(task));
  }

  get newest(): Task | undefined {
    return newestOf(this.tasks);
  }

  /** Whether an older task was told to stop, and may still run. */
  get isOccupied(): boolean {
    return this.tasks.some((task) => isInTheWay(this.work, task));
  }

  /** The slot's next task: held back while an older one leaves, or until its time has come. */
  fill(service: Service, notBeforeMs: number): Task {
    const { nowMs } = this.work;
    const held = notBeforeMs > nowMs || this.isOccupied;
    const task = this.work.create(service, {
      slot: this.number,
      nodeId: this.nodeId,
      desiredState: held ? TaskState.READY : goalOf(service),
      // How long it waits for an older task is counted from here (release.ts).
      notBeforeMs: held ? Math.max(notBeforeMs, nowMs) : 0,
      replaces: this.newest?.id ?? "",
    });
    this.#ids.push(task.id);
    return task;
  }
}

/** What was scaled away is in no slot any more, but in the way of one while it has not ended. */
export function slotsOf(work: Work, service: Service): readonly Slot[] {
  const isGlobal = ["global", "globalJob"].includes(service.spec?.mode?.$case ?? "");
  const groups = new Map<number | string, Task[]>();
  for (const task of work.tasks()) {
    const key = isGlobal ? task.nodeId : task.slot;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [task]);
    else group.push(task);
  }
  return [...groups.values()].map((tasks) => {
    if (tasks.length > 1) tasks.sort(byAge);
    const [first] = tasks;
    return new Slot(work, first?.slot ?? 0, isGlobal ? (first?.nodeId ?? "") : "", tasks);
  });
}

export function newestOf(tasks: readonly Task[]): Task | undefined {
  return tasks[tasks.length - 1];
}

/** Nothing runs on a node that is down or gone, as far as can be known. */
export function isInTheWay(work: Work, task: Task): boolean {
  if (!isLeaving(task)) return false;
  const node = work.view.node(task.nodeId);
  return node !== undefined && node.state !== NodeState.DOWN;
}

// Made by an entry that has no index yet (version 0): younger than all. Of two that one entry made, one
// replaces the other.
function byAge(a: Task, b: Task): number {
  const bornA = metaOf(a).createdVersion || Number.POSITIVE_INFINITY;
  const bornB = metaOf(b).createdVersion || Number.POSITIVE_INFINITY;
  if (bornA !== bornB) return bornA < bornB ? -1 : 1;
  if (a.replaces === b.id) return 1;
  if (b.replaces === a.id) return -1;
  return a.id < b.id ? -1 : 1;
}
