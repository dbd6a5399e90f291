// The tasks that the swarm has given to this node: one controller each, and the containers of tasks that
// it no longer has taken away. Without a manager all goes on as it is.
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { TaskNode } from "../../common/template/task-template.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import type { Container, Containers, Events, Images, LocalNetworks } from "../seams.js";
import { isOver } from "../task/task-step.js";
import type { Drain } from "./drain.js";
import type { HeldAssignments } from "./held-assignments.js";
import { Slots } from "./slots.js";
import { TaskController } from "./task-controller.js";
import { TaskImages } from "./task-images.js";
import { TaskReports } from "./task-reports.js";

// Choices: what a machine of a few cores does at once without anything taking longer than alone.
const PREPARES_AT_ONCE = 8;
const STARTS_AT_ONCE = 16;
// Choice: so many containers of tasks that are over are kept for whoever wants to look into one. The swarm's
// history (five tasks a slot) would fill a node of many slots with them.
const ENDED_KEPT = 250;

/** The membership that tasks come from. */
export interface TaskSource {
  readonly node: TaskNode;
  readonly held: HeldAssignments;
  readonly drain: Pick<Drain, "drained">;
}

export interface TaskLoopTools {
  readonly containers: Containers;
  readonly images: Images;
  readonly localNets: LocalNetworks;
  readonly events: Pick<Events, "follow">;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
}

export class TaskLoop {
  readonly reports = new TaskReports();
  readonly #controllers = new Map<string, TaskController>();
  /** Tasks that are over and have a container, in the order of their ends. */
  readonly #ended = new Set<string>();
  readonly #byContainer = new Map<string, TaskController>();
  /** Containers that are being taken away. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #noted = new Signal();
  readonly #stop = new AbortController();
  readonly #images: TaskImages;
  readonly #prepares = new Slots(PREPARES_AT_ONCE);
  readonly #starts = new Slots(STARTS_AT_ONCE);
  #source: TaskSource | undefined;
  #unfollow = () => {};
  #running: Promise<void> = Promise.resolve();
  #isStarted = false;

  constructor(private readonly tools: TaskLoopTools) {
    this.#images = new TaskImages(tools.images, tools.clock, tools.log);
  }

  /** Containers of an earlier agent are known: tasks go on from where they are. */
  start(): void {
    this.#isStarted = true;
    const unfollow = this.tools.events.follow(({ type, id }) => {
      if (type === "container") this.#byContainer.get(id)?.containerChanged();
    });
    this.#running = this.#run().finally(unfollow);
    this.#noted.notify();
  }

  setSource(source: TaskSource | undefined): void {
    this.#unfollow();
    this.#source = source;
    this.#unfollow = source?.held.changed.subscribe(() => this.#noted.notify()) ?? (() => {});
    this.#noted.notify();
  }

  /** This node left the swarm: its tasks are nobody's. Resolves when their containers are gone. */
  async leave(): Promise<void> {
    this.setSource(undefined);
    const controllers = [...this.#controllers.values()];
    this.#controllers.clear();
    await Promise.all(controllers.map((controller) => controller.close()));
    this.#byContainer.clear();
    this.#ended.clear();
    this.reports.clear();
    this.#removeLeftOver(() => false, "at once");
    await Promise.all(this.#leaving.values());
  }

  async close(): Promise<void> {
    this.#unfollow();
    this.#stop.abort();
    await this.#running;
    await Promise.all([...this.#controllers.values()].map((controller) => controller.close()));
  }

  /** The container of a task of this node; empty: it has none yet. Undefined: there is no such task. */
  containerOf(taskId: string): string | undefined {
    return this.#controllers.get(taskId)?.containerId;
  }

  /** Of this node and the task, for whoever shows what it says. */
  get source(): TaskSource | undefined {
    return this.#source;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#noted.wait(signal).catch(() => {});
      if (!signal.aborted) this.#look();
    }
  }

  #look(): void {
    const source = this.#source;
    if (source === undefined) {
      this.#removeLeftOver(() => false, "at once");
      return;
    }
    const { tasks } = source.held.current;
    const isNew = tasks.some(({ id }) => !this.#controllers.has(id));
    const found = isNew ? this.#containersByTask() : new Map<string, Container>();
    for (const task of tasks) {
      const controller = this.#controllers.get(task.id);
      if (controller !== undefined) controller.told(task);
      else this.#begin(source, task, found.get(task.id));
    }
    const ids = new Set(tasks.map(({ id }) => id));
    for (const [id, controller] of this.#controllers) if (!ids.has(id)) controller.gone();
    // What a journal does not name the swarm may have given a moment before a crash.
    if (!source.held.isTold) return;
    this.#removeLeftOver((taskId) => this.#controllers.has(taskId), "in peace");
  }

  #begin(
    source: TaskSource,
    task: HeldAssignments["current"]["tasks"][number],
    container: Container | undefined,
  ): void {
    const { localNets } = this.tools;
    const controller = new TaskController(task, container, {
      ...this.tools,
      images: this.#images,
      prepares: this.#prepares,
      starts: this.#starts,
      drained: (each, signal) => source.drain.drained(each, signal),
      around: () => ({
        node: source.node,
        endpoints: source.held.current.endpoints,
        networks: source.held.current.networks,
        isLocalNetwork: (ref) => localNets.find(ref) !== undefined,
      }),
      handed: () => {
        const { secrets, configs } = source.held.current;
        return { secrets, configs, isComplete: source.held.isComplete };
      },
      report: (id, status) => {
        if (this.#source !== source) return;
        const known = this.#controllers.get(id);
        if (known !== undefined && status.containerId !== "") {
          this.#byContainer.set(status.containerId, known);
        }
        source.held.said(id, status);
        this.reports.set(id, status);
        if (isOver(status.state) && status.containerId !== "") this.#keepFew(id);
      },
    });
    this.#controllers.set(task.id, controller);
    if (container !== undefined) {
      this.#byContainer.set(container.id, controller);
      if (isOver(controller.state)) this.#keepFew(task.id);
    }
    void controller.done.then(() => {
      if (this.#controllers.get(task.id) !== controller || this.#stop.signal.aborted) return;
      this.#controllers.delete(task.id);
      this.#ended.delete(task.id);
      this.reports.forget(task.id);
      for (const [id, each] of this.#byContainer) {
        if (each === controller) this.#byContainer.delete(id);
      }
      // It may have been given again while its container went.
      this.#noted.notify();
    });
  }

  #keepFew(taskId: string): void {
    this.#ended.add(taskId);
    for (const id of this.#ended) {
      if (this.#ended.size <= ENDED_KEPT) return;
      this.#ended.delete(id);
      this.#controllers.get(id)?.grownOld();
    }
  }

  #containersByTask(): Map<string, Container> {
    const found = new Map<string, Container>();
    for (const container of this.tools.containers.list()) {
      const { taskId } = container.spec;
      if (taskId !== "" && container.state !== "removing") found.set(taskId, container);
    }
    return found;
  }

  #removeLeftOver(isKnown: (taskId: string) => boolean, manner: "at once" | "in peace"): void {
    if (!this.#isStarted) return;
    for (const { id, spec } of this.tools.containers.list()) {
      if (spec.taskId === "" || isKnown(spec.taskId) || this.#leaving.has(id)) continue;
      const removal = this.#remove(id, manner).finally(() => this.#leaving.delete(id));
      this.#leaving.set(id, removal);
    }
  }

  async #remove(id: string, manner: "at once" | "in peace"): Promise<void> {
    const { containers, clock, timing, log } = this.tools;
    log.info({ container: id }, "the swarm no longer has this container's task: it is removed");
    try {
      if (manner === "in peace") await containers.stop(id, undefined);
      const refusal = await containers.remove(id, true, true);
      if (refusal === undefined || refusal.code === "not-found") return;
      log.warn({ container: id, err: refusal.message }, "container not removed");
    } catch (error) {
      log.warn({ container: id, err: messageOf(error) }, "container not removed");
    }
    await clock.sleep(timing.retryMaxMs, this.#stop.signal).catch(() => {});
    this.#noted.notify();
  }
}
