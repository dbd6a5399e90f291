// Keeps the kernel as it is wanted: looks, plans, does the steps, looks again. It looks whenever the want
// changes, whenever the kernel reports a change, and every `resyncMs`; it is done when a plan is empty.
// Nothing happens before the first `set`, so that an agent that has not read its journal removes nothing.
import type { Clock } from "../../common/clock.js";
import { Fault, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import { sentenceOf } from "../member/fault-sentence.js";
import type { Kernel } from "../reconcile/kernel.js";
import { type Plan, plan } from "../reconcile/plan.js";
import { describe, needsOf, type Step, subjectOf, undoOf } from "../reconcile/step.js";
import type { HostWant, SandboxRef } from "../reconcile/want.js";

// Choice: who waits for an endpoint hears of a failure when trying again twice did not help.
const FAILURES_TO_REPORT = 3;
// Choice: a plan that is not empty after so many rounds is being undone by somebody as fast as it is done.
const ROUNDS_MAX = 10;
/** The subject of a look that failed as a whole. */
const KERNEL = "kernel";

/** A subject whose step failed is left alone for a while, twice as long each time. */
interface Pause {
  readonly failures: number;
  readonly untilMs: number;
}

/** What the last complete look found. */
interface Finding {
  readonly generation: number;
  /** Endpoints that were wanted → what each depends on, itself included. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>;
  /** Subjects of which something is still to be done. */
  readonly open: ReadonlySet<string>;
  /** What could not even be planned. */
  readonly hopeless: ReadonlyMap<string, string>;
}

const NOTHING_FOUND: Finding = {
  generation: 0,
  endpoints: new Map(),
  open: new Set(),
  hopeless: new Map(),
};

export class Applier {
  readonly #stop = new AbortController();
  readonly #wake = new Signal();
  readonly #cleanups: (() => void)[];
  readonly #running: Promise<void>;
  readonly #problems = new Map<string, string>();
  readonly #pauses = new Map<string, Pause>();
  readonly #waiters = new Set<() => void>();
  #pauseTimer = new AbortController();
  #want: HostWant | undefined;
  /** Somebody else may have changed something, so nothing is taken from memory. */
  #afresh = true;
  /** When it was last judged which pauses are over: once a convergence, so that no step is tried twice in one. */
  #judgedMs = Number.NEGATIVE_INFINITY;
  /** Counts calls of `set`. */
  #generation = 0;
  #found = NOTHING_FOUND;
  /** From a step to the beginning of the dump after it: events are then news of our own doing, or seen by it. */
  #acting = false;

  constructor(
    private readonly kernel: Kernel,
    private readonly clock: Clock,
    private readonly timing: Pick<Timing, "retryMinMs" | "retryMaxMs" | "resyncMs">,
    private readonly log: Logger,
  ) {
    const unfollow = kernel.follow(() => {
      if (!this.#acting) this.look();
    });
    this.#cleanups = [unfollow, clock.every(timing.resyncMs, () => this.look())];
    this.#running = this.#run();
  }

  /** What is wanted from now on. Returns at once. */
  set(want: HostWant): void {
    this.#want = want;
    this.#generation++;
    this.#wake.notify();
  }

  /**
   * Resolves once the kernel has the endpoint and every row of its network that is known now; waits for
   * the endpoint to be wanted first. Rejects with a Fault fit for a person if its steps keep failing.
   */
  async ready(endpointId: string, signal: AbortSignal): Promise<void> {
    const generation = this.#generation;
    for (;;) {
      const found = this.#found;
      const needs = found.endpoints.get(endpointId);
      if (needs !== undefined && found.generation >= generation) {
        if (!needs.some((subject) => found.open.has(subject) || found.hopeless.has(subject)))
          return;
        const why = this.#whyNot(needs, found);
        if (why !== undefined) throw notReady(endpointId, why);
      }
      await this.#nextFinding(signal);
    }
  }

  /** Why what is wanted is not so, by endpoint id, network id or sandbox id. */
  problems(): ReadonlyMap<string, string> {
    return this.#problems;
  }

  /** Resolves when nothing is left to do for the present want but what `problems` says. */
  async settled(signal: AbortSignal): Promise<void> {
    const generation = this.#generation;
    while (this.#found.generation < generation) await this.#nextFinding(signal);
  }

  /** Looks again soon, also at what nothing of ours has touched. */
  look(): void {
    this.#afresh = true;
    this.#wake.notify();
  }

  /** Stops looking; the kernel keeps what it has. */
  async close(): Promise<void> {
    this.#stop.abort(new Fault("APPLIER_CLOSED"));
    this.#pauseTimer.abort();
    for (const cleanup of this.#cleanups) cleanup();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#wake.wait(signal);
        if (this.#want !== undefined) await this.#converge(this.#want, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(KERNEL, sentenceOf(error));
      }
      this.#wakeAtPauseEnd();
    }
  }

  async #converge(first: HostWant, signal: AbortSignal): Promise<void> {
    this.#judgedMs = this.clock.monotonicMs();
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const want = this.#want ?? first;
      const generation = this.#generation;
      this.#acting = true;
      const looking = this.kernel.dump(sandboxesOf(want), !this.#afresh);
      this.#afresh = false;
      this.#acting = false;
      const have = await looking;
      this.#clear(KERNEL);
      const planned = plan(want, have);
      const done = await this.#perform(planned.steps, signal);
      if (done === 0) return this.#finish(want, generation, planned);
      signal.throwIfAborted();
    }
    this.log.warn({ rounds: ROUNDS_MAX }, "the kernel does not stay as it is made");
    this.#failed(KERNEL, "Another program undoes what is done as fast as it is done.");
  }

  /** Does the steps that are due; how many were tried. */
  async #perform(steps: readonly Step[], signal: AbortSignal): Promise<number> {
    const held = new Set<string>();
    for (const [subject, { untilMs }] of this.#pauses) {
      if (untilMs > this.#judgedMs) held.add(subject);
    }
    let tried = 0;
    for (const step of steps) {
      if (signal.aborted) return tried;
      const subject = subjectOf(step);
      if (held.has(subject) || needsOf(step).some((need) => held.has(need))) continue;
      tried++;
      this.#acting = true;
      try {
        this.log.debug({ step: describe(step) }, "step");
        await this.kernel.perform(step);
      } catch (error) {
        if (signal.aborted) return tried;
        held.add(subject);
        this.#failed(subject, sentenceOf(error));
        await this.#undo(step);
      }
    }
    return tried;
  }

  async #undo(step: Step): Promise<void> {
    const undo = undoOf(step);
    if (undo === undefined) return;
    try {
      await this.kernel.perform(undo);
    } catch (error) {
      // The next look sees what is left, and the plan for it is tried again.
      this.log.debug({ step: describe(undo), err: messageOf(error) }, "undo failed");
    }
  }

  #finish(want: HostWant, generation: number, planned: Plan): void {
    const open = new Set(planned.steps.map(subjectOf));
    for (const [subject, why] of planned.problems) this.#report(subject, why);
    for (const subject of [...this.#problems.keys(), ...this.#pauses.keys()]) {
      if (!open.has(subject) && !planned.problems.has(subject)) this.#clear(subject);
    }
    const hopeless = planned.problems;
    this.#found = { generation, endpoints: endpointsOf(want), open, hopeless };
    this.#tellWaiters();
  }

  #whyNot(needs: readonly string[], found: Finding): string | undefined {
    for (const subject of needs) {
      const hopeless = found.hopeless.get(subject);
      if (hopeless !== undefined) return hopeless;
      const failures = this.#pauses.get(subject)?.failures ?? 0;
      if (failures >= FAILURES_TO_REPORT) return this.#problems.get(subject) ?? "It keeps failing.";
    }
    return undefined;
  }

  #failed(subject: string, why: string): void {
    const failures = (this.#pauses.get(subject)?.failures ?? 0) + 1;
    const { retryMinMs, retryMaxMs } = this.timing;
    const pauseMs = Math.min(retryMinMs * 2 ** (failures - 1), retryMaxMs);
    this.#pauses.set(subject, { failures, untilMs: this.clock.monotonicMs() + pauseMs });
    this.#report(subject, why);
  }

  #report(subject: string, why: string): void {
    if (this.#problems.get(subject) === why) return;
    this.#problems.set(subject, why);
    this.log.warn({ subject, err: why }, "cannot make the kernel as wanted");
  }

  #clear(subject: string): void {
    this.#pauses.delete(subject);
    if (this.#problems.delete(subject)) this.log.info({ subject }, "as wanted again");
  }

  /**
   * One timer, for the pause that ends first. One that was over when the steps were judged waits on another and
   * needs none; one that ended since is due at once.
   */
  #wakeAtPauseEnd(): void {
    this.#pauseTimer.abort();
    const nowMs = this.clock.monotonicMs();
    const ends = [...this.#pauses.values()]
      .map(({ untilMs }) => untilMs)
      .filter((ms) => ms > this.#judgedMs);
    if (ends.length === 0 || this.#stop.signal.aborted) return;
    this.#pauseTimer = new AbortController();
    this.clock.sleep(Math.max(0, Math.min(...ends) - nowMs), this.#pauseTimer.signal).then(
      () => this.look(),
      () => undefined,
    );
  }

  #nextFinding(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    return new Promise((resolve, reject) => {
      if (either.aborted) return reject(either.reason);
      const settle = () => {
        this.#waiters.delete(settle);
        either.removeEventListener("abort", settle);
        if (either.aborted) reject(either.reason);
        else resolve();
      };
      this.#waiters.add(settle);
      either.addEventListener("abort", settle, { once: true });
    });
  }

  #tellWaiters(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }
}

function sandboxesOf(want: HostWant): SandboxRef[] {
  return want.networks.flatMap((network) => network.locals.map((local) => local.sandbox));
}

function endpointsOf(want: HostWant): Map<string, readonly string[]> {
  const endpoints = new Map<string, readonly string[]>();
  for (const { networkId, locals } of want.networks) {
    for (const { endpointId, sandbox } of locals) {
      const needs = [endpointId, networkId];
      endpoints.set(endpointId, sandbox.kind === "own" ? [...needs, sandbox.id] : needs);
    }
  }
  return endpoints;
}

function notReady(endpointId: string, why: string): Fault {
  const fault = new Fault("ENDPOINT_NOT_READY", { endpoint: endpointId });
  fault.message = why;
  return fault;
}
