// Keeps the kernel as it is wanted: looks, plans, does the steps, looks again. It looks whenever the want
// changes, whenever the kernel reports a change, and every `resyncMs`; it is done when a plan is empty.
// Nothing happens before the first `set`, so that an agent that has not read its journal removes nothing.
import type { Clock } from "../../common/clock.js";
import { Fault, messageOf } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import { firstTold, Signal, Topic } from "../../common/watch.js";
import { sentenceOf } from "../member/fault-sentence.js";
import { type Finding, findingOf, NOTHING_FOUND, sandboxesOf } from "../reconcile/finding.js";
import { FOREIGN_DROPS, foreignDrops } from "../reconcile/foreign-drops.js";
import type { HostHave } from "../reconcile/have.js";
import type { Kernel } from "../reconcile/kernel.js";
import { Pauses } from "../reconcile/pauses.js";
import { type Plan, plan } from "../reconcile/plan.js";
import { Round } from "../reconcile/round.js";
import { describe, needsOf, type Step, subjectOf, undoOf } from "../reconcile/step.js";
import { isAboutReach, isPortRemoval } from "../reconcile/step-class.js";
import type { HostWant } from "../reconcile/want.js";
import { ApplyCounts } from "./apply-counts.js";

// Choice: who waits for an endpoint hears of a failure when trying again twice did not help.
const FAILURES_TO_REPORT = 3;
// Choice: a plan for the same want that was done in full so many times and is not empty is being undone by
// somebody as fast as it is done.
const ROUNDS_MAX = 10;
// Choice: a millisecond each, in which nothing else in this process has its turn.
const PORTS_A_SWEEP = 50;
/** The subject of a look that failed as a whole. */
const KERNEL = "kernel";

interface Performed {
  readonly tried: number;
  /** Some were left for the next round. */
  readonly left: boolean;
  /** All that changes how others are reached was done. */
  readonly reaches: boolean;
}

export class Applier {
  /** What became of the wants, for metrics. */
  readonly counts: ApplyCounts;
  readonly #stop = new AbortController();
  readonly #wake = new Signal();
  readonly #cleanups: (() => void)[];
  readonly #running: Promise<void>;
  readonly #problems = new Map<string, string>();
  readonly #pauses: Pauses;
  /** There is more to know. */
  readonly #looked = new Topic<void>();
  #pauseTimer = new AbortController();
  #want: HostWant | undefined;
  /** Somebody else may have changed something, so nothing is taken from memory. */
  #afresh = true;
  /** When it was last judged which pauses are over: once a convergence, so that no step is tried twice in one. */
  #judgedMs = Number.NEGATIVE_INFINITY;
  /** The want is as it was when all was well: what is to be done now, somebody has undone. */
  #repairs = false;
  /** Counts calls of `set`. */
  #generation = 0;
  #found = NOTHING_FOUND;
  /** The generation of the last want whose tables by which others are reached were all written. */
  #reached = 0;
  /** From a step to the beginning of the dump after it: events are then news of our own doing, or seen by it. */
  #acting = false;
  /** What was last warned of. */
  #othersDrop = "";

  constructor(
    private readonly kernel: Kernel,
    private readonly clock: Clock,
    timing: Pick<Timing, "retryMinMs" | "retryMaxMs" | "resyncMs">,
    private readonly log: Logger,
  ) {
    this.counts = new ApplyCounts(clock);
    this.#pauses = new Pauses(timing);
    const unfollow = kernel.follow((news) => {
      if (this.#acting) return;
      if (news === "sandboxes") this.#wake.notify();
      else this.look();
    });
    this.#cleanups = [unfollow, clock.every(timing.resyncMs, () => this.look())];
    this.#running = this.#run();
  }

  /** What is wanted from now on. Returns at once. */
  set(want: HostWant): void {
    this.#want = want;
    this.#generation++;
    this.counts.wanted(this.#generation);
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

  /** Chains of others that drop what our bridges forward, as a list in words; empty: none. */
  get foreignDrops(): string {
    return this.#othersDrop;
  }

  /** For people: what is not as wanted, and what of others is in the way. */
  troubles(): readonly string[] {
    const own = [...this.#problems].map(([subject, why]) => `${subject} is not as wanted: ${why}`);
    return this.#othersDrop === "" ? own : [...own, `${FOREIGN_DROPS} (${this.#othersDrop})`];
  }

  /**
   * Resolves when nothing is left to do for the present want about these subjects, or about anything, but what
   * `problems` says.
   */
  async settled(signal: AbortSignal, subjects?: readonly string[]): Promise<void> {
    const generation = this.#generation;
    for (;;) {
      const { open, isFinal, generation: foundAt } = this.#found;
      const isDone = subjects?.every((subject) => !open.has(subject)) ?? open.size === 0;
      if (foundAt >= generation && (isFinal || isDone)) return;
      await this.#nextFinding(signal);
    }
  }

  /**
   * Resolves when the tables by which others are reached are as the present want has them: sandboxes and ports
   * that come and go beside them are not waited for.
   */
  async reached(signal: AbortSignal): Promise<void> {
    const generation = this.#generation;
    for (;;) {
      const { isFinal, generation: foundAt } = this.#found;
      if (this.#reached >= generation || (isFinal && foundAt >= generation)) return;
      await this.#nextFinding(signal);
    }
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
    let judged: HostWant | undefined;
    const before = this.#found;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const want = this.#want ?? first;
      if (want !== judged) {
        this.#judgedMs = this.clock.monotonicMs();
        judged = want;
        round = 0;
      }
      const generation = this.#generation;
      this.#repairs = before.isFinal && before.generation === generation;
      this.#acting = true;
      const looking = this.kernel.dump(sandboxesOf(want), !this.#afresh);
      this.#afresh = false;
      this.#acting = false;
      const have = await looking;
      this.#clear(KERNEL);
      this.#warnOfOthers(want, have);
      const planned = plan(want, have);
      this.#find(want, generation, planned, false);
      const { tried, left, reaches } = await this.#perform(planned.steps, signal);
      if (reaches) {
        this.#reached = generation;
        this.#looked.publish();
      }
      if (tried === 0) {
        this.counts.settled(generation);
        return this.#find(want, generation, planned, true);
      }
      signal.throwIfAborted();
      // What was not even tried is not undone by anybody.
      if (left) round = 0;
    }
    this.log.warn({ rounds: ROUNDS_MAX }, "the kernel does not stay as it is made");
    this.#failed(KERNEL, "Another program undoes what is done as fast as it is done.");
  }

  /** Does the steps that are due. */
  async #perform(steps: readonly Step[], signal: AbortSignal): Promise<Performed> {
    const round = new Round(steps, this.clock.monotonicMs());
    const missing = new Set(steps.filter(isAboutReach));
    const held = this.#pauses.heldAt(this.#judgedMs);
    await this.#sweep(steps.filter((step) => !held.has(subjectOf(step))));
    for (const step of steps) {
      if (signal.aborted) break;
      const subject = subjectOf(step);
      if (held.has(subject) || needsOf(step).some((need) => held.has(need))) continue;
      const nowMs = this.clock.monotonicMs();
      const turn = round.turnOf(step, nowMs);
      if (turn === "over") break;
      if (turn === "next") continue;
      this.#acting = true;
      try {
        this.#tell(step);
        await this.kernel.perform(step);
        if (this.#repairs && this.#pauses.failures(subject) === 0) {
          this.counts.repaired(step);
          this.log.info({ step: describe(step) }, "put back what somebody changed");
        }
        missing.delete(step);
        if (isPortRemoval(step)) this.#portGone(subject);
      } catch (error) {
        if (signal.aborted) break;
        held.add(subject);
        this.#failed(subject, sentenceOf(error));
        await this.#undo(step);
      }
      round.took(step, this.clock.monotonicMs() - nowMs);
    }
    return { tried: round.tried, left: round.left, reaches: missing.size === 0 };
  }

  /** Many ports that go, go together; their steps then find nothing to do. */
  async #sweep(steps: readonly Step[]): Promise<void> {
    const ports = steps.filter(isPortRemoval).slice(0, PORTS_A_SWEEP);
    if (ports.length < 2) return;
    this.#acting = true;
    try {
      await this.kernel.sweep(ports);
    } catch (error) {
      this.log.debug({ ports: ports.length, err: messageOf(error) }, "ports not removed together");
    }
  }

  #warnOfOthers({ local: want }: HostWant, { local: have }: HostHave): void {
    const found = foreignDrops(want?.bridges ?? [], have);
    if (found === undefined || found.chains === this.#othersDrop) return;
    this.#othersDrop = found.chains;
    if (found.chains !== "") this.log.warn(found, FOREIGN_DROPS);
  }

  /** A setting of the machine itself is news for its owner. */
  #tell(step: Step): void {
    if (step.kind === "allow-forwarding") this.log.info({ step: describe(step) }, "step");
    else this.log.debug({ step: describe(step) }, "step");
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

  #find(want: HostWant, generation: number, planned: Plan, isFinal: boolean): void {
    const steps = new Set(planned.steps.map(subjectOf));
    for (const [subject, why] of planned.problems) this.#report(subject, why);
    for (const subject of [...this.#problems.keys(), ...this.#pauses.subjects()]) {
      if (!steps.has(subject) && !planned.problems.has(subject)) this.#clear(subject);
    }
    this.#found = findingOf(want, planned, generation, isFinal);
    this.#looked.publish();
  }

  /** A port is removed by one step: who waits for that does not wait for its network, or its sandbox, to go too. */
  #portGone(subject: string): void {
    if (this.#found.open.delete(subject)) this.#looked.publish();
  }

  #whyNot(needs: readonly string[], found: Finding): string | undefined {
    for (const subject of needs) {
      const hopeless = found.hopeless.get(subject);
      if (hopeless !== undefined) return hopeless;
      if (this.#pauses.failures(subject) < FAILURES_TO_REPORT) continue;
      return this.#problems.get(subject) ?? "It keeps failing.";
    }
    return undefined;
  }

  #failed(subject: string, why: string): void {
    this.#pauses.failed(subject, this.clock.monotonicMs());
    this.#report(subject, why);
  }

  #report(subject: string, why: string): void {
    if (this.#problems.get(subject) === why) return;
    this.#problems.set(subject, why);
    this.log.warn({ subject, err: why }, "cannot make the kernel as wanted");
  }

  #clear(subject: string): void {
    this.#pauses.forget(subject);
    if (this.#problems.delete(subject)) this.log.info({ subject }, "as wanted again");
  }

  /**
   * One timer, for the pause that ends first. One that was over when the steps were judged waits on another and
   * needs none; one that ended since is due at once.
   */
  #wakeAtPauseEnd(): void {
    this.#pauseTimer.abort();
    const nowMs = this.clock.monotonicMs();
    const endMs = this.#pauses.firstEndMs(this.#judgedMs);
    if (endMs === undefined || this.#stop.signal.aborted) return;
    this.#pauseTimer = new AbortController();
    this.clock.sleep(Math.max(0, endMs - nowMs), this.#pauseTimer.signal).then(
      () => this.look(),
      () => undefined,
    );
  }

  #nextFinding(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    return firstTold((listener) => this.#looked.subscribe(listener), either);
  }
}

function notReady(endpointId: string, why: string): Fault {
  const fault = new Fault("ENDPOINT_NOT_READY", { endpoint: endpointId });
  fault.message = why;
  return fault;
}
