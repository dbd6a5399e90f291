// A process of simulated agents, started by bench/agents: each has a node's own certificate, connection and session with
// the leader, and speaks the dispatcher's protocol as an agent does (Hello, beats as the leader wants them, Applied for
// whatever it is told), but has no kernel: what it is told is counted, not written down.
import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import { newNodeKey } from "../../common/certificates.js";
import { createCsr } from "../../common/csr.js";
import { isRefusal, orThrow } from "../../common/fault.js";
import { callUnary } from "../../common/grpc/call.js";
import {
  joinerChannelCredentials,
  managerChannelCredentials,
  managerChannelOptions,
} from "../../common/grpc/channel.js";
import { verifySwarmRoot } from "../../common/grpc/swarm-root.js";
import { parseJoinToken } from "../../common/join-token.js";
import { CertificateAuthorityClient, IssueCertificateRequest } from "../../proto/gen/ca.js";
import {
  type AgentMessage,
  AttachRequest,
  DispatcherClient,
  DispatcherService,
  Hello,
} from "../../proto/gen/dispatcher.js";
import type { AgentsAnswer, AgentsCommand } from "./agents.js";
import { type Glance, glanceAt } from "./glance.js";

const PATIENCE_MS = 60_000;
const JOINING_AT_ONCE = 8;
const AGAIN_MS = 500;
const TRIES_MAX = 60;
const STRANGER_MS = 3_000;
const ATTACHING_AT_ONCE = 64;

const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

interface Agent {
  client: DispatcherClient;
  readonly connect: (addr: string) => DispatcherClient;
  /** Which of the managers it is connected to. */
  at: number;
  /** When its session began. */
  sinceMs: number;
  readonly hello: Omit<Hello, "revision">;
  stream: ClientDuplexStream<AgentMessage, Glance> | undefined;
  /** The revision of the last assignments. */
  revision: number;
  /** Of each of its assignments, and when it came. */
  readonly heard: { revision: number; atMs: number }[];
  rows: number;
}

const agents: Agent[] = [];
/** Sessions and calls that ended by a lost connection: the machine was too busy for its pings. */
let lost = 0;
let token = "";
let addrs: readonly string[] = [];
const addrAt = (at: number) => addrs[at % addrs.length] ?? "";

async function join(count: number): Promise<void> {
  const addr = addrAt(0);
  const root = orThrow(
    await verifySwarmRoot(addr, orThrow(parseJoinToken(token)).rootDigest, 5_000),
  );
  const channel = joinerChannelCredentials(root);
  const dial = () => new CertificateAuthorityClient(addr, channel, managerChannelOptions());
  let left = count;
  const worker = async () => {
    while (left > 0) {
      // A manager keeps a connection without certificate for ten seconds.
      const sinceMs = nowMs();
      let authority = dial();
      const redial = () => {
        authority.close();
        authority = dial();
      };
      while (nowMs() - sinceMs < STRANGER_MS && left-- > 0) {
        agents.push(await enter(() => authority, redial));
      }
      authority.close();
    }
  };
  await Promise.all(Array.from({ length: JOINING_AT_ONCE }, worker));
}

async function enter(
  authority: () => CertificateAuthorityClient,
  redial: () => void,
): Promise<Agent> {
  const privateKey = newNodeKey();
  const csr = await createCsr(privateKey);
  const hostname = `agent-${process.pid}-${agents.length}`;
  const request = IssueCertificateRequest.fromPartial({ csr, token, hostname });
  const addr = addrAt(0);
  // A node is known by its key: asked again, the manager answers for the same one.
  const answer = await insist(() => {
    const client = authority();
    const issue = client.issueCertificate.bind(client);
    return callUnary(issue, request, { addr, timeoutMs: PATIENCE_MS });
  }, redial);
  const issued = orThrow(answer);
  const { certificate, rootCaCert, clusterId } = issued;
  const channel = managerChannelCredentials({ certificate, privateKey, rootCaCert });
  const connect = (to: string) => new DispatcherClient(to, channel, managerChannelOptions());
  const agent: Agent = {
    client: connect(addr),
    connect,
    at: 0,
    sinceMs: 0,
    hello: Hello.create({
      clusterId,
      dataPathAddr: `127.1.${agents.length >> 8}.${agents.length & 255}`,
    }),
    stream: undefined,
    revision: 0,
    heard: [],
    rows: 0,
  };
  await new Promise<void>((resolve) => open(agent, resolve));
  return agent;
}

/** A session, and another one whenever it ends; `told` when it has heard its first assignments. */
function open(agent: Agent, told: () => void): void {
  const { path, requestSerialize } = DispatcherService.session;
  const client: Client = agent.client;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, glanceAt);
  agent.stream = stream;
  let beats: NodeJS.Timeout | undefined;
  stream.on("error", () => {
    lost++;
    clearInterval(beats);
    // Another may lead by now.
    agent.client.close();
    agent.client = agent.connect(addrAt(++agent.at));
    setTimeout(open, AGAIN_MS * Math.random(), agent, told);
  });
  stream.on("data", (glance: Glance) => {
    if (glance.kind === "welcome") {
      beats = beatEvery(stream, glance.beatMs);
      agent.sinceMs = nowMs();
      for (const look of [...waiting]) look();
    }
    if (glance.kind !== "assignments") return;
    hear(agent, glance);
    told();
  });
  const hello = { ...agent.hello, revision: agent.revision };
  stream.write({ message: { $case: "hello", value: hello } });
}

function beatEvery(stream: NonNullable<Agent["stream"]>, periodMs: number): NodeJS.Timeout {
  return setInterval(() => {
    stream.write({ message: { $case: "heartbeat", value: { nowMs: Date.now() } } });
  }, periodMs);
}

function hear(agent: Agent, { revision, rows }: Extract<Glance, { kind: "assignments" }>) {
  agent.revision = revision;
  agent.rows += rows;
  agent.heard.push({ revision, atMs: nowMs() });
  const value = { revision, dataPathPorts: [4789], dataPathProblem: "" };
  agent.stream?.write({ message: { $case: "applied", value } });
  for (const look of [...waiting]) look();
}

const waiting = new Set<() => void>();
function until(isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isSo()) return;
      waiting.delete(look);
      resolve();
    };
    waiting.add(look);
    look();
  });
}

/** The latest revision at which an endpoint was made. */
async function attach(from: number, to: number, network: string, each: number): Promise<number> {
  const asked = agents.slice(from, to).flatMap((agent) => Array<Agent>(each).fill(agent));
  let revision = 0;
  const worker = async () => {
    for (let agent = asked.pop(); agent !== undefined; agent = asked.pop()) {
      const request = AttachRequest.fromPartial({ endpointId: newId(), network });
      const made = await insist(() =>
        callUnary(agent.client.attach.bind(agent.client), request, {
          addr: addrAt(agent.at),
          timeoutMs: PATIENCE_MS,
        }),
      );
      if (isRefusal(made)) throw new Error(made.message);
      revision = Math.max(revision, Number(made.endpoint?.meta?.version ?? 0));
    }
  };
  await Promise.all(Array.from({ length: ATTACHING_AT_ONCE }, worker));
  return revision;
}

/** Again, as an agent does, when the connection was lost: the same endpoint is given once. */
async function insist<T>(call: () => Promise<T>, before = () => {}): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
      lost++;
      await new Promise((wake) => setTimeout(wake, AGAIN_MS));
      before();
    }
  }
}

let ids = 0;
const newId = () =>
  `e${process.pid.toString(36)}x`.padEnd(12, "0") + (ids++).toString(36).padStart(13, "0");

async function obey(command: AgentsCommand): Promise<AgentsAnswer> {
  switch (command.kind) {
    case "join":
      ({ token, addrs } = command);
      await join(command.count);
      return { kind: "done", revision: 0 };
    case "attach": {
      const { from, to, network, each } = command;
      return { kind: "done", revision: await attach(from, to, network, each) };
    }
    case "forget":
      for (const agent of agents) {
        agent.heard.length = 0;
        agent.rows = 0;
      }
      return { kind: "done", revision: 0 };
    case "sessions": {
      await until(() => agents.every(({ sinceMs }) => sinceMs > command.afterMs));
      const atMs = agents.map(({ sinceMs }) => sinceMs);
      return { kind: "heard", atMs, messages: 0, rows: 0, lost };
    }
    case "heard": {
      const some = agents.slice(command.from, command.to);
      await until(() => some.every(({ revision }) => revision >= command.revision));
      const atMs = some.map(
        ({ heard }) => heard.find(({ revision }) => revision >= command.revision)?.atMs ?? 0,
      );
      const messages = agents.reduce((sum, { heard }) => sum + heard.length, 0);
      const rows = agents.reduce((sum, each) => sum + each.rows, 0);
      return { kind: "heard", atMs, messages, rows, lost };
    }
  }
}

/** Nobody listens any more when another process has failed. */
function say(answer: AgentsAnswer): void {
  if (process.connected) process.send?.(answer);
}

process.on("message", (command: AgentsCommand) => {
  obey(command).then(
    (answer) => say(answer),
    (error: unknown) => say({ kind: "failed", why: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
