// Raft members on virtual time with what decides how long a fail-over takes: the delay of the network, the
// time of a disk's fsync, and that nobody's ticks fall together with another's. One seed, no faults but those asked for.
import { assert } from "../../common/fault.js";
import { type Random, seededRandom } from "../../common/random.js";
import { Raft } from "../../manager/raft/raft.js";
import { RaftMessage } from "../../proto/gen/raft.js";

const TICK_MS = 100;

export interface Speeds {
  /** One way, at least and at most. */
  readonly delayMs: readonly [number, number];
  readonly fsyncMs: readonly [number, number];
}

interface Event {
  readonly atMs: number;
  readonly run: () => void;
}

interface Member {
  readonly raft: Raft;
  /** Neither ticks, nor hears, nor speaks, nor writes. */
  stopped: boolean;
  cut: boolean;
}

export class FailoverGroup {
  readonly members = new Map<number, Member>();
  /** Nothing arrives at these. */
  readonly deaf = new Set<number>();
  nowMs = 0;
  readonly #random: Random;
  #events: Event[] = [];

  constructor(
    seed: number,
    count: number,
    private readonly speeds: Speeds,
  ) {
    this.#random = seededRandom(seed);
    const members = Array.from({ length: count }, (_, i) => ({
      raftId: i + 1,
      nodeId: `n${i + 1}`,
      addr: `a${i + 1}`,
      learner: false,
    }));
    for (const { raftId: id } of members) {
      const raft = new Raft({
        id,
        random: this.#random,
        hardState: { term: 1, vote: 0, commit: 1 },
        snapshot: { meta: { index: 1, term: 1, conf: { members } } },
        entries: [],
      });
      this.members.set(id, { raft, stopped: false, cut: false });
      this.#at(this.#random.below(TICK_MS), () => this.#tick(id));
    }
  }

  /** The one that leads and has committed an entry of its own, as the others see it. */
  leader(): number | undefined {
    for (const [id, { raft, stopped, cut }] of this.members) {
      if (raft.settled && !stopped && !cut) return id;
    }
    return undefined;
  }

  get(id: number): Member {
    const member = this.members.get(id);
    assert(member !== undefined, "a member of this group");
    return member;
  }

  /** Until the condition holds. Answers how long that took, in ms. */
  until(condition: () => boolean, patienceMs = 60_000): number {
    const fromMs = this.nowMs;
    while (!condition()) {
      assert(this.nowMs - fromMs < patienceMs, `not within ${patienceMs} ms`);
      this.#next();
    }
    return this.nowMs - fromMs;
  }

  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) this.#next();
  }

  propose(id: number): void {
    const { raft } = this.get(id);
    raft.propose(Buffer.from("x"));
    this.#drain(id);
  }

  #next(): void {
    const [first] = this.#events;
    assert(first !== undefined, "there is always a tick to come");
    this.#events.shift();
    this.nowMs = first.atMs;
    first.run();
  }

  #tick(id: number): void {
    this.#at(TICK_MS, () => this.#tick(id));
    const member = this.get(id);
    if (member.stopped) return;
    member.raft.tick();
    this.#drain(id);
  }

  #drain(id: number): void {
    const member = this.get(id);
    for (;;) {
      const ready = member.raft.ready();
      for (const message of ready.messages) this.#send(id, message);
      const { persist } = ready;
      if (persist !== undefined) {
        this.#at(this.#between(this.speeds.fsyncMs), () => {
          for (const message of persist.messages) this.#send(id, message);
          member.raft.advance();
          this.#drain(id);
        });
      }
      if (ready.committed.length === 0) return;
    }
  }

  #send(from: number, message: RaftMessage): void {
    if (this.get(from).cut || this.get(from).stopped) return;
    const bytes = RaftMessage.encode(message).finish();
    this.#at(this.#between(this.speeds.delayMs), () => {
      const to = this.get(message.to);
      // What comes to one that is stopped waits in its socket; it is not needed for what is asked here.
      if (to.cut || to.stopped || this.deaf.has(message.to)) return;
      to.raft.step(RaftMessage.decode(bytes));
      this.#drain(message.to);
    });
  }

  #between([least, most]: readonly [number, number]): number {
    return least + (this.#random.below(1_000) / 1_000) * (most - least);
  }

  #at(inMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + inMs, run };
    const place = this.#events.findIndex(({ atMs }) => atMs > event.atMs);
    if (place < 0) this.#events.push(event);
    else this.#events.splice(place, 0, event);
  }
}
