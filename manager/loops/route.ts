// A request to any manager is answered by the one that leads: done here, or sent on, once. While
// nobody leads it waits a little, because an election takes about a second.

import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { NotLeader } from "../../common/grpc/status.js";
import type { Caller, LeaderLink } from "../seams.js";
import type { Leader, Leadership } from "./leadership.js";

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
   * Every request may be asked twice: reads, and writes because ids and versions make the second one do
   * nothing. When the first may have been done, `settle` says what a refusal of the second means.
   */
  async onLeader<T>(
    caller: Caller,
    here: () => Promise<T | Refusal>,
    there: (leader: LeaderLink, caller: Caller) => Promise<T | Refusal>,
    settle: (refusal: Refusal) => T | Refusal = (refusal) => refusal,
  ): Promise<T | Refusal> {
    const { leadership, clock, waitMs } = this.options;
    const giveUpMs = clock.monotonicMs() + waitMs;
    let maybeDone = false;
    for (;;) {
      caller.signal.throwIfAborted();
      const leader = leadership.leader();
      try {
        const answer = await this.#ask(leader, caller, here, there);
        if (answer !== undefined) {
          if (!maybeDone || !isRefusal(answer.result)) return answer.result;
          // Who is not let in to ask again has not heard what became of it.
          return answer.result.code === "permission-denied"
            ? OUTCOME_UNKNOWN
            : settle(answer.result);
        }
      } catch (error) {
        // The manager that sent it here looks for the leader again.
        if (caller.forwarded) throw toForwarder(error);
        maybeDone ||= mustAskAgain(error) === "maybe-done";
      }
      const leftMs = giveUpMs - clock.monotonicMs();
      if (leftMs <= 0) return maybeDone ? OUTCOME_UNKNOWN : refuse("unavailable", NO_LEADER);
      // With a leader known but out of reach, nothing may change for a while: look again soon.
      const pauseMs = leader.kind === "none" ? leftMs : Math.min(leftMs, RETRY_MS);
      await leadership.changed(pauseMs, caller.signal);
    }
  }

  /** undefined: there is no leader to ask. */
  async #ask<T>(
    leader: Leader,
    caller: Caller,
    here: () => Promise<T | Refusal>,
    there: (leader: LeaderLink, caller: Caller) => Promise<T | Refusal>,
  ): Promise<{ readonly result: T | Refusal } | undefined> {
    const { leadership } = this.options;
    if (leader.kind === "self") return { result: await here() };
    if (caller.forwarded) throw new NotLeader(leadership.leaderAddr());
    if (leader.kind === "none") return undefined;
    return { result: await this.#sendOn(leader.addr, caller, there) };
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

function toForwarder(error: unknown): unknown {
  if (!(error instanceof Fault)) return error;
  if (error.code === "NOT_LEADER") return new NotLeader(undefined);
  return error.code === "LEADERSHIP_LOST" ? new NotLeader(undefined, true) : error;
}

/** What is known after a failure that another leader may cure; others are thrown on. */
function mustAskAgain(error: unknown): "not-done" | "maybe-done" {
  if (error instanceof NotLeader) return error.maybeDone ? "maybe-done" : "not-done";
  if (!(error instanceof Fault)) throw error;
  switch (error.code) {
    case "NOT_LEADER":
    case "BUSY":
    case "TRANSFER_FAILED":
      return "not-done";
    case "RPC_UNREACHABLE":
      return error.data["sent"] === false ? "not-done" : "maybe-done";
    case "LEADERSHIP_LOST":
    case "RPC_CANCELLED":
    case "RPC_DEADLINE":
      return "maybe-done";
    case "STOPPED":
      throw new Refused(refuse("unavailable", "this manager is stopping; try again on another"));
    default:
      throw error;
  }
}

/**
 * For changes that name the version they start from: refused the second time, done or not; also when what was changed
 * has been removed since.
 */
export function unknownIfOutOfSequence(refusal: Refusal): Refusal {
  const mayFollow = refusal.code === "failed-precondition" || refusal.code === "not-found";
  return mayFollow ? OUTCOME_UNKNOWN : refusal;
}

/**
 * For what is made under an id that was chosen at first. Found under that id it was done; refused the second time it may
 * have been done as well: removed since by somebody who saw it, and its name or port taken by somebody else.
 */
export function unknownIfTaken(refusal: Refusal): Refusal {
  return refusal.code === "invalid-argument" ? refusal : OUTCOME_UNKNOWN;
}

const OUTCOME_UNKNOWN = refuse(
  "unavailable",
  "the leader was lost before it answered; look whether the change was made, and try again",
);
