// Who waits until all nodes have applied a revision: an agent that is about to stop a task that was serving.
//
// Waiters stand in a line, in the order in which they came, each for its revision or a later one that was waited for
// before it. A node stands with the first of them that it holds up, and so holds up all behind that one: it is looked at
// once, however many wait.
import type { Clock } from "../../common/clock.js";

// Choice: a node that takes longer to write its tables is not waited for; the task has its grace period still.
const WAIT_MS = 2_000;
// Choice: more than this are not waited with, and answered at once: each is one node with tasks to stop.
const WAITERS_MAX = 10_000;
// Choice: the line has so many steps; beyond that who comes makes those on the last one wait for as long as itself.
const STEPS_MAX = 32;

/** A node's session, as far as it follows. */
export interface Follower {
  /** The revision of the last Assignments that it was sent, and of the last that it has applied. */
  readonly sent: number;
  readonly applied: number;
  /** There is something that it has not been sent yet. */
  readonly assignmentsDue: boolean;
}

interface Step {
  revision: number;
  /** Those that hold up this step, and none before it. */
  readonly left: Set<Follower>;
  readonly waiters: Set<() => void>;
}

export class Settling {
  /** Invariant: their revisions never fall, and a follower is in one of them at most. */
  readonly #steps: Step[] = [];
  readonly #holdsUp = new Map<Follower, Step>();
  #waiters = 0;

  constructor(private readonly clock: Clock) {}

  /** Resolves when they all have applied what the revision changed for them, or after a while; never rejects. */
  async settled(
    revision: number,
    followers: Iterable<Follower>,
    signal: AbortSignal,
  ): Promise<void> {
    const behind = [...followers].filter((each) => !hasApplied(each, revision));
    if (behind.length === 0 || this.#waiters >= WAITERS_MAX) return;
    const step = this.#stepFor(revision, behind);
    const over = new AbortController();
    const done = () => over.abort();
    step.waiters.add(done);
    this.#waiters++;
    await this.clock.sleep(WAIT_MS, AbortSignal.any([signal, over.signal])).catch(() => {});
    this.#waiters--;
    step.waiters.delete(done);
    if (step.waiters.size === 0) this.#drop(step);
  }

  /** It has applied something, or been sent all there was. */
  progressed(follower: Follower): void {
    const step = this.#holdsUp.get(follower);
    if (step === undefined || !hasApplied(follower, step.revision)) return;
    this.#put(follower, this.#nextFor(follower, this.#steps.indexOf(step)));
    this.#release();
  }

  /** Its session is over, or it is not heard: it is not waited for. */
  ended(follower: Follower): void {
    if (!this.#holdsUp.has(follower)) return;
    this.#put(follower, undefined);
    this.#release();
  }

  #put(follower: Follower, step: Step | undefined): void {
    this.#holdsUp.get(follower)?.left.delete(follower);
    if (step === undefined) {
      this.#holdsUp.delete(follower);
    } else {
      step.left.add(follower);
      this.#holdsUp.set(follower, step);
    }
  }

  #nextFor(follower: Follower, after: number): Step | undefined {
    return this.#steps.find((step, i) => i > after && !hasApplied(follower, step.revision));
  }

  /** The last step, with all of those that are behind somewhere in the line. */
  #stepFor(revision: number, behind: readonly Follower[]): Step {
    const fresh = behind.filter((each) => !this.#holdsUp.has(each));
    const last = this.#steps.at(-1);
    let step = last;
    // One that has to wait for more than those before it must not hold them up.
    if (step === undefined || ((fresh.length > 0 || revision > step.revision) && !this.#isFull)) {
      step = { revision, left: new Set(), waiters: new Set() };
      this.#steps.push(step);
    }
    step.revision = Math.max(revision, last?.revision ?? revision);
    for (const follower of fresh) this.#put(follower, step);
    return step;
  }

  get #isFull(): boolean {
    return this.#steps.length >= STEPS_MAX;
  }

  /** Nobody holds up the first ones any more. */
  #release(): void {
    while (this.#steps[0]?.left.size === 0) {
      for (const done of this.#steps.shift()?.waiters ?? []) done();
    }
  }

  /** Nobody waits for it any more. */
  #drop(step: Step): void {
    const at = this.#steps.indexOf(step);
    if (at === -1) return;
    this.#steps.splice(at, 1);
    for (const follower of step.left) this.#put(follower, this.#nextFor(follower, at - 1));
    this.#release();
  }
}

/** What is not sent does not concern it: its revision may be behind for as long as nothing does. */
export function hasApplied({ applied, sent, assignmentsDue }: Follower, revision: number): boolean {
  return applied >= revision || (!assignmentsDue && applied >= sent);
}
