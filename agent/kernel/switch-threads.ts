// The main thread's end of the userspace data path: it opens sockets, keeps what each network's rows are, and hands
// them to the two threads that carry frames (agent/switch-worker.ts). It waits for neither; what it closes, it closes
// when both have said that they do not use it any more.
import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { formatIp, type Ip, parseIp } from "../../common/address.js";
import { Fault } from "../../common/fault.js";
import type { Vni } from "../../common/ids.js";
import type { RuleDrops } from "../guard/drops.js";
import type { Stranger } from "../guard/strangers.js";
import { PeerBook } from "../overlay/peer-book.js";
import { StrangerBook } from "../overlay/stranger-book.js";
import {
  COUNTED,
  COUNTED_STRAY,
  type Counted,
  type CountedStray,
  type Counters,
  newCounters,
  readCounters,
} from "../overlay/switch-counters.js";
import { encodeTable } from "../overlay/switch-table.js";
import type { SwitchedHave } from "../reconcile/have.js";
import type { TablePlace } from "../reconcile/want.js";
import { eventfd } from "./libc.js";
import {
  type NumberedOrder,
  SOCKETS_MAX,
  type SwitchOrder,
  type SwitchThreadData,
} from "./switch-orders.js";
import { openUdp, socketDrops } from "./udp-batch.js";

export interface SwitchedNetwork {
  readonly vni: Vni;
  readonly local: Ip;
  readonly port: number;
  /** Frames are taken there too. */
  readonly also?: number;
  readonly mtuBytes: number;
}

interface Held extends SwitchedNetwork {
  readonly tap: number;
  readonly socket: Socket;
  readonly listener: Socket | undefined;
  readonly counters: Counters;
  /** MAC → VTEP. */
  readonly remotes: Map<string, string>;
  readonly flood: Set<string>;
  readonly locals: Set<string>;
}

interface Socket {
  readonly fd: number;
  readonly key: string;
  users: number;
}

interface Thread {
  readonly worker: Worker;
  readonly wake: number;
}

/** What is counted and is no drop. */
const TRAFFIC = /^(frames|bytes)-/;
const WORKER = new URL("../switch-worker.js", import.meta.url);
const ONE = Buffer.from(new BigUint64Array([1n]).buffer);

export class SwitchThreads {
  readonly #networks = new Map<number, Held>();
  readonly #sockets = new Map<string, Socket>();
  readonly #book = new PeerBook();
  readonly #stray = newCounters(COUNTED_STRAY);
  readonly #strangers = new StrangerBook();
  #threads: readonly Thread[] = [];
  /** By order: how many threads have yet to say that it is done, and what is done then. */
  readonly #waiting = new Map<number, { left: number; readonly then: () => void }>();
  #orders = 0;

  /** Takes the TAP device over; a network that is here already keeps its rows and counters. */
  attach(network: SwitchedNetwork, tap: number): void {
    const { vni, local, port, also, mtuBytes } = network;
    const before = this.#networks.get(vni);
    const socket = this.#use(local, port);
    const listener = this.#listen(local, also, socket);
    const held: Held = {
      ...{ vni, local, port, mtuBytes },
      ...(also !== undefined && { also }),
      ...{ tap, socket, listener },
      counters: before?.counters ?? newCounters(),
      remotes: before?.remotes ?? new Map(),
      flood: before?.flood ?? new Set(),
      locals: before?.locals ?? new Set(),
    };
    this.#networks.set(vni, held);
    this.#tell(held);
    if (before === undefined) return;
    this.#release(before.socket);
    this.#release(before.listener);
    if (before.tap !== tap) this.#whenDone(() => closeSync(before.tap));
  }

  /** The network's TAP, if the switch has it. */
  tapOf(vni: number): number | undefined {
    return this.#networks.get(vni)?.tap;
  }

  detach(vni: number): void {
    const held = this.#networks.get(vni);
    if (held === undefined) return;
    this.#networks.delete(vni);
    this.#order({ kind: "forget", vni });
    this.#whenDone(() => closeSync(held.tap));
    this.#release(held.socket);
    this.#release(held.listener);
  }

  /** Changes the network's rows, and has them in use soon; nothing if the network is not here. */
  change(vni: number, by: (rows: Pick<Held, "remotes" | "flood" | "locals">) => void): void {
    const held = this.#networks.get(vni);
    if (held === undefined) return;
    by(held);
    this.#tell(held);
  }

  have(vni: number): SwitchedHave | undefined {
    const held = this.#networks.get(vni);
    if (held === undefined) return undefined;
    const { local, port, also, remotes, flood, locals } = held;
    return {
      local: formatIp(local),
      port,
      also,
      fdb: new Map(remotes),
      flood: new Set(flood),
      locals: new Set(locals),
    };
  }

  /** Whether the switch itself has this port. */
  holds(local: Ip, port: number): boolean {
    return this.#sockets.has(keyOf(local, port));
  }

  counters(vni: number): Readonly<Record<Counted, number>> | undefined {
    const held = this.#networks.get(vni);
    return held && readCounters(held.counters, COUNTED);
  }

  /** Of datagrams that belong to no network here. */
  stray(): Readonly<Record<CountedStray, number>> {
    return readCounters(this.#stray, COUNTED_STRAY);
  }

  /** Frames that were dropped, by reason; and datagrams that came faster than they were fetched. */
  drops(): readonly RuleDrops[] {
    const drops: RuleDrops[] = [];
    const add = (place: TablePlace, counted: Readonly<Record<string, number>>) => {
      for (const [reason, frames] of Object.entries(counted)) {
        if (!TRAFFIC.test(reason) && frames > 0) drops.push({ place, reason, subject: "", frames });
      }
    };
    for (const { vni, counters } of this.#networks.values())
      add({ kind: "network", vni }, readCounters(counters, COUNTED));
    add({ kind: "host" }, this.stray());
    for (const { fd } of this.#sockets.values())
      add({ kind: "host" }, { "socket-full": socketDrops(fd) });
    return drops;
  }

  /** Whom the machine's packet filter has let through, as where it has none, and who is no node of the network. */
  strangers(): readonly Stranger[] {
    return this.#strangers.read(performance.now());
  }

  /** TAP devices stay, and with them the sandboxes' links. */
  close(): void {
    for (const vni of [...this.#networks.keys()]) this.detach(vni);
    this.#order({ kind: "end" });
  }

  #tell(held: Held): void {
    const { vni, mtuBytes, tap, socket, counters } = held;
    const words = encodeTable({
      vni,
      mtuBytes,
      locals: [...held.locals],
      remotes: [...held.remotes].flatMap(([mac, vtep]) => {
        const peer = this.#peer(vtep);
        return held.locals.has(mac) || peer === undefined ? [] : [[mac, peer] as const];
      }),
      flood: [...held.flood].flatMap((vtep) => this.#peer(vtep) ?? []),
    });
    this.#order({ kind: "network", tap, socket: socket.fd, words, counters });
  }

  #peer(vtep: string): number | undefined {
    const ip = parseIp(vtep);
    const number = ip && this.#book.numberOf(ip);
    if (ip !== undefined && number === undefined) throw new Fault("SWITCH_PEERS_FULL", { vtep });
    return number;
  }

  #use(local: Ip, port: number): Socket {
    const key = keyOf(local, port);
    const known = this.#sockets.get(key);
    if (known !== undefined) {
      known.users++;
      return known;
    }
    if (this.#sockets.size === SOCKETS_MAX) throw new Fault("SWITCH_SOCKETS_FULL", { key });
    const socket = { fd: openUdp(local, port), key, users: 1 };
    this.#sockets.set(key, socket);
    this.#order({ kind: "socket", fd: socket.fd, family: local.family, port });
    return socket;
  }

  /** The first one is not kept if the second cannot be had. */
  #listen(local: Ip, also: number | undefined, first: Socket): Socket | undefined {
    if (also === undefined) return undefined;
    try {
      return this.#use(local, also);
    } catch (error) {
      this.#release(first);
      throw error;
    }
  }

  #release(socket: Socket | undefined): void {
    if (socket === undefined) return;
    socket.users--;
    if (socket.users > 0) return;
    this.#sockets.delete(socket.key);
    this.#order({ kind: "close-socket", fd: socket.fd });
    this.#whenDone(() => closeSync(socket.fd));
  }

  #order(order: SwitchOrder): void {
    if (order.kind !== "end" && this.#threads.length === 0) this.#start();
    const numbered: NumberedOrder = { number: ++this.#orders, order };
    for (const { worker, wake } of this.#threads) {
      worker.postMessage(numbered);
      writeSync(wake, ONE);
    }
    if (order.kind === "end") this.#threads = [];
  }

  /** When all threads have done the last order. */
  #whenDone(then: () => void): void {
    this.#waiting.set(this.#orders, { left: this.#threads.length, then });
  }

  #start(): void {
    this.#threads = (["out", "in"] as const).map((direction) => {
      const wake = eventfd();
      const data: SwitchThreadData = {
        direction,
        wake,
        peers: this.#book.shared,
        stray: this.#stray,
        strangers: this.#strangers.shared,
      };
      const worker = new Worker(WORKER, { workerData: data, name: `switch-${direction}` });
      worker.on("message", (number: number) => this.#done(number));
      worker.on("error", (error) => {
        // What a thread had in hand is nobody's any more: better a new agent than one that seems to be well.
        throw new Fault("SWITCH_THREAD_FAILED", { direction }, error);
      });
      worker.on("exit", () => closeSync(wake));
      // Nobody waits for a switch.
      worker.unref();
      return { worker, wake };
    });
  }

  #done(number: number): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined || --waiting.left > 0) return;
    this.#waiting.delete(number);
    waiting.then();
  }
}

function keyOf(local: Ip, port: number): string {
  return `${formatIp(local)} ${port}`;
}
