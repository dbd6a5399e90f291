// What the agent's loops reach the outside through, and what its parts promise each other.
import type { Duplex, Readable } from "node:stream";
import type { Refusal } from "../common/fault.js";
import type { Unsubscribe } from "../common/watch.js";
import type {
  AdminStatus,
  InitRequest,
  InitResponse,
  JoinGroupRequest,
} from "../proto/gen/admin.js";
import type { ControlClient, ProbeResult } from "../proto/gen/control.js";
import type {
  AgentMessage,
  Assignments,
  AttachRequest,
  AttachResponse,
  Hello,
  ManagerMessage,
  NodeUpdate,
  Welcome,
} from "../proto/gen/dispatcher.js";
import type { Availability, Endpoint, Network, Role } from "../proto/gen/types.js";
import type { MachineAddress } from "./member/advertise.js";

// ---- The node, as the local API sees it -------------------------------------------------------

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

/** Swarm membership of this node. Each answers a Refusal for what the person did wrong. */
export interface Membership {
  status(): SwarmStatus;
  init(request: InitSwarm): Promise<{ readonly nodeId: string } | Refusal>;
  join(request: JoinSwarm): Promise<{ readonly role: Role } | Refusal>;
  leave(force: boolean): Promise<Refusal | undefined>;
  /** The local manager; a Refusal in Docker's words when this node is not one or it is not running. */
  control(): ControlClient | Refusal;
  managerStatus(): Promise<AdminStatus | undefined>;
}

export interface EndpointWish {
  readonly network: string;
  readonly aliases: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface ConsoleSize {
  readonly rows: number;
  readonly columns: number;
}

/** What a person asked to run. The part of Docker's ContainerConfig and HostConfig that a runtime here honours. */
export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly runtime: "process";
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly hostname: string;
  readonly tty: boolean;
  /** Of the terminal from its first moment. */
  readonly consoleSize?: ConsoleSize | undefined;
  readonly openStdin: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly autoRemove: boolean;
  readonly stopSignal: string;
  readonly stopTimeoutSeconds: number;
  /** "none": only loopback; "host": the machine's own; "networks": `endpoints` says which. */
  readonly networkMode: "none" | "host" | "networks";
  readonly endpoints: readonly EndpointWish[];
}

export type ContainerState = "created" | "running" | "exited" | "removing" | "dead";

export interface Container {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly state: ContainerState;
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** Its endpoints as given, with the network each is on. */
  readonly endpoints: readonly { readonly endpoint: Endpoint; readonly network: Network }[];
  readonly sandboxPath: string;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Last lines only; undefined: all. */
  readonly tail: number | undefined;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface ExecSpec {
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly tty: boolean;
  readonly consoleSize?: ConsoleSize | undefined;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
}

export interface ExecState {
  readonly id: string;
  readonly containerId: string;
  readonly spec: ExecSpec;
  readonly running: boolean;
  readonly exitCode: number;
  readonly pid: number;
}

/**
 * Containers of this node. `ref` is an id, an unambiguous id prefix, or a name. Streams are raw when the
 * container has a tty, else framed as Docker's attach stream (8-byte header: stream, 0 0 0, length).
 */
export interface Containers {
  list(): readonly Container[];
  get(ref: string): Container | Refusal;
  create(spec: ContainerSpec): Promise<Container | Refusal>;
  /** Resolves when it runs, its addresses answer, or with why not. Starting what runs is no error. */
  start(ref: string): Promise<Refusal | undefined>;
  stop(ref: string, timeoutSeconds: number | undefined): Promise<Refusal | undefined>;
  kill(ref: string, signal: string): Promise<Refusal | undefined>;
  remove(ref: string, force: boolean): Promise<Refusal | undefined>;
  rename(ref: string, name: string): Promise<Refusal | undefined>;
  wait(
    ref: string,
    condition: "not-running" | "next-exit" | "removed",
    signal: AbortSignal,
  ): Promise<{ readonly exitCode: number; readonly error: string } | Refusal>;
  logs(ref: string, options: LogOptions, signal: AbortSignal): Readable | Refusal;
  /** Both ways; closing the duplex detaches and leaves the container running. */
  attach(
    ref: string,
    options: { readonly stdin: boolean; readonly logs: boolean },
  ): Duplex | Refusal;
  resize(ref: string, rows: number, columns: number): Promise<Refusal | undefined>;
  createExec(ref: string, spec: ExecSpec): Promise<string | Refusal>;
  startExec(execId: string, tty: boolean): Promise<Duplex | Refusal>;
  resizeExec(execId: string, rows: number, columns: number): Promise<Refusal | undefined>;
  getExec(execId: string): ExecState | Refusal;
}

/** Puts something that is not a container of ours on a network: this machine, or an existing namespace. */
export interface AttachWish {
  readonly network: string;
  /** Empty: the machine itself. Else a name under /run/netns, or an absolute path of a namespace file. */
  readonly netns: string;
  readonly name: string;
  /** Interface name inside; empty: chosen. */
  readonly interfaceName: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly aliases: readonly string[];
}

export interface Attachment {
  readonly id: string;
  readonly wish: AttachWish;
  readonly interfaceName: string;
  readonly endpoint: Endpoint;
  readonly network: Network;
  readonly createdAtMs: number;
  /** Why it does not work at the moment ("namespace is gone"); empty when it does. */
  readonly problem: string;
}

export interface Attachments {
  list(): readonly Attachment[];
  attach(wish: AttachWish): Promise<Attachment | Refusal>;
  /** `ref` is an id, an id prefix, a name, or a network's name when only one attachment is on it. */
  detach(ref: string): Promise<Refusal | undefined>;
}

/** Docker's event: engine-api.yaml EventMessage. */
export interface NodeEvent {
  readonly type: "container" | "network" | "node" | "daemon" | "attachment";
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly scope: "local" | "swarm";
  readonly timeNs: bigint;
}

export interface Events {
  /** The last events, oldest first; at most 256 are kept, as Docker keeps. */
  recent(): readonly NodeEvent[];
  follow(listener: (event: NodeEvent) => void): Unsubscribe;
}

/** All that `agent/api` may ask for. `agent.ts` makes one from the loops. */
export interface AgentNode {
  readonly membership: Membership;
  readonly containers: Containers;
  readonly attachments: Attachments;
  readonly events: Events;
  /** The networks that are on this node now, with their endpoints here: what a worker can show. */
  localNetworks(): readonly {
    readonly network: Network;
    readonly endpoints: readonly Endpoint[];
    readonly peers: readonly {
      readonly nodeId: string;
      readonly addr: string;
      readonly hostname: string;
    }[];
  }[];
  host(): HostFacts;
  /** Prometheus text. */
  metrics(): Promise<string>;
}

export interface HostFacts {
  readonly hostname: string;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly stateDir: string;
  readonly agentId: string;
}

// ---- Towards managers --------------------------------------------------------------------------

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
 * Fault NO_MANAGER with the last cause. All four may be repeated without harm.
 */
export interface ManagerLink {
  /** Says Hello at `addr`, follows one redirect, and resolves with the leader's Welcome; a Refusal is for good. */
  openSession(addr: string, hello: Hello, signal: AbortSignal): Promise<Session | Refusal>;
  attach(request: AttachRequest): Promise<AttachResponse | Refusal>;
  detach(endpointId: string): Promise<Refusal | undefined>;
  findNetwork(nameOrId: string): Promise<Network | Refusal>;
  leave(): Promise<void>;
}

// ---- Disk --------------------------------------------------------------------------------------

/** The last assignments heard, so that a restart needs no manager. Writes replace the whole, atomically. */
export interface Journal {
  load(): Promise<Assignments | undefined>;
  save(assignments: Assignments): Promise<void>;
  clear(): Promise<void>;
}

// ---- Measuring ---------------------------------------------------------------------------------

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

// ---- What the node keeps of itself ---------------------------------------------------------------

/** PEM: PKCS #8 key, certificate chain (leaf first), the swarm's root. */
export interface NodeIdentity {
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  readonly root: Uint8Array;
}

/** node.json. `role` is what the certificate says; addresses are "host:port" but for `dataPathAddr`. */
export interface NodeRecord {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly role: "manager" | "worker";
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly dataPathPort: number;
  readonly managers: readonly { readonly nodeId: string; readonly addr: string }[];
}

/** Whole and durable, or unchanged. `load` throws Fault STATE_DAMAGED rather than guess. */
export interface NodeDisk {
  load(): Promise<NodeRecord | undefined>;
  save(record: NodeRecord): Promise<void>;
  clear(): Promise<void>;
}
export interface IdentityDisk {
  load(): Promise<NodeIdentity | undefined>;
  save(identity: NodeIdentity): Promise<void>;
  clear(): Promise<void>;
}

// ---- Certificates --------------------------------------------------------------------------------

/** A new key (PKCS #8 PEM) with a certificate request (PKCS #10 DER) that it signed. */
export interface KeyAndRequest {
  readonly key: Uint8Array;
  readonly csr: Uint8Array;
}
export interface Issued {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly role: Role;
  readonly certificate: Uint8Array;
  readonly root: Uint8Array;
  readonly dataPathPort: number;
}

/** The swarm's certificate authority, asked at one manager's address. Faults name address and cause. */
export interface CertificateDoor {
  newKey(): Promise<KeyAndRequest>;
  /** Proves the manager by the token's digest before the token is sent. Takes at most `dialMs` + one request. */
  join(
    addr: string,
    token: string,
    csr: Uint8Array,
    about: {
      readonly availability: Availability;
      readonly hostname: string;
      readonly remoteAddr: string;
    },
    signal: AbortSignal,
  ): Promise<Issued | Refusal>;
  /** A new certificate for the same key, with the role that the swarm wants of this node now. */
  renew(addr: string, identity: NodeIdentity, signal: AbortSignal): Promise<Issued | Refusal>;
}

// ---- The manager process beside this agent -------------------------------------------------------

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
  status(): Promise<AdminStatus | Refusal>;
  leave(force: boolean): Promise<AdminStatus | Refusal>;
}

/** What the process itself answers, on its unix socket. */
export type ManagerAdmin = Pick<
  ManagerHost,
  "control" | "init" | "join" | "setIdentity" | "status" | "leave"
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

// ---- The machine ---------------------------------------------------------------------------------

/** What the loops ask of the machine they run on. */
export interface MachineDoor {
  addresses(): Promise<readonly MachineAddress[]>;
  /** The address that a packet to `host` would leave with; undefined: there is no route or no such name. */
  sourceTowards(host: string): Promise<string | undefined>;
  /** Why VXLAN from this address on this UDP port cannot work here, as a sentence; undefined if it can. */
  dataPortProblem(address: string, port: number): string | undefined;
}

export interface MachineFacts {
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
}
