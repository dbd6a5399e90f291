// Port 2377 of every manager, in memory: calls with admission as the real port has it, and Raft messages.

import { type PeerIdentity, type ProvenPeer, readCertificate } from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { Fault, type Refusal, Refused, refuse } from "../../common/fault.js";
import { NotLeader } from "../../common/grpc/status.js";
import type { Timing } from "../../common/timing.js";
import { admit } from "../../manager/ca/admission.js";
import type { Caller, LeaderLink, RaftTransport } from "../../manager/seams.js";
import type { Identity } from "../../proto/gen/admin.js";
import type { RaftMember } from "../../proto/gen/raft.js";
import { Role } from "../../proto/gen/types.js";
import { type Asked, leaderLink } from "./leader-link.js";
import { CLUSTER_ID } from "./seat-credentials.js";
import type { OpenPort } from "./seat-process.js";

// One way, of a call: so that nothing asks twice in no time.
const LATENCY_MS = 1;
const NOBODY = new AbortController().signal;

interface TransportOptions {
  readonly addr: string;
  readonly tls: () => Identity;
  readonly clusterId: string;
  readonly onRefused: (member: RaftMember) => void;
  readonly alive: () => boolean;
}

export class SeatNetwork {
  readonly #ports = new Map<string, OpenPort>();
  readonly #cut = new Set<string>();
  readonly #issued = new Map<string, number>();
  /** Asked for a certificate, again and again: what is in it does not change. */
  readonly #peers = new WeakMap<Uint8Array, PeerIdentity>();

  constructor(
    private readonly clock: Clock,
    private readonly timing: Timing,
  ) {}

  /** Answers how to close it. */
  open(port: OpenPort): (() => void) | Refusal {
    if (this.#ports.has(port.addr)) {
      return refuse("failed-precondition", `listen tcp ${port.addr}: bind: address already in use`);
    }
    this.#ports.set(port.addr, port);
    return () => {
      if (this.#ports.get(port.addr) === port) this.#ports.delete(port.addr);
    };
  }

  issued(addr: string, nowMs: number): void {
    this.#issued.set(addr, nowMs);
  }

  cut(addr: string): void {
    this.#cut.add(addr);
  }
  heal(addr: string): void {
    this.#cut.delete(addr);
  }
  isCut(addr: string): boolean {
    return this.#cut.has(addr);
  }

  link(
    from: string,
    to: string,
    tls: () => Identity,
    living?: <T>(value: Promise<T>) => Promise<T>,
  ): LeaderLink {
    return leaderLink((asked) => this.#call(from, to, tls(), asked), living);
  }

  transport(options: TransportOptions): Omit<RaftTransport, "received"> {
    const { addr, tls, clusterId, onRefused, alive } = options;
    let members: readonly RaftMember[] = [];
    return {
      setMembers: (now) => {
        members = now;
      },
      send: (message) => {
        const port = this.#ports.get(addr);
        const member =
          members.find(({ raftId }) => raftId === message.to) ?? port?.met.get(message.to);
        if (member === undefined || !alive()) return;
        queueMicrotask(() => {
          const to = this.#reach(addr, member.addr);
          const there = to?.member();
          if (to === undefined || there === undefined || !alive()) return;
          const peer = this.#peerOf(addr, tls());
          const stranger = admit("/skein.v1.Raft/Step", peer, CLUSTER_ID, there.store.view);
          const isKnown = stranger === undefined && there.admitsStep(peer, message.from) === true;
          if (isKnown) {
            to.met.set(message.from, { raftId: message.from, nodeId: "", addr, learner: false });
            to.received.publish({ ...message, clusterId });
          }
          if (!isKnown) queueMicrotask(() => alive() && onRefused(member));
        });
      },
    };
  }

  #reach(from: string, to: string): OpenPort | undefined {
    if (this.#cut.has(from) || this.#cut.has(to)) return undefined;
    return this.#ports.get(to);
  }

  /** What comes of it is the method's; hence the caller knows its type. */
  async #call(
    from: string,
    addr: string,
    tls: Identity,
    { path, methodOf, request, caller }: Asked,
  ): Promise<never> {
    await this.clock.sleep(LATENCY_MS, NOBODY);
    const port = this.#reach(from, addr);
    if (port === undefined)
      throw new Fault("RPC_UNREACHABLE", { addr, sent: false, why: "no way" });
    const peer = this.#peerOf(from, tls);
    const stranger = admit(path, peer, CLUSTER_ID, port.member()?.store.view);
    if (stranger !== undefined) return stranger as never;
    const member = port.member();
    const method = member && methodOf(member.services);
    if (method === undefined) return refuse("unavailable", "this manager is starting") as never;
    const gone = new AbortController();
    const onGone = () => gone.abort(new Fault("CALLER_GONE"));
    caller.signal.addEventListener("abort", onGone, { once: true });
    const asker: Caller = {
      peer,
      local: false,
      forwarded: caller.forwarded && peer.role === Role.MANAGER,
      requestId: caller.requestId,
      remoteAddr: "",
      signal: gone.signal,
    };
    const late = this.clock
      .sleep(this.timing.requestMs, gone.signal)
      .catch(() => {})
      .then(() => {
        throw new Fault(caller.signal.aborted ? "RPC_CANCELLED" : "RPC_DEADLINE", { addr });
      });
    try {
      const answer = await Promise.race([method(request, asker), late]);
      // An answer may be lost as a question may.
      if (this.#reach(from, addr) !== port)
        throw new Fault("RPC_UNREACHABLE", { addr, sent: true });
      return answer as never;
    } catch (error) {
      if (error instanceof Refused && !(error instanceof NotLeader)) return error.refusal as never;
      const known =
        error instanceof NotLeader || (error instanceof Fault && error.code.startsWith("RPC_"));
      throw known ? error : new Fault("RPC_FAILED", { addr }, error);
    } finally {
      caller.signal.removeEventListener("abort", onGone);
      onGone();
    }
  }

  /** The certificates were all made beforehand; when a node was given its own is known here. */
  #peerOf(from: string, tls: Identity): ProvenPeer {
    return { ...this.#identityOf(tls), issuedMs: this.#issued.get(from) ?? 0 };
  }

  #identityOf({ certificate }: Identity): PeerIdentity {
    const known = this.#peers.get(certificate);
    if (known !== undefined) return known;
    const facts = readCertificate(certificate);
    if (facts === undefined) throw new Error("not a node's certificate");
    this.#peers.set(certificate, facts);
    return facts;
  }
}
