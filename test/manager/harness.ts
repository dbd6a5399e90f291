// Managers as processes on loopback, each with its own folders, and agents that are only their network
// side: keys, certificates and sessions, no kernel.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import { newNodeKey } from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { isRefusal, orThrow, type Refusal } from "../../common/fault.js";
import { callUnary, type UnaryMethod } from "../../common/grpc/call.js";
import {
  joinerChannelCredentials,
  localChannelOptions,
  managerChannelCredentials,
  managerChannelOptions,
} from "../../common/grpc/channel.js";
import { verifySwarmRoot } from "../../common/grpc/swarm-root.js";
import { joinTokenOf, parseJoinToken } from "../../common/join-token.js";
import { AdminClient, type Identity, InitRequest } from "../../proto/gen/admin.js";
import { CertificateAuthorityClient, IssueCertificateRequest } from "../../proto/gen/ca.js";
import { ControlClient } from "../../proto/gen/control.js";
import {
  type AgentMessage,
  type Assignments,
  DispatcherClient,
  type ManagerMessage,
} from "../../proto/gen/dispatcher.js";
import { RaftClient } from "../../proto/gen/raft.js";
import type { Role } from "../../proto/gen/types.js";
import { freeAddr } from "../fakes/free-port.js";

const PATIENCE_MS = 15_000;

export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>) {
  const endMs = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > endMs) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export class TestManager {
  readonly logs: string[] = [];
  #process: ChildProcess | undefined;
  admin: AdminClient;
  control: ControlClient;
  nodeId = "";
  identity: Identity = { certificate: EMPTY, privateKey: EMPTY, rootCaCert: EMPTY };

  private constructor(
    private readonly main: string,
    readonly dir: string,
    public addr: string,
    private readonly nodeFlags: readonly string[],
  ) {
    const local = `unix:${join(dir, "run", "manager.sock")}`;
    this.admin = new AdminClient(local, credentials.createInsecure(), localChannelOptions());
    this.control = new ControlClient(local, credentials.createInsecure(), localChannelOptions());
  }

  /** `nodeFlags`: of Node itself, to profile with. */
  static async start(main: string, nodeFlags: readonly string[] = []): Promise<TestManager> {
    const dir = await mkdtemp(join(tmpdir(), "skein-manager-"));
    const manager = new TestManager(main, dir, await freeAddr(), nodeFlags);
    await manager.spawn();
    return manager;
  }

  async spawn(): Promise<void> {
    this.#launch(this.nodeFlags, {});
    await until("the manager answers", () =>
      this.call(this.admin, this.admin.status, {}).then(
        () => true,
        () => undefined,
      ),
    );
  }

  /** Answers whether it runs with its seat; false: it ended before that. */
  async trySpawn(flags: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
    this.#launch(flags, env);
    return until("the manager runs, or ends", async () => {
      if (this.exited) return { runs: false };
      const status = await this.status().catch(() => undefined);
      if (status?.state === "failed") throw new Error(status.message);
      return status?.state === "running" ? { runs: true } : undefined;
    }).then(({ runs }) => runs);
  }

  #launch(flags: readonly string[], env: NodeJS.ProcessEnv): void {
    const args = ["--state-dir", join(this.dir, "state"), "--run-dir", join(this.dir, "run")];
    const child = spawn(process.execPath, [...flags, this.main, ...args, "--allow-root"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.logs.push(text));
    this.#process = child;
  }

  get exited(): boolean {
    const child = this.#process;
    return !child || child.exitCode !== null || child.signalCode !== null;
  }

  async whenExited(): Promise<void> {
    await until("the manager has ended", () => this.exited || undefined);
  }

  call<Req, Res>(client: object, method: UnaryMethod<Req, Res>, request: Req) {
    return callUnary(method.bind(client) as UnaryMethod<Req, Res>, request, {
      addr: this.addr,
      timeoutMs: PATIENCE_MS,
    });
  }

  async must<Req, Res>(client: object, method: UnaryMethod<Req, Res>, request: Req) {
    return orThrow(await this.call(client, method, request));
  }

  async init(overrides: Partial<InitRequest> = {}) {
    const privateKey = newNodeKey();
    const csr = await createCsr(privateKey);
    const request = InitRequest.fromPartial({
      hostname: "h",
      listenAddr: this.addr,
      advertiseAddr: this.addr,
      privateKey,
      csr,
      ...overrides,
    });
    const made = await this.call(this.admin, this.admin.init, request);
    if (!isRefusal(made)) {
      this.nodeId = made.nodeId;
      const { certificate, rootCaCert } = made;
      this.identity = { certificate, privateKey, rootCaCert };
    }
    return made;
  }

  /** Takes a seat beside the manager at `remote` by its manager token. */
  async joinManagers(remote: TestManager, token: string): Promise<void> {
    const agent = await TestAgent.join(remote.addr, token, this.addr);
    this.nodeId = agent.nodeId;
    this.identity = agent.identity;
    await this.must(this.admin, this.admin.join, {
      identity: agent.identity,
      listenAddr: this.addr,
      advertiseAddr: this.addr,
      remoteAddr: remote.addr,
    });
  }

  async token(role: "worker" | "manager"): Promise<string> {
    const cluster = await this.must(this.control, this.control.getCluster, {});
    return joinTokenOf(cluster.rootCaCert, cluster.joinSecrets?.[role] ?? "");
  }

  async createNetwork(name: string, attachable = true) {
    return this.call(this.control, this.control.createNetwork, {
      spec: {
        name,
        attachable,
        labels: {},
        driver: "overlay",
        driverOpts: {},
        internal: false,
        ingress: false,
        ipv6: false,
        ipam: [],
        ipamDriver: "",
        ipamOptions: {},
      },
    });
  }

  status() {
    return this.must(this.admin, this.admin.status, {});
  }

  /** Of its process; 0: it has none. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  async close(): Promise<void> {
    this.admin.close();
    this.control.close();
    await this.kill();
    await rm(this.dir, { recursive: true, force: true });
  }
}

const EMPTY = Buffer.alloc(0);

export class TestAgent {
  constructor(
    readonly nodeId: string,
    readonly role: Role,
    readonly clusterId: string,
    readonly identity: Identity,
    readonly addr: string,
  ) {}

  /** Throws Refused. */
  static async join(remote: string, token: string, hostname = "agent"): Promise<TestAgent> {
    const parsed = orThrow(parseJoinToken(token));
    const root = orThrow(await verifySwarmRoot(remote, parsed.rootDigest, 5_000));
    const privateKey = newNodeKey();
    const csr = await createCsr(privateKey);
    const client = new CertificateAuthorityClient(
      remote,
      joinerChannelCredentials(root),
      managerChannelOptions(),
    );
    try {
      const issued = orThrow(
        await callUnary(
          client.issueCertificate.bind(client),
          IssueCertificateRequest.fromPartial({ csr, token, hostname }),
          { addr: remote, timeoutMs: PATIENCE_MS },
        ),
      );
      const { certificate, rootCaCert } = issued;
      const identity = { certificate, privateKey, rootCaCert };
      return new TestAgent(issued.nodeId, issued.role, issued.clusterId, identity, remote);
    } finally {
      client.close();
    }
  }

  /** The same node with a new certificate for its key. */
  async renew(): Promise<TestAgent> {
    const { authority, call, close } = this.clients();
    const csr = await createCsr(this.identity.privateKey);
    const request = IssueCertificateRequest.fromPartial({ csr });
    const issued = orThrow(await call(authority, authority.issueCertificate, request));
    close();
    const { certificate, rootCaCert, nodeId, role, clusterId } = issued;
    const identity = { certificate, privateKey: this.identity.privateKey, rootCaCert };
    return new TestAgent(nodeId, role, clusterId, identity, this.addr);
  }

  clients(addr = this.addr) {
    return clientsOf(addr, this.identity);
  }

  /** `revision` is what its journal holds. */
  openSession(addr = this.addr, revision = 0): TestSession {
    return new TestSession(this.clients(addr).dispatcher, this.clusterId, revision);
  }
}

/** A swarm of three managers. Each is put into `managers` once it runs, so that whoever fails here can close them. */
export async function startThree(main: string, managers: TestManager[]): Promise<TestManager> {
  const first = await TestManager.start(main);
  managers.push(first);
  orThrow(await first.init());
  const token = await first.token("manager");
  for (const _ of [2, 3]) {
    const next = await TestManager.start(main);
    managers.push(next);
    await next.joinManagers(first, token);
  }
  return first;
}

/** Clients of all services at `addr`; without an identity, as someone who knows only the root. */
export function clientsOf(addr: string, identity: Identity, showCertificate = true) {
  const channel = showCertificate
    ? managerChannelCredentials(identity)
    : joinerChannelCredentials(identity.rootCaCert);
  const control = new ControlClient(addr, channel, managerChannelOptions());
  const shared = { ...managerChannelOptions(), channelOverride: control.getChannel() };
  return {
    control,
    authority: new CertificateAuthorityClient(addr, channel, shared),
    dispatcher: new DispatcherClient(addr, channel, shared),
    raft: new RaftClient(addr, channel, shared),
    call: <Req, Res>(
      client: object,
      method: UnaryMethod<Req, Res>,
      request: Req,
    ): Promise<Res | Refusal> =>
      callUnary(method.bind(client) as UnaryMethod<Req, Res>, request, {
        addr,
        timeoutMs: PATIENCE_MS,
      }),
    close: () => control.close(),
  };
}

/** What an agent hears, put together as an agent does. */
export class TestSession {
  readonly messages: NonNullable<ManagerMessage["message"]>[] = [];
  readonly #stream: ClientDuplexStream<AgentMessage, ManagerMessage>;
  error: ServiceError | undefined;
  ended = false;

  constructor(
    private readonly client: DispatcherClient,
    clusterId: string,
    revision = 0,
  ) {
    this.#stream = client.session();
    this.#stream.on("data", (message: ManagerMessage) => {
      if (message.message) this.messages.push(message.message);
    });
    this.#stream.on("error", (error: ServiceError) => {
      this.error = error;
      this.ended = true;
    });
    this.#stream.on("end", () => {
      this.ended = true;
    });
    const hello = {
      description: undefined,
      dataPathAddr: "127.0.0.9",
      revision,
      clusterId,
      generation: 0,
    };
    this.#stream.write({ message: { $case: "hello", value: hello } });
  }

  send(message: NonNullable<AgentMessage["message"]>): void {
    this.#stream.write({ message });
  }

  assignments(): readonly Assignments[] {
    return this.messages.flatMap((each) => (each.$case === "assignments" ? [each.value] : []));
  }

  heard(kind: NonNullable<ManagerMessage["message"]>["$case"], count = 1) {
    return until(`${count} ${kind}`, () => {
      const found = this.messages.filter((each) => each.$case === kind);
      if (this.error && found.length < count) throw this.error;
      return found.length >= count ? found : undefined;
    });
  }

  close(): void {
    this.#stream.cancel();
    this.client.close();
  }
}
