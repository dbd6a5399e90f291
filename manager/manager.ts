// The manager process as its agent sees it: idle until it is told to make a swarm or to join one, then
// one seat in the Raft group, across restarts, until it leaves or is removed. One order at a time.
import { isIssuedBy, keyFits, readCertificate } from "../common/certificates.js";
import type { Clock } from "../common/clock.js";
import { Fault, isRefusal, messageOf, type Refusal, Refused, refuse } from "../common/fault.js";
import { NotLeader } from "../common/grpc/status.js";
import type { Logger } from "../common/log.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import {
  type AdminLeaveRequest,
  AdminStatus,
  type Identity,
  type InitRequest,
  type InitResponse,
  type JoinGroupRequest,
} from "../proto/gen/admin.js";
import type { RaftJoinResponse } from "../proto/gen/raft.js";
import { Role } from "../proto/gen/types.js";
import { initCluster } from "./control/cluster.js";
import {
  loadIdentity,
  loadTls,
  type ManagerIdentity,
  saveIdentity,
  saveTls,
} from "./disk/identity-file.js";
import type { StateDir } from "./disk/state-dir.js";
import { failureSentence } from "./failure-words.js";
import { requestContext } from "./loops/write.js";
import type { Member, MemberServices } from "./member.js";
import { type NewSwarm, newSwarm } from "./new-swarm.js";
import type { AdminApi, Caller, ControlApi } from "./seams.js";
import { memberOf, Seat } from "./seat.js";
import { Store } from "./store/store.js";

export interface ManagerOptions {
  readonly dir: StateDir;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  /** How much slower than usual this machine is (1 to 100). */
  readonly scale: number;
  readonly log: Logger;
  /** The process is to end: with 0 after leaving, with 1 when it cannot go on. */
  readonly exit: (code: number) => void;
}

type State =
  | { readonly kind: "idle" | "removed" }
  | { readonly kind: "resuming" | "failed"; readonly message: string }
  | { readonly kind: "running"; readonly seat: Seat; readonly member: Member };

// Docker's words.
const ALREADY =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';
const NOT_A_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
const LAST_MANAGER =
  "You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message.";

// Before the group has given one; its ids begin at 1.
const NO_SEAT = 0;
// Choice: how often a port that is taken is tried again at start, and a join is looked at.
const RETRY_MS = 1_000;
const LOOK_MS = 5;

export class Manager {
  #state: State = { kind: "idle" };
  #orders: Promise<unknown> = Promise.resolve();
  readonly #stop = new AbortController();

  constructor(private readonly options: ManagerOptions) {}

  /** Takes up the seat that the disk holds, if it holds one. Does not wait for it. */
  resume(): void {
    this.#state = { kind: "resuming", message: "" };
    void this.#inOrder(() => this.#resume()).catch((error: unknown) => this.#fail(error));
  }

  /** Serves status and nothing else; says why. */
  refuseToStart(error: unknown): void {
    this.#fail(error);
  }

  api(): AdminApi {
    return {
      init: (request) => this.#inOrder(() => this.#init(request)),
      join: (request) => this.#inOrder(() => this.#join(request)),
      setIdentity: (identity) => this.#inOrder(() => this.#setIdentity(identity)),
      status: async () => this.#status(),
      leave: (request) => this.#inOrder(() => this.#leave(request)),
    };
  }

  /** For the node's own agent. While a seat is taken up again it waits, as it would for a leader. */
  async control(): Promise<ControlApi> {
    const { clock, timing } = this.options;
    const endMs = clock.monotonicMs() + timing.requestMs / 2;
    while (this.#state.kind === "resuming" && clock.monotonicMs() < endMs) {
      await clock.sleep(LOOK_MS, this.#stop.signal);
    }
    return this.#services().control;
  }

  /** Hands over the lead if it can, then closes. What it holds stays on disk. */
  async close(): Promise<void> {
    this.#stop.abort(new Fault("STOPPED"));
    const state = this.#state;
    if (state.kind !== "running") return;
    await this.#handOver(state.member);
    await state.seat.close();
  }

  async #resume(): Promise<void> {
    const { dir, log } = this.options;
    const identity = await loadIdentity(dir);
    if (!identity) {
      // What a crash left of a swarm that was not made, or not joined, to the end.
      await dir.erase();
      this.#state = { kind: "idle" };
      return;
    }
    const tls = await loadTls(dir);
    if (!tls) throw new Fault("IDENTITY_DAMAGED", { path: dir.path, why: "tls.json is missing" });
    const seat = await this.#openPortPatiently(identity, pem(tls));
    let member: Member;
    try {
      member = await seat.start({ kind: "resume", raftId: identity.raftId });
    } catch (error) {
      const isEmpty = error instanceof Fault && error.code === "LOG_EMPTY";
      // A join that was cut short before the leader had sent anything: as good as none, and said to be so.
      if (isEmpty && identity.joinedBy !== "") await this.#returnSeat(seat, identity.joinedBy);
      await seat.close();
      if (!isEmpty) throw error;
      await dir.erase();
      this.#state = { kind: "idle" };
      return;
    }
    this.#state = { kind: "running", seat, member };
    log.info({ node: identity.nodeId, addr: identity.listenAddr }, "manager resumed");
  }

  async #init(request: InitRequest): Promise<InitResponse | Refusal> {
    const refusal = this.#refuseUnlessIdle();
    if (refusal) return refusal;
    if (request.forceNewCluster) {
      return refuse("unimplemented", "--force-new-cluster is not supported yet");
    }
    const { dir, clock, random, log } = this.options;
    const made = await newSwarm(request, clock.nowMs(), random);
    if (isRefusal(made)) return made;
    // Tried on an empty store first: a wrong pool or setting leaves nothing behind.
    const tried = new Store().draft((draft) =>
      draft.attempt(clock.nowMs(), (inner) => this.#makeCluster(inner, made)),
    );
    if (isRefusal(tried)) return tried;
    const seat = await this.#openSeat(made.identity, made.tls);
    if (isRefusal(seat)) return seat;
    try {
      await saveTls(dir, made.tls);
      const self = memberOf(made.identity);
      const member = await seat.start({ kind: "new", self });
      await this.#until(() => member.leadership.leader().kind === "self", "it does not lead");
      const result = await member.writer.write(
        (draft) => this.#makeCluster(draft, made),
        () => true,
      );
      if (isRefusal(result)) throw new Refused(result);
      await saveIdentity(dir, made.identity);
      this.#state = { kind: "running", seat, member };
    } catch (error) {
      return this.#giveUp(seat, error);
    }
    log.info({ node: made.identity.nodeId, addr: made.identity.listenAddr }, "swarm made");
    return {
      nodeId: made.identity.nodeId,
      clusterId: made.identity.clusterId,
      certificate: made.tls.certificate,
      rootCaCert: made.tls.rootCaCert,
    };
  }

  #makeCluster(draft: Parameters<typeof initCluster>[0], made: NewSwarm) {
    const ctx = requestContext(this.options.clock.nowMs(), this.options.random);
    return initCluster(draft, made.cluster, ctx);
  }

  async #join(request: JoinGroupRequest): Promise<AdminStatus | Refusal> {
    const refusal = this.#refuseUnlessIdle();
    if (refusal) return refusal;
    const { dir, log } = this.options;
    const { identity: tls, listenAddr, advertiseAddr } = request;
    if (!tls) return refuse("invalid-argument", "an identity is necessary");
    const wrong = this.#checkIdentity(tls);
    if (wrong) return wrong;
    const { nodeId, clusterId } = readCertificate(tls.certificate) ?? { nodeId: "", clusterId: "" };
    const joinedBy = request.remoteAddr;
    const identity = { raftId: NO_SEAT, clusterId, nodeId, listenAddr, advertiseAddr, joinedBy };
    const seat = await this.#openSeat(identity, tls);
    if (isRefusal(seat)) return seat;
    try {
      const seated = await this.#askForSeat(seat, request.remoteAddr);
      if (isRefusal(seated)) throw new Refused(seated);
      seat.identity = { ...identity, raftId: seated.raftId };
      await saveTls(dir, tls);
      const self = { ...memberOf(seat.identity), learner: true };
      const member = await seat.start({ kind: "join", self, members: seated.members });
      await saveIdentity(dir, seat.identity);
      await this.#until(
        () => isVoter(member, seated.raftId) && member.store.view.cluster() !== undefined,
        `the leader did not bring it up to date; can it reach ${advertiseAddr}?`,
      );
      this.#state = { kind: "running", seat, member };
    } catch (error) {
      if (seat.identity.raftId !== NO_SEAT) await this.#returnSeat(seat, request.remoteAddr);
      return this.#giveUp(seat, error);
    }
    log.info({ node: nodeId, addr: listenAddr }, "joined the managers");
    return this.#status();
  }

  /** Asks the manager at `remoteAddr`, or the leader that it names. */
  async #askForSeat(seat: Seat, remoteAddr: string): Promise<RaftJoinResponse | Refusal> {
    const { clock, timing } = this.options;
    const endMs = clock.monotonicMs() + timing.requestMs;
    let addr = remoteAddr;
    for (;;) {
      try {
        const request = { addr: seat.identity.advertiseAddr, nodeId: "" };
        return await seat.peers.link(addr).membership.join(request, this.#self());
      } catch (error) {
        const redirected = error instanceof NotLeader;
        if (clock.monotonicMs() > endMs) {
          const why = redirected ? "the swarm has no leader" : messageOf(error);
          return refuse("unavailable", `cannot join the managers by ${addr}: ${why}`);
        }
        addr = redirected ? (error.leaderAddr ?? remoteAddr) : remoteAddr;
        await clock.sleep(timing.retryMinMs, this.#stop.signal);
      }
    }
  }

  /** So that the group does not count with a member that will never answer. As well as it can. */
  async #returnSeat(seat: Seat, remoteAddr: string): Promise<void> {
    const { clock, timing, log } = this.options;
    const endMs = clock.monotonicMs() + timing.dialMs;
    const patience = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timing.dialMs)]);
    let addr = remoteAddr;
    while (clock.monotonicMs() < endMs && !patience.aborted) {
      try {
        const asker = { ...this.#self(), signal: patience };
        await seat.peers.link(addr).membership.leave({ nodeId: "", seatOnly: true }, asker);
        return;
      } catch (error) {
        addr = error instanceof NotLeader ? (error.leaderAddr ?? remoteAddr) : remoteAddr;
        log.info({ addr, err: messageOf(error) }, "could not give the seat back");
        await clock.sleep(timing.retryMinMs, patience).catch(() => {});
      }
    }
  }

  async #setIdentity(tls: Identity): Promise<AdminStatus | Refusal> {
    const state = this.#state;
    if (state.kind !== "running") return refuse("failed-precondition", NOT_A_MANAGER);
    const refusal = this.#checkIdentity(tls);
    if (refusal) return refusal;
    const facts = readCertificate(tls.certificate);
    const { seat } = state;
    if (facts?.nodeId !== seat.identity.nodeId || facts.clusterId !== seat.identity.clusterId) {
      return refuse("invalid-argument", "the certificate is another node's");
    }
    await saveTls(this.options.dir, tls);
    seat.renew(tls);
    this.options.log.info({ notAfterMs: facts.notAfterMs }, "certificate renewed");
    return this.#status();
  }

  async #leave({ force }: AdminLeaveRequest): Promise<AdminStatus | Refusal> {
    const { dir, log } = this.options;
    const state = this.#state;
    if (state.kind === "running") {
      const { member, seat } = state;
      const refusal = await this.#giveUpSeat(member, seat.identity.nodeId, force);
      if (refusal) return refusal;
      await seat.close();
    } else if ("message" in state && !force) {
      // What cannot be read now may be all there is of the swarm.
      const advice = "Use `--force` to leave it all the same, and lose what it holds.";
      return refuse("failed-precondition", `The manager does not run: ${state.message} ${advice}`);
    }
    await dir.erase();
    this.#state = { kind: "removed" };
    log.info({ force }, "left the managers");
    // After the answer has gone out.
    setImmediate(() => this.options.exit(0));
    return this.#status();
  }

  /** Leaves the Raft group; with `force`, as well as it can. */
  async #giveUpSeat(member: Member, nodeId: string, force: boolean): Promise<Refusal | undefined> {
    const others = member.consensus.status().members.filter((each) => each.nodeId !== nodeId);
    if (others.length === 0) return force ? undefined : refuse("failed-precondition", LAST_MANAGER);
    try {
      const left = await member.services.membership.leave(
        { nodeId, seatOnly: false },
        this.#self(),
      );
      if (!isRefusal(left) || force) return undefined;
      return left;
    } catch (error) {
      if (!force) throw error;
      this.options.log.warn({ err: messageOf(error) }, "left without telling the others");
      return undefined;
    }
  }

  #status(): AdminStatus {
    const state = this.#state;
    const message = "message" in state ? state.message : "";
    if (state.kind !== "running") return AdminStatus.fromPartial({ state: state.kind, message });
    const { raftId, term, leaderId, commit, applied, members } = state.member.consensus.status();
    const leader = members.find((member) => member.raftId === leaderId);
    const { listenAddr, advertiseAddr } = state.seat.identity;
    return {
      state: "running",
      message,
      raftId,
      term,
      leaderRaftId: leaderId,
      leaderNodeId: leader?.nodeId ?? "",
      commit,
      applied,
      members,
      listenAddr,
      advertiseAddr,
      leaderAddr: leader?.addr ?? "",
      port: state.seat.counters(),
    };
  }

  #openSeat(identity: ManagerIdentity, tls: Identity): Promise<Seat | Refusal> {
    return Seat.open(
      {
        ...this.options,
        onRemoved: () => this.#removed(),
        onFailure: (error) => {
          this.#fail(error);
          this.options.exit(1);
        },
      },
      identity,
      tls,
    );
  }

  async #openPortPatiently(identity: ManagerIdentity, tls: Identity): Promise<Seat> {
    for (;;) {
      const seat = await this.#openSeat(identity, tls);
      if (!isRefusal(seat)) return seat;
      this.options.log.warn({ why: seat.message }, "cannot listen yet");
      this.#state = { kind: "resuming", message: seat.message };
      await this.options.clock.sleep(RETRY_MS, this.#stop.signal);
    }
  }

  /** The group has removed this manager: nothing that it holds is worth anything now. */
  #removed(): void {
    void this.#inOrder(async () => {
      const state = this.#state;
      if (state.kind !== "running") return;
      this.options.log.warn({}, "removed from the managers");
      this.#state = { kind: "removed" };
      await state.seat.close();
      await this.options.dir.erase();
    }).catch((error: unknown) => this.#fail(error));
  }

  async #giveUp(seat: Seat, error: unknown): Promise<Refusal> {
    await seat.close();
    await this.options.dir.erase();
    if (error instanceof Refused) return error.refusal;
    if (error instanceof Fault && error.code === "DISK_FULL") {
      return refuse("resource-exhausted", "the manager's disk is full");
    }
    throw error;
  }

  async #handOver(member: Member): Promise<void> {
    const { raftId, members } = member.consensus.status();
    if (member.leadership.leader().kind !== "self") return;
    const heir = members.find(
      (each) => each.raftId !== raftId && !each.learner && member.consensus.reachable(each.raftId),
    );
    if (!heir) return;
    const patience = AbortSignal.timeout(this.options.timing.dialMs);
    await member.consensus.transferLeadership(heir.raftId, patience).catch((error: unknown) => {
      this.options.log.warn({ err: messageOf(error) }, "could not hand over the lead");
    });
  }

  #services(): MemberServices {
    const state = this.#state;
    if (state.kind === "running") return state.member.services;
    const failed = "message" in state && state.message !== "";
    const why = failed ? `the manager of this node does not run: ${state.message}` : NOT_A_MANAGER;
    throw new Refused(refuse("unavailable", why));
  }

  #refuseUnlessIdle(): Refusal | undefined {
    switch (this.#state.kind) {
      case "idle":
      case "removed":
        return undefined;
      case "running":
      case "resuming":
        return refuse("failed-precondition", ALREADY);
      case "failed":
        return refuse("failed-precondition", this.#state.message);
    }
  }

  #checkIdentity(tls: Identity): Refusal | undefined {
    const wrong = (why: string) => refuse("invalid-argument", `wrong identity: ${why}`);
    const facts = readCertificate(tls.certificate);
    if (!facts) return wrong("the certificate cannot be read");
    if (facts.role !== Role.MANAGER) return wrong("the certificate is not a manager's");
    if (!keyFits(tls.certificate, tls.privateKey)) return wrong("the key is another certificate's");
    const issued = isIssuedBy(tls.certificate, tls.rootCaCert, this.options.clock.nowMs());
    return issued ? undefined : wrong("the certificate is not this root's, or its time has passed");
  }

  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.options.log.error({ err: messageOf(error) }, "manager failed");
    this.#state = { kind: "failed", message: failureSentence(error) };
  }

  async #until(condition: () => boolean, otherwise: string): Promise<void> {
    const { clock, timing } = this.options;
    const endMs = clock.monotonicMs() + 2 * timing.requestMs;
    while (!condition()) {
      if (clock.monotonicMs() > endMs) {
        throw new Refused(refuse("unavailable", `the manager could not start: ${otherwise}`));
      }
      await clock.sleep(LOOK_MS, this.#stop.signal);
    }
  }

  /** This process itself, asking. */
  #self(): Caller {
    const { signal } = this.#stop;
    return {
      peer: undefined,
      local: true,
      forwarded: false,
      requestId: "",
      remoteAddr: "",
      signal,
    };
  }

  #inOrder<T>(order: () => Promise<T>): Promise<T> {
    const done = this.#orders.then(order, order);
    this.#orders = done.catch(() => {});
    return done;
  }
}

function isVoter(member: Member, raftId: number): boolean {
  return member.consensus.status().members.some((each) => each.raftId === raftId && !each.learner);
}

function pem(tls: {
  readonly certificate: Uint8Array;
  readonly privateKey: Uint8Array;
  readonly rootCaCert: Uint8Array;
}): Identity {
  return {
    certificate: Buffer.from(tls.certificate),
    privateKey: Buffer.from(tls.privateKey),
    rootCaCert: Buffer.from(tls.rootCaCert),
  };
}
