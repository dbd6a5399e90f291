// The test exchanges on the nodes' own network: who answers them and who begins them. Sockets are made while the thread
// is in its namespace, and used from outside. The protocol is RFC 862's: what comes goes back, on port 7.
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { closeSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { formatIp, type Ip } from "../../common/address.js";
import { WATCH_VNI } from "../../common/ids.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import type { Exchange, Offload } from "../overlay/offload-test.js";
import { VXLAN } from "../reconcile/names.js";
import type { OffloadDoor, Pinger } from "../seams.js";
import { driverOf, hasOffload, setOffload } from "./device-offloads.js";
import {
  bind,
  listen,
  preparedSocket,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setsockopt,
  startConnect,
} from "./libc.js";
import { isNamespace, namespaceId, within } from "./namespace.js";
import { socketAddress } from "./socket-address.js";

const ECHO_PORT = 7;
// Choice: in one piece on the nodes' own network (its MTU is 576), of odd and even lengths.
const DATAGRAM_BYTES = [64, 501];
const TRIES = 3;
// Choice: many segments, some of them cut from one.
const STREAM_BYTES = 64 << 10;
const BACKLOG = 64;
// Choice: an exchange that takes longer is over for its other end too.
const IDLE_MS = 10_000;

interface Answering {
  readonly namespace: string;
  readonly udp: Datagrams;
  readonly tcp: Server;
}

export class LinuxOffloadDoor implements OffloadDoor {
  #answering: Answering | undefined;

  constructor(
    private readonly networkPath: (vni: number) => string,
    private readonly pinger: Pinger,
  ) {}

  answer(own: Ip): void {
    const path = this.networkPath(WATCH_VNI);
    const namespace = isNamespace(path) ? `${namespaceId(path)} ${formatIp(own)}` : undefined;
    if (namespace === this.#answering?.namespace) return;
    this.close();
    if (namespace === undefined) return;
    const fds = within(path, () => answering(own));
    const udp = createSocket(own.family === 4 ? "udp4" : "udp6");
    udp.on("message", (bytes, from) => {
      if (bytes.length <= Math.max(...DATAGRAM_BYTES)) udp.send(bytes, from.port, from.address);
    });
    udp.on("error", () => this.close());
    udp.bind({ fd: fds.udp, exclusive: true });
    const tcp = createServer((client) => {
      client.setTimeout(IDLE_MS, () => client.destroy());
      client.on("error", () => client.destroy());
      client.pipe(client);
    });
    tcp.on("error", () => this.close());
    tcp.listen({ fd: fds.tcp });
    this.#answering = { namespace, udp, tcp };
  }

  async exchange(own: Ip, peer: Ip, timeoutMs: number, signal: AbortSignal): Promise<Exchange> {
    const path = this.networkPath(WATCH_VNI);
    if (!isNamespace(path)) return { icmp: false, udp: "lost", tcp: "lost" };
    const [icmp, udp, tcp] = await Promise.all([
      this.#ping(path, peer, timeoutMs, signal),
      askDatagrams(path, own, peer, timeoutMs),
      askStream(path, own, peer, timeoutMs),
    ]);
    return { icmp, udp, tcp };
  }

  async #ping(path: string, peer: Ip, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const options = { count: TRIES, intervalMs: 20, timeoutMs, sizeBytes: 56 };
    const target = { address: formatIp(peer) };
    const [outcome] = await this.pinger.ping(path, [target], options, signal);
    return (outcome?.rttsUs.length ?? 0) > 0;
  }

  has(vni: number, offload: Offload): boolean | undefined {
    // A TAP device of the same name is the userspace path's, which does this work itself.
    return this.#of(vni, () =>
      driverOf(VXLAN) === "vxlan" ? hasOffload(VXLAN, offload) : undefined,
    );
  }

  set(vni: number, offload: Offload, on: boolean): void {
    this.#of(vni, () => setOffload(VXLAN, offload, on));
  }

  #of<T>(vni: number, window: () => T): T | undefined {
    const path = this.networkPath(vni);
    if (!isNamespace(path)) return undefined;
    try {
      return within(path, window);
    } catch {
      // The device is not there yet, or not any more.
      return undefined;
    }
  }

  close(): void {
    const answering = this.#answering;
    this.#answering = undefined;
    answering?.udp.close();
    answering?.tcp.close();
  }
}

/** Of the namespace that the thread is in. */
function open(own: Ip, kind: number, prepare: (fd: number) => void): number {
  return preparedSocket(own.family === 4 ? AF_INET : AF_INET6, kind | SOCK_NONBLOCK, 0, prepare);
}

function answering(own: Ip): { readonly udp: number; readonly tcp: number } {
  const bound = (fd: number) => {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(fd, socketAddress(own, ECHO_PORT));
  };
  const udp = open(own, SOCK_DGRAM, bound);
  try {
    const tcp = open(own, SOCK_STREAM, (fd) => {
      bound(fd);
      listen(fd, BACKLOG);
    });
    return { udp, tcp };
  } catch (error) {
    closeSync(udp);
    throw error;
  }
}

type Outcome = Exchange["udp"];

/** "passed" when each size came back whole once. */
async function askDatagrams(path: string, own: Ip, peer: Ip, timeoutMs: number): Promise<Outcome> {
  const fd = within(path, () => open(own, SOCK_DGRAM, (made) => bind(made, socketAddress(own, 0))));
  const udp = createSocket(own.family === 4 ? "udp4" : "udp6");
  const missing = new Set(DATAGRAM_BYTES);
  let refused = false;
  const done = new AbortController();
  udp.on("message", (bytes) => {
    if (bytes.equals(pattern(bytes.length))) missing.delete(bytes.length);
    if (missing.size === 0) done.abort();
  });
  udp.on("error", (error) => {
    refused ||= "code" in error && error.code === "ECONNREFUSED";
    if (refused) done.abort();
  });
  udp.bind({ fd, exclusive: true });
  try {
    // Connected, it hears that nobody is there.
    await new Promise<void>((resolve) => udp.connect(ECHO_PORT, formatIp(peer), () => resolve()));
    for (let attempt = 0; attempt < TRIES && !done.signal.aborted; attempt++) {
      // An error on its way is the socket's to tell.
      for (const length of missing) udp.send(pattern(length), () => {});
      await sleep(timeoutMs / TRIES, undefined, { signal: done.signal }).catch(() => {});
    }
  } finally {
    udp.close();
  }
  if (missing.size === 0) return "passed";
  return refused ? "refused" : "lost";
}

async function askStream(path: string, own: Ip, peer: Ip, timeoutMs: number): Promise<Outcome> {
  const fd = within(path, () =>
    open(own, SOCK_STREAM, (made) => {
      bind(made, socketAddress(own, 0));
      startConnect(made, socketAddress(peer, ECHO_PORT));
    }),
  );
  const stream = new Socket({ fd, readable: true, writable: true });
  return await new Promise<Outcome>((resolve) => {
    let received = 0;
    const end = (outcome: Outcome) => {
      clearTimeout(timer);
      stream.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => end("lost"), timeoutMs);
    stream.on("data", (bytes) => {
      received += bytes.length;
      if (received >= STREAM_BYTES) end("passed");
    });
    stream.on("close", () => end("lost"));
    stream.on("error", (error) => {
      end("code" in error && error.code === "ECONNREFUSED" ? "refused" : "lost");
    });
    stream.write(pattern(STREAM_BYTES));
  });
}

/** Not all alike: a checksum of nothing but zeros is right in any order. */
function pattern(length: number): Buffer {
  return Buffer.alloc(length, "Skein tests what an interface makes of checksums; ");
}
