// Whether this manager still has its seat. Who was removed may not be sent the entry that says so, and nobody
// speaks to it any more: it has to ask. Only the leader's word counts, for another may lag; and also one that has
// applied its own removal asks, for its vote and its log may be needed until that is final (docs/consensus.md).
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf } from "../../common/fault.js";
import { NotLeader } from "../../common/grpc/status.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { RaftMember } from "../../proto/gen/raft.js";
import { saysRemoved } from "../ca/barred.js";
import type { LeaderLink } from "../seams.js";
import { itself } from "./itself.js";

export interface DoubtOptions {
  readonly raftId: number;
  /** Cluster.generation as it is known here. */
  readonly generation: number;
  /** Whoever may know the leader; each is asked once. */
  readonly addrs: readonly string[];
  readonly link: (addr: string) => LeaderLink;
  readonly signal: AbortSignal;
}

/** `undefined`: nobody could say. */
export async function stillSeated(options: DoubtOptions): Promise<boolean | undefined> {
  const { raftId, generation, link, signal } = options;
  const caller = itself(signal);
  const open = [...options.addrs];
  const asked = new Set<string>();
  for (let addr = open.shift(); addr !== undefined; addr = open.shift()) {
    if (asked.has(addr)) continue;
    asked.add(addr);
    try {
      const answer = await link(addr).membership.hasSeat(
        { nodeId: "", raftId, generation },
        caller,
      );
      if (!isRefusal(answer)) return answer.seated;
      // Said by the port itself to a node that is out of the swarm. Whatever else it refuses says nothing of the seat:
      // a manager's certificate may be over, and its log is what the others need of it.
      if (saysRemoved(answer)) return false;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof NotLeader) {
        if (error.leaderAddr !== undefined) open.unshift(error.leaderAddr);
      } else if (!(error instanceof Fault)) throw error;
    }
  }
  return undefined;
}

export interface SeatDoubtsOptions extends Pick<DoubtOptions, "raftId" | "link"> {
  /** The group as it is known here. */
  readonly members: () => readonly RaftMember[];
  readonly generation: () => number;
  readonly clock: Clock;
  readonly timing: Pick<Timing, "retryMinMs" | "retryMaxMs">;
  readonly log: Logger;
  /** The leader says that the seat is gone, for good. */
  readonly onGone: () => void;
}

/** Asks when there is reason to doubt; one question at a time. */
export class SeatDoubts {
  readonly #stop = new AbortController();
  #asking = false;

  constructor(private readonly options: SeatDoubtsOptions) {}

  /** By a member that holds that this one has no seat. It may lag. */
  refused(by: RaftMember): void {
    this.#begin([by.addr]);
  }

  /** What is applied here has changed the members. Who is out by that asks until somebody can say. */
  membersChanged(): void {
    if (this.#isOut()) this.#begin([]);
  }

  close(): void {
    this.#stop.abort(new Fault("STOPPED"));
  }

  #isOut(): boolean {
    const members = this.options.members();
    // A manager that joins knows of nobody yet.
    return members.length > 0 && !members.some(({ raftId }) => raftId === this.options.raftId);
  }

  #begin(first: readonly string[]): void {
    if (this.#asking || this.#stop.signal.aborted) return;
    this.#asking = true;
    void this.#ask(first).finally(() => {
      this.#asking = false;
    });
  }

  async #ask(first: readonly string[]): Promise<void> {
    const { raftId, link, members, generation, clock, timing, log, onGone } = this.options;
    const { signal } = this.#stop;
    let pauseMs = timing.retryMinMs;
    do {
      const others = members().filter((member) => member.raftId !== raftId);
      const addrs = [...first, ...others.map(({ addr }) => addr)];
      try {
        const asked = { raftId, generation: generation(), addrs, link, signal };
        if ((await stillSeated(asked)) === false) return onGone();
      } catch (error) {
        log.debug({ err: messageOf(error) }, "could not ask for the seat");
      }
      if (!this.#isOut()) pauseMs = timing.retryMaxMs;
      await clock.sleep(pauseMs, signal).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, timing.retryMaxMs);
    } while (this.#isOut() && !signal.aborted);
  }
}
