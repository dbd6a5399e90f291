// One thread of the userspace data path. It opens nothing: the main thread tells it which descriptors are its TAP
// devices and sockets, and it switches until it is told to end.
import { readSync } from "node:fs";
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from "node:worker_threads";
import { assert, unreachable } from "../common/fault.js";
import { Arena } from "./kernel/arena.js";
import { Poller } from "./kernel/poller.js";
import {
  type NumberedOrder,
  SOCKETS_MAX,
  type SwitchOrder,
  type SwitchThreadData,
} from "./kernel/switch-orders.js";
import { TAP_READ_BYTES, TapBatchReader, TapBatchWriter } from "./kernel/tap.js";
import { UdpReceiver, UdpSender } from "./kernel/udp-batch.js";
import { switchInward, switchOutward } from "./loops/switch.js";
import { Inward } from "./overlay/inward.js";
import { Outward, type SwitchNetwork } from "./overlay/outward.js";
import { StrangerNotes } from "./overlay/stranger-book.js";
import { SwitchTable } from "./overlay/switch-table.js";

// Choice: a dozen frames of 64 KiB with the headers of their parts; most turns need a page or two of it.
const FRAMES_BYTES = 1 << 20;
// Taken from the system page by page as it is used.
const ARENA_BYTES = FRAMES_BYTES + SOCKETS_MAX * (3 << 20) + (1 << 20);

const { direction, wake, peers, stray, strangers } = workerData as SwitchThreadData;
const port = parentPort as MessagePort;
const arena = new Arena(ARENA_BYTES);
const poll = new Poller(arena);
poll.add(wake);
const drained = Buffer.alloc(8);

/** All orders that have come, each answered; false: the last one was to end. */
function take(obey: (order: SwitchOrder) => void): boolean {
  readSync(wake, drained);
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) return true;
    const { number, order } = received.message as NumberedOrder;
    obey(order);
    port.postMessage(number);
    if (order.kind === "end") return false;
  }
}

function runOutward(): void {
  const byTap = new Map<number, SwitchNetwork>();
  const senders = new Map<number, UdpSender>();
  const idle: UdpSender[] = [];
  const from = arena.take(FRAMES_BYTES);
  const to = from + FRAMES_BYTES;
  const forget = (vni: number) => {
    for (const [tap, { table }] of byTap) {
      if (table.vni !== vni) continue;
      byTap.delete(tap);
      poll.remove(tap);
    }
  };
  const obey = (order: SwitchOrder): void => {
    switch (order.kind) {
      case "socket": {
        const sender = idle.pop() ?? new UdpSender(arena, peers);
        sender.use(order.fd, order.family, order.port);
        senders.set(order.fd, sender);
        break;
      }
      case "close-socket": {
        const sender = senders.get(order.fd);
        if (sender !== undefined) idle.push(sender);
        senders.delete(order.fd);
        break;
      }
      case "network": {
        const table = new SwitchTable(order.words);
        const sender = senders.get(order.socket);
        assert(sender !== undefined, "a network's socket is told before it");
        if (!byTap.has(order.tap)) {
          forget(table.vni);
          poll.add(order.tap);
        }
        byTap.set(order.tap, { tap: order.tap, sender, table, counters: order.counters });
        break;
      }
      case "forget":
        forget(order.vni);
        break;
      case "end":
        break;
      default:
        unreachable(order);
    }
  };
  const taps = new TapBatchReader(arena);
  const wires = { poll, wake, taps, senders, from, to, frameBytes: TAP_READ_BYTES };
  switchOutward(wires, byTap, new Outward(arena, to), () => take(obey));
}

function runInward(): void {
  const networks = new Map<number, SwitchNetwork>();
  const sockets = new Map<number, { receiver: UdpReceiver; inward: Inward }>();
  const idle: UdpReceiver[] = [];
  const writer = new TapBatchWriter(arena);
  const notes = new StrangerNotes(strangers);
  const noSender = { packet() {}, piece() {}, flush() {} };
  const obey = (order: SwitchOrder): void => {
    switch (order.kind) {
      case "socket": {
        const receiver = idle.pop() ?? new UdpReceiver(arena);
        receiver.use(order.fd, order.family);
        const addressBytes = order.family === 4 ? 4 : 16;
        const shared = { peers, stray, strangers: notes } as const;
        const ends = { receiver, writer, networks, ...shared, addressBytes } as const;
        sockets.set(order.fd, { receiver, inward: new Inward(arena, ends) });
        poll.add(order.fd);
        break;
      }
      case "close-socket": {
        const socket = sockets.get(order.fd);
        if (socket === undefined) break;
        poll.remove(order.fd);
        idle.push(socket.receiver);
        sockets.delete(order.fd);
        break;
      }
      case "network": {
        const table = new SwitchTable(order.words);
        const { tap, counters } = order;
        networks.set(table.vni, { tap, sender: noSender, table, counters });
        break;
      }
      case "forget":
        networks.delete(order.vni);
        break;
      case "end":
        break;
      default:
        unreachable(order);
    }
  };
  switchInward({ poll, wake, sockets }, () => take(obey));
}

if (direction === "out") runOutward();
else runInward();
poll.close();
port.close();
