// One person who reads the output of tasks, on the leader: which nodes were asked, what has come and waits
// to be read, and when there is nothing more to wait for. It knows no sessions and no streams.
import { Signal } from "../../common/watch.js";
import type { LogMessage, LogOptions } from "../../proto/gen/control.js";
import { type Task, TaskState } from "../../proto/gen/service.js";
import { isTold } from "../dispatch/task-view.js";

// Choice: what waits for a slow reader; a publisher that would add more waits too, and with it its node's
// reading of files. A reader therefore costs this much and one batch for each node.
const WAITING_BYTES_MAX = 1024 * 1024;
// A message's own bytes beside its data.
const MESSAGE_BYTES = 128;

/** What is known of a node: asked and silent yet, sending, finished, or out of reach (and why). */
type NodeState =
  | { readonly kind: "asked"; readonly sinceMs: number }
  | { readonly kind: "publishing" }
  | { readonly kind: "done" }
  | { readonly kind: "missing"; readonly why: string };

export interface LogSelection {
  readonly serviceIds: ReadonlySet<string>;
  readonly taskIds: ReadonlySet<string>;
}

export class LogReader {
  /** Something came, or a node's state changed. */
  readonly wake = new Signal();
  readonly #nodes = new Map<string, NodeState>();
  /** By node, the tasks that it was, or is to be, asked for. */
  readonly #tasks = new Map<string, Set<string>>();
  /** When the last line was written that each node sent. */
  readonly #lastMs = new Map<string, number>();
  readonly #waiting: LogMessage[] = [];
  #waitingBytes = 0;
  #roomWanted: (() => void)[] = [];
  #closed = false;

  constructor(
    readonly id: number,
    readonly selection: LogSelection,
    readonly options: LogOptions,
  ) {}

  get isClosed(): boolean {
    return this.#closed;
  }

  selects(task: Task): boolean {
    const { serviceIds, taskIds } = this.selection;
    return isTold(task) && (serviceIds.has(task.serviceId) || taskIds.has(task.id));
  }

  /** Whether the task is one that its node was not asked for. */
  add(task: Task): boolean {
    const tasks = this.#tasks.get(task.nodeId) ?? new Set<string>();
    this.#tasks.set(task.nodeId, tasks);
    if (tasks.has(task.id)) return false;
    tasks.add(task.id);
    return true;
  }

  tasksOn(nodeId: string): ReadonlySet<string> {
    return this.#tasks.get(nodeId) ?? NOTHING;
  }

  nodes(): Iterable<string> {
    return this.#tasks.keys();
  }

  stateOf(nodeId: string): NodeState | undefined {
    return this.#nodes.get(nodeId);
  }

  set(nodeId: string, state: NodeState): void {
    this.#nodes.set(nodeId, state);
    this.wake.notify();
  }

  /** Whether any node may still send. */
  isPending(): boolean {
    for (const { kind } of this.#nodes.values()) {
      if (kind === "asked" || kind === "publishing") return true;
    }
    return false;
  }

  /** Nodes that were asked at `beforeMs` or earlier and have not begun. */
  silentSince(beforeMs: number): readonly string[] {
    const isSilent = (state: NodeState) => state.kind === "asked" && state.sinceMs <= beforeMs;
    return this.#nodesThat(isSilent);
  }

  missing(): readonly string[] {
    return this.#nodesThat(({ kind }) => kind === "missing");
  }

  #nodesThat(holds: (state: NodeState) => boolean): readonly string[] {
    return [...this.#nodes].filter(([, state]) => holds(state)).map(([nodeId]) => nodeId);
  }

  /** What to ask a node for: all, or what came after the last that it sent. */
  optionsFor(nodeId: string): LogOptions {
    const lastMs = this.#lastMs.get(nodeId);
    if (lastMs === undefined) return this.options;
    return { ...this.options, tail: undefined, sinceMs: lastMs + 1 };
  }

  /** Why something is missing from what was read, in no particular order. */
  shortcomings(unscheduled: Iterable<Task>): readonly string[] {
    const sentences: string[] = [];
    for (const state of this.#nodes.values()) {
      if (state.kind === "missing") sentences.push(state.why);
    }
    for (const { id, desiredState } of unscheduled) {
      if (desiredState <= TaskState.COMPLETE) sentences.push(`task ${id} has not been scheduled`);
    }
    return sentences;
  }

  /** What is not about a task that the node was asked for is dropped; names are as the store has them. */
  async push(
    nodeId: string,
    messages: readonly LogMessage[],
    serviceOf: (taskId: string) => string,
  ): Promise<void> {
    const tasks = this.tasksOn(nodeId);
    for (const message of messages) {
      if (!tasks.has(message.taskId)) continue;
      const serviceId = serviceOf(message.taskId) || message.serviceId;
      this.#waiting.push({ ...message, nodeId, serviceId });
      this.#waitingBytes += message.data.length + MESSAGE_BYTES;
      const ms = Number(message.timeNs.slice(0, -6));
      if (ms > (this.#lastMs.get(nodeId) ?? 0)) this.#lastMs.set(nodeId, ms);
    }
    this.wake.notify();
    while (this.#waitingBytes > WAITING_BYTES_MAX && !this.#closed) {
      await new Promise<void>((resolve) => this.#roomWanted.push(resolve));
    }
  }

  /** Everything that waits; who waited for room goes on. */
  take(): readonly LogMessage[] {
    const taken = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    for (const goOn of this.#roomWanted.splice(0)) goOn();
    return taken;
  }

  close(): void {
    this.#closed = true;
    this.take();
    this.wake.notify();
  }
}

const NOTHING: ReadonlySet<string> = new Set();
