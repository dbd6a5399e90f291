// A single flow tried from inside a sandbox, as any program in it would: the socket is made in the sandbox and used
// from outside. And what listens there, by the kernel's own list (proc(5), /proc/net/tcp).
import { randomBytes } from "node:crypto";
import { closeSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { formatIp, type Ip, ipFromBytes } from "../../common/address.js";
import { EAGAIN, EINPROGRESS, errnoText } from "../../common/errno.js";
import { messageOf } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import type { Listener, ProbeOutcome } from "../seams.js";
import {
  MSG_DONTWAIT,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  send,
  socket,
  tryConnect,
  tryRecv,
} from "./libc.js";
import { socketAddress } from "./socket-address.js";

// Choice: how often is looked whether there is an answer.
const LOOK_MS = 2;
// asm-generic/errno.h.
const ECONNREFUSED = 111;
const EISCONN = 106;
const EALREADY = 114;

/** Runs what opens a socket in the sandbox; undefined: that does not stand. */
type Inside = <T>(open: () => T) => T | undefined;

export async function probeFlow(
  inside: Inside,
  to: Ip,
  protocol: "tcp" | "udp",
  port: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const family = to.family === 4 ? AF_INET : AF_INET6;
  const kind = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM;
  const startMs = performance.now();
  const outcome = (kind: ProbeOutcome["kind"], why = ""): ProbeOutcome => ({
    kind,
    why,
    afterUs: (performance.now() - startMs) * 1_000,
  });
  let fd: number | undefined;
  try {
    fd = inside(() => socket(family, kind | SOCK_NONBLOCK, 0));
    if (fd === undefined) return outcome("failed", "the sandbox does not stand");
    const address = socketAddress(to, port);
    return protocol === "tcp"
      ? await connected(fd, address, outcome, signal)
      : await answered(fd, address, outcome, signal);
  } catch (error) {
    if (error instanceof SystemError && error.errno === ECONNREFUSED) {
      return outcome("refused", errnoText(error.errno));
    }
    return outcome("failed", messageOf(error));
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

type Tell = (kind: ProbeOutcome["kind"], why?: string) => ProbeOutcome;

async function connected(
  fd: number,
  address: Uint8Array,
  outcome: Tell,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  // Asked again, connect(2) tells how the first one went.
  for (;;) {
    const errno = tryConnect(fd, address);
    if (errno === 0 || errno === EISCONN) return outcome("answered");
    if (errno === ECONNREFUSED) return outcome("refused", errnoText(errno));
    if (errno !== EINPROGRESS && errno !== EALREADY) return outcome("failed", errnoText(errno));
    if (signal.aborted) return outcome("silent");
    await sleep(LOOK_MS);
  }
}

async function answered(
  fd: number,
  address: Uint8Array,
  outcome: Tell,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const errno = tryConnect(fd, address);
  if (errno !== 0) return outcome("failed", errnoText(errno));
  send(fd, Buffer.alloc(0), 0);
  const buffer = Buffer.alloc(16);
  for (;;) {
    const length = tryRecv(fd, buffer, MSG_DONTWAIT);
    if (length >= 0) return outcome("answered");
    if (length === -ECONNREFUSED) return outcome("refused", errnoText(ECONNREFUSED));
    if (length !== -EAGAIN) return outcome("failed", errnoText(-length));
    if (signal.aborted) return outcome("silent");
    await sleep(LOOK_MS);
  }
}

// ---- Names

// RFC 1035 section 4.1: a header of 12 bytes, then the question.
const HEADER_BYTES = 12;
const TYPES = { 4: 1, 6: 28 } as const;
const RESOLVER: Ip = { family: 4, value: 0x7f00000bn };

export async function lookUpName(inside: Inside, name: string, signal: AbortSignal) {
  const addresses: string[] = [];
  let code: number | undefined;
  for (const family of [4, 6] as const) {
    const answer = await ask(inside, name, TYPES[family], signal);
    if (answer === undefined) continue;
    code = answer.code;
    addresses.push(...answer.addresses);
  }
  return code === undefined ? undefined : { code, addresses };
}

async function ask(inside: Inside, name: string, type: number, signal: AbortSignal) {
  const fd = inside(() => socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  if (fd === undefined) return undefined;
  try {
    if (tryConnect(fd, socketAddress(RESOLVER, 53)) !== 0) return undefined;
    const query = queryOf(name, type);
    send(fd, query, 0);
    const buffer = Buffer.alloc(4_096);
    for (;;) {
      const length = tryRecv(fd, buffer, MSG_DONTWAIT);
      if (length >= HEADER_BYTES && buffer.readUInt16BE(0) === query.readUInt16BE(0)) {
        return answerOf(buffer.subarray(0, length), type);
      }
      if ((length < 0 && length !== -EAGAIN) || signal.aborted) return undefined;
      await sleep(LOOK_MS);
    }
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function queryOf(name: string, type: number): Buffer {
  const labels = name.replace(/\.$/, "").split(".");
  const question = labels.map((label) => {
    const bytes = Buffer.from(label);
    return Buffer.concat([Buffer.of(bytes.length & 63), bytes.subarray(0, 63)]);
  });
  // One question, recursion desired; class IN.
  const header = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  header.writeUInt16BE(randomBytes(2).readUInt16BE(0), 0);
  return Buffer.concat([header, ...question, Buffer.from([0, 0, type, 0, 1])]);
}

/** The addresses of that type among the answers; what is cut short has those before it. */
function answerOf(bytes: Buffer, type: number) {
  const addresses: string[] = [];
  let at = HEADER_BYTES;
  const skipName = () => {
    while (at < bytes.length) {
      const length = bytes.readUInt8(at);
      // RFC 1035 section 4.1.4: a pointer ends a name.
      if (length >= 0xc0) at += 2;
      else at += 1 + length;
      if (length === 0 || length >= 0xc0) return;
    }
  };
  for (let i = bytes.readUInt16BE(4); i > 0; i--) {
    skipName();
    at += 4;
  }
  for (let i = bytes.readUInt16BE(6); i > 0; i--) {
    skipName();
    if (at + 10 > bytes.length) break;
    const found = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 8);
    at += 10;
    const ip = found === type ? ipFromBytes(bytes.subarray(at, at + length)) : undefined;
    if (ip !== undefined) addresses.push(formatIp(ip));
    at += length;
  }
  return { code: bytes.readUInt8(3) & 15, addresses };
}

// ---- Listeners

// net/tcp_states.h: TCP_LISTEN; an unconnected UDP socket is TCP_CLOSE.
const LISTENING = { tcp: "0A", udp: "07" } as const;

export function listenersHere(): Listener[] {
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    ["", "6"].flatMap((family) => {
      const lines = readLines(`/proc/thread-self/net/${protocol}${family}`);
      return lines.flatMap((line) => listenerOf(protocol, line));
    }),
  );
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").slice(1);
  } catch {
    return [];
  }
}

/** "  0: 0100007F:1F90 00000000:0000 0A …": addresses in words of host byte order. */
function listenerOf(protocol: Listener["protocol"], line: string): Listener[] {
  const [, local = "", , state] = line.trim().split(/\s+/);
  const [hex = "", port = ""] = local.split(":");
  if (state !== LISTENING[protocol] || !/^([0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return [];
  const bytes = Buffer.from(hex, "hex").swap32();
  const ip = ipFromBytes(bytes);
  if (ip === undefined) return [];
  return [{ protocol, address: formatIp(ip), port: Number.parseInt(port, 16) }];
}
