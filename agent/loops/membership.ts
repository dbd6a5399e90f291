// What a person asks of this node's swarm membership, and what it says of itself. Orders that change it are done one
// at a time (`#doing`), and refused meanwhile; how each is done stands in swarm-entering.ts, swarm-leaving.ts,
// membership-addresses.ts and unlocking.ts, and what the node is between two in membership-state.ts.
import { readCertificate } from "../../common/certificates.js";
import { Fault, isRefusal, type Refusal } from "../../common/fault.js";
import type {
  AdminStatus,
  BackupResponse,
  ManagerReport,
  RecoverResponse,
} from "../../proto/gen/admin.js";
import type { ControlClient } from "../../proto/gen/control.js";
import { Role } from "../../proto/gen/types.js";
import { type ChosenAddresses, chooseAddresses } from "../member/advertise.js";
import { dataPathPortOf } from "../member/data-path-port.js";
import * as words from "../member/words.js";
import type {
  AddrSet,
  InitSwarm,
  JoinSwarm,
  ManagerHost,
  Membership,
  NodeRecord,
  RestoreSwarm,
  SwarmStatus,
} from "../seams.js";
import type { Member } from "./member.js";
import { asStarted, hostOf, setAddr } from "./membership-addresses.js";
import { type MembershipDeps, MembershipState } from "./membership-state.js";
import { joinSwarm, makeSwarm, restoreSwarm } from "./swarm-entering.js";
import { leaveSwarm, statusOfManager, sweepUp } from "./swarm-leaving.js";
import { openedByManager, unlockNode } from "./unlocking.js";

type ManagerAddresses = Pick<NodeRecord, "listenAddr" | "advertiseAddr">;

export class MembershipLoop implements Membership {
  readonly #state: MembershipState;
  #doing: string | undefined;

  constructor(private readonly deps: MembershipDeps) {
    this.#state = new MembershipState(deps);
  }

  get member(): Member | undefined {
    return this.#state.member;
  }

  /** At start: goes on as the member that the disk says, or sweeps up what is left of none. */
  async resume(): Promise<void> {
    const { nodeDisk, identityDisk } = this.deps;
    const known = await nodeDisk.load();
    if (known === undefined) return sweepUp(this.#state, this.deps);
    const record = await asStarted(known, this.deps);
    const stored = await identityDisk.load();
    if (stored === undefined) throw new Fault("STATE_DAMAGED", { file: "identity" });
    // A crash between the two files of a role change leaves the certificate ahead; it is what counts.
    const role = roleIn(stored.certificate) ?? record.role;
    const identity = "sealed" in stored ? await openedByManager(this.deps) : stored;
    if (identity === undefined) return this.#state.beginSealed({ ...record, role }, stored);
    await this.#state.begin({ ...record, role }, identity);
  }

  async close(): Promise<void> {
    await this.member?.close();
  }

  status(): SwarmStatus {
    const { member } = this;
    if (member === undefined) {
      return { ...NO_SWARM, state: this.#doing === undefined ? "inactive" : "pending" };
    }
    const { record, identity, problem } = member;
    const nodeAddr = hostOf(record.advertiseAddr);
    if (this.#state.locked) return { ...NO_SWARM, state: "locked", error: words.LOCKED, nodeAddr };
    const known = member.everOpen || member.held.current.revision > 0;
    return {
      state: known || record.role === "manager" ? "active" : "pending",
      error: problem,
      nodeId: record.nodeId,
      clusterId: record.clusterId,
      nodeAddr,
      dataPathAddr: record.dataPathAddr,
      dataPathPort: record.dataPathPort,
      role: record.role === "manager" ? Role.MANAGER : Role.WORKER,
      rootCaCert: identity.root,
      managers: record.managers,
    };
  }

  managerStatus(): Promise<AdminStatus | undefined> {
    return statusOfManager(this.deps.manager);
  }

  async managerReports(): Promise<readonly ManagerReport[] | undefined> {
    const { manager } = this.deps;
    if (!manager.started) return undefined;
    const said = await manager.reports().catch(() => undefined);
    return said === undefined || isRefusal(said) ? undefined : said.managers;
  }

  control(): ControlClient | Refusal {
    if (this.member === undefined) return words.noSwarmManager();
    if (this.#state.locked) return words.locked();
    const manager = this.#ownManager(this.member);
    if (isRefusal(manager)) return manager;
    const { becomingManager, problem } = this.member;
    return becomingManager ? words.becomingManager(problem) : manager.control();
  }

  async backup(): Promise<BackupResponse | Refusal> {
    if (this.member === undefined) return words.noSwarmManager();
    const manager = this.#ownManager(this.member);
    return isRefusal(manager) ? manager : manager.backup();
  }

  init(request: InitSwarm): Promise<{ readonly nodeId: string } | Refusal> {
    return this.#alone("making a swarm", () => this.#init(request));
  }
  join(request: JoinSwarm): Promise<{ readonly role: Role } | Refusal> {
    return this.#alone("joining a swarm", () => joinSwarm(request, this.#state, this.deps));
  }
  restore(request: RestoreSwarm) {
    return this.#alone("restoring a swarm", () => restoreSwarm(request, this.#state, this.deps));
  }
  leave(force: boolean): Promise<Refusal | undefined> {
    return this.#alone("leaving its swarm", () => leaveSwarm(force, this.#state, this.deps));
  }
  unlock(unlockKey: string): Promise<Refusal | undefined> {
    return this.#alone("being unlocked", async () => {
      const { member } = this;
      if (member !== undefined && this.#state.locked) {
        return unlockNode(unlockKey, member, this.#state, this.deps);
      }
      const client = this.control();
      return isRefusal(client) ? client : words.notLocked();
    });
  }
  recover(onlyPlan: boolean): Promise<RecoverResponse | Refusal> {
    return this.#alone("recovering its swarm", async () => {
      const { member } = this;
      return member === undefined ? words.notInSwarm() : this.#recover(member, { onlyPlan });
    });
  }

  async setAddr(nodeId: string, addr: string): Promise<AddrSet | Refusal> {
    const { member } = this;
    return member === undefined ? words.notInSwarm() : setAddr({ nodeId, addr }, member, this.deps);
  }

  async #init(request: InitSwarm): Promise<{ readonly nodeId: string } | Refusal> {
    const { member } = this;
    if (member !== undefined && !request.forceNewCluster) return words.alreadyInSwarm();
    const addresses = chooseAddresses(request, await this.deps.machine.addresses());
    if (isRefusal(addresses)) return addresses;
    const dataPathPort = dataPathPortOf(request.dataPathPort);
    if (isRefusal(dataPathPort)) return dataPathPort;
    if (member !== undefined) return this.#forceNewCluster(member, request, addresses);
    return makeSwarm(request, { ...addresses, dataPathPort }, this.#state, this.deps);
  }

  /** Docker's word for recovering; it has an address with it, when that is not what it was. */
  async #forceNewCluster(member: Member, request: InitSwarm, chosen: ChosenAddresses) {
    const { listenAddr, advertiseAddr } = chosen;
    const addresses = request.advertiseAddr === "" ? {} : { listenAddr, advertiseAddr };
    const recovered = await this.#recover(member, { ...addresses, onlyPlan: false });
    return isRefusal(recovered) ? recovered : { nodeId: recovered.nodeId };
  }

  async #recover(member: Member, wish: { readonly onlyPlan: boolean } & Partial<ManagerAddresses>) {
    if (this.#state.locked) return words.locked();
    if (member.record.role !== "manager") return words.workerNotManager();
    const { manager } = this.deps;
    await manager.start();
    const { onlyPlan, ...addresses } = wish;
    const recovered = await manager.recover({ ...member.joinRequest(), ...addresses, onlyPlan });
    if (isRefusal(recovered) || onlyPlan || recovered.isWhole) return recovered;
    await member.beganAnew(addresses);
    return recovered;
  }

  #ownManager(member: Member): ManagerHost | Refusal {
    const { manager } = this.deps;
    const isThere = member.record.role === "manager" && manager.started;
    return isThere ? manager : words.workerNotManager();
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

/** Undefined when it cannot be read. */
function roleIn(certificate: Uint8Array): NodeRecord["role"] | undefined {
  const facts = readCertificate(certificate);
  if (facts === undefined) return undefined;
  return facts.role === Role.MANAGER ? "manager" : "worker";
}
