// The manager process beside this agent: started, asked, and started again.
import type { Refusal } from "../../common/fault.js";
import type {
  AdminStatus,
  BackupResponse,
  InitRequest,
  InitResponse,
  JoinGroupRequest,
  NodeKeys,
  RecoverRequest,
  RecoverResponse,
  ReportsResponse,
  RestoreRequest,
  RestoreResponse,
  SetAddrRequest,
  SetAddrResponse,
} from "../../proto/gen/admin.js";
import type { ControlClient } from "../../proto/gen/control.js";
import type { NodeIdentity } from "./identity.js";

export interface ManagerHost {
  /** Starts it unless it runs (it outlives the agent); resolves when it answers. Again is no error. */
  start(): Promise<void>;
  /** Resolves when it is gone. */
  stop(): Promise<void>;
  /** Stops it and erases all it keeps. */
  wipe(): Promise<void>;
  /** Whether there is anything on disk that it could go on with. */
  hasState(): boolean;
  /** Whether it is meant to run. When it dies meanwhile, it is started again. */
  readonly started: boolean;
  /** The client of its Control service; only sensible while started. */
  control(): ControlClient;
  init(request: InitRequest): Promise<InitResponse | Refusal>;
  join(request: JoinGroupRequest): Promise<AdminStatus | Refusal>;
  setIdentity(identity: NodeIdentity): Promise<AdminStatus | Refusal>;
  /** A new certificate by its own log, when this identity's is over (proto/admin.proto). */
  renewExpired(
    identity: NodeIdentity,
  ): Promise<Pick<NodeIdentity, "certificate" | "root"> | Refusal>;
  status(): Promise<AdminStatus | Refusal>;
  /** What every manager of the group says of itself (proto/admin.proto); takes two seconds when one does not answer. */
  reports(): Promise<ReportsResponse | Refusal>;

  /** Nodes whose managers do not answer the leader (proto/control.proto). */
  unheardManagers(): Promise<readonly string[] | Refusal>;
  /** Has it ask the managers at these addresses whether it still has its seat (proto/admin.proto). */
  confirmSeat(managers: readonly string[]): Promise<AdminStatus | Refusal>;
  /** Where this manager is reached, or another (proto/admin.proto). */
  setAddr(request: SetAddrRequest): Promise<SetAddrResponse | Refusal>;
  /** Makes it the only manager of its swarm, or says what that would come to (proto/admin.proto). */
  recover(request: RecoverRequest): Promise<RecoverResponse | Refusal>;
  backup(): Promise<BackupResponse | Refusal>;
  restore(request: RestoreRequest): Promise<RestoreResponse | Refusal>;
  leave(force: boolean): Promise<AdminStatus | Refusal>;
  /** "permission-denied": it is another key, and nothing has changed. */
  unlock(unlockKey: Uint8Array): Promise<AdminStatus | Refusal>;
  /**
   * What seals its disk, once that is of another version than `knownVersion`; Fault RPC_DEADLINE when it was
   * not for a while. "failed-precondition": it is locked.
   */
  keys(knownVersion: number | undefined, signal: AbortSignal): Promise<NodeKeys | Refusal>;
}

/** What the process itself answers, on its unix socket. */
export type ManagerAdmin = Pick<
  ManagerHost,
  | "control"
  | "init"
  | "join"
  | "setIdentity"
  | "renewExpired"
  | "status"
  | "reports"
  | "unheardManagers"
  | "confirmSeat"
  | "setAddr"
  | "recover"
  | "backup"
  | "restore"
  | "leave"
  | "unlock"
  | "keys"
>;

/** How the process is run: a child of this agent, or a systemd unit. */
export interface ManagerRunner {
  /** Starts one, or takes over the one that an earlier agent started. */
  start(): Promise<RunningManager>;
  /** The one that runs already, if any. */
  find(): Promise<RunningManager | undefined>;
  /** Whether it has a seat on disk (proto/admin.proto), or the beginning of one. */
  hasState(): boolean;
  /** Erases its state; only called while none runs. */
  erase(): Promise<void>;
}
export interface RunningManager {
  /** Resolves once with how it ended ("exit code 1", "SIGKILL"). */
  readonly exited: Promise<string>;
  /** Resolves when it is gone, by SIGKILL in the end. */
  stop(): Promise<void>;
  /** Stops watching; it goes on. */
  release(): void;
}
