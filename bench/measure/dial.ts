// A program of its own that is started inside of sandboxes, to be the two ends of a connection with as little
// of Node between as can be: blocking system calls, one after the other.
//
//   node dist/bench/measure/dial.js accept PORT [keep]       takes connections and ends them, or keeps them
//   node dist/bench/measure/dial.js echo PORT                one connection after the other, each byte comes back
//   node dist/bench/measure/dial.js dial HOST PORT COUNT     connects and resets, COUNT times → `Dialled`
//   node dist/bench/measure/dial.js talk HOST PORT COUNT     COUNT bytes there and back, one by one → `Talked`
//   node dist/bench/measure/dial.js hold HOST PORT COUNT     COUNT connections at once → `Held`, open until stdin ends

import { socketAddress } from "../../agent/kernel/socket-address.js";
import { parseIp } from "../../common/address.js";
import { errnoName } from "../../common/errno.js";
import { bindCall, lastErrno } from "../../common/libc.js";
import { quantile } from "./table.js";

// bits/socket.h, netinet/tcp.h; the same on x86-64 and arm64.
const [AF_INET, AF_INET6, SOCK_STREAM, SOL_SOCKET, IPPROTO_TCP] = [2, 10, 1, 1, 6];
const [SO_REUSEADDR, SO_LINGER, SO_REUSEPORT, TCP_NODELAY, TCP_SYNCNT] = [2, 13, 15, 1, 7];
const BACKLOG = 4096;

const call = {
  socket: bindCall("int socket(int, int, int)"),
  setsockopt: bindCall("int setsockopt(int, int, int, const void *, uint32_t)"),
  bind: bindCall("int bind(int, const void *, uint32_t)"),
  listen: bindCall("int listen(int, int)"),
  accept: bindCall("int accept(int, void *, void *)"),
  connect: bindCall("int connect(int, const void *, uint32_t)"),
  read: bindCall("long read(int, void *, size_t)"),
  write: bindCall("long write(int, const void *, size_t)"),
  close: bindCall("int close(int)"),
};

export interface Dialled {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** By the name of the error. */
  readonly failures: Readonly<Record<string, number>>;
}
export interface Talked {
  readonly p50Us: number;
  readonly p99Us: number;
}
export interface Held {
  readonly open: number;
  readonly seconds: number;
  readonly failures: Readonly<Record<string, number>>;
}

function must(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: ${errnoName(lastErrno())}`);
  return result;
}

function number(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeInt32LE(value, 4 * i);
  return bytes;
}

function option(fd: number, level: number, name: number, value: Buffer): void {
  must("setsockopt", call.setsockopt(fd, level, name, value, value.length));
}

function listening(port: number): number {
  const fd = must("socket", call.socket(AF_INET6, SOCK_STREAM, 0));
  option(fd, SOL_SOCKET, SO_REUSEADDR, number(1));
  // Several of these programs share a port: one may have fewer files open than there are connections.
  option(fd, SOL_SOCKET, SO_REUSEPORT, number(1));
  const any = Buffer.alloc(28);
  any.writeUInt16LE(AF_INET6);
  any.writeUInt16BE(port, 2);
  must("bind", call.bind(fd, any, any.length));
  must("listen", call.listen(fd, BACKLOG));
  process.stdout.write("ready\n");
  return fd;
}

function accept(port: number, each: (fd: number) => void): never {
  const listener = listening(port);
  for (;;) {
    const fd = call.accept(listener, null, null);
    // Whoever has gone again before it was taken is no trouble.
    if (fd >= 0) each(fd);
  }
}

function echo(fd: number): void {
  option(fd, IPPROTO_TCP, TCP_NODELAY, number(1));
  const bytes = Buffer.alloc(64);
  for (;;) {
    const length = call.read(fd, bytes, bytes.length);
    if (length <= 0 || call.write(fd, bytes, length) <= 0) break;
  }
  call.close(fd);
}

interface Target {
  readonly family: number;
  readonly address: Buffer;
}

function targetOf(host: string, port: number): Target {
  const ip = parseIp(host);
  if (ip === undefined) throw new Error(`${host} is no address`);
  return { family: ip.family === 4 ? AF_INET : AF_INET6, address: socketAddress(ip, port) };
}

/** The descriptor, or the name of the error. */
function connected({ family, address }: Target): number | string {
  const fd = must("socket", call.socket(family, SOCK_STREAM, 0));
  // Three attempts in seven seconds: what is lost on the way is a failure here, soon enough.
  option(fd, IPPROTO_TCP, TCP_SYNCNT, number(2));
  if (call.connect(fd, address, address.length) === 0) return fd;
  const name = errnoName(lastErrno());
  call.close(fd);
  return name;
}

class Failures {
  readonly byName: Record<string, number> = {};
  add(name: string): void {
    this.byName[name] = (this.byName[name] ?? 0) + 1;
  }
}

function dial(target: Target, count: number): Dialled {
  const us = new Float64Array(count);
  const failures = new Failures();
  const startMs = performance.now();
  for (let i = 0; i < count; i++) {
    const fromMs = performance.now();
    const fd = connected(target);
    us[i] = (performance.now() - fromMs) * 1e3;
    if (typeof fd === "string") {
      failures.add(fd);
      continue;
    }
    // A reset leaves neither end in TIME_WAIT: ports must not be what is measured.
    option(fd, SOL_SOCKET, SO_LINGER, number(1, 0));
    call.close(fd);
  }
  const perSecond = count / ((performance.now() - startMs) / 1e3);
  return { perSecond, ...quantiles(us), failures: failures.byName };
}

function talk(target: Target, count: number): Talked {
  const fd = connected(target);
  if (typeof fd === "string") throw new Error(fd);
  option(fd, IPPROTO_TCP, TCP_NODELAY, number(1));
  const us = new Float64Array(count);
  const byte = Buffer.alloc(1);
  for (let i = 0; i < count; i++) {
    const fromMs = performance.now();
    must("write", call.write(fd, byte, 1));
    if (must("read", call.read(fd, byte, 1)) === 0) throw new Error("the other end hung up");
    us[i] = (performance.now() - fromMs) * 1e3;
  }
  call.close(fd);
  // The first ones warm up caches and Node itself.
  return quantiles(us.slice(count / 10));
}

function hold(target: Target, count: number): Held {
  const failures = new Failures();
  const open: number[] = [];
  const startMs = performance.now();
  for (let i = 0; i < count; i++) {
    const fd = connected(target);
    if (typeof fd === "string") failures.add(fd);
    else open.push(fd);
  }
  const seconds = (performance.now() - startMs) / 1e3;
  return { open: open.length, seconds, failures: failures.byName };
}

function quantiles(us: Float64Array): Talked {
  return { p50Us: quantile(us, 0.5), p99Us: quantile(us, 0.99) };
}

const [what = "", ...rest] = process.argv.slice(2);
if (what === "accept") {
  // Those that are held are kept: closing them is the other end's.
  accept(Number(rest[0]), rest[1] === "keep" ? () => {} : (fd) => void call.close(fd));
} else if (what === "echo") {
  accept(Number(rest[0]), echo);
} else {
  const target = targetOf(rest[0] ?? "", Number(rest[1]));
  const act = { dial, talk, hold }[what];
  if (act === undefined) throw new Error(`dial.js does not know "${what}"`);
  console.log(JSON.stringify(act(target, Number(rest[2]))));
  if (what === "hold") call.read(0, Buffer.alloc(1), 1);
}
