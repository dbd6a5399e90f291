// Membership changes that wait their turn: Raft takes one at a time, and none before the leader has
// committed an entry of its own term.
import { Fault } from "../../common/fault.js";
import type { ConfChange, Entry } from "../../proto/gen/raft.js";
import type { Raft } from "../raft/raft.js";
import { Waiter } from "./consensus-pending.js";
import { faultOf } from "./consensus-status.js";

interface Waiting {
  readonly change: ConfChange;
  readonly waiter: Waiter<void>;
}

export class MemberChanges {
  #queue: Waiting[] = [];
  #current:
    | { readonly index: number; readonly term: number; readonly waiter: Waiter<void> }
    | undefined;
  /** A removal that is applied, and could still be forgotten. */
  #closing: Waiter<void> | undefined;

  constructor(private readonly raft: Raft) {}

  /**
   * Resolves when the change is applied here, and final if it takes a vote away. One that its caller gave up while it
   * waited is not proposed.
   */
  wait(change: ConfChange, signal: AbortSignal): Promise<void> {
    const waiter = new Waiter<void>(signal, () => {
      this.#queue = this.#queue.filter((waiting) => waiting.waiter !== waiter);
    });
    this.#queue.push({ change, waiter });
    return waiter.promise;
  }

  /** Proposes the next if it may be now. */
  propose(): void {
    while (this.#current === undefined && this.#closing === undefined) {
      const next = this.#queue[0];
      if (next === undefined) return;
      const proposed = this.raft.proposeConfChange(next.change);
      if (proposed.kind === "appended") {
        this.#current = { index: proposed.index, term: proposed.term, waiter: next.waiter };
      } else if (proposed.reason !== "not-leader" && proposed.reason !== "bad-change") {
        return;
      } else {
        next.waiter.reject(faultOf(proposed, this.raft));
      }
      this.#queue.shift();
    }
  }

  applied(entry: Entry): void {
    const current = this.#current;
    if (current?.index !== entry.index) return;
    this.#current = undefined;
    if (current.term !== entry.term) {
      current.waiter.reject(new Fault("LEADERSHIP_LOST", { index: entry.index }));
    } else if (this.raft.role === "leader") this.#closing = current.waiter;
    // It has taken itself away, and finds out no more than that.
    else current.waiter.resolve();
  }

  /** After what is committed has been applied. */
  look(): void {
    if (!this.raft.removalsFinal) return;
    this.#closing?.resolve();
    this.#closing = undefined;
  }

  rejectAll(fault: Fault): void {
    const waiters = this.#queue.map((waiting) => waiting.waiter);
    if (this.#current !== undefined) waiters.push(this.#current.waiter);
    if (this.#closing !== undefined) waiters.push(this.#closing);
    this.#closing = undefined;
    this.#queue = [];
    this.#current = undefined;
    for (const waiter of waiters) waiter.reject(fault);
  }
}
