// Datagrams as fast as one thread can: 64 of them a system call, so that what is measured is their way and not the calls.
//   node blast.js send HOST PORT BYTES SECONDS     node blast.js receive PORT
// The receiver counts what arrives from the first datagram to the last, and says {received, seconds} when none has come
// for a second. HOST is an IPv4 address.

import {
  SO_RCVBUFFORCE,
  SOCK_DGRAM,
  SOL_SOCKET,
  setsockopt,
  socket,
} from "../../agent/kernel/libc.js";
import { bindCall, check } from "../../common/libc.js";

const BATCH = 64;
const BYTES_MAX = 2048;
// Two of struct msghdr and mmsghdr (bits/socket.h) on 64-bit machines, and struct iovec.
const MMSGHDR_BYTES = 64;
const IOVEC_BYTES = 16;
const AF_INET = 2;
// sys/socket.h: SO_RCVTIMEO with struct timeval.
const SO_RCVTIMEO = 20;
const MSG_WAITFORONE = 0x10000;

const calls = {
  connect: bindCall("int connect(int, const void *, uint32_t)"),
  bind: bindCall("int bind(int, const void *, uint32_t)"),
  sendmmsg: bindCall("int sendmmsg(int, void *, unsigned int, int)"),
  recvmmsg: bindCall("int recvmmsg(int, void *, unsigned int, int, void *)"),
  setsockopt: bindCall("int setsockopt(int, int, int, const void *, uint32_t)"),
  addressOf: bindCall("uint64_t memcpy(void *, const void *, size_t)"),
};

/** The headers of a batch, each with one buffer of so many bytes. */
function batchOf(bytes: number): Buffer {
  const payloadsAt = BATCH * (MMSGHDR_BYTES + IOVEC_BYTES);
  const arena = Buffer.allocUnsafeSlow(payloadsAt + BATCH * BYTES_MAX).fill(0);
  const base = BigInt(calls.addressOf(arena, arena, 0));
  for (let i = 0; i < BATCH; i++) {
    const iovecAt = BATCH * MMSGHDR_BYTES + i * IOVEC_BYTES;
    arena.writeBigUInt64LE(base + BigInt(iovecAt), i * MMSGHDR_BYTES + 16);
    arena.writeBigUInt64LE(1n, i * MMSGHDR_BYTES + 24);
    arena.writeBigUInt64LE(base + BigInt(payloadsAt + i * BYTES_MAX), iovecAt);
    arena.writeBigUInt64LE(BigInt(bytes), iovecAt + 8);
  }
  return arena;
}

/** struct sockaddr_in. */
function address(host: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(host.split(".").map(Number), 4);
  return bytes;
}

function send(host: string, port: number, bytes: number, seconds: number): void {
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  const to = address(host, port);
  check("connect", calls.connect(fd, to, to.length));
  const batch = batchOf(bytes);
  const endMs = performance.now() + 1000 * seconds;
  // A full queue, and the receiver's "port unreachable" at the end, are no reason to stop.
  while (performance.now() < endMs) calls.sendmmsg(fd, batch, BATCH, 0);
}

function receive(port: number): void {
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20);
  const from = address("0.0.0.0", port);
  check("bind", calls.bind(fd, from, from.length));
  const batch = batchOf(BYTES_MAX);
  process.stdout.write("ready\n");
  let received = 0;
  let firstMs = 0;
  let lastMs = 0;
  for (;;) {
    const got = calls.recvmmsg(fd, batch, BATCH, MSG_WAITFORONE, null);
    if (got < 0) break;
    lastMs = performance.now();
    if (received === 0) {
      firstMs = lastMs;
      const oneSecond = Buffer.alloc(16);
      oneSecond.writeBigInt64LE(1n, 0);
      calls.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, oneSecond, oneSecond.length);
    }
    received += got;
  }
  process.stdout.write(`${JSON.stringify({ received, seconds: (lastMs - firstMs) / 1000 })}\n`);
}

const [verb, ...words] = process.argv.slice(2);
const numbers = words.map(Number);
if (verb === "send") send(words[0] ?? "", numbers[1] ?? 0, numbers[2] ?? 0, numbers[3] ?? 0);
else if (verb === "receive") receive(numbers[0] ?? 0);
