// A node as far as its role goes: the real loops that keep its role and its manager process, on a disk in
// memory, and a session that tells it what the leader's store has of it.
import { ManagerProcess } from "../../agent/loops/manager-process.js";
import { RoleLoop } from "../../agent/loops/role.js";
import type { ManagerAdmin, ManagerRunner } from "../../agent/seams.js";
import type { Clock } from "../../common/clock.js";
import { Fault, isRefusal, type Refusal, Refused, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import { seededRandom } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import { itself } from "../../manager/loops/itself.js";
import { IssueCertificateRequest } from "../../proto/gen/ca.js";
import type { ControlClient } from "../../proto/gen/control.js";
import { Role } from "../../proto/gen/types.js";
import type { MemoryLogDisk } from "./log-disk.js";
import type { Credentials, RoleWord } from "./seat-credentials.js";
import { SeatDisk, type SeatLog, SeatProcess, type SeatWires } from "./seat-process.js";

export interface SeatNodeOptions<Log extends SeatLog = MemoryLogDisk> {
  readonly id: string;
  readonly addr: string;
  readonly network: SeatWires;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly seed: number;
  /** Tells `role` what the leader says of this node, until aborted. */
  readonly listen: (node: SeatNode<Log>, role: RoleLoop, signal: AbortSignal) => Promise<void>;
  /** Makes an empty log. */
  readonly newLog: () => Log;
  /** The managers that it knows, from its disk. */
  readonly managers: readonly string[];
}

export class SeatNode<Log extends SeatLog = MemoryLogDisk> {
  readonly disk: SeatDisk<Log>;
  certificate: RoleWord = "worker";
  /** Another program holds its port 2377. */
  portTaken = false;
  process: SeatProcess | undefined;
  managers: readonly string[];
  #agent:
    | { readonly stop: AbortController; readonly role: RoleLoop; readonly manager: ManagerProcess }
    | undefined;
  #runs = 0;

  constructor(readonly options: SeatNodeOptions<Log>) {
    this.disk = new SeatDisk(options.newLog);
    this.managers = options.managers;
  }

  get id(): string {
    return this.options.id;
  }
  get addr(): string {
    return this.options.addr;
  }
  /** Whom its agent asks, in this order: its own manager first, as agent/loops/member.ts has it. */
  get addresses(): readonly string[] {
    const own = this.certificate === "manager" && this.#agent?.manager.started ? [this.addr] : [];
    return [...new Set([...own, ...this.managers.filter((addr) => addr !== this.addr)])];
  }
  get raftId(): number | undefined {
    return this.process?.member?.consensus.status().raftId;
  }

  // ---- The manager process ------------------------------------------------------------------------

  startProcess(): SeatProcess {
    if (this.process?.alive) return this.process;
    const { id, seed } = this.options;
    const process = new SeatProcess({
      ...this.options,
      nodeId: id,
      disk: this.disk,
      random: seededRandom(seed * 1_000 + this.#runs++),
      portTaken: () => this.portTaken,
    });
    this.process = process;
    void process.exited.then(() => {
      if (this.process === process) this.process = undefined;
    });
    return process;
  }

  /** Of an agent that was killed nothing is started any more. */
  #runner(agent: AbortSignal): ManagerRunner {
    const running = (process: SeatProcess) => ({
      exited: process.exited,
      stop: () => process.stop(),
      release: () => {},
    });
    return {
      start: async () =>
        agent.aborted ? new Promise<never>(() => {}) : running(this.startProcess()),
      find: async () => (this.process?.alive ? running(this.process) : undefined),
      hasState: () => this.disk.identity !== undefined,
      erase: async () => this.disk.erase(),
    };
  }

  #admin(): ManagerAdmin {
    const ask = async <T>(run: (process: SeatProcess) => Promise<T | Refusal>) => {
      const { process } = this;
      const dead = new Fault("RPC_UNREACHABLE", { addr: "the manager process", sent: false });
      if (process === undefined) throw dead;
      const ended = process.exited.then(() => {
        throw dead;
      });
      try {
        return await Promise.race([run(process), ended]);
      } catch (error) {
        if (error instanceof Refused) return error.refusal;
        throw error;
      }
    };
    return {
      control: () => ({}) as ControlClient,
      init: (request) => ask(({ manager }) => manager.api().init(request, OWN_AGENT)),
      join: (request) => ask(({ manager }) => manager.api().join(request, OWN_AGENT)),
      setIdentity: ({ certificate, key, root }) =>
        ask(({ manager }) =>
          manager.api().setIdentity(
            {
              certificate: Buffer.from(certificate),
              privateKey: Buffer.from(key),
              rootCaCert: Buffer.from(root),
            },
            OWN_AGENT,
          ),
        ),
      // A signing request is the node's id, and its certificates are never over (seat-credentials.ts).
      renewExpired: async () => refuse("failed-precondition", "the certificate is not over"),
      status: () => ask(({ manager }) => manager.api().status({}, OWN_AGENT)),
      reports: () => ask(({ manager }) => manager.api().reports({}, OWN_AGENT)),

      unheardManagers: () =>
        ask(async ({ manager }) => {
          const seen = await (await manager.control()).listNodes({}, OWN_AGENT);
          return isRefusal(seen) ? seen : seen.unheardManagers;
        }),
      setAddr: (request) => ask(({ manager }) => manager.api().setAddr(request, OWN_AGENT)),
      confirmSeat: (managers) =>
        ask(({ manager }) => manager.api().confirmSeat({ managers: [...managers] }, OWN_AGENT)),
      recover: (request) => ask(({ manager }) => manager.api().recover(request, OWN_AGENT)),
      backup: () => ask(({ manager }) => manager.api().backup({}, OWN_AGENT)),
      restore: (request) => ask(({ manager }) => manager.api().restore(request, OWN_AGENT)),
      leave: (force) => ask(({ manager }) => manager.api().leave({ force }, OWN_AGENT)),
      unlock: (unlockKey) =>
        ask(({ manager }) =>
          manager.api().unlock({ unlockKey: Buffer.from(unlockKey) }, OWN_AGENT),
        ),
      keys: (knownVersion, signal) =>
        ask(({ manager }) => manager.api().keys({ knownVersion }, { ...OWN_AGENT, signal })),
    };
  }

  // ---- The agent ----------------------------------------------------------------------------------

  startAgent(): void {
    if (this.#agent !== undefined) return;
    const { clock, timing } = this.options;
    const stop = new AbortController();
    const log = silentLogger();
    const manager = new ManagerProcess(
      this.#runner(stop.signal),
      this.#admin(),
      clock,
      timing,
      log,
    );
    const role = new RoleLoop({
      clock,
      timing,
      log,
      manager,
      certificate: () => this.certificate,
      unseal: async () => {},
      renew: (signal) => this.#renew(manager, signal),
      addresses: () => this.addresses,
      joinRequest: () => ({
        identity: this.options.credentials.identity(this.id, this.certificate),
        listenAddr: this.addr,
        advertiseAddr: this.addr,
      }),
    });
    this.#agent = { stop, role, manager };
    void role.run(stop.signal);
    void this.options.listen(this, role, stop.signal);
  }

  killAgent(): void {
    this.#agent?.stop.abort(new Fault("STOPPED"));
    // Nobody looks after the process any more; it goes on.
    void this.#agent?.manager.release();
    this.#agent = undefined;
  }

  get problem(): string {
    return this.#agent?.role.problem ?? "no agent";
  }

  async #renew(manager: ManagerProcess, signal: AbortSignal): Promise<Refusal | undefined> {
    const { network, credentials } = this.options;
    const identity = () => credentials.identity(this.id, this.certificate);
    let last = refuse("unavailable", "no manager is known");
    for (const addr of this.managers) {
      const link = network.link(this.addr, addr, identity);
      const request = IssueCertificateRequest.fromPartial({ csr: Buffer.from(this.id) });
      const issued = await link.authority
        .issueCertificate(request, { ...OWN_AGENT, local: false, signal })
        .catch((error: unknown) => refuse("unavailable", String(error)));
      if (isRefusal(issued)) {
        last = issued;
        continue;
      }
      network.issued(this.addr, this.options.clock.nowMs());
      this.certificate = issued.role === Role.MANAGER ? "manager" : "worker";
      const { certificate, privateKey, rootCaCert } = identity();
      const renewed = { certificate, key: privateKey, root: rootCaCert };
      if (manager.started) await manager.setIdentity(renewed).catch(() => {});
      return undefined;
    }
    return last;
  }
}

const OWN_AGENT = itself(new AbortController().signal);
