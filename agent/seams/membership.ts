// The swarm of this node: what a person asks of the membership, and what it says of itself.
import type { Refusal } from "../../common/fault.js";
import type {
  AdminStatus,
  BackupResponse,
  InitRequest,
  ManagerReport,
  RecoverResponse,
} from "../../proto/gen/admin.js";
import type { ControlClient } from "../../proto/gen/control.js";
import type { Availability, Role } from "../../proto/gen/types.js";

/** Docker's LocalNodeState (engine-api.yaml). */
export type LocalNodeState = "inactive" | "pending" | "active" | "error" | "locked";

export interface SwarmStatus {
  readonly state: LocalNodeState;
  readonly error: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly nodeAddr: string;
  readonly dataPathAddr: string;
  readonly dataPathPort: number;
  readonly role: Role;
  readonly rootCaCert: Uint8Array;
  readonly managers: readonly { readonly nodeId: string; readonly addr: string }[];
}

export interface InitSwarm {
  readonly listenAddr: string;
  /** Address, interface name, with or without port; empty: found from the default route. */
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly dataPathPort: number;
  readonly availability: Availability;
  readonly forceNewCluster: boolean;
  readonly defaultAddrPools: readonly string[];
  readonly subnetSize: number;
  readonly spec: InitRequest["spec"];
}

export interface JoinSwarm {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly availability: Availability;
  readonly remoteAddrs: readonly string[];
  readonly token: string;
}

export interface RestoreSwarm {
  readonly file: Buffer;
  readonly key: string;
  /** Empty as in InitSwarm. */
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  /** Whose place in the swarm this node takes (proto/admin.proto, RestoreRequest). */
  readonly node: string;
}

/** `hereOnly`: nobody leads, or this node is a worker: only this node dials the manager there for now. */
export interface AddrSet {
  readonly addr: string;
  readonly hereOnly: boolean;
}

/** Swarm membership of this node. Each answers a Refusal for what the person did wrong. */
export interface Membership {
  status(): SwarmStatus;
  init(request: InitSwarm): Promise<{ readonly nodeId: string } | Refusal>;
  join(request: JoinSwarm): Promise<{ readonly role: Role } | Refusal>;
  leave(force: boolean): Promise<Refusal | undefined>;
  /** The state of the swarm in an encrypted file, and its key. */
  backup(): Promise<BackupResponse | Refusal>;
  restore(
    request: RestoreSwarm,
  ): Promise<{ readonly nodeId: string; readonly isNew: boolean } | Refusal>;
  /** This node's manager becomes the only one; `onlyPlan`: says what that comes to (docs/recovery.md). */
  recover(onlyPlan: boolean): Promise<RecoverResponse | Refusal>;
  /** `unlockKey` as a person has it. Resolves when this node's manager answers again, or after a while. */
  unlock(unlockKey: string): Promise<Refusal | undefined>;
  /** The local manager; a Refusal in Docker's words when this node is not one or it is not running. */
  control(): ControlClient | Refusal;
  /** Where this node, or a manager, is reached from now on. */
  setAddr(nodeId: string, addr: string): Promise<AddrSet | Refusal>;
  managerStatus(): Promise<AdminStatus | undefined>;
  /** What every manager of the group says of itself; undefined while this node's does not run. */
  managerReports(): Promise<readonly ManagerReport[] | undefined>;
}
