// A request to any manager is answered by the one that leads: done here, or sent on, once. While
// nobody leads it waits a little, because an election takes about a second.

import type { Clock } from "../../common/clock.js";
import { Fault, type Refusal, refuse } from "../../common/fault.js";
import { NotLeader } from "../../common/grpc/status.js";
import type { Caller, LeaderLink } from "../seams.js";
import type { Leadership } from "./leadership.js";

export interface RouteOptions {
  readonly leadership: Leadership;
  readonly link: (addr: string) => LeaderLink;
  readonly clock: Clock;
  /** How long a request waits for a leader. */
  readonly waitMs: number;
}

// Docker's words (swarmkit manager/controlapi, docker/daemon/cluster/errors.go).
export const NO_LEADER =
  "The swarm does not have a leader. It's possible that too few managers are online. " +
  "Make sure more than half of the managers are online.";
const RETRY_MS = 50;

export class Router {
  constructor(private readonly options: RouteOptions) {}

  /**
   * `repeatable`: doing it twice is as good as once, so that it may be sent again when a link broke and
   * nobody knows whether it was done.
   */
  async onLeader<T>(
    caller: Caller,
    repeatable: boolean,
    here: () => Promise<T | Refusal>,
    there: (leader: LeaderLink, caller: Caller) => Promise<T | Refusal>,
  ): Promise<T | Refusal> {
    const { leadership, clock, waitMs } = this.options;
    const giveUpMs = clock.monotonicMs() + waitMs;
    for (;;) {
      caller.signal.throwIfAborted();
      const leader = leadership.leader();
      try {
        if (leader.kind === "self") return await here();
        if (caller.forwarded) throw new NotLeader(leadership.leaderAddr());
        if (leader.kind === "other") return await this.#sendOn(leader.addr, caller, there);
      } catch (error) {
        // The manager that sent it here looks for the leader again.
        if (caller.forwarded) throw lostLead(error) ? new NotLeader(undefined) : error;
        const next = afterFailure(error, repeatable);
        if (next !== "again") return next;
      }
      const leftMs = giveUpMs - clock.monotonicMs();
      if (leftMs <= 0) return refuse("unavailable", NO_LEADER);
      // With a leader known but out of reach, nothing may change for a while: look again soon.
      await leadership.changed(
        Math.min(leftMs, leader.kind === "none" ? leftMs : RETRY_MS),
        caller.signal,
      );
    }
  }

  /** A leader that is cut off answers nothing: when another one is known, nobody waits for it any more. */
  async #sendOn<T>(
    addr: string,
    caller: Caller,
    there: (leader: LeaderLink, caller: Caller) => Promise<T | Refusal>,
  ): Promise<T | Refusal> {
    const { leadership, link } = this.options;
    const call = new AbortController();
    const onGone = () => call.abort(caller.signal.reason);
    caller.signal.addEventListener("abort", onGone, { once: true });
    const unsubscribe = leadership.onChange(() => {
      const now = leadership.leader();
      const replaced = now.kind === "self" || (now.kind === "other" && now.addr !== addr);
      if (replaced) call.abort(new Fault("LEADER_REPLACED"));
    });
    try {
      return await there(link(addr), { ...caller, signal: call.signal });
    } finally {
      unsubscribe();
      caller.signal.removeEventListener("abort", onGone);
    }
  }

  /** Refuses on a manager that does not lead: for what cannot be sent on (sessions). */
  assertLeads(): void {
    const { leadership } = this.options;
    if (leadership.leader().kind !== "self") throw new NotLeader(leadership.leaderAddr());
  }
}

function lostLead(error: unknown): boolean {
  return error instanceof Fault && ["NOT_LEADER", "LEADERSHIP_LOST"].includes(error.code);
}

function afterFailure(error: unknown, repeatable: boolean): "again" | Refusal {
  if (error instanceof NotLeader) return "again";
  if (!(error instanceof Fault)) throw error;
  switch (error.code) {
    case "NOT_LEADER":
    case "BUSY":
    case "TRANSFER_FAILED":
      return "again";
    case "RPC_UNREACHABLE":
      if (repeatable || error.data["sent"] === false) return "again";
      return OUTCOME_UNKNOWN;
    case "LEADERSHIP_LOST":
    case "RPC_CANCELLED":
    case "RPC_DEADLINE":
      return repeatable ? "again" : OUTCOME_UNKNOWN;
    case "STOPPED":
      return refuse("unavailable", "this manager is stopping; try again on another");
    default:
      throw error;
  }
}

const OUTCOME_UNKNOWN = refuse(
  "unavailable",
  "the leader was lost before it answered; look whether the change was made, and try again",
);
