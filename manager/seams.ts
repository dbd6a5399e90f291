// What the manager's loops reach the outside through, and what its parts promise each other. Each seam
// has a real implementation in a shell folder, a twin in test/fakes, and one suite that runs on both.
import type { PeerIdentity } from "../common/certificates.js";
import type { Refusal } from "../common/fault.js";
import type { Topic } from "../common/watch.js";
import type {
  AdminLeaveRequest,
  AdminStatus,
  AdminStatusRequest,
  Identity,
  InitRequest,
  InitResponse,
  JoinGroupRequest,
} from "../proto/gen/admin.js";
import type { IssueCertificateRequest, IssueCertificateResponse } from "../proto/gen/ca.js";
import type {
  CreateNetworkRequest,
  Empty,
  ListEndpointsRequest,
  ListEndpointsResponse,
  ListNetworksResponse,
  ListNodesResponse,
  ProbeRequest,
  ProbeResult,
  RemoveNodeRequest,
  RemoveRequest,
  SwarmEvent,
  UpdateClusterRequest,
  UpdateNodeRequest,
} from "../proto/gen/control.js";
import type {
  AgentMessage,
  AttachRequest,
  AttachResponse,
  DetachRequest,
  FindNetworkRequest,
  ManagerMessage,
} from "../proto/gen/dispatcher.js";
import type {
  ConfChange,
  Entry,
  HardState,
  RaftJoinRequest,
  RaftJoinResponse,
  RaftLeaveRequest,
  RaftLeaveResponse,
  RaftMember,
  RaftMessage,
  RaftSnapshot,
} from "../proto/gen/raft.js";
import type { Cluster, Network, Node, Role } from "../proto/gen/types.js";

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
  /**
   * Resolves when a read of local state would be linearizable (ReadIndex, Raft dissertation section 6.4).
   * Fault NOT_LEADER: it began on the leader, which has lost the lead since; ask the next one.
   */
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

// ---- Services: what the gRPC shells call, and what a follower calls on the leader ----------------

/** Who asks, as TLS has proven it. */
export interface Caller {
  /** undefined: no certificate of this swarm, or the node's own agent on the unix socket. */
  readonly peer: PeerIdentity | undefined;
  /** On the node's own socket, which only its agent can open. */
  readonly local: boolean;
  /** Sent on by a manager that does not lead; not to be sent on again. */
  readonly forwarded: boolean;
  /** Of a forwarded request: the id that the first manager chose for what is to be made; else empty. */
  readonly requestId: string;
  /** Address of the other end without port; empty on the unix socket. */
  readonly remoteAddr: string;
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal;
}

export type Unary<Request, Response> = (
  request: Request,
  caller: Caller,
) => Promise<Response | Refusal>;

/** proto/control.proto, the calls with one answer. */
export interface ControlCalls {
  readonly getCluster: Unary<Empty, Cluster>;
  readonly updateCluster: Unary<UpdateClusterRequest, Cluster>;
  readonly listNodes: Unary<Empty, ListNodesResponse>;
  readonly updateNode: Unary<UpdateNodeRequest, Node>;
  readonly removeNode: Unary<RemoveNodeRequest, Empty>;
  readonly listNetworks: Unary<Empty, ListNetworksResponse>;
  readonly createNetwork: Unary<CreateNetworkRequest, Network>;
  readonly removeNetwork: Unary<RemoveRequest, Empty>;
  readonly listEndpoints: Unary<ListEndpointsRequest, ListEndpointsResponse>;
}
export interface ControlApi extends ControlCalls {
  watchEvents(caller: Caller): AsyncIterable<SwarmEvent>;
  /** Throws Refused. */
  probeNetwork(request: ProbeRequest, caller: Caller): AsyncIterable<ProbeResult>;
}

/** proto/dispatcher.proto. All throw NotLeader (a Refused) on a manager that does not lead. */
export interface DispatcherApi {
  /** Runs one session until it ends; throws Refused to end it with a reason. */
  session(
    caller: Caller,
    incoming: AsyncIterable<AgentMessage>,
    send: (message: ManagerMessage) => Promise<void>,
  ): Promise<void>;
  readonly attach: Unary<AttachRequest, AttachResponse>;
  readonly detach: Unary<DetachRequest, Empty>;
  readonly findNetwork: Unary<FindNetworkRequest, Network>;
  readonly leave: Unary<Empty, Empty>;
}

/** proto/admin.proto: from the node's own agent only. */
export interface AdminApi {
  readonly init: Unary<InitRequest, InitResponse>;
  readonly join: Unary<JoinGroupRequest, AdminStatus>;
  readonly setIdentity: Unary<Identity, AdminStatus>;
  readonly status: Unary<AdminStatusRequest, AdminStatus>;
  readonly leave: Unary<AdminLeaveRequest, AdminStatus>;
}

export interface AuthorityApi {
  readonly issueCertificate: Unary<IssueCertificateRequest, IssueCertificateResponse>;
}

/** proto/raft.proto without Step. */
export interface MembershipApi {
  readonly join: Unary<RaftJoinRequest, RaftJoinResponse>;
  readonly leave: Unary<RaftLeaveRequest, RaftLeaveResponse>;
}

/** The services of another manager. Calls throw Fault RPC_* when it cannot be reached (common/grpc/call.ts). */
export interface LeaderLink {
  readonly control: ControlCalls & Pick<ControlApi, "probeNetwork">;
  readonly authority: AuthorityApi;
  readonly membership: MembershipApi;
}

/** Signs certificates (manager/certs). Requests that it cannot accept are Refusals. */
export interface CertificateSigner {
  checkCsr(csr: Uint8Array): Promise<CheckedCsr | Refusal>;
  /** PEM. */
  issue(
    root: { readonly certificate: Buffer; readonly privateKey: Buffer },
    csr: CheckedCsr,
    wish: LeafWish,
  ): Promise<Buffer>;
}
/** A signing request whose self-signature holds. */
export interface CheckedCsr {
  readonly der: Uint8Array;
  /** SHA-256 of its SPKI. */
  readonly publicKeyDigest: Buffer;
}
export interface LeafWish {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
  readonly lifeMs: number;
}
