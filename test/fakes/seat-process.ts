// One run of a manager process, in memory: the real Manager and member, on a disk and a network of the test.
// A run that was killed does nothing more: what it waited for never comes, so that it writes nothing after.
import type { Clock } from "../../common/clock.js";
import { isRefusal, type Refusal, refuse } from "../../common/fault.js";
import { silentLogger } from "../../common/log.js";
import type { Random } from "../../common/random.js";
import type { Timing } from "../../common/timing.js";
import { Topic } from "../../common/watch.js";
import { Manager } from "../../manager/manager.js";
import { type Member, openMember } from "../../manager/member.js";
import type {
  Bootstrap,
  LeaderLink,
  LogDisk,
  ManagerDisk,
  ManagerIdentity,
  ManagerSeat,
  StoredLog,
  TlsIdentity,
} from "../../manager/seams.js";
import type { Identity } from "../../proto/gen/admin.js";
import type { RaftMember, RaftMessage, RaftSnapshot } from "../../proto/gen/raft.js";
import type { MemoryLogDisk } from "./log-disk.js";
import { MemoryKeys } from "./manager-keys.js";
import { CLUSTER_ID, type Credentials } from "./seat-credentials.js";
import type { SeatNetwork } from "./seat-network.js";

/** A log in memory: what it holds may be looked at, and be begun with a snapshot. */
export interface SeatLog extends LogDisk {
  peek(): StoredLog;
  begin(snapshot: RaftSnapshot): void;
}

/** What a node's disk has of its manager. */
export class SeatDisk<Log extends SeatLog = MemoryLogDisk> {
  identity: ManagerIdentity | undefined;
  tls: TlsIdentity | undefined;
  readonly keys = new MemoryKeys();
  log: Log;

  constructor(private readonly newLog: () => Log) {
    this.log = newLog();
  }

  beginLog(snapshot: RaftSnapshot): void {
    this.log = this.newLog();
    this.log.begin(snapshot);
  }

  erase(): void {
    this.keys.erased();
    this.identity = undefined;
    this.tls = undefined;
    this.log = this.newLog();
  }
}

/** What carries the managers' calls and messages. */
export type SeatWires = Pick<SeatNetwork, "open" | "link" | "transport" | "issued">;

/** A port 2377 that is open. */
export interface OpenPort {
  readonly addr: string;
  readonly tls: () => Identity;
  /** Undefined while it answers "starting" to all. */
  readonly member: () => Member | undefined;
  readonly received: Topic<RaftMessage>;
  /** Who was let in, member or not: to be answered. */
  readonly met: Map<number, RaftMember>;
}

export interface ProcessOptions {
  readonly nodeId: string;
  readonly disk: SeatDisk<SeatLog>;
  readonly network: SeatWires;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly random: Random;
  readonly timing: Timing;
  /** Whether another program holds port 2377. */
  readonly portTaken: () => boolean;
}

export class SeatProcess {
  readonly manager: Manager;
  readonly exited: Promise<string>;
  #alive = true;
  #end: (why: string) => void = () => {};
  readonly #stops: (() => void)[] = [];
  /** The member that runs, if one does. */
  member: Member | undefined;

  constructor(private readonly options: ProcessOptions) {
    this.exited = new Promise((resolve) => {
      this.#end = resolve;
    });
    const clock = this.#clock();
    const { random, timing } = options;
    this.manager = new Manager({
      disk: this.#disk(),
      openSeat: async (events, identity, tls) =>
        this.#openSeat(events, identity, tls, { clock, random, timing, log: silentLogger() }),
      clock,
      random,
      timing,
      log: silentLogger(),
      exit: (code) => void this.stop(`exit code ${code}`),
    });
    this.manager.resume();
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** As SIGTERM. */
  async stop(why = "SIGTERM"): Promise<void> {
    if (!this.#alive) return;
    await this.manager.close();
    this.kill(why);
  }

  /** As SIGKILL. */
  kill(why = "SIGKILL"): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const stop of this.#stops) stop();
    this.options.disk.keys.forget();
    this.member = undefined;
    this.#end(why);
  }

  /** The value while the process lives; nothing, ever, once it does not. */
  async living<T>(value: Promise<T>): Promise<T> {
    try {
      const result = await value;
      if (this.#alive) return result;
    } catch (error) {
      if (this.#alive) throw error;
    }
    return new Promise<T>(() => {});
  }

  #clock(): Clock {
    const { clock } = this.options;
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (ms, signal) => this.living(clock.sleep(ms, signal)),
      every: (ms, tick) => {
        const stop = clock.every(ms, tick);
        this.#stops.push(stop);
        return stop;
      },
    };
  }

  #disk(): ManagerDisk {
    const { disk } = this.options;
    const act = <T>(action: () => T) =>
      this.living(
        Promise.resolve().then(() => (this.#alive ? action() : new Promise<T>(() => {}))),
      );
    return {
      path: "memory",
      keys: disk.keys,
      loadIdentity: () => act(() => disk.identity),
      saveIdentity: (identity) =>
        act(() => {
          disk.identity = identity;
        }),
      loadTls: () => act(() => disk.tls),
      saveTls: (tls) =>
        act(() => {
          disk.tls = tls;
        }),
      salvage: async () => ({ stored: await act(() => disk.log.peek()), damage: undefined }),
      beginLog: (snapshot) =>
        act(() => {
          disk.beginLog(snapshot);
          return "memory";
        }),
      erase: () => act(() => disk.erase()),
    };
  }

  #openSeat(
    events: { onRemoved: () => void; onFailure: (error: unknown) => void },
    identity: ManagerIdentity,
    firstTls: Identity,
    base: Pick<Parameters<typeof openMember>[0], "clock" | "random" | "timing" | "log">,
  ): ManagerSeat<Member> | Refusal {
    const { network, disk, credentials } = this.options;
    const addr = identity.advertiseAddr;
    if (this.options.portTaken()) {
      return refuse("failed-precondition", `listen tcp ${addr}: bind: address already in use`);
    }
    let tls = firstTls;
    let member: Member | undefined;
    const received = new Topic<RaftMessage>();
    const close = network.open({
      addr,
      tls: () => tls,
      member: () => member,
      received,
      met: new Map(),
    });
    if (isRefusal(close)) return close;
    this.#stops.push(close);
    const link = (to: string): LeaderLink =>
      network.link(
        addr,
        to,
        () => tls,
        (value) => this.living(value),
      );
    return {
      identity,
      link,
      start: async (bootstrap: Bootstrap) => {
        // As Seat does: what the group gave is known by now.
        const self = bootstrap.kind === "resume" ? bootstrap.raftId : bootstrap.self.raftId;
        member = await this.living(
          openMember({
            ...base,
            ...events,
            identity: { ...identity, raftId: self },
            bootstrap,
            peers: { link, keepOnly: () => {} },
            signer: credentials.signer(),
            openDisk: async () => this.#log(disk.log),
            keys: disk.keys,
            openTransport: (onRefused: (refusing: RaftMember) => void) => ({
              ...network.transport({
                addr,
                tls: () => tls,
                clusterId: CLUSTER_ID,
                onRefused,
                alive: () => this.#alive,
              }),
              received,
              close: async () => {},
            }),
          }),
        );
        this.member = member;
        return member;
      },
      renew: (renewed) => {
        tls = renewed;
      },
      counters: () => undefined,
      close: async () => {
        close();
        const closing = member;
        member = undefined;
        this.member = undefined;
        await closing?.close();
      },
    };
  }

  /** Of a killed run nothing is written any more. */
  #log(log: LogDisk): LogDisk {
    const act = <T>(action: () => Promise<T>) =>
      this.living(this.#alive ? action() : new Promise<T>(() => {}));
    return {
      load: () => act(() => log.load()),
      persist: (hardState, entries) => act(() => log.persist(hardState, entries)),
      saveSnapshot: (snapshot, keepFrom) => act(() => log.saveSnapshot(snapshot, keepFrom)),
      close: () => act(() => log.close()),
    };
  }
}
