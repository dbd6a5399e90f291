// How fast nodes are told, all together. A lone change is told at once. While changes come faster than so many nodes can
// be told of each, a node's next message waits for its turn, and says all that happened until then: the leader then works
// for the changes and not for their number times that of the nodes.

// Choices: a message with its Applied takes the leader a fifth of a millisecond, so these take a fifth of a core, about what
// the beats take (silence.ts), and leave the rest to the changes themselves. A node among a thousand hears then once a second
// what never stops to change. And a lone change is told to every node of the largest swarm without a wait.
const MESSAGES_A_SECOND = 1_000;
const AT_ONCE = 5_000;

export class Pace {
  /** When all turns that were given away are used up. */
  #freeMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly perSecond = MESSAGES_A_SECOND,
    private readonly atOnce = AT_ONCE,
  ) {}

  /** Gives a turn away; answers in how many ms it is. Turns come in the order in which they are asked for. */
  takeTurn(nowMs: number): number {
    const eachMs = 1_000 / this.perSecond;
    this.#freeMs = Math.max(this.#freeMs, nowMs - this.atOnce * eachMs) + eachMs;
    return Math.max(0, this.#freeMs - nowMs);
  }
}
