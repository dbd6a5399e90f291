// A netlink socket: many requests a send, answers read at once. Synchronous, because rtnetlink is: when
// send returns, the kernel has done the work and queued the answers. A socket belongs for good to the
// network namespace that its opener was in.

import { closeSync } from "node:fs";
import { EAGAIN, EINTR, ENOBUFS, errnoText } from "../../common/errno.js";
import { Fault } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import {
  AF_NETLINK,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_ROUTE,
  SOL_NETLINK,
} from "../netlink/constants.js";
import { eachMessage, endingOf, isInterrupted, type NetlinkMessage } from "../netlink/message.js";
import { NETLINK_NETFILTER } from "../netlink/nftables-constants.js";
import { NetlinkWriter } from "../netlink/writer.js";
import {
  bind,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_RAW,
  SOL_SOCKET,
  send,
  setsockopt,
  socket,
  tryRecv,
} from "./libc.js";

// Choice: with rows of about 80 bytes a send stays well under the default send buffer (net.core.wmem_default, 212992).
const MESSAGES_A_SEND = 500;
// The kernel fills at most 32 KiB a datagram of a dump (NLMSG_GOODSIZE capped in netlink_dump); twice that is safe.
const RECEIVE_BYTES = 65_536;
// Choice: holds the events of some ten thousand rows written at once.
const RECEIVE_BUFFER_BYTES = 4 << 20;
// Choice: holds a table with some fifty thousand elements; for a larger one there is made room.
const TRANSACTION_BYTES = 4 << 20;
// sock.h: what the kernel keeps of a send buffer for itself (netlink_sendmsg), and more.
const SEND_SLACK_BYTES = 4096;
// Choice: a dump that is overtaken this often is taken as it is; the next look sees the rest.
const DUMP_TRIES = 5;

/** One request of a batch that the kernel refused. */
export interface NetlinkFailure {
  /** Its place in the batch. */
  readonly index: number;
  readonly errno: number;
  /** The kernel's own words (NLMSGERR_ATTR_MSG), often empty. */
  readonly text: string;
}

/** A refusal by the kernel. `errno` and `text` are the kernel's. */
export class NetlinkError extends Error {
  constructor(
    readonly errno: number,
    readonly text: string,
  ) {
    super(text === "" ? errnoText(errno) : `${text} (${errnoText(errno)})`);
  }
}

const buffer = Buffer.alloc(RECEIVE_BYTES);

export class NetlinkSocket {
  readonly fd: number;
  #sequence = 1;

  /** `protocol`: NETLINK_ROUTE or NETLINK_NETFILTER. */
  constructor(groups: readonly number[] = [], protocol: number = NETLINK_ROUTE) {
    this.fd = socket(AF_NETLINK, SOCK_RAW, protocol);
    try {
      // struct sockaddr_nl: family, then zeroes: the kernel chooses the port id.
      const address = Buffer.alloc(12);
      address.writeUInt16LE(AF_NETLINK);
      bind(this.fd, address);
      setsockopt(this.fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      setsockopt(this.fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      setsockopt(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
      if (protocol === NETLINK_NETFILTER) {
        setsockopt(this.fd, SOL_SOCKET, SO_SNDBUFFORCE, TRANSACTION_BYTES);
      }
      for (const group of groups) setsockopt(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  /** Does all requests, in order, also those after one that failed. The failures, in order. */
  batch(writer: NetlinkWriter): NetlinkFailure[] {
    const failures: NetlinkFailure[] = [];
    for (let from = 0; from < writer.count; from += MESSAGES_A_SEND) {
      const to = Math.min(from + MESSAGES_A_SEND, writer.count);
      this.#exchange(writer, from, to, failures);
    }
    return failures;
  }

  /** One request; throws `NetlinkError` if the kernel refuses. */
  request(write: (writer: NetlinkWriter) => void): void {
    const writer = new NetlinkWriter();
    write(writer);
    const failure = this.batch(writer)[0];
    if (failure !== undefined) throw new NetlinkError(failure.errno, failure.text);
  }

  /**
   * All requests in one datagram, as a batch of nf_tables has to come. Throws `NetlinkError` with the first
   * that the kernel refused; then none of them was done.
   */
  transaction(writer: NetlinkWriter): void {
    const first = this.#sequence;
    this.#sequence += writer.count;
    const bytes = writer.slice(0, writer.count, first);
    if (bytes.length > TRANSACTION_BYTES) {
      setsockopt(this.fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes.length + SEND_SLACK_BYTES);
    }
    this.#send(bytes);
    let refusal: NetlinkError | undefined;
    const visit = (message: NetlinkMessage) => {
      const ending = endingOf(message);
      if (ending === undefined || message.sequence < first || ending.errno === 0) return;
      refusal ??= new NetlinkError(ending.errno, ending.text);
    };
    // How many answers there are depends on the kernel's age; all are there when send returns.
    for (;;) {
      const length = tryRecv(this.fd, buffer, MSG_DONTWAIT | MSG_TRUNC);
      if (length === -EAGAIN) break;
      if (length === -EINTR) continue;
      if (length < 0) throw new Fault("NETLINK_RECEIVE", {}, new SystemError("recv", -length));
      if (length > buffer.length || !eachMessage(buffer, length, visit)) {
        throw new Fault("NETLINK_ANSWER_CUT", { length });
      }
    }
    if (refusal !== undefined) throw refusal;
  }

  /** The typed answers of a dump. Starts over if a change overtook it. */
  dump<T>(
    write: (writer: NetlinkWriter) => void,
    decode: (message: NetlinkMessage) => T | undefined,
  ): T[] {
    for (let tries = 1; ; tries++) {
      const writer = new NetlinkWriter();
      write(writer);
      const found: T[] = [];
      const interrupted = this.#dumpOnce(writer, (message) => {
        const value = decode(message);
        if (value !== undefined) found.push(value);
      });
      if (!interrupted || tries === DUMP_TRIES) return found;
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  #exchange(writer: NetlinkWriter, from: number, to: number, failures: NetlinkFailure[]): void {
    const first = this.#sequence;
    const last = first + to - from - 1;
    this.#sequence = last + 1;
    this.#send(writer.slice(from, to, first));
    // A request that fails is answered in any case; of those that do well only the last is asked to answer.
    let done = false;
    while (!done) {
      this.#receive((message) => {
        const ending = endingOf(message);
        if (ending === undefined || message.sequence < first || message.sequence > last) return;
        const { errno, text } = ending;
        if (errno !== 0) failures.push({ index: from + message.sequence - first, errno, text });
        if (message.sequence === last) done = true;
      });
    }
  }

  #dumpOnce(writer: NetlinkWriter, visit: (message: NetlinkMessage) => void): boolean {
    const sequence = this.#sequence++;
    this.#send(writer.slice(0, 1, sequence));
    let interrupted = false;
    let done = false;
    while (!done) {
      this.#receive((message) => {
        if (message.sequence !== sequence) return;
        interrupted ||= isInterrupted(message);
        const ending = endingOf(message);
        if (ending === undefined) return visit(message);
        done = true;
        if (ending.errno !== 0) throw new NetlinkError(ending.errno, ending.text);
      });
    }
    return interrupted;
  }

  #send(bytes: Uint8Array): void {
    for (;;) {
      try {
        send(this.fd, bytes, 0);
        return;
      } catch (error) {
        if (!(error instanceof SystemError && error.errno === EINTR)) throw error;
      }
    }
  }

  #receive(visit: (message: NetlinkMessage) => void): void {
    const length = tryRecv(this.fd, buffer, MSG_DONTWAIT | MSG_TRUNC);
    if (length === -EINTR) return;
    // The answers are there when send returns. If not, something is wrong that waiting will not mend.
    if (length < 0) throw new Fault("NETLINK_RECEIVE", {}, new SystemError("recv", -length));
    if (length > buffer.length || !eachMessage(buffer, length, visit)) {
      throw new Fault("NETLINK_ANSWER_CUT", { length });
    }
  }
}

/** Hears that something changed. What, is for a dump to say: an overrun (ENOBUFS) is news like any other. */
export class NetlinkEvents {
  readonly #socket: NetlinkSocket;

  /** `matters` sees each event; an event that does not decode matters. */
  constructor(
    groups: readonly number[],
    private readonly matters: (message: NetlinkMessage) => boolean,
    protocol: number = NETLINK_ROUTE,
  ) {
    this.#socket = new NetlinkSocket(groups, protocol);
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /** Reads all that waits; whether any of it matters. */
  drain(): boolean {
    let news = false;
    for (;;) {
      const length = tryRecv(this.#socket.fd, buffer, MSG_DONTWAIT | MSG_TRUNC);
      if (length === -EAGAIN) return news;
      if (length === -EINTR) continue;
      if (length === -ENOBUFS || length > buffer.length) news = true;
      else if (length < 0) throw new Fault("NETLINK_RECEIVE", {}, new SystemError("recv", -length));
      else
        eachMessage(buffer, length, (message) => {
          news ||= this.matters(message);
        });
    }
  }

  close(): void {
    this.#socket.close();
  }
}
