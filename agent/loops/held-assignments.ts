// What this node was told, in memory and in the journal. Saves are coalesced: one runs at a time, and
// what came meanwhile is saved by the next, so that a thousand rows cost a few fsyncs.
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { firstTold, Signal, Topic } from "../../common/watch.js";
import type { Assignments } from "../../proto/gen/dispatcher.js";
import type { TaskStatus } from "../../proto/gen/service.js";
import type { Endpoint, Network } from "../../proto/gen/types.js";
import {
  forDisk,
  lacksSomething,
  merge,
  mergeOwn,
  NOTHING,
  withoutOwn,
  withStatus,
} from "../assignments/merge.js";
import type { Journal } from "../seams.js";

export class HeldAssignments {
  readonly changed = new Topic<Assignments>();
  #current: Assignments = NOTHING;
  readonly #dirty = new Signal();
  readonly #stop = new AbortController();
  readonly #writer: Promise<void>;
  #isComplete = true;
  #isTold = false;
  #saved: Assignments = NOTHING;

  constructor(
    held: Assignments | undefined,
    private readonly nodeId: string,
    private readonly journal: Journal,
    private readonly clock: Clock,
    private readonly timing: Timing,
    private readonly log: Logger,
  ) {
    if (held !== undefined) {
      this.#current = merge(undefined, { ...held, full: true }, nodeId);
      this.#isComplete = !lacksSomething(this.#current);
    }
    this.#saved = this.#current;
    this.#writer = this.#write();
  }

  get current(): Assignments {
    return this.#current;
  }

  /** False while it came from the journal and a task needs what a journal does not keep. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether a manager has told anything since this agent started. */
  get isTold(): boolean {
    return this.#isTold;
  }

  /** What the next session is to go on from; 0: all is to be told again. */
  get helloRevision(): number {
    return this.#isComplete ? this.#current.revision : 0;
  }

  hear(heard: Assignments): void {
    if (heard.full) this.#isComplete = true;
    const isFirst = !this.#isTold;
    this.#isTold = true;
    this.#replace(merge(this.#current, heard, this.nodeId));
    // Who waits for a manager's word hears it, also when it says nothing new.
    if (isFirst) this.changed.publish(this.#current);
  }
  /** What this node says of a task. Nobody is told: who says it knows. */
  said(taskId: string, status: TaskStatus): void {
    const next = withStatus(this.#current, taskId, status);
    if (next === this.#current) return;
    this.#current = next;
    this.#dirty.notify();
  }
  addOwn(endpoint: Endpoint, network: Network): void {
    this.#replace(mergeOwn(this.#current, endpoint, network, this.nodeId));
  }
  removeOwn(endpointId: string): void {
    this.#replace(withoutOwn(this.#current, endpointId, this.nodeId));
  }

  /** Resolves when what is held is from revision `version` or later; rejects on abort. */
  async reached(version: number, signal: AbortSignal): Promise<void> {
    if (this.#current.revision >= version) return;
    const reaching = (tell: () => void) =>
      this.changed.subscribe(({ revision }) => {
        if (revision >= version) tell();
      });
    await firstTold<void>(reaching, signal);
  }

  /** Saves what is not saved yet, and ends. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#writer;
  }

  #replace(next: Assignments): void {
    if (next === this.#current) return;
    this.#current = next;
    this.#dirty.notify();
    this.changed.publish(next);
  }

  async #write(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#dirty.wait(signal).catch(() => {});
      const ok = await this.#saveOnce();
      if (!ok) this.#dirty.notify();
      const pauseMs = ok ? this.timing.retryMinMs : this.timing.retryMaxMs;
      await this.clock.sleep(pauseMs, signal).catch(() => {});
    }
    await this.#saveOnce();
  }

  async #saveOnce(): Promise<boolean> {
    const next = this.#current;
    if (next === this.#saved) return true;
    try {
      await this.journal.save(forDisk(next));
      this.#saved = next;
      return true;
    } catch (error) {
      // The journal is what a restart without managers lives on; this run does not need it.
      this.log.warn({ err: messageOf(error) }, "assignments could not be saved");
      return false;
    }
  }
}
