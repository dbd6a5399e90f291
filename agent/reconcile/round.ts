// How much of a plan is done before the kernel is looked at again. Who waits for one thing does not wait for all that
// came with it, or before; and where there is something to make, removing takes its turn and no more.
import type { Step } from "./step.js";
import { isRemoval } from "./step-class.js";

// Choice: after so long it is looked what is there now; and of that so much is for removing, where there is something to
// make as well.
const ROUND_MS = 100;
const REMOVING_MS = 30;

export class Round {
  tried = 0;
  /** Some steps are left for the next round. */
  left = false;
  #removingMs = 0;
  readonly #hasNews: boolean;

  constructor(
    steps: readonly Step[],
    private readonly beganMs: number,
  ) {
    this.#hasNews = steps.some((step) => !isRemoval(step));
  }

  /** Whether the step is done now, or in the next round; "over": nor is any after it. The first is always done. */
  turnOf(step: Step, nowMs: number): "now" | "next" | "over" {
    const isOver = this.tried > 0 && nowMs - this.beganMs > ROUND_MS;
    const waits = this.#hasNews && isRemoval(step) && this.#removingMs > REMOVING_MS;
    if (isOver || waits) {
      this.left = true;
      return isOver ? "over" : "next";
    }
    this.tried++;
    return "now";
  }

  took(step: Step, ms: number): void {
    if (isRemoval(step)) this.#removingMs += ms;
  }
}
