// The underlay of a whole swarm: Raft messages that are lost, late, out of order and doubled; calls and sessions over
// connections that keep their order, and break when a way is cut for long. A way may be cut in one direction.
import type { PeerIdentity, ProvenPeer } from "../../../common/certificates.js";
import { readCertificate } from "../../../common/certificates.js";
import { Fault, type Refusal, Refused, refuse } from "../../../common/fault.js";
import { NotLeader } from "../../../common/grpc/status.js";
import type { Random } from "../../../common/random.js";
import type { Timing } from "../../../common/timing.js";
import { admit } from "../../../manager/ca/admission.js";
import type { Caller, LeaderLink, RaftTransport } from "../../../manager/seams.js";
import type { Identity } from "../../../proto/gen/admin.js";
import { MessageKind, type RaftMember, type RaftMessage } from "../../../proto/gen/raft.js";
import { Role } from "../../../proto/gen/types.js";
import { type Asked, leaderLink } from "../../fakes/leader-link.js";
import { CLUSTER_ID } from "../../fakes/seat-credentials.js";
import type { OpenPort, SeatWires } from "../../fakes/seat-process.js";
import type { VirtualTime } from "./time.js";

export interface Weather {
  /** Of Raft messages. */
  lossPercent: number;
  duplicatePercent: number;
  /** Each message takes from 1 ms to this; so they overtake each other. */
  slowestMs: number;
}

/** Choice: who hears no sign of life on a connection for so long gives it up (common/grpc/channel.ts has the like). */
export const KEEPALIVE_MS = 3_000;

export class Wires implements SeatWires {
  weather: Weather = { lossPercent: 0, duplicatePercent: 0, slowestMs: 5 };
  /** Told of each Raft message that arrives, and of what becomes of others. */
  trace: (line: () => string) => void = () => {};
  readonly #ports = new Map<string, OpenPort>();
  readonly #cuts = new Set<string>();
  readonly #issued = new Map<string, number>();
  /** What is to be done when a port's process is gone. */
  readonly #connections = new Map<OpenPort, Set<() => void>>();

  constructor(
    readonly time: VirtualTime,
    readonly random: Random,
    private readonly timing: Timing,
  ) {}

  // ---- Ways -----------------------------------------------------------------------------------------

  /** One direction. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }
  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from} ${to}`);
  }
  /** Whether a connection between them works. */
  isBroken(a: string, b: string): boolean {
    return this.isCut(a, b) || this.isCut(b, a);
  }
  healAll(): void {
    this.#cuts.clear();
  }
  heal(from: string, to: string): void {
    this.#cuts.delete(`${from} ${to}`);
  }

  delayMs(from: string, to: string): number {
    return from === to ? 1 : 1 + this.random.below(this.weather.slowestMs);
  }

  // ---- Ports ----------------------------------------------------------------------------------------

  open(port: OpenPort): (() => void) | Refusal {
    if (this.#ports.has(port.addr)) {
      return refuse("failed-precondition", `listen tcp ${port.addr}: bind: address already in use`);
    }
    this.#ports.set(port.addr, port);
    const connections = new Set<() => void>();
    this.#connections.set(port, connections);
    return () => {
      if (this.#ports.get(port.addr) === port) this.#ports.delete(port.addr);
      this.#connections.delete(port);
      for (const broken of connections) broken();
    };
  }
  port(addr: string): OpenPort | undefined {
    return this.#ports.get(addr);
  }
  /** Calls `broken` should the port's process end; until the answer is called. */
  connect(port: OpenPort, broken: () => void): () => void {
    this.#connections.get(port)?.add(broken);
    return () => void this.#connections.get(port)?.delete(broken);
  }
  issued(addr: string, nowMs: number): void {
    this.#issued.set(addr, nowMs);
  }
  peerOf(from: string, { certificate }: Pick<Identity, "certificate">): ProvenPeer {
    return { ...factsOf(certificate), issuedMs: this.#issued.get(from) ?? 0 };
  }

  // ---- Raft messages --------------------------------------------------------------------------------

  transport(options: Parameters<SeatWires["transport"]>[0]): Omit<RaftTransport, "received"> {
    const { addr, alive } = options;
    let members: readonly RaftMember[] = [];
    return {
      setMembers: (now) => {
        members = now;
      },
      send: (message) => {
        const member =
          members.find(({ raftId }) => raftId === message.to) ??
          this.#ports.get(addr)?.met.get(message.to);
        if (member === undefined || !alive()) return;
        const { lossPercent, duplicatePercent } = this.weather;
        if (this.random.below(100) < lossPercent) return;
        const copies = this.random.below(100) < duplicatePercent ? 2 : 1;
        for (let i = 0; i < copies; i++) {
          this.time.in(this.delayMs(addr, member.addr), () =>
            this.#deliver(options, member, message),
          );
        }
      },
    };
  }

  #deliver(
    { addr, tls, clusterId, onRefused, alive }: Parameters<SeatWires["transport"]>[0],
    member: RaftMember,
    message: RaftMessage,
  ): void {
    if (this.isCut(addr, member.addr)) return;
    const to = this.#ports.get(member.addr);
    const there = to?.member();
    if (to === undefined || there === undefined) return;
    const peer = this.peerOf(addr, tls());
    const stranger = admit("/skein.v1.Raft/Step", peer, CLUSTER_ID, there.store.view);
    const isKnown = stranger === undefined && there.admitsStep(peer, message.from) === true;
    this.trace(
      () =>
        `${MessageKind[message.kind]} ${short(addr)} > ${short(member.addr)} term ${message.term} index ${message.index} commit ${message.commit} entries ${message.entries.length}${message.reject ? " reject" : ""}${isKnown ? "" : " REFUSED"}`,
    );
    if (isKnown) {
      to.met.set(message.from, { raftId: message.from, nodeId: "", addr, learner: false });
      to.received.publish({ ...message, clusterId });
      return;
    }
    this.time.in(this.delayMs(member.addr, addr), () => {
      if (alive() && !this.isCut(member.addr, addr)) onRefused(member);
    });
  }

  // ---- Calls ----------------------------------------------------------------------------------------

  link(
    from: string,
    to: string,
    tls: () => Identity,
    living?: <T>(value: Promise<T>) => Promise<T>,
  ): LeaderLink {
    return leaderLink((asked) => this.call({ ...asked, from, to, tls: tls() }), living);
  }

  /** What comes of it is the method's; hence the caller knows its type. */
  async call({ from, to, tls, path, caller, methodOf, request }: Call): Promise<never> {
    let giveUp = () => {};
    let cancelDeadline = () => {};
    const late = new Promise<never>((_, reject) => {
      giveUp = () => reject(new Fault("RPC_CANCELLED", { addr: to }));
      caller.signal.addEventListener("abort", giveUp, { once: true });
      if (caller.signal.aborted) giveUp();
      const deadline = () => reject(new Fault("RPC_DEADLINE", { addr: to }));
      cancelDeadline = this.time.in(this.timing.requestMs, deadline);
    });
    late.catch(() => {});
    try {
      return await this.#answered({ from, to, tls, path, caller, methodOf, request }, late);
    } catch (error) {
      if (error instanceof NotLeader) throw error;
      if (error instanceof Refused) return error.refusal as never;
      const isKnown = error instanceof Fault && error.code.startsWith("RPC_");
      throw isKnown ? error : new Fault("RPC_FAILED", { addr: to }, error);
    } finally {
      caller.signal.removeEventListener("abort", giveUp);
      cancelDeadline();
    }
  }

  async #answered(call: Call, late: Promise<never>): Promise<never> {
    const { from, to, tls, path, caller, methodOf, request } = call;
    const unreachable = (sent: boolean) => new Fault("RPC_UNREACHABLE", { addr: to, sent });
    const pause = (ms: number) =>
      Promise.race([new Promise<void>((resolve) => void this.time.in(ms, resolve)), late]);
    if (this.isBroken(from, to)) {
      await pause(this.random.below(KEEPALIVE_MS));
      throw unreachable(this.random.below(2) === 0);
    }
    await pause(this.delayMs(from, to));
    const port = this.#ports.get(to);
    if (port === undefined) throw unreachable(false);
    const peer = this.peerOf(from, tls);
    const stranger = admit(path, peer, CLUSTER_ID, port.member()?.store.view);
    if (stranger !== undefined) return stranger as never;
    const member = port.member();
    const method = member && methodOf(member.services);
    if (method === undefined) return refuse("unavailable", "this manager is starting") as never;
    const gone = new AbortController();
    let disconnect = () => {};
    const broken = new Promise<never>((_, reject) => {
      disconnect = this.connect(port, () => reject(unreachable(true)));
    });
    broken.catch(() => {});
    const asker: Caller = {
      peer,
      local: false,
      forwarded: caller.forwarded && peer.role === Role.MANAGER,
      requestId: caller.requestId,
      remoteAddr: from.split(":")[0] ?? "",
      signal: gone.signal,
    };
    try {
      const answer = await Promise.race([method(request, asker), late, broken]);
      await pause(this.delayMs(to, from));
      if (this.isBroken(from, to)) {
        await pause(KEEPALIVE_MS);
        throw unreachable(true);
      }
      return answer as never;
    } finally {
      disconnect();
      gone.abort(new Fault("CALLER_GONE"));
    }
  }
}

export interface Call extends Asked {
  readonly from: string;
  readonly to: string;
  readonly tls: Pick<Identity, "certificate">;
}

/** "10.0.0.3:2377" is n3. */
export function short(addr: string): string {
  return `n${/\.(\d+):/.exec(addr)?.[1] ?? "?"}`;
}

/** What is in a certificate, by its bytes: there are few, and they are shown with each message. */
const known = new Map<string, PeerIdentity>();

function factsOf(certificate: Buffer): PeerIdentity {
  const bytes = certificate.toString("latin1");
  let facts = known.get(bytes);
  if (facts === undefined) {
    facts = readCertificate(certificate);
    if (facts === undefined) throw new Error("not a node's certificate");
    known.set(bytes, facts);
  }
  return facts;
}
