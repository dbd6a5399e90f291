// This node as part of one swarm, from the moment it has a certificate until it leaves: its session, its
// certificate, and its role. `membership.ts` begins and ends it.
import { readCertificate, tlsInfoOf } from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import type { Logger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import { Signal } from "../../common/watch.js";
import type { NodeCheck } from "../../proto/gen/control.js";
import type { Check, NodeUpdate, Probe, ProbeReport } from "../../proto/gen/dispatcher.js";
import { type NodeDescription, Role } from "../../proto/gen/types.js";
import type { ChosenAddresses } from "../member/advertise.js";
import { identityPem } from "../member/identity-pem.js";
import { managerAt, movedTo } from "../member/set-address.js";
import type {
  CertificateDoor,
  IdentityDisk,
  ManagerHost,
  ManagerLink,
  NodeDisk,
  NodeIdentity,
  NodeRecord,
} from "../seams.js";
import { Applied, type Way } from "./applied.js";
import type { HeldAssignments } from "./held-assignments.js";
import { IdentityLoop, type Renewed } from "./identity.js";
import { KeyKeeping } from "./key-keeping.js";
import { ManagerAddress } from "./manager-address.js";
import { RoleLoop } from "./role.js";
import {
  type SessionInquiries,
  SessionLoop,
  type SessionState,
  type SessionTasks,
} from "./session.js";

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
  readonly tasks: SessionTasks;
  readonly inquiries: SessionInquiries;
  /** Resolves when what is held is in the kernel's tables. */
  readonly reached: (signal: AbortSignal) => Promise<Way>;
  readonly onCheck: (check: Check) => NodeCheck;
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
  readonly #role: RoleLoop;
  readonly #keys: KeyKeeping;
  readonly #address: ManagerAddress;
  #loops: Promise<unknown> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();
  readonly #opened = new Signal();
  /** What all of this node uses; undefined: not known yet. */
  #inUse: NodeIdentity | undefined;

  constructor(
    private current: NodeRecord,
    identity: NodeIdentity,
    readonly held: HeldAssignments,
    private readonly deps: MemberDeps,
  ) {
    if (current.role === "worker") this.#inUse = identity;
    this.link = deps.openLink(identity, () => this.addresses());
    this.#identity = new IdentityLoop(identity, {
      disk: deps.identityDisk,
      ...deps,
      addresses: () => this.addresses(),
      renewAlone: (expired) => this.#renewAlone(expired),
      onChanged: (changed) => this.#changed(changed),
    });
    this.#keys = new KeyKeeping({
      ...deps,
      isManager: () => this.current.role === "manager" && this.#role.wanted !== "worker",
    });
    this.#address = new ManagerAddress({ ...deps, record: () => this.current });
    this.#role = new RoleLoop({
      ...deps,
      unseal: () => this.#keys.forget(),
      certificate: () => this.current.role,
      renew: (signal) => this.#identity.renew(signal),
      joinRequest: () => this.joinRequest(),
      addresses: () => this.addresses(),
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
    return this.#identity.problem || this.#role.problem || this.#unheard();
  }

  /** What holds on works on; a person who wonders why nothing new does is told here. */
  #unheard(): string {
    const { session } = this;
    if (session.kind !== "connecting" || session.problem === "") return "";
    return `No manager of the swarm answers this node: ${session.problem}`;
  }

  /** Whether it is on its way to being a manager and cannot answer as one yet. */
  get becomingManager(): boolean {
    return this.#role.becomingManager;
  }

  /** Whether the manager process waits for an unlock key. */
  get locked(): boolean {
    return this.#keys.locked;
  }

  /** Its identity was sealed until now; it can be started. */
  unsealed(identity: NodeIdentity): void {
    this.#identity.unsealed(identity);
    this.link.setIdentity(identity);
  }

  start(): void {
    const { signal } = this.#stop;
    const { deps } = this;
    this.#session = new SessionLoop({
      ...deps,
      link: this.link,
      held: this.held,
      applied: new Applied(this.held, deps.reached),
      addresses: () => this.addresses(),
      hello: () => ({
        description: deps.describe(),
        dataPathAddr: this.current.dataPathAddr,
        clusterId: this.current.clusterId,
        generation: this.current.generation ?? 0,
        tls: this.#inUse && tlsInfoOf(this.#inUse.certificate, this.#inUse.root),
      }),
      onGeneration: (generation) => this.#save({ generation }),
      onNode: (update) => this.#hearNode(update),
      onProbe: (probe, report, ended) => deps.onProbe(this, probe, report, ended),
      onCheck: (check) => ({ checkId: check.checkId, check: deps.onCheck(check) }),
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
      this.#role.run(signal),
      this.#keys.run(signal),
      this.#handOver(signal),
      this.#address.run(signal),
    ]);
  }

  /** The node is not as it was described: the managers are told, by a session of its own. */
  describeAgain(): void {
    this.#session?.reopen();
  }

  /** Where its frames come from and go to from now on; it is dialled there too, if it was where they came from before. */
  setDataPathAddr(address: string): void {
    const { listenAddr, advertiseAddr, dataPathAddr } = this.current;
    this.setAddresses(movedTo({ listenAddr, advertiseAddr, dataPathAddr }, dataPathAddr, address));
  }

  /** Where it listens, is dialled, and its frames go from. */
  setAddresses(addresses: ChosenAddresses): void {
    this.#save(addresses);
    this.#address.changed();
    this.#session?.reopen();
  }

  /** The manager here is the only one now: whoever else was known as one is not. */
  async beganAnew(addresses: Partial<Pick<NodeRecord, "listenAddr" | "advertiseAddr">>) {
    const { nodeId, advertiseAddr } = { ...this.current, ...addresses };
    this.#save({ ...addresses, managers: [{ nodeId, addr: advertiseAddr }] });
    await this.#saving;
    this.#session?.reopen();
  }

  /** Where a manager is reached, until one says otherwise. False: no such manager is known here. */
  setManagerAddr(nodeId: string, addr: string): boolean {
    const managers = managerAt(this.current.managers, nodeId, addr);
    if (managers === undefined) return false;
    this.#save({ managers });
    this.#session?.reopen();
    return true;
  }

  /** Asks for a new certificate now. */
  renew(): Promise<Refusal | undefined> {
    return this.#identity.renew(this.#stop.signal);
  }

  /** When the swarm has demoted this node already: resolves once it is a worker here too, or after `ms`. */
  async demotedWithin(ms: number): Promise<void> {
    const { clock, timing } = this.deps;
    const endMs = clock.monotonicMs() + ms;
    while (this.#role.wanted === "worker" && this.current.role === "manager") {
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
    if (update.node?.spec !== undefined) this.#role.hear(update.node);
    const { rootCaCert: roots, signerPublicKey: signer, renewSpreadMs: spreadMs } = update;
    this.#identity.hear({ roots, signer, spreadMs });
  }

  async #changed(identity: NodeIdentity): Promise<void> {
    this.link.setIdentity(identity);
    await this.#give(identity);
    this.#save({ role: roleOf(identity) });
    this.#session?.reopen();
    await this.#saving;
  }

  /**
   * To the manager process. The swarm hears of a certificate only when all of the node uses it. A process that has not been
   * started may be there all the same, from an agent before this one; a worker's is on its way out.
   */
  async #give(identity: NodeIdentity): Promise<void> {
    const { manager, log } = this.deps;
    const staysManager = this.current.role === "manager" && roleOf(identity) === "manager";
    if (staysManager && !manager.started) return;
    if (staysManager) {
      const answer = await manager.setIdentity(identity).catch((error: unknown) => error);
      if (isRefusal(answer) || answer instanceof Error) {
        const err = isRefusal(answer) ? answer.message : messageOf(answer);
        log.warn({ err }, "the manager process did not take the certificate");
        return;
      }
    }
    this.#inUse = identity;
  }

  /** What the process did not take, or what was changed when the agent was killed, it is given again. */
  async #handOver(signal: AbortSignal): Promise<void> {
    const { clock, timing } = this.deps;
    while (!signal.aborted) {
      const { identity } = this;
      if (this.#inUse !== identity) {
        await this.#give(identity);
        if (this.#inUse === identity) this.#session?.reopen();
      }
      await clock.sleep(timing.retryMaxMs, signal).catch(() => {});
    }
  }

  async #renewAlone(identity: NodeIdentity): Promise<Renewed | Refusal> {
    const { manager } = this.deps;
    if (!manager.started) return refuse("unavailable", "this node has no manager");
    return manager.renewExpired(identity).catch((error: unknown) => {
      return refuse("unavailable", messageOf(error));
    });
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

  joinRequest() {
    const { listenAddr, advertiseAddr } = this.current;
    return { identity: identityPem(this.identity), listenAddr, advertiseAddr };
  }
}

function roleOf({ certificate }: NodeIdentity): NodeRecord["role"] {
  return readCertificate(certificate)?.role === Role.MANAGER ? "manager" : "worker";
}
