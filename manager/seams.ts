// What the manager's loops reach the outside through, and what its parts promise each other. Each seam
// has a real implementation in a shell folder, a twin in test/fakes, and one suite that runs on both.
import type { Topic } from "../common/watch.js";
import type {
  ConfChange,
  Entry,
  HardState,
  RaftMember,
  RaftMessage,
  RaftSnapshot,
} from "../proto/gen/raft.js";

/** What the disk holds, as read at start. `entries` follow the snapshot without a gap. */
export interface StoredLog {
  readonly hardState: HardState;
  readonly snapshot: RaftSnapshot | undefined;
  readonly entries: readonly Entry[];
  /** Bytes cut from a torn tail; 0 normally. Damage anywhere else is a Fault "LOG_DAMAGED" with file and offset. */
  readonly tornBytes: number;
}

/** The durable log. One user at a time; calls are made in sequence. */
export interface LogDisk {
  load(): Promise<StoredLog>;
  /**
   * Writes entries (those at or after an existing index replace the tail from there) and the hard
   * state, and resolves when they would survive power loss. A full disk is Fault "DISK_FULL" and
   * leaves what was there before readable; any other failure is final for the process.
   */
  persist(hardState: HardState | undefined, entries: readonly Entry[]): Promise<void>;
  /** Durable when resolved; then log segments that lie before `keepFrom` may be deleted. */
  saveSnapshot(snapshot: RaftSnapshot, keepFrom: number): Promise<void>;
  close(): Promise<void>;
}

/** Carries messages between managers: unordered between peers, lossy, never blocking. */
export interface RaftTransport {
  /** Addresses to use from now on. Connections to members that are gone are closed. */
  setMembers(members: readonly RaftMember[]): void;
  /** Drops the message when the peer's queue (bounded) is full or it cannot be reached. */
  send(message: RaftMessage): void;
  readonly received: Topic<RaftMessage>;
}

/** What the log is applied to. All methods are synchronous and deterministic. */
export interface StateMachine<Outcome> {
  /** Called once for each committed entry of kind NORMAL with data, in order of index. */
  apply(index: number, data: Uint8Array): Outcome;
  /** The whole state after the last applied entry. */
  snapshot(): Uint8Array;
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
}

/** The replicated log, running. Faults: NOT_LEADER, LEADERSHIP_LOST (outcome unknown), DISK_FULL, STOPPED. */
export interface Consensus<Outcome> {
  status(): RaftStatus;
  /** Published on every change of role, term, leader, members or `ready`. Not on every commit. */
  readonly changed: Topic<RaftStatus>;
  /** Resolves with what `apply` returned for this entry here. Leader only. */
  propose(data: Uint8Array, signal: AbortSignal): Promise<Outcome>;
  /** Resolves when a read of local state would be linearizable (ReadIndex, Raft dissertation section 6.4). */
  readBarrier(signal: AbortSignal): Promise<void>;
  /** Leader only; one at a time (others wait); resolves when applied. Removing a voter whose loss would lose quorum is the caller's to refuse. */
  changeMembers(change: ConfChange, signal: AbortSignal): Promise<void>;
  /** Learners that have caught up; the caller proposes PROMOTE. Leader only. */
  caughtUpLearners(): readonly RaftMember[];
  transferLeadership(toRaftId: number, signal: AbortSignal): Promise<void>;
  /** Whether each member answered within the last election timeout. Leader only; self is reachable. */
  reachable(raftId: number): boolean;
  close(): Promise<void>;
}
