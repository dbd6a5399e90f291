// What the gRPC shells call, and what a manager that does not lead calls on the leader: proto/*.proto, a service each.
import type { PeerIdentity } from "../../common/certificates.js";
import type { Refusal } from "../../common/fault.js";
import type {
  AdminLeaveRequest,
  AdminStatus,
  AdminStatusRequest,
  BackupRequest,
  BackupResponse,
  ConfirmSeatRequest,
  Identity,
  InitRequest,
  InitResponse,
  JoinGroupRequest,
  KeysRequest,
  NodeKeys,
  RecoverRequest,
  RecoverResponse,
  RenewExpiredRequest,
  RenewExpiredResponse,
  ReportsRequest,
  ReportsResponse,
  RestoreRequest,
  RestoreResponse,
  SetAddrRequest,
  SetAddrResponse,
  UnlockRequest,
} from "../../proto/gen/admin.js";
import type { IssueCertificateRequest, IssueCertificateResponse } from "../../proto/gen/ca.js";
import type {
  AllowPolicyRequest,
  CheckRequest,
  CreateConfigRequest,
  CreateNetworkRequest,
  CreateSecretRequest,
  CreateServiceRequest,
  Empty,
  GetRequest,
  InquireRequest,
  InquiryPart,
  ListConfigsResponse,
  ListEndpointsRequest,
  ListEndpointsResponse,
  ListNetworksResponse,
  ListNodesResponse,
  ListPoliciesResponse,
  ListSecretsResponse,
  ListServicesRequest,
  ListServicesResponse,
  ListTasksRequest,
  ListTasksResponse,
  LogMessage,
  LogsRequest,
  NodeCheck,
  ProbeRequest,
  ProbeResult,
  RemoveNodeRequest,
  RemoveRequest,
  ServiceResponse,
  SwarmEvent,
  UnlockKey,
  UpdateClusterRequest,
  UpdateConfigRequest,
  UpdateNodeRequest,
  UpdateSecretRequest,
  UpdateServiceRequest,
} from "../../proto/gen/control.js";
import type {
  AgentMessage,
  AttachRequest,
  AttachResponse,
  DetachRequest,
  FindNetworkRequest,
  InquiryBatch,
  LogBatch,
  ManagerMessage,
  SettleRequest,
} from "../../proto/gen/dispatcher.js";
import type {
  RaftHasSeatRequest,
  RaftHasSeatResponse,
  RaftJoinRequest,
  RaftJoinResponse,
  RaftLeaveRequest,
  RaftLeaveResponse,
  RaftReport,
  RaftReportRequest,
  RaftSetAddrRequest,
  RaftSetAddrResponse,
} from "../../proto/gen/raft.js";
import type { Config, Secret, Service, Task } from "../../proto/gen/service.js";
import type { Cluster, Network, Node, Policy } from "../../proto/gen/types.js";

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
  readonly getUnlockKey: Unary<Empty, UnlockKey>;
  readonly updateCluster: Unary<UpdateClusterRequest, Cluster>;
  readonly listNodes: Unary<Empty, ListNodesResponse>;
  readonly updateNode: Unary<UpdateNodeRequest, Node>;
  readonly removeNode: Unary<RemoveNodeRequest, Empty>;
  readonly listNetworks: Unary<Empty, ListNetworksResponse>;
  readonly createNetwork: Unary<CreateNetworkRequest, Network>;
  readonly removeNetwork: Unary<RemoveRequest, Empty>;
  readonly listEndpoints: Unary<ListEndpointsRequest, ListEndpointsResponse>;
  readonly createService: Unary<CreateServiceRequest, ServiceResponse>;
  readonly updateService: Unary<UpdateServiceRequest, ServiceResponse>;
  readonly removeService: Unary<RemoveRequest, Empty>;
  readonly getService: Unary<GetRequest, Service>;
  readonly listServices: Unary<ListServicesRequest, ListServicesResponse>;
  readonly getTask: Unary<GetRequest, Task>;
  readonly listTasks: Unary<ListTasksRequest, ListTasksResponse>;
  readonly createSecret: Unary<CreateSecretRequest, Secret>;
  readonly updateSecret: Unary<UpdateSecretRequest, Secret>;
  readonly removeSecret: Unary<RemoveRequest, Empty>;
  readonly listSecrets: Unary<Empty, ListSecretsResponse>;
  readonly createConfig: Unary<CreateConfigRequest, Config>;
  readonly updateConfig: Unary<UpdateConfigRequest, Config>;
  readonly removeConfig: Unary<RemoveRequest, Empty>;
  readonly listConfigs: Unary<Empty, ListConfigsResponse>;
  readonly listPolicies: Unary<Empty, ListPoliciesResponse>;
  readonly allowPolicy: Unary<AllowPolicyRequest, Policy>;
  readonly removePolicy: Unary<RemoveRequest, Empty>;
}
export interface ControlApi extends ControlCalls {
  watchEvents(caller: Caller): AsyncIterable<SwarmEvent>;
  /** Throws Refused. */
  probeNetwork(request: ProbeRequest, caller: Caller): AsyncIterable<ProbeResult>;
  /** Throws Refused. */
  checkSwarm(request: CheckRequest, caller: Caller): AsyncIterable<NodeCheck>;
  /** Throws Refused. */
  serviceLogs(request: LogsRequest, caller: Caller): AsyncIterable<LogMessage>;
  /** Throws Refused. */
  inquire(request: InquireRequest, caller: Caller): AsyncIterable<InquiryPart>;
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
  readonly settle: Unary<SettleRequest, Empty>;
  publishLogs(caller: Caller, incoming: AsyncIterable<LogBatch>): Promise<Empty>;
  publishInquiry(caller: Caller, incoming: AsyncIterable<InquiryBatch>): Promise<Empty>;
}

/** proto/admin.proto: from the node's own agent only. */
export interface AdminApi {
  readonly init: Unary<InitRequest, InitResponse>;
  readonly join: Unary<JoinGroupRequest, AdminStatus>;
  readonly setIdentity: Unary<Identity, AdminStatus>;
  readonly renewExpired: Unary<RenewExpiredRequest, RenewExpiredResponse>;
  readonly status: Unary<AdminStatusRequest, AdminStatus>;
  readonly reports: Unary<ReportsRequest, ReportsResponse>;
  readonly confirmSeat: Unary<ConfirmSeatRequest, AdminStatus>;
  readonly setAddr: Unary<SetAddrRequest, SetAddrResponse>;
  readonly backup: Unary<BackupRequest, BackupResponse>;
  readonly restore: Unary<RestoreRequest, RestoreResponse>;
  readonly recover: Unary<RecoverRequest, RecoverResponse>;
  readonly leave: Unary<AdminLeaveRequest, AdminStatus>;
  readonly unlock: Unary<UnlockRequest, AdminStatus>;
  readonly keys: Unary<KeysRequest, NodeKeys>;
}

export interface AuthorityApi {
  readonly issueCertificate: Unary<IssueCertificateRequest, IssueCertificateResponse>;
}

/** proto/raft.proto without Step. */
export interface MembershipApi {
  readonly join: Unary<RaftJoinRequest, RaftJoinResponse>;
  readonly leave: Unary<RaftLeaveRequest, RaftLeaveResponse>;
  readonly hasSeat: Unary<RaftHasSeatRequest, RaftHasSeatResponse>;
  readonly setAddr: Unary<RaftSetAddrRequest, RaftSetAddrResponse>;
  readonly report: Unary<RaftReportRequest, RaftReport>;
}

/** The services of another manager. Calls throw Fault RPC_* when it cannot be reached (common/grpc/call.ts). */
export interface LeaderLink {
  readonly control: ControlCalls &
    Pick<ControlApi, "checkSwarm" | "inquire" | "probeNetwork" | "serviceLogs">;
  readonly authority: AuthorityApi;
  readonly membership: MembershipApi;
}
