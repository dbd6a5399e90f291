// The manager process as its agent sees it: idle until it is told to make a swarm or to join one, then
// one seat in the Raft group, across restarts, until it leaves or is removed. One order at a time: what an order
// does stands by its subject in the seat-* files, and what the process is between two orders in manager-state.ts.
import type { Clock } from "../common/clock.js";
import { Fault, isRefusal, type Refusal, refuse } from "../common/fault.js";
import type { Logger } from "../common/log.js";
import type { Random } from "../common/random.js";
import type { Timing } from "../common/timing.js";
import type {
  AdminLeaveRequest,
  AdminStatus,
  BackupResponse,
  Identity,
  ReportsResponse,
  SetAddrRequest,
  SetAddrResponse,
  UnlockRequest,
} from "../proto/gen/admin.js";
import { makeBackup } from "./backup.js";
import { type HeldSeat, ManagerState, notAManager, type SeatTools } from "./manager-state.js";
import { LOCKED, nodeKeys, WRONG_UNLOCK_KEY } from "./node-keys.js";
import type { AdminApi, ControlApi, ManagerDisk, ManagerIdentity } from "./seams.js";
import { handOver } from "./seat-asking.js";
import { confirmSeat, giveUpRemoved, leaveManagers } from "./seat-leaving.js";
import { moveSeat, recoverSeat, resumeSeat } from "./seat-resuming.js";
import { joinManagers, makeSwarm, restoreSwarm } from "./seat-taking.js";
import { dialManager, renewExpired, setIdentity } from "./seat-upkeep.js";

export interface SeatEvents {
  /** The group has removed this manager. */
  readonly onRemoved: () => void;
  /** The log cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface ManagerOptions {
  readonly disk: ManagerDisk;
  /** Listens, and answers "starting" to all. A port that is taken is a Refusal that names it. */
  readonly openSeat: (
    events: SeatEvents,
    identity: ManagerIdentity,
    tls: Identity,
  ) => Promise<HeldSeat | Refusal>;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  readonly log: Logger;
  /** The process is to end: with 0 after leaving, with 1 when it cannot go on. */
  readonly exit: (code: number) => void;
}

// Choice: how often a request looks whether the seat that is being taken up is there.
const LOOK_MS = 5;

export class Manager {
  readonly #state: ManagerState;
  readonly #tools: SeatTools;
  #orders: Promise<unknown> = Promise.resolve();
  readonly #stop = new AbortController();
  readonly #fail = (error: unknown): void => this.#state.fail(error);

  constructor(private readonly options: ManagerOptions) {
    const { openSeat, exit, ...given } = options;
    const stopped = this.#stop.signal;
    this.#state = new ManagerState(options.log, stopped);
    const events = {
      onRemoved: () => void this.#inOrder(() => giveUpRemoved(this.#tools)).catch(this.#fail),
      onFailure: (error: unknown) => {
        this.#fail(error);
        exit(1);
      },
    };
    this.#tools = {
      ...given,
      state: this.#state,
      openSeat: (identity, tls) => openSeat(events, identity, tls),
      stopped,
    };
  }

  /** Takes up the seat that the disk holds, if it holds one and is not sealed. Does not wait for it. */
  resume(): void {
    const { disk, log } = this.options;
    if (disk.keys.locked) {
      this.#state.become({ kind: "locked", message: LOCKED });
      log.info({}, "locked: the unlock key is needed");
      return;
    }
    this.#state.become({ kind: "resuming", message: "" });
    void this.#inOrder(() => resumeSeat(this.#tools)).catch(this.#fail);
  }

  /** Serves status and nothing else; says why. */
  refuseToStart(error: unknown): void {
    this.#fail(error);
  }

  api(): AdminApi {
    const { disk } = this.options;
    const tools = this.#tools;
    return {
      init: (request) => this.#inOrder(() => makeSwarm(request, tools)),
      join: (request) => this.#inOrder(() => joinManagers(request, tools)),
      restore: (request) => this.#inOrder(() => restoreSwarm(request, tools)),
      recover: (request) => this.#inOrder(() => recoverSeat(request, tools)),
      setIdentity: (identity) => this.#inOrder(() => setIdentity(identity, tools)),
      renewExpired: (request) => this.#inOrder(() => renewExpired(request.csr, tools)),
      confirmSeat: (request) => this.#inOrder(() => confirmSeat(request.managers, tools)),
      leave: (request) => this.#inOrder(() => this.#leave(request)),
      unlock: (request) => this.#inOrder(() => this.#unlock(request)),
      setAddr: (request, caller) =>
        request.nodeId === "" ? this.#moveTo(request) : dialManager(request, caller, tools),
      // Not in order, for they change nothing here, and the last may wait for long.
      status: async () => this.#state.status(),
      reports: (_request, { signal }) => this.#reports(signal),
      backup: () => this.#backup(),
      keys: ({ knownVersion }, { signal }) =>
        nodeKeys(disk, knownVersion, AbortSignal.any([signal, tools.stopped])),
    };
  }

  /** For the node's own agent. While a seat is taken up again it waits, as it would for a leader. */
  async control(): Promise<ControlApi> {
    const { clock, timing } = this.options;
    const endMs = clock.monotonicMs() + timing.requestMs / 2;
    while (this.#state.now.kind === "resuming" && clock.monotonicMs() < endMs) {
      await clock.sleep(LOOK_MS, this.#stop.signal);
    }
    return this.#state.services().control;
  }

  /** Hands over the lead if it can, then closes. What it holds stays on disk. */
  async close(): Promise<void> {
    this.#stop.abort(new Fault("STOPPED"));
    await this.#giveSeatUp();
  }

  /** The group keeps counting with it. */
  async #giveSeatUp(): Promise<void> {
    const running = this.#state.running();
    if (isRefusal(running)) return;
    await handOver(running.member, this.options);
    await running.seat.close();
  }

  async #leave(request: AdminLeaveRequest): Promise<AdminStatus | Refusal> {
    const left = await leaveManagers(request, this.#tools);
    // After the answer has gone out.
    if (!isRefusal(left)) setImmediate(() => this.options.exit(0));
    return left;
  }

  async #unlock({ unlockKey }: UnlockRequest): Promise<AdminStatus | Refusal> {
    const { disk, log } = this.options;
    if (this.#state.now.kind !== "locked")
      return refuse("failed-precondition", "swarm is not locked");
    if (!disk.keys.unlock(unlockKey)) return refuse("permission-denied", WRONG_UNLOCK_KEY);
    log.info({}, "unlocked");
    this.resume();
    return this.#state.status();
  }

  async #backup(): Promise<BackupResponse | Refusal> {
    const running = this.#state.running();
    return isRefusal(running) ? running : makeBackup(running.member, this.options);
  }

  async #reports(signal: AbortSignal): Promise<ReportsResponse | Refusal> {
    const running = this.#state.running();
    if (isRefusal(running)) return running;
    return { managers: [...(await running.member.reports(signal))] };
  }

  /** Takes up its seat anew where it is reached now; the leader hears it there, and writes it down. */
  async #moveTo(request: SetAddrRequest): Promise<SetAddrResponse | Refusal> {
    const { kind } = this.#state.now;
    if (kind !== "running" && kind !== "resuming") return notAManager();
    const done = { hereOnly: false };
    // One that waits for its port reads it there; it would never come to the orders that wait behind it.
    if (kind === "resuming") {
      await moveSeat(request, this.#tools);
      return done;
    }
    return this.#inOrder(async () => {
      if (this.#state.now.kind !== "running") return done;
      if (!(await moveSeat(request, this.#tools))) return done;
      await this.#giveSeatUp();
      this.resume();
      return done;
    });
  }

  #inOrder<T>(order: () => Promise<T>): Promise<T> {
    const done = this.#orders.then(order, order);
    this.#orders = done.catch(() => {});
    return done;
  }
}
