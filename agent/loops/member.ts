// This node as part of one swarm, from the moment it has a certificate until it leaves: its session, its
// certificate, and its role. `membership.ts` begins and ends it.
import type { Clock } from "../../common/clock.js";
import {
  Fault,
  faultFields,
  isRefusal,
  messageOf,
  type Refusal,
  unreachable,
} from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import type { NodeUpdate, Probe, ProbeReport } from "../../proto/gen/dispatcher.js";
import { type NodeDescription, Role } from "../../proto/gen/types.js";
import { sentenceOf } from "../member/fault-sentence.js";
import { nextRoleStep, type RoleFacts, type RoleStep } from "../member/role-step.js";
import type {
  CertificateDoor,
  IdentityDisk,
  Issued,
  ManagerHost,
  ManagerLink,
  NodeDisk,
  NodeIdentity,
  NodeRecord,
} from "../seams.js";
import type { HeldAssignments } from "./held-assignments.js";
import { IdentityLoop } from "./identity.js";
import { processState } from "./manager-process.js";
import { SessionLoop, type SessionState } from "./session.js";

/** A ManagerLink whose certificate can change. */
export interface RenewableLink extends ManagerLink {
  setIdentity(identity: NodeIdentity): void;
  close(): void;
}

export interface MemberDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  readonly nodeDisk: NodeDisk;
  readonly identityDisk: IdentityDisk;
  readonly door: CertificateDoor;
  readonly manager: ManagerHost;
  readonly openLink: (identity: NodeIdentity, addresses: () => readonly string[]) => RenewableLink;
  readonly describe: () => NodeDescription;
  readonly onProbe: (
    member: Member,
    probe: Probe,
    report: (report: ProbeReport) => void,
    signal: AbortSignal,
  ) => void;
}

export class Member {
  readonly link: RenewableLink;
  session: SessionState = { kind: "connecting", problem: "" };
  /** Whether a manager has answered since this agent started. */
  everOpen = false;
  readonly #identity: IdentityLoop;
  #session: SessionLoop | undefined;
  readonly #stop = new AbortController();
  readonly #roleNews = new Signal();
  #wanted: "manager" | "worker" | undefined;
  #roleProblem = "";
  #becoming: RoleStep = "nothing";
  #loops: Promise<unknown> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();
  readonly #opened = new Signal();

  constructor(
    private current: NodeRecord,
    identity: NodeIdentity,
    readonly held: HeldAssignments,
    private readonly deps: MemberDeps,
  ) {
    this.link = deps.openLink(identity, () => this.addresses());
    this.#identity = new IdentityLoop(identity, {
      disk: deps.identityDisk,
      ...deps,
      addresses: () => this.addresses(),
      onRenewed: (renewed, issued) => this.#renewed(renewed, issued),
    });
  }

  get record(): NodeRecord {
    return this.current;
  }
  get identity(): NodeIdentity {
    return this.#identity.current;
  }
  /** What is wrong with this membership, as a sentence; empty when nothing is. */
  get problem(): string {
    if (this.session.kind === "refused") return this.session.problem;
    return this.#identity.problem || this.#roleProblem || this.#unheard();
  }

  /** What holds on works on; a person who wonders why nothing new does is told here. */
  #unheard(): string {
    const { session } = this;
    if (session.kind !== "connecting" || session.problem === "") return "";
    return `No manager of the swarm answers this node: ${session.problem}`;
  }

  /** Whether it is on its way to being a manager and cannot answer as one yet. */
  get becomingManager(): boolean {
    return this.#becoming === "start-process" || this.#becoming === "join-group";
  }

  start(): void {
    const { signal } = this.#stop;
    const { deps } = this;
    this.#session = new SessionLoop({
      ...deps,
      link: this.link,
      held: this.held,
      addresses: () => this.addresses(),
      hello: () => ({
        description: deps.describe(),
        dataPathAddr: this.current.dataPathAddr,
        clusterId: this.current.clusterId,
      }),
      onNode: (update) => this.#hearNode(update),
      onProbe: (probe, report, ended) => deps.onProbe(this, probe, report, ended),
      onState: (state) => {
        this.session = state;
        if (state.kind !== "open") return;
        this.everOpen = true;
        this.#opened.notify();
      },
    });
    this.#loops = Promise.all([
      this.#session.run(signal),
      this.#identity.run(signal),
      this.#keepRole(signal),
    ]);
  }

  /** Asks for a new certificate now. */
  renew(): Promise<Refusal | undefined> {
    return this.#identity.renew(this.#stop.signal);
  }

  /** When the swarm has demoted this node already: resolves once it is a worker here too, or after `ms`. */
  async demotedWithin(ms: number): Promise<void> {
    const { clock, timing } = this.deps;
    const endMs = clock.monotonicMs() + ms;
    while (this.#wanted === "worker" && this.current.role === "manager") {
      if (clock.monotonicMs() > endMs || this.#stop.signal.aborted) return;
      await clock.sleep(timing.retryMinMs / 2, this.#stop.signal).catch(() => {});
    }
  }

  /** Resolves when a session is open, or after `ms`. */
  async openWithin(ms: number): Promise<void> {
    const late = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ms)]);
    if (this.session.kind !== "open") await this.#opened.wait(late).catch(() => {});
  }

  /** Ends what would come back of itself (session, role); the link can still be used to say goodbye. */
  async quiesce(): Promise<void> {
    this.#stop.abort(new Fault("STOPPED"));
    await this.#loops;
  }

  /** Ends the loops. What was heard is in the journal then. */
  async close(): Promise<void> {
    await this.quiesce();
    this.link.close();
    await this.#saving;
    await this.held.close();
  }

  /** This node's own manager first, then the others. */
  addresses(): readonly string[] {
    const { advertiseAddr, managers, role, nodeId } = this.current;
    const own = role === "manager" && this.deps.manager.started ? [advertiseAddr] : [];
    const others = managers.filter((manager) => manager.nodeId !== nodeId).map(({ addr }) => addr);
    return [...new Set([...own, ...others])];
  }

  #hearNode(update: NodeUpdate): void {
    if (update.managers.length > 0) {
      const managers = update.managers.map(({ nodeId, addr }) => ({ nodeId, addr }));
      this.#save({ managers });
    }
    if (update.node?.spec === undefined) return;
    this.#wanted = update.node.spec.role === Role.MANAGER ? "manager" : "worker";
    this.#roleNews.notify();
  }

  async #renewed(identity: NodeIdentity, issued: Issued): Promise<void> {
    this.link.setIdentity(identity);
    this.#session?.reopen();
    if (this.deps.manager.started) {
      const answer = await this.deps.manager.setIdentity(identity).catch((error: unknown) => error);
      if (isRefusal(answer) || answer instanceof Error) {
        this.deps.log.warn(
          { err: messageOf(answer) },
          "the manager process did not take the certificate",
        );
      }
    }
    this.#save({ role: issued.role === Role.MANAGER ? "manager" : "worker" });
    await this.#saving;
  }

  #save(change: Partial<NodeRecord>): void {
    const next = { ...this.current, ...change };
    if (JSON.stringify(next) === JSON.stringify(this.current)) return;
    this.current = next;
    this.#saving = this.#saving
      .then(() => this.deps.nodeDisk.save(next))
      .catch((error: unknown) =>
        this.deps.log.warn({ err: messageOf(error) }, "node.json not saved"),
      );
  }

  async #keepRole(signal: AbortSignal): Promise<void> {
    const { clock, timing, log } = this.deps;
    let pauseMs = timing.retryMinMs;
    while (!signal.aborted) {
      const process = (await processState(this.deps.manager)) as RoleFacts["process"];
      const step = nextRoleStep({ wanted: this.#wanted, certificate: this.current.role, process });
      this.#becoming = step;
      if (step === "nothing") {
        pauseMs = timing.retryMinMs;
        this.#roleProblem = "";
        const soon = AbortSignal.any([signal, AbortSignal.timeout(timing.resyncMs)]);
        await this.#roleNews.wait(soon).catch(() => {});
        continue;
      }
      try {
        log.info({ step, wanted: this.#wanted, process }, "role");
        await this.#take(step, signal);
        this.#roleProblem = "";
        pauseMs = timing.retryMinMs;
      } catch (error) {
        if (signal.aborted) return;
        this.#roleProblem = `becoming a ${this.#wanted ?? this.current.role}: ${sentenceOf(error)}`;
        log.warn({ step, ...faultFields(error) }, "role step failed");
        await clock.sleep(pauseMs, signal).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, timing.retryMaxMs);
      }
    }
  }

  async #take(step: Exclude<RoleStep, "nothing">, signal: AbortSignal): Promise<void> {
    const { manager } = this.deps;
    switch (step) {
      case "renew-certificate": {
        mustNotRefuse(await this.#identity.renew(signal));
        // The managers may not have let go of this node's old role yet.
        if (this.current.role !== this.#wanted) throw new Fault("ROLE_NOT_GIVEN_YET");
        return;
      }
      case "start-process":
        return manager.start();
      case "join-group": {
        const remoteAddr = this.addresses().find((addr) => addr !== this.current.advertiseAddr);
        if (remoteAddr === undefined) throw new Fault("NO_OTHER_MANAGER");
        mustNotRefuse(await manager.join({ ...this.joinRequest(), remoteAddr }));
        return;
      }
      case "leave-group":
        mustNotRefuse(await manager.leave(false));
        return manager.wipe();
      case "wipe-process":
        return manager.wipe();
      default:
        return unreachable(step);
    }
  }

  joinRequest() {
    const { certificate, key, root } = this.identity;
    return {
      identity: {
        certificate: Buffer.from(certificate),
        privateKey: Buffer.from(key),
        rootCaCert: Buffer.from(root),
      },
      listenAddr: this.current.listenAddr,
      advertiseAddr: this.current.advertiseAddr,
    };
  }
}

function mustNotRefuse(answer: unknown): void {
  if (isRefusal(answer)) throw new Fault("REFUSED", {}, new Error(answer.message));
}
