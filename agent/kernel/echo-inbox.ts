// The raw ICMP sockets of one call that sends echo requests, and what comes back by them. They are made in the namespace
// that the thread is in, and then used from outside. Nobody waits in the kernel: answers are fetched every few
// milliseconds, between which others have their turn.
import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Family } from "../../common/address.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import {
  answerIn,
  ECHO_TOKEN_BYTES,
  type EchoAnswer,
  type EchoMark,
  identifierOf,
  markedData,
} from "../overlay/echo-mark.js";
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  MSG_DONTWAIT,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_SOCKET,
  setsockopt,
  socket,
  tryRecv,
} from "./libc.js";

const LARGEST_PACKET_BYTES = 65_536;

export interface EchoInboxOptions {
  readonly fetchEveryMs: number;
  /** Of each socket: what comes between two looks must fit. */
  readonly bufferBytes: number;
}

export class EchoInbox {
  readonly #sockets = new Map<number, Family>();
  readonly #token = randomBytes(ECHO_TOKEN_BYTES);
  readonly #buffer = Buffer.alloc(LARGEST_PACKET_BYTES);

  /** `take` is called within `wait`, with the socket that the answer came by. */
  constructor(
    private readonly options: EchoInboxOptions,
    private readonly take: (answer: EchoAnswer, fd: number) => void,
  ) {}

  get identifier(): number {
    return identifierOf(this.#token);
  }

  /** A socket to send by, and to be answered at. It is closed with the others. */
  open(family: Family): number {
    const fd =
      family === 4
        ? socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
        : socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    this.#sockets.set(fd, family);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, this.options.bufferBytes);
    return fd;
  }

  /** For a request whose answer is to be known. */
  data(mark: EchoMark, sizeBytes: number): Buffer {
    return markedData(this.#token, mark, sizeBytes);
  }

  /** Fetches answers until the time has come or `enough` says so; once at least. */
  async wait(untilMs: number, signal: AbortSignal, enough: () => boolean): Promise<void> {
    for (;;) {
      this.#fetch();
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0 || signal.aborted || enough()) return;
      await sleep(Math.min(this.options.fetchEveryMs, leftMs));
    }
  }

  close(): void {
    for (const fd of this.#sockets.keys()) closeSync(fd);
    this.#sockets.clear();
  }

  #fetch(): void {
    for (const [fd, family] of this.#sockets) {
      for (;;) {
        const length = tryRecv(fd, this.#buffer, MSG_DONTWAIT);
        if (length <= 0) break;
        const answer = answerIn(family, this.#buffer.subarray(0, length), this.#token);
        if (answer !== undefined) this.take(answer, fd);
      }
    }
  }
}
