// Service logs, on the leader: who reads asks the nodes that have the tasks, through their sessions; what
// they publish is merged as it comes. A reader ends when every node has sent all it had or cannot be
// reached, or, when it follows, when its person has gone.
import type { Clock } from "../../common/clock.js";
import { Fault, orThrow, type Refusal, Refused, refuse } from "../../common/fault.js";
import type { LogMessage, LogsRequest } from "../../proto/gen/control.js";
import type { LogBatch, LogSubscription } from "../../proto/gen/dispatcher.js";
import { type Task, TaskState } from "../../proto/gen/service.js";
import { findService, findTask } from "../control/work-lookup.js";
import { isTold } from "../dispatch/task-view.js";
import type { Store } from "../store/store.js";
import type { StoreChange } from "../store/view.js";
import { LogReader } from "./log-readers.js";

// Choice: each costs up to a megabyte here and readers of files on many nodes.
const READERS_MAX = 256;
// Choice: an agent that was asked begins at once; one that has not by then cannot, or is too old.
const BEGIN_MS = 10_000;
const LOOK_MS = 1_000;

/** The part of Sessions that this needs. Both answer false when the node has no session. */
export interface LogSessions {
  askLogs(nodeId: string, subscription: LogSubscription): boolean;
  closeLogs(nodeId: string, subscriptionId: number): boolean;
}

export interface LogBrokerOptions {
  readonly store: Store;
  readonly clock: Clock;
}

export class LogBroker {
  readonly #readers = new Map<number, LogReader>();
  #lastId = 0;

  constructor(
    private readonly options: LogBrokerOptions,
    private readonly sessions: LogSessions,
  ) {}

  async *read(
    request: LogsRequest,
    term: AbortSignal,
    caller: AbortSignal,
  ): AsyncIterable<LogMessage> {
    const signal = AbortSignal.any([term, caller]);
    const reader = this.#open(request);
    const unsubscribe = this.options.store.changes.subscribe((change) => {
      if (reader.options.follow) this.#followChange(reader, change);
    });
    try {
      const unscheduled = this.#askAll(reader);
      yield* this.#messages(reader, signal);
      const missing = reader.shortcomings(unscheduled);
      if (missing.length > 0) throw new Refused(refuse("unavailable", incomplete(missing)));
    } catch (error) {
      if (caller.aborted) return;
      if (!term.aborted) throw error;
      throw new Refused(refuse("unavailable", "this manager no longer leads the swarm"));
    } finally {
      unsubscribe();
      this.#readers.delete(reader.id);
      for (const nodeId of reader.nodes()) {
        if (reader.stateOf(nodeId)?.kind !== "done") this.sessions.closeLogs(nodeId, reader.id);
      }
      reader.close();
    }
  }

  /** A node's stream, until the node closes it; throws Refused when nobody reads it any more. */
  async publish(nodeId: string, incoming: AsyncIterable<LogBatch>): Promise<void> {
    let reader: LogReader | undefined;
    try {
      for await (const { subscriptionId, messages, last } of incoming) {
        reader = this.#readers.get(subscriptionId);
        if (reader === undefined || reader.stateOf(nodeId) === undefined) {
          throw new Refused(refuse("not-found", "nobody reads these logs any more"));
        }
        if (reader.stateOf(nodeId)?.kind !== "publishing") {
          reader.set(nodeId, { kind: "publishing" });
        }
        const { view } = this.options.store;
        await reader.push(nodeId, messages, (id) => view.task(id)?.serviceId ?? "");
        if (reader.isClosed) throw new Refused(refuse("not-found", "the reader has gone"));
        if (last) reader.set(nodeId, { kind: "done" });
      }
    } finally {
      // A stream that is cut off ends as one that is closed; only the last batch tells them apart.
      if (reader?.stateOf(nodeId)?.kind === "publishing") {
        reader.set(nodeId, { kind: "missing", why: `node ${nodeId} stopped sending` });
      }
    }
  }

  /** A node's session is over; what it still publishes is taken all the same. */
  ended(nodeId: string): void {
    for (const reader of this.#readers.values()) {
      if (reader.stateOf(nodeId)?.kind === "asked") reader.set(nodeId, unavailable(nodeId));
    }
  }

  #open(request: LogsRequest): LogReader {
    if (this.#readers.size >= READERS_MAX) {
      const sentence = `${READERS_MAX} others read logs already; try again later`;
      throw new Refused(refuse("resource-exhausted", sentence));
    }
    const { view } = this.options.store;
    const { serviceIds, taskIds, options } = request;
    const services = serviceIds.map((ref) => idOrThrow(findService(view, ref)));
    const tasks = taskIds.map((ref) => idOrThrow(findTask(view, ref)));
    const selection = { serviceIds: new Set(services), taskIds: new Set(tasks) };
    // Agents tell readers apart by it, across leaders too.
    this.#lastId = Math.max(this.#lastId + 1, Math.floor(this.options.clock.nowMs()));
    const reader = new LogReader(this.#lastId, selection, { ...NO_OPTIONS, ...options });
    this.#readers.set(reader.id, reader);
    return reader;
  }

  /** Answers the tasks that no node has. */
  #askAll(reader: LogReader): readonly Task[] {
    const unscheduled: Task[] = [];
    for (const task of this.#selected(reader)) {
      const isAssigned: boolean = isTold(task);
      if (isAssigned) reader.add(task);
      else if ((task.status?.state ?? TaskState.NEW) < TaskState.ASSIGNED) unscheduled.push(task);
    }
    for (const nodeId of [...reader.nodes()]) this.#ask(reader, nodeId);
    return unscheduled;
  }

  *#selected(reader: LogReader): Iterable<Task> {
    const { view } = this.options.store;
    const { serviceIds, taskIds } = reader.selection;
    for (const id of serviceIds) yield* view.tasksOf(id);
    for (const id of taskIds) {
      const task = view.task(id);
      if (task !== undefined && !serviceIds.has(task.serviceId)) yield task;
    }
  }

  #ask(reader: LogReader, nodeId: string, taskIds: Iterable<string> = reader.tasksOn(nodeId)) {
    const options = reader.optionsFor(nodeId);
    const subscription = { subscriptionId: reader.id, taskIds: [...taskIds], options };
    const asked = this.sessions.askLogs(nodeId, subscription);
    if (!asked) {
      if (reader.stateOf(nodeId)?.kind !== "missing") reader.set(nodeId, unavailable(nodeId));
      return;
    }
    if (reader.stateOf(nodeId)?.kind === "publishing") return;
    reader.set(nodeId, { kind: "asked", sinceMs: this.options.clock.monotonicMs() });
  }

  #followChange(reader: LogReader, { restored, changed }: StoreChange): void {
    const found = new Map<string, string[]>();
    const look = (task: Task) => {
      if (!reader.selects(task) || !reader.add(task)) return;
      found.set(task.nodeId, [...(found.get(task.nodeId) ?? []), task.id]);
    };
    if (restored) for (const task of this.#selected(reader)) look(task);
    for (const { kind, after } of changed) if (kind === "task" && after !== undefined) look(after);
    for (const [nodeId, taskIds] of found) this.#ask(reader, nodeId, taskIds);
  }

  async *#messages(reader: LogReader, signal: AbortSignal): AsyncIterable<LogMessage> {
    const { clock } = this.options;
    for (;;) {
      // Judged before what came is taken: more may come, and the last node be done, while it is handed on.
      const isOver = !reader.options.follow && !reader.isPending();
      yield* reader.take();
      if (isOver) return;
      const done = new AbortController();
      const waits = AbortSignal.any([signal, done.signal]);
      const wait = [reader.wake.wait(waits), clock.sleep(LOOK_MS, waits)];
      try {
        await Promise.race(wait);
      } finally {
        done.abort(new Fault("LOGS_LOOK"));
        await Promise.allSettled(wait);
      }
      if (reader.options.follow) {
        // A node that comes back goes on where it was cut off.
        for (const nodeId of reader.missing()) this.#ask(reader, nodeId);
      } else {
        for (const nodeId of reader.silentSince(clock.monotonicMs() - BEGIN_MS)) {
          reader.set(nodeId, { kind: "missing", why: `node ${nodeId} did not answer in time` });
        }
      }
    }
  }
}

function unavailable(nodeId: string) {
  return { kind: "missing", why: `node ${nodeId} is not available` } as const;
}

// swarmkit manager/logbroker/subscription.go.
function incomplete(reasons: readonly string[]): string {
  const start = "warning: incomplete log stream. some logs could not be retrieved";
  return `${start} for the following reasons: ${reasons.join(", ")}`;
}

function idOrThrow(found: { readonly id: string } | Refusal): string {
  return orThrow(found).id;
}

const NO_OPTIONS = {
  stdout: true,
  stderr: true,
  follow: false,
  tail: undefined,
  sinceMs: 0,
  untilMs: 0,
};
