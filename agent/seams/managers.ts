// The way to the managers, what is remembered of it, and what is measured for them.
import type { Refusal } from "../../common/fault.js";
import type { ProbeResult } from "../../proto/gen/control.js";
import type {
  AgentMessage,
  Assignments,
  AttachRequest,
  AttachResponse,
  Hello,
  InquiryBatch,
  LogBatch,
  ManagerMessage,
  NodeUpdate,
  Welcome,
} from "../../proto/gen/dispatcher.js";
import type { Network } from "../../proto/gen/types.js";

/** One session with the leader. The loop opens another when it ends. */
export interface Session {
  /** The manager that serves it: the one asked, or the leader that it pointed to. */
  readonly addr: string;
  readonly welcome: Welcome;
  send(message: AgentMessage): void;
  /** What follows the Welcome, in order; ends or throws when the session does. */
  readonly messages: AsyncIterable<ManagerMessage>;
  close(): void;
}

/**
 * Talks to managers with this node's certificate. `attach`, `detach`, `findNetwork` and `leave` try the
 * leader last heard of, then the others, over again until one request's time is over; then they throw
 * Fault NO_MANAGER with the last cause. All four may be repeated without harm. `settle` asks the leader once.
 */
export interface ManagerLink {
  /** Says Hello at `addr`, follows one redirect, and resolves with the leader's Welcome; a Refusal is for good. */
  openSession(addr: string, hello: Hello, signal: AbortSignal): Promise<Session | Refusal>;
  attach(request: AttachRequest): Promise<AttachResponse | Refusal>;
  detach(endpointId: string): Promise<Refusal | undefined>;
  findNetwork(nameOrId: string): Promise<Network | Refusal>;
  leave(): Promise<void>;
  /** Resolves when every node has applied the revision as far as the leader will wait; throws if it cannot be asked. */
  settle(revision: number, timeoutMs: number): Promise<void>;
  /** Sends what comes until it ends or the manager wants no more; never throws. */
  publishLogs(batches: AsyncIterable<LogBatch>, signal: AbortSignal): Promise<void>;
  publishInquiry(batches: AsyncIterable<InquiryBatch>, signal: AbortSignal): Promise<void>;
}

/** The last assignments heard, so that a restart needs no manager. Writes replace the whole, atomically. */
export interface Journal {
  load(): Promise<Assignments | undefined>;
  save(assignments: Assignments): Promise<void>;
  clear(): Promise<void>;
}

export interface PingTarget {
  readonly address: string;
}
export interface PingOutcome {
  readonly address: string;
  readonly sent: number;
  readonly rttsUs: readonly number[];
  readonly error: string;
}
export interface Pinger {
  /** ICMP echo from inside the namespace at `netnsPath` (undefined: the agent's own). Never throws; errors are in the outcome. */
  ping(
    netnsPath: string | undefined,
    targets: readonly PingTarget[],
    options: {
      readonly count: number;
      readonly intervalMs: number;
      readonly timeoutMs: number;
      readonly sizeBytes: number;
    },
    signal: AbortSignal,
  ): Promise<readonly PingOutcome[]>;
}

export type { NodeUpdate, ProbeResult };
