// Who leads, as the rest of the manager needs to know it, and what runs only while this manager does.
import { setMaxListeners } from "node:events";
import type { Clock } from "../../common/clock.js";
import { Fault } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Unsubscribe } from "../../common/watch.js";
import type { Consensus, RaftStatus } from "../seams.js";

export type Leader =
  | { readonly kind: "self" }
  | { readonly kind: "other"; readonly addr: string }
  /** None known, or this manager leads but has not applied all it must. */
  | { readonly kind: "none" };

export class Leadership {
  constructor(
    private readonly consensus: Consensus<unknown>,
    private readonly clock: Clock,
  ) {}

  leader(): Leader {
    const status = this.consensus.status();
    if (leads(status)) return { kind: "self" };
    if (status.leaderId === 0 || status.leaderId === status.raftId) return { kind: "none" };
    const member = status.members.find(({ raftId }) => raftId === status.leaderId);
    return member ? { kind: "other", addr: member.addr } : { kind: "none" };
  }

  /** The leader's address, if another manager leads. */
  leaderAddr(): string | undefined {
    const leader = this.leader();
    return leader.kind === "other" ? leader.addr : undefined;
  }

  /** Calls at every change of leadership; the listener only takes note. */
  onChange(listener: () => void): Unsubscribe {
    return this.consensus.changed.subscribe(listener);
  }

  /** Resolves at the next change of leadership, or after `timeoutMs`, or when aborted. */
  async changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const end = () => done.abort();
    const unsubscribe = this.consensus.changed.subscribe(end);
    signal.addEventListener("abort", end, { once: true });
    try {
      if (!signal.aborted) await this.clock.sleep(timeoutMs, done.signal);
    } catch {
      // Woken early: that is what it waited for.
    } finally {
      unsubscribe();
      signal.removeEventListener("abort", end);
    }
  }

  /**
   * Calls `lead` each time this manager begins to lead; its signal is aborted when it no longer does.
   * The next term begins after the last one's `lead` has returned.
   */
  async run(
    lead: (term: AbortSignal) => Promise<void>,
    log: Logger,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      if (!leads(this.consensus.status())) {
        await this.changed(POLL_MS, signal);
        continue;
      }
      const term = new AbortController();
      // Every session waits for its end, and there may be thousands: no leak.
      setMaxListeners(0, term.signal);
      const end = () => term.abort(new Fault("NOT_LEADER"));
      const began = this.consensus.status().term;
      const unsubscribe = this.consensus.changed.subscribe((status) => {
        if (!leads(status) || status.term !== began) end();
      });
      signal.addEventListener("abort", end, { once: true });
      log.info({ term: began }, "leading");
      try {
        if (!leads(this.consensus.status())) end();
        await lead(term.signal);
      } finally {
        end();
        unsubscribe();
        signal.removeEventListener("abort", end);
        log.info({ term: began }, "no longer leading");
      }
    }
  }
}

// A change is published; this is only in case one was missed between looking and subscribing.
const POLL_MS = 1_000;

function leads(status: RaftStatus): boolean {
  return status.role === "leader" && status.ready;
}
