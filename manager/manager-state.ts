// What this manager process is, from idle over running until it has left, and what it says of itself. It changes
// in the middle of an order (manager.ts), or when the group or the log ends the seat.
// Invariant: only a running manager has a member, and answers the swarm; only one that is idle, or was removed,
// may take a seat that its disk does not hold.
import type { Clock } from "../common/clock.js";
import { messageOf, type Refusal, Refused, refuse } from "../common/fault.js";
import type { Logger } from "../common/log.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import { AdminStatus, type Identity } from "../proto/gen/admin.js";
import { failureSentence } from "./failure-words.js";
import type { Member, MemberServices } from "./member.js";
import { LOCKED } from "./node-keys.js";
import type { ManagerDisk, ManagerIdentity, ManagerSeat } from "./seams.js";
import { statusOf } from "./seat-status.js";

/** What the orders of a manager are carried out with. */
export interface SeatTools {
  readonly state: ManagerState;
  readonly disk: ManagerDisk;
  /** Listens, and answers "starting" to all. A port that is taken is a Refusal that names it. */
  readonly openSeat: (identity: ManagerIdentity, tls: Identity) => Promise<HeldSeat | Refusal>;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  /** The process ends. */
  readonly stopped: AbortSignal;
}

export type HeldSeat = ManagerSeat<Member>;

export interface Running {
  readonly kind: "running";
  readonly seat: HeldSeat;
  readonly member: Member;
}

type Addresses = Pick<ManagerIdentity, "listenAddr" | "advertiseAddr">;

export type State =
  | { readonly kind: "idle" | "removed" }
  /** `at`: where it is to listen; `message`: why it has to wait for that; empty: it does not. */
  | { readonly kind: "resuming"; readonly message: string; readonly at?: Addresses }
  | { readonly kind: "failed" | "locked"; readonly message: string }
  | Running;

// Docker's words.
const ALREADY =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';
const NOT_A_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

export class ManagerState {
  #now: State = { kind: "idle" };

  constructor(
    private readonly log: Logger,
    private readonly stopped: AbortSignal,
  ) {}

  get now(): State {
    return this.#now;
  }

  become(state: State): void {
    this.#now = state;
  }

  /** What fails because the process is to end is no failure. */
  fail(error: unknown): void {
    if (this.stopped.aborted) return;
    this.log.error({ err: messageOf(error) }, "manager failed");
    this.#now = { kind: "failed", message: failureSentence(error) };
  }

  running(): Running | Refusal {
    if (this.#now.kind === "running") return this.#now;
    return refuse("failed-precondition", this.#whyNot());
  }

  refuseUnlessIdle(): Refusal | undefined {
    switch (this.#now.kind) {
      case "idle":
      case "removed":
        return undefined;
      case "running":
      case "resuming":
      case "locked":
        return refuse("failed-precondition", ALREADY);
      case "failed":
        return refuse("failed-precondition", this.#now.message);
    }
  }

  /** For who asks this manager something; throws Refused while it does not run. */
  services(): MemberServices {
    const state = this.#now;
    if (state.kind === "running") return state.member.services;
    throw new Refused(refuse("unavailable", this.#whyNot()));
  }

  #whyNot(): string {
    const state = this.#now;
    if (state.kind === "locked") return LOCKED;
    const failed = "message" in state && state.message !== "";
    return failed ? `the manager of this node does not run: ${state.message}` : NOT_A_MANAGER;
  }

  status(): AdminStatus {
    const state = this.#now;
    if (state.kind === "running") return statusOf(state.seat, state.member);
    const message = "message" in state ? state.message : "";
    const { listenAddr = "", advertiseAddr = "" } = ("at" in state && state.at) || {};
    return AdminStatus.fromPartial({ state: state.kind, message, listenAddr, advertiseAddr });
  }
}

export function notAManager(): Refusal {
  return refuse("failed-precondition", NOT_A_MANAGER);
}
