// Joining swarms and leaving them. node.json is the commit point both ways: it is written when all else
// is in place, and removed before anything else goes, so that a crash leaves a member or a node that
// was never one; `resume` sweeps up what a crash left of the latter.

import { formatHostPort, parseHostPort } from "../../common/address.js";
import { readCertificate } from "../../common/certificates.js";
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, messageOf, type Refusal, refuse } from "../../common/fault.js";
import { parseJoinToken } from "../../common/join-token.js";
import type { Logger } from "../../common/log.js";
import type { Timing } from "../../common/timing.js";
import type { AdminStatus } from "../../proto/gen/admin.js";
import type { ControlClient } from "../../proto/gen/control.js";
import { Role } from "../../proto/gen/types.js";
import { type ChosenAddresses, chooseAddresses, MANAGER_PORT } from "../member/advertise.js";
import { dataPathPortOf } from "../member/data-path-port.js";
import { sentenceOf } from "../member/fault-sentence.js";
import * as words from "../member/words.js";
import type {
  CertificateDoor,
  IdentityDisk,
  InitSwarm,
  Issued,
  JoinSwarm,
  Journal,
  MachineDoor,
  ManagerHost,
  Membership,
  NodeDisk,
  NodeIdentity,
  NodeRecord,
  SwarmStatus,
} from "../seams.js";
import { processState } from "./manager-process.js";
import type { Member, MemberDeps } from "./member.js";

export interface MembershipDeps {
  readonly hostname: string;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly log: Logger;
  readonly nodeDisk: NodeDisk;
  readonly identityDisk: IdentityDisk;
  readonly journal: Journal;
  readonly door: CertificateDoor;
  readonly manager: ManagerHost;
  readonly machine: MachineDoor;
  readonly openLink: MemberDeps["openLink"];
  /** Makes the running parts, not yet started. Reads the journal. */
  readonly makeMember: (record: NodeRecord, identity: NodeIdentity) => Promise<Member>;
  /** Told before a member starts, and with undefined after one has left. */
  readonly onMember: (member: Member | undefined) => Promise<void>;
}

export class MembershipLoop implements Membership {
  #member: Member | undefined;
  #doing: string | undefined;

  constructor(private readonly deps: MembershipDeps) {}

  get member(): Member | undefined {
    return this.#member;
  }

  /** At start: goes on as the member that the disk says, or sweeps up what is left of none. */
  async resume(): Promise<void> {
    const { nodeDisk, identityDisk } = this.deps;
    const record = await nodeDisk.load();
    if (record === undefined) return this.#sweepUp();
    const identity = await identityDisk.load();
    if (identity === undefined) throw new Fault("STATE_DAMAGED", { file: "identity" });
    // A crash between the two files of a role change leaves the certificate ahead; it is what counts.
    const facts = readCertificate(identity.certificate);
    const role = facts === undefined ? record.role : roleOf(facts.role);
    await this.#begin({ ...record, role }, identity);
  }

  async close(): Promise<void> {
    await this.#member?.close();
  }

  status(): SwarmStatus {
    const member = this.#member;
    if (member === undefined) {
      return { ...NO_SWARM, state: this.#doing === undefined ? "inactive" : "pending" };
    }
    const { record, identity, problem } = member;
    const known = member.everOpen || member.held.current.revision > 0;
    return {
      state: known || record.role === "manager" ? "active" : "pending",
      error: problem,
      nodeId: record.nodeId,
      clusterId: record.clusterId,
      nodeAddr: hostOf(record.advertiseAddr),
      dataPathAddr: record.dataPathAddr,
      dataPathPort: record.dataPathPort,
      role: record.role === "manager" ? Role.MANAGER : Role.WORKER,
      rootCaCert: identity.root,
      managers: record.managers,
    };
  }

  control(): ControlClient | Refusal {
    if (this.#member === undefined) return words.noSwarmManager();
    const { manager } = this.deps;
    if (this.#member.record.role !== "manager" || !manager.started) return words.workerNotManager();
    return this.#member.becomingManager ? words.becomingManager() : manager.control();
  }

  async managerStatus(): Promise<AdminStatus | undefined> {
    if (!this.deps.manager.started) return undefined;
    const status = await this.deps.manager.status().catch(() => undefined);
    return isRefusal(status) ? undefined : status;
  }

  init(request: InitSwarm): Promise<{ readonly nodeId: string } | Refusal> {
    return this.#alone("making a swarm", () => this.#init(request));
  }
  join(request: JoinSwarm): Promise<{ readonly role: Role } | Refusal> {
    return this.#alone("joining a swarm", () => this.#join(request));
  }
  leave(force: boolean): Promise<Refusal | undefined> {
    return this.#alone("leaving its swarm", () => this.#leave(force));
  }

  async #init(request: InitSwarm): Promise<{ readonly nodeId: string } | Refusal> {
    if (this.#member !== undefined && !request.forceNewCluster) return words.alreadyInSwarm();
    const addresses = chooseAddresses(request, await this.deps.machine.addresses());
    if (isRefusal(addresses)) return addresses;
    const dataPathPort = dataPathPortOf(request.dataPathPort);
    if (isRefusal(dataPathPort)) return dataPathPort;
    if (this.#member !== undefined) return this.#forceNewCluster(this.#member, request, addresses);
    const taken = this.#portProblem(addresses.dataPathAddr, dataPathPort);
    if (taken !== undefined) return taken;
    return this.#undoing(undefined, async () => {
      const { key, csr } = await this.deps.door.newKey();
      await this.deps.manager.start();
      const made = await this.deps.manager.init({
        ...initRequest(request, addresses, this.deps.hostname),
        dataPathPort,
        privateKey: Buffer.from(key),
        csr: Buffer.from(csr),
      });
      if (isRefusal(made)) return made;
      const { nodeId, clusterId, certificate, rootCaCert: root } = made;
      const managers = [{ nodeId, addr: addresses.advertiseAddr }];
      const record = {
        nodeId,
        clusterId,
        role: "manager",
        ...addresses,
        dataPathPort,
        managers,
      } as const;
      await this.#commit(record, { key, certificate, root });
      return { nodeId };
    });
  }

  /** The manager's data stays; what it says is the answer. */
  async #forceNewCluster(member: Member, request: InitSwarm, addresses: ChosenAddresses) {
    if (member.record.role !== "manager") return words.workerNotManager();
    const { door, manager } = this.deps;
    const { csr } = await door.newKey();
    const made = await manager.init({
      ...initRequest(request, addresses, this.deps.hostname),
      dataPathPort: member.record.dataPathPort,
      privateKey: Buffer.from(member.identity.key),
      csr: Buffer.from(csr),
    });
    return isRefusal(made) ? made : { nodeId: made.nodeId };
  }

  async #join(request: JoinSwarm): Promise<{ readonly role: Role } | Refusal> {
    if (this.#member !== undefined) return words.alreadyInSwarm();
    const token = parseJoinToken(request.token);
    if (isRefusal(token)) return token;
    if (request.remoteAddrs.length === 0) {
      return refuse("invalid-argument", "at least 1 RemoteAddr is required to join");
    }
    const remotes = request.remoteAddrs.map((addr) => parseHostPort(addr, MANAGER_PORT));
    if (remotes.includes(undefined)) {
      return refuse("invalid-argument", `invalid remote address ${request.remoteAddrs.join(", ")}`);
    }
    const addresses = await this.#joinAddresses(request);
    if (isRefusal(addresses)) return addresses;
    const { key, csr } = await this.deps.door.newKey();
    const joined = await this.#askToJoin(request, csr, addresses);
    if (isRefusal(joined)) return joined;
    const { issued, remoteAddr } = joined;
    const identity = { key, certificate: issued.certificate, root: issued.root };
    const giveBack = () => this.#giveBack(identity, remoteAddr);
    return this.#undoing(giveBack, async () => {
      const isManager = issued.role === Role.MANAGER;
      const record: NodeRecord = {
        nodeId: issued.nodeId,
        clusterId: issued.clusterId,
        role: roleOf(issued.role),
        ...addresses,
        dataPathPort: issued.dataPathPort,
        managers: [{ nodeId: "", addr: remoteAddr }],
      };
      const taken = this.#portProblem(addresses.dataPathAddr, issued.dataPathPort);
      if (taken !== undefined) return taken;
      if (isManager) {
        await this.deps.manager.start();
        const inGroup = await this.deps.manager.join({
          identity: {
            certificate: Buffer.from(identity.certificate),
            privateKey: Buffer.from(identity.key),
            rootCaCert: Buffer.from(identity.root),
          },
          listenAddr: addresses.listenAddr,
          advertiseAddr: addresses.advertiseAddr,
          remoteAddr,
        });
        if (isRefusal(inGroup)) return inGroup;
      }
      const member = await this.#commit(record, identity);
      // The person who joined looks next whether the node is there: wait until it shows as ready.
      await member.openWithin(this.deps.timing.dialMs / 2);
      return { role: issued.role };
    });
  }

  async #joinAddresses(request: JoinSwarm): Promise<ChosenAddresses | Refusal> {
    const machine = await this.deps.machine.addresses();
    if (request.advertiseAddr !== "") return chooseAddresses(request, machine);
    // The address that the machine itself uses towards the swarm is the one that the swarm can use back.
    for (const remote of request.remoteAddrs) {
      const target = parseHostPort(remote, MANAGER_PORT);
      const source = target && (await this.deps.machine.sourceTowards(target.host));
      if (source === undefined) continue;
      const listen = parseHostPort(request.listenAddr || "0.0.0.0", MANAGER_PORT);
      const wild = listen === undefined || listen.host === "0.0.0.0" || listen.host === "::";
      return chooseAddresses({ ...request, advertiseAddr: wild ? source : "" }, machine);
    }
    const chosen = chooseAddresses(request, machine);
    // Not the addresses of this machine are what is wrong, but the one that was given.
    return isRefusal(chosen) ? words.noWayTo(request.remoteAddrs) : chosen;
  }

  /** Each remote in turn. A manager that answers "no" to the token has answered for the swarm. */
  async #askToJoin(
    request: JoinSwarm,
    csr: Uint8Array,
    addresses: ChosenAddresses,
  ): Promise<{ readonly issued: Issued; readonly remoteAddr: string } | Refusal> {
    const { door, hostname, timing } = this.deps;
    const about = {
      availability: request.availability,
      hostname,
      remoteAddr: hostOf(addresses.advertiseAddr),
    };
    let last = refuse("unavailable", "no manager answered");
    for (const addr of request.remoteAddrs) {
      const remote = parseHostPort(addr, MANAGER_PORT);
      if (remote === undefined) continue;
      const remoteAddr = withPort(addr);
      const limit = AbortSignal.timeout(2 * timing.dialMs);
      const issued = await door.join(remoteAddr, request.token, csr, about, limit);
      if (!isRefusal(issued)) return { issued, remoteAddr };
      last = issued;
      if (issued.code !== "unavailable") return issued;
    }
    return last;
  }

  async #leave(force: boolean): Promise<Refusal | undefined> {
    const member = this.#member;
    if (member === undefined) return words.notInSwarm();
    // A person who demoted the node and then has it leave should not have to wait in between.
    if (!force) await member.demotedWithin(this.deps.timing.dialMs);
    const isManager = member.record.role === "manager";
    if (isManager && !force) return this.#needsForce(member);
    await this.#sayGoodbye(member, isManager);
    await this.deps.nodeDisk.clear();
    this.#member = undefined;
    await member.close();
    await this.deps.onMember(undefined);
    await this.#sweep();
    this.deps.log.info({ node: member.record.nodeId }, "left the swarm");
    return undefined;
  }

  async #needsForce(member: Member): Promise<Refusal> {
    const status = await this.managerStatus();
    const voters = status?.members.filter((each) => !each.learner).length ?? 1;
    const managers = Math.max(voters, 1);
    this.deps.log.debug({ node: member.record.nodeId, managers }, "leave needs --force");
    const isAlone = status?.leaderNodeId === "" && managers > 1;
    return isAlone ? words.leaveWithoutLeader(managers) : words.leaveNeedsForce(managers, managers);
  }

  /** Whatever of it can be said in time: a node may always leave, also when nobody hears it. */
  async #sayGoodbye(member: Member, isManager: boolean): Promise<void> {
    const { timing, manager, log } = this.deps;
    const managers = isManager ? (await this.managerStatus())?.members.length : undefined;
    const wasOpen = member.session.kind === "open";
    await member.quiesce();
    // The last manager takes the swarm with it: nobody is left to tell.
    if (managers === 1) return;
    const goodbye = async () => {
      const own = member.held.current.endpoints.filter((e) => e.nodeId === member.record.nodeId);
      for (const endpoint of own) await member.link.detach(endpoint.id);
      await member.link.leave();
    };
    const late = this.deps.clock.sleep(timing.dialMs, AbortSignal.timeout(2 * timing.dialMs));
    if (wasOpen) {
      await Promise.race([goodbye(), late]).catch((error: unknown) => {
        log.info({ err: messageOf(error) }, "left without saying so");
      });
    }
    if (!isManager || !manager.started) return;
    const answer = await manager.leave(true).catch((error: unknown) => error);
    if (isRefusal(answer) || answer instanceof Error) {
      log.warn({ err: messageOf(answer) }, "left without leaving the Raft group");
    }
  }

  async #commit(record: NodeRecord, identity: NodeIdentity): Promise<Member> {
    await this.deps.identityDisk.save(identity);
    // A journal here is of no swarm that this node is in.
    await this.deps.journal.clear();
    await this.deps.nodeDisk.save(record);
    return this.#begin(record, identity);
  }

  async #begin(record: NodeRecord, identity: NodeIdentity): Promise<Member> {
    const member = await this.deps.makeMember(record, identity);
    this.#member = member;
    await this.deps.onMember(member);
    member.start();
    this.deps.log.info({ node: record.nodeId, role: record.role }, "part of a swarm");
    return member;
  }

  /** Everything that belongs to a membership, but for node.json. */
  async #sweep(): Promise<void> {
    await this.deps.manager.wipe();
    await this.deps.identityDisk.clear();
    await this.deps.journal.clear();
  }

  /** What a crash left of a swarm that was not joined to the end. A seat among the managers is given back. */
  async #sweepUp(): Promise<void> {
    const { manager, log, clock, timing } = this.deps;
    if (manager.hasState()) {
      try {
        await manager.start();
        const endMs = clock.monotonicMs() + timing.requestMs;
        while ((await processState(manager)) === "resuming" && clock.monotonicMs() < endMs) {
          await clock.sleep(timing.retryMinMs, AbortSignal.timeout(2 * timing.requestMs));
        }
        const answer = await manager.leave(true);
        if (isRefusal(answer)) throw new Fault("REFUSED", {}, new Error(answer.message));
      } catch (error) {
        log.warn({ err: messageOf(error) }, "a seat from before a crash could not be given back");
      }
    }
    await this.#sweep();
  }

  /** Tells the swarm that this node does not come after all, so that nobody counts with it. */
  async #giveBack(identity: NodeIdentity, remoteAddr: string): Promise<void> {
    const { manager, timing, log, clock } = this.deps;
    const link = this.deps.openLink(identity, () => [remoteAddr]);
    const goodbye = async () => {
      // Only a process that has a seat has something to leave.
      if ((await processState(manager)) === "running") await manager.leave(true);
      await link.leave();
    };
    const late = clock.sleep(timing.dialMs, AbortSignal.timeout(2 * timing.dialMs));
    await Promise.race([goodbye(), late]).catch((error: unknown) => {
      log.info({ err: messageOf(error) }, "could not tell the swarm that the join was given up");
    });
    link.close();
  }

  /** Runs `work`; a Refusal or a throw leaves nothing of it behind, here or (`giveBack`) in the swarm. */
  async #undoing<T>(
    giveBack: (() => Promise<void>) | undefined,
    work: () => Promise<T | Refusal>,
  ): Promise<T | Refusal> {
    let outcome: T | Refusal;
    try {
      outcome = await work();
    } catch (error) {
      await giveBack?.();
      await this.#takeBack();
      if (!(error instanceof Fault)) throw error;
      return refuse("unavailable", sentenceOf(error));
    }
    if (isRefusal(outcome)) {
      await giveBack?.();
      await this.#takeBack();
    }
    return outcome;
  }

  async #takeBack(): Promise<void> {
    await this.deps.nodeDisk.clear();
    const member = this.#member;
    this.#member = undefined;
    await member?.close();
    if (member !== undefined) await this.deps.onMember(undefined);
    await this.#sweep();
  }

  #portProblem(address: string, port: number): Refusal | undefined {
    const problem = this.deps.machine.dataPortProblem(address, port);
    return problem === undefined ? undefined : refuse("unavailable", problem);
  }

  async #alone<T>(doing: string, work: () => Promise<T | Refusal>): Promise<T | Refusal> {
    if (this.#doing !== undefined) return words.busy(this.#doing);
    this.#doing = doing;
    try {
      return await work();
    } finally {
      this.#doing = undefined;
    }
  }
}

const NO_SWARM: SwarmStatus = {
  state: "inactive",
  error: "",
  nodeId: "",
  clusterId: "",
  nodeAddr: "",
  dataPathAddr: "",
  dataPathPort: 0,
  role: Role.WORKER,
  rootCaCert: new Uint8Array(),
  managers: [],
};

function initRequest(request: InitSwarm, addresses: ChosenAddresses, hostname: string) {
  return {
    hostname,
    ...addresses,
    spec: request.spec,
    defaultAddrPools: request.defaultAddrPools,
    subnetSize: request.subnetSize,
    availability: request.availability,
    forceNewCluster: request.forceNewCluster,
  };
}

function roleOf(role: Role): "manager" | "worker" {
  return role === Role.MANAGER ? "manager" : "worker";
}

function hostOf(addr: string): string {
  return parseHostPort(addr, MANAGER_PORT)?.host ?? addr;
}

function withPort(addr: string): string {
  const parsed = parseHostPort(addr, MANAGER_PORT);
  return parsed === undefined ? addr : formatHostPort(parsed);
}
