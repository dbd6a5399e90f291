// The replicated log: a seat in its group, what carries its messages, what it is applied to, and what it promises.
import type { Topic } from "../../common/watch.js";
import type { Identity, PortCounters } from "../../proto/gen/admin.js";
import type { ConfChange, RaftMember, RaftMessage } from "../../proto/gen/raft.js";
import type { ManagerIdentity } from "./disk.js";
import type { LeaderLink } from "./services.js";

/** A seat from the outside: the port 2377, the channels to the others, and the member once it runs. */
export interface ManagerSeat<Member> {
  /** The raft id in it is known only when the group has given it. */
  identity: ManagerIdentity;
  /** The services of the manager at `addr`, asked with this seat's certificate. */
  link(addr: string): LeaderLink;
  /** From here on the port answers. Fault LOG_EMPTY when there is nothing to resume. */
  start(bootstrap: Bootstrap): Promise<Member>;
  /** New connections, both ways, show this identity from now on. */
  renew(tls: Identity): void;
  counters(): PortCounters | undefined;
  close(): Promise<void>;
}

/** What starts a member of the Raft group. */
export type Bootstrap =
  /** A group of one, on an empty disk. It commits as soon as the member has started. */
  | { readonly kind: "new"; readonly self: RaftMember }
  /** A member that the group has added as a learner; the disk is empty and the leader fills it. */
  | { readonly kind: "join"; readonly self: RaftMember; readonly members: readonly RaftMember[] }
  /** What the disk holds. */
  | { readonly kind: "resume"; readonly raftId: number };

/** Carries messages between managers: unordered between peers, lossy, never blocking. */
export interface RaftTransport {
  /** Addresses to use from now on. Connections to members that are gone are closed. */
  setMembers(members: readonly RaftMember[]): void;
  /** Drops the message when the peer's queue (bounded) is full or it cannot be reached. */
  send(message: RaftMessage): void;
  readonly received: Topic<RaftMessage>;
}

/** Each step is a part of the work, the last one has the bytes; they are of the state at the first. */
export type SnapshotSlices = Iterator<undefined, Buffer>;

/** What the log is applied to. All methods are synchronous and deterministic. */
export interface StateMachine<Outcome> {
  /** Called once for each committed entry of kind NORMAL with data, in order of index. */
  apply(index: number, data: Uint8Array): Outcome;
  /** The whole state after the last applied entry; entries are applied between the steps. */
  snapshotSlices(): SnapshotSlices;
  /** All of it at once. */
  snapshot(): Buffer;
  restore(data: Uint8Array): void;
}

export interface RaftStatus {
  readonly raftId: number;
  readonly role: "follower" | "pre-candidate" | "candidate" | "leader" | "learner";
  readonly term: number;
  /** 0: none known. */
  readonly leaderId: number;
  readonly commit: number;
  readonly applied: number;
  readonly members: readonly RaftMember[];
  /** On a leader: whether an entry of its own term is applied, so that it may decide from what it holds. */
  readonly ready: boolean;
  /** On a leader: whether whoever was taken away may forget what it holds (docs/consensus.md). */
  readonly removalsFinal: boolean;
}

/** The replicated log, running. Faults: NOT_LEADER, LEADERSHIP_LOST (outcome unknown), DISK_FULL, STOPPED. */
export interface Consensus<Outcome> {
  status(): RaftStatus;
  /** Published on every change of role, term, leader, members or `ready`. Not on every commit. */
  readonly changed: Topic<RaftStatus>;
  /** Resolves with what `apply` returned for this entry here. Leader only. */
  propose(data: Uint8Array, signal: AbortSignal): Promise<Outcome>;
  /**
   * Resolves when a read of local state would be linearizable (ReadIndex, Raft dissertation section 6.4).
   * Fault NOT_LEADER: it began on the leader, which has lost the lead since; ask the next one.
   */
  readBarrier(signal: AbortSignal): Promise<void>;
  /**
   * Leader only; one at a time (others wait); resolves when applied and, if it takes a vote away, final. Removing a voter
   * whose loss would lose quorum is the caller's to refuse.
   */
  changeMembers(change: ConfChange, signal: AbortSignal): Promise<void>;
  /** Learners that have caught up; the caller proposes PROMOTE. Leader only. */
  caughtUpLearners(): readonly RaftMember[];
  transferLeadership(toRaftId: number, signal: AbortSignal): Promise<void>;
  /** Whether each member answered within the last election timeout. Leader only; self is reachable. */
  reachable(raftId: number): boolean;
  close(): Promise<void>;
}
