// One task of this node from its assignment to its container's end: does the steps of task/task-step.ts,
// one after the other, and says what came of each. What is desired may change at any moment.

import type { Clock } from "../../common/clock.js";
import { Fault, faultFields, isRefusal, unreachable } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import { type Task, TaskState, type TaskStatus } from "../../proto/gen/service.js";
import { lacksCredentials } from "../assignments/merge.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { Container, Containers } from "../seams.js";
import { statusAtFirst } from "../task/first-status.js";
import { parseRegistryAuth } from "../task/registry-auth.js";
import { type Handed, taskFiles } from "../task/task-files.js";
import { publishedPorts, type TaskSurroundings, taskContainer } from "../task/task-spec.js";
import {
  exitSentence,
  isEnd,
  isOver,
  nextStep,
  startFailed,
  type TaskStep,
  UNHEALTHY,
} from "../task/task-step.js";
import type { Slots } from "./slots.js";
import type { TaskImages } from "./task-images.js";

export interface TaskTools {
  readonly containers: Containers;
  readonly images: TaskImages;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
  /** How many are prepared, and started, at once. */
  readonly prepares: Slots;
  readonly starts: Slots;
  /** Resolves when nobody sends it new connections any more, as far as anybody knows. */
  readonly drained: (task: Task, signal: AbortSignal) => Promise<void>;
  readonly around: () => TaskSurroundings;
  readonly handed: () => Handed & { readonly isComplete: boolean };
  readonly report: (taskId: string, status: TaskStatus) => void;
}

type Next =
  | TaskStep
  /** It is over, and its container runs: somebody started it again, or the managers wrote it off. */
  | { readonly kind: "silence" }
  | { readonly kind: "remove" }
  | { readonly kind: "finish" };

export class TaskController {
  /** Resolves when it is closed, or when the task is gone with its container. */
  readonly done: Promise<void>;
  #status: TaskStatus;
  #containerId: string;
  #isGone = false;
  #isOld = false;
  readonly #closed = new AbortController();
  /** Ends the step that is being done; undefined while none can be ended. */
  #interrupt = new AbortController();
  readonly #changed = new Signal();
  /** Something happened to the container: its health, its end. */
  readonly #seen = new Signal();

  /** `container` is the task's own, when an earlier agent made it. */
  constructor(
    private task: Task,
    container: Container | undefined,
    private readonly tools: TaskTools,
  ) {
    this.#containerId = container?.id ?? "";
    this.#status = statusAtFirst(task, container, tools.clock.nowMs());
    // Also what was said before: nobody knows whether it was heard.
    if (this.#status.state > TaskState.ASSIGNED) this.#report(this.#status);
    this.done = this.#run();
  }

  get containerId(): string {
    return this.#containerId;
  }

  get state(): TaskState {
    return this.#status.state;
  }

  /** The swarm has told of it again, or of what it needs. */
  told(task: Task): void {
    this.task = task;
    this.#look();
  }

  /** The swarm no longer has it: it ends, and nothing of it stays. */
  gone(): void {
    this.#isGone = true;
    this.#look();
  }

  /** So many have ended since that its container is kept no longer. */
  grownOld(): void {
    this.#isOld = true;
    this.#look();
  }

  containerChanged(): void {
    this.#seen.notify();
    if (isOver(this.#status.state)) this.#changed.notify();
  }

  /** Lets go; the container stays as it is. */
  async close(): Promise<void> {
    this.#closed.abort(new Fault("STOPPED"));
    this.#interrupt.abort(new Fault("STOPPED"));
    await this.done;
  }

  #look(): void {
    if (isEnd(this.#desired())) this.#interrupt.abort(new Fault("TASK_STOPPED"));
    this.#changed.notify();
  }

  #desired(): TaskState {
    // What the managers hold to be over (its node was thought dead) must not go on.
    const isWritten = isOver(this.task.status?.state ?? TaskState.NEW);
    return this.#isGone || isWritten ? TaskState.SHUTDOWN : this.task.desiredState;
  }

  #next(): Next {
    const step = nextStep(this.#status.state, this.#desired());
    if (step.kind !== "rest" || !isOver(this.#status.state)) return step;
    const isRemoved = this.task.desiredState === TaskState.REMOVE;
    const isUnwanted = this.#isGone || this.#isOld || isRemoved;
    if (isUnwanted && this.#containerId !== "") return { kind: "remove" };
    if (this.#container()?.state === "running") return { kind: "silence" };
    return this.#isGone ? { kind: "finish" } : step;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    const { timing, clock, log } = this.tools;
    let pauseMs = timing.retryMinMs;
    while (!signal.aborted) {
      const next = this.#next();
      if (next.kind === "finish") return;
      const canBeEnded = next.kind === "prepare" || next.kind === "start" || next.kind === "watch";
      if (canBeEnded) this.#interrupt = new AbortController();
      const { signal: ended } = this.#interrupt;
      try {
        await this.#take(next, canBeEnded ? AbortSignal.any([ended, signal]) : signal);
        pauseMs = timing.retryMinMs;
      } catch (error) {
        if (signal.aborted || (canBeEnded && ended.aborted)) continue;
        log.warn(
          { task: this.task.id, step: next.kind, ...faultFields(error) },
          "task step failed",
        );
        await clock.sleep(pauseMs, signal).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, timing.retryMaxMs);
      }
    }
  }

  #take(next: Exclude<Next, { kind: "finish" }>, signal: AbortSignal): Promise<void> {
    switch (next.kind) {
      case "advance":
        this.#become(next.state, next.message);
        return Promise.resolve();
      case "rest":
        return this.#changed.wait(signal);
      case "prepare":
        return this.#prepare(signal);
      case "start":
        return this.#start(signal);
      case "watch":
        return this.#watch(signal);
      case "stop":
        return this.#stop(signal);
      case "silence":
        return this.#silence(signal);
      case "remove":
        return this.#remove(signal);
      default:
        return unreachable(next);
    }
  }

  // ---- Steps

  async #prepare(signal: AbortSignal): Promise<void> {
    const { tools, task } = this;
    if (lacksCredentials(task) && !tools.handed().isComplete) return this.#changed.wait(signal);
    const made = taskContainer(task, tools.around());
    if (typeof made === "string") return this.#fail(made);
    const giveBack = await tools.prepares.take(signal);
    try {
      if (made.spec.runtime === "containerd") {
        const auth = parseRegistryAuth(made.asked.registryAuth);
        const missing = await tools.images.fetch(made.spec.image, auth, signal);
        if (missing !== undefined) {
          const { why } = missing;
          return this.#fail(missing.err, why === "" ? {} : { message: `preparing: ${why}` });
        }
      }
      signal.throwIfAborted();
      const created = await tools.containers.create(made.spec);
      if (!isRefusal(created)) this.#containerId = created.id;
      else {
        // An earlier try of this agent's may have come as far as that.
        const found = tools.containers.list().find(({ spec }) => spec.taskId === task.id);
        if (found === undefined) return this.#fail(created.message);
        this.#containerId = found.id;
      }
    } catch (error) {
      if (signal.aborted) throw error;
      return this.#fail(sentenceOf(error));
    } finally {
      giveBack();
    }
    this.#become(TaskState.READY, "prepared", { containerId: this.#containerId });
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { tools, task } = this;
    const { containers } = tools;
    const found = this.#container();
    if (found === undefined) return this.#fail(`No such container: ${this.#containerId}`);
    if (found.state === "created") {
      const made = taskContainer(task, tools.around());
      if (typeof made === "string") return this.#fail(startFailed(made));
      const handed = tools.handed();
      // After a restart, until a manager answers, nobody knows what the journal does not keep.
      const { secrets, configs } = made.asked;
      if (!handed.isComplete && secrets.length + configs.length > 0) {
        return this.#changed.wait(signal);
      }
      const files = taskFiles(task, made.asked, tools.around().node, handed);
      if (typeof files === "string") return this.#fail(startFailed(files));
      const giveBack = await tools.starts.take(signal);
      try {
        const started = containers.start(this.#containerId, files);
        const refusal = await within(started, signal);
        if (refusal !== undefined) return this.#fail(startFailed(refusal.message));
      } catch (error) {
        if (signal.aborted) throw error;
        return this.#fail(startFailed(sentenceOf(error)));
      } finally {
        giveBack();
      }
    }
    const container = await this.#until(({ state, health }) => {
      return state !== "running" || health === undefined || health.status !== "starting";
    }, signal);
    if (container === undefined) return this.#fail(`No such container: ${this.#containerId}`);
    if (container.health?.status === "unhealthy") return this.#endUnhealthy(signal);
    if (container.state !== "running" && container.exitCode !== 0) return this.#watch(signal);
    this.#become(TaskState.RUNNING, "started", {
      containerId: this.#containerId,
      pid: container.pid,
      ports: publishedPorts(task, container.ports),
    });
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    try {
      const exit = this.tools.containers.wait(this.#containerId, "not-running", either);
      exit.catch(() => {});
      const first = await Promise.race([exit, this.#sick(either)]);
      if (first === "unhealthy") return await this.#endUnhealthy(signal);
      if (isRefusal(first)) return this.#fail(first.message);
      this.#ended(first.exitCode, first.error);
    } finally {
      over.abort();
    }
  }

  /** Resolves only when it is; who waits for it waits for something else too. */
  #sick(signal: AbortSignal): Promise<"unhealthy"> {
    return new Promise((resolve) => {
      this.#until(({ health }) => health?.status === "unhealthy", signal).then(
        (container) => container && resolve("unhealthy"),
        () => {},
      );
    });
  }

  async #endUnhealthy(signal: AbortSignal): Promise<void> {
    const { containers } = this.tools;
    // RUNNING with an error: no new connections come to it while it stops.
    if (this.#status.state === TaskState.RUNNING) {
      this.#report({ ...this.#status, err: UNHEALTHY, atMs: this.tools.clock.nowMs() });
    }
    await within(containers.stop(this.#containerId, undefined), signal);
    const exit = await containers.wait(this.#containerId, "not-running", signal);
    if (isRefusal(exit)) return this.#fail(exit.message);
    this.#ended(exit.exitCode, UNHEALTHY);
  }

  #ended(exitCode: number, why: string): void {
    const container = this.#container();
    const cause = why || (container?.oomKilled ? "out of memory" : "");
    const more = { pid: 0, exitCode };
    if (exitCode === 0) this.#become(TaskState.COMPLETE, "finished", more);
    else this.#fail(exitSentence(exitCode, cause), more);
  }

  async #stop(signal: AbortSignal): Promise<void> {
    const isServing = this.#status.state === TaskState.RUNNING && !this.#isGone;
    if (isServing) await this.tools.drained(this.task, signal);
    if (this.#containerId !== "") await this.#silence(signal);
    const exitCode = this.#container()?.exitCode ?? this.#status.exitCode;
    this.#become(TaskState.SHUTDOWN, "shutdown", { pid: 0, exitCode });
  }

  async #silence(signal: AbortSignal): Promise<void> {
    const stopped = this.tools.containers.stop(this.#containerId, undefined);
    const refusal = await within(stopped, signal);
    if (refusal !== undefined && refusal.code !== "not-found") {
      throw new Fault("TASK_NOT_STOPPED", { task: this.task.id }, new Error(refusal.message));
    }
  }

  async #remove(signal: AbortSignal): Promise<void> {
    const refusal = await within(
      this.tools.containers.remove(this.#containerId, true, true),
      signal,
    );
    if (refusal !== undefined && refusal.code !== "not-found") {
      throw new Fault("TASK_NOT_REMOVED", { task: this.task.id }, new Error(refusal.message));
    }
    this.#containerId = "";
  }

  // ---- What is said

  #become(state: TaskState, message: string, more: Partial<TaskStatus> = {}): void {
    const atMs = this.tools.clock.nowMs();
    this.#report({ ...this.#status, err: "", ...more, state, message, atMs });
  }

  /** It is over. The message stays what it was: it says how far the task came. */
  #fail(err: string, more: Partial<TaskStatus> = {}): void {
    const started = this.#status.state >= TaskState.STARTING;
    const state = started ? TaskState.FAILED : TaskState.REJECTED;
    const { message } = this.#status;
    this.#report({ ...this.#status, message, ...more, state, err, atMs: this.tools.clock.nowMs() });
  }

  #report(status: TaskStatus): void {
    this.#status = status;
    this.tools.report(this.task.id, status);
  }

  // ---- Looking

  #container(): Container | undefined {
    const found =
      this.#containerId === "" ? undefined : this.tools.containers.get(this.#containerId);
    return isRefusal(found) ? undefined : found;
  }

  /** The container when it is so; undefined when it is gone. */
  async #until(
    isSo: (container: Container) => boolean,
    signal: AbortSignal,
  ): Promise<Container | undefined> {
    for (;;) {
      const container = this.#container();
      if (container === undefined || isSo(container)) return container;
      await this.#seen.wait(signal);
    }
  }
}

/** The outcome, unless the signal is aborted first; what was begun then goes on by itself. */
function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
