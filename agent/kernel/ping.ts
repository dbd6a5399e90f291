// ICMP echo from inside a namespace: the Pinger seam. The socket is made in the namespace and then used
// from outside. Replies are fetched every few milliseconds, but timed by the kernel's own arrival stamps,
// so a busy event loop delays the answer and not the figure.

import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Family, formatIp, type Ip, ipFromBytes, parseIp } from "../../common/address.js";
import { messageOf } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import { decodeIcmp, encodeEcho } from "../overlay/icmp.js";
import type { Pinger, PingOutcome, PingTarget } from "../seams.js";
import {
  arrivedAtUs,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  MSG_DONTWAIT,
  realtimeUs,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_SOCKET,
  sendto,
  setsockopt,
  socket,
  tryRecv,
} from "./libc.js";
import { within } from "./namespace.js";
import { socketAddress } from "./socket-address.js";

// Choice: how late replies are fetched, and how many are sent before others get their turn.
const FETCH_EVERY_MS = 2;
const SENDS_A_TURN = 100;
const RECEIVE_BUFFER_BYTES = 1 << 20;
const LARGEST_PACKET_BYTES = 65_536;
// What our data begins with: a token of this call, the target's place, the number of the request.
const TOKEN_BYTES = 8;
const STAMP_BYTES = TOKEN_BYTES + 8;

interface Flight {
  readonly place: number;
  readonly address: string;
  readonly ip: Ip;
  sent: number;
  readonly sentAtUs: number[];
  readonly rttsUs: number[];
  readonly answered: Set<number>;
  error: string;
}

type Options = Parameters<Pinger["ping"]>[2];

export const ping: Pinger = {
  async ping(netnsPath, targets, options, signal) {
    const flights = targets.map(({ address }, place) => flightTo(address, place));
    const known = flights.filter((flight): flight is Flight => !("outcome" in flight));
    const call = new Call(known, options);
    try {
      if (netnsPath === undefined) call.open();
      else within(netnsPath, () => call.open());
      await call.run(signal);
    } catch (error) {
      for (const flight of known) flight.error ||= messageOf(error);
    } finally {
      call.close();
    }
    return flights.map((flight) => ("outcome" in flight ? flight.outcome : outcomeOf(flight)));
  },
};

function flightTo(
  address: PingTarget["address"],
  place: number,
): Flight | { outcome: PingOutcome } {
  const ip = parseIp(address);
  if (ip === undefined) {
    return { outcome: { address, sent: 0, rttsUs: [], error: "not an IP address" } };
  }
  return { place, address, ip, sent: 0, sentAtUs: [], rttsUs: [], answered: new Set(), error: "" };
}

function outcomeOf({ address, sent, rttsUs, error }: Flight): PingOutcome {
  // An error that some requests met is no news when others came back.
  return { address, sent, rttsUs, error: rttsUs.length > 0 ? "" : error };
}

/** All targets of one `ping`, over at most one socket a family. */
class Call {
  readonly #sockets = new Map<Family, number>();
  readonly #token = randomBytes(TOKEN_BYTES);
  readonly #identifier = this.#token.readUInt16BE(0);
  readonly #byPlace: ReadonlyMap<number, Flight>;
  readonly #byAddress: ReadonlyMap<string, Flight>;
  readonly #buffer = Buffer.alloc(LARGEST_PACKET_BYTES);

  constructor(
    private readonly flights: readonly Flight[],
    private readonly options: Options,
  ) {
    this.#byPlace = new Map(flights.map((flight) => [flight.place, flight]));
    this.#byAddress = new Map(flights.map((flight) => [formatIp(flight.ip), flight]));
  }

  open(): void {
    for (const family of new Set(this.flights.map(({ ip }) => ip.family))) {
      const [domain, protocol] =
        family === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
      const fd = socket(domain, SOCK_RAW, protocol);
      this.#sockets.set(family, fd);
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
      arrivedAtUs(fd);
    }
  }

  /** Ends when all have answered, when the last has had `timeoutMs`, or on abort. */
  async run(signal: AbortSignal): Promise<void> {
    const { count, intervalMs, timeoutMs } = this.options;
    const startMs = performance.now();
    for (let number = 0; number < count && !signal.aborted; number++) {
      await this.#wait(startMs + number * intervalMs, signal, () => false);
      for (let at = 0; at < this.flights.length && !signal.aborted; at += SENDS_A_TURN) {
        for (const flight of this.flights.slice(at, at + SENDS_A_TURN)) this.#send(flight, number);
        await this.#wait(0, signal, () => false);
      }
    }
    await this.#wait(performance.now() + timeoutMs, signal, () => this.#allAnswered());
  }

  close(): void {
    for (const fd of this.#sockets.values()) closeSync(fd);
  }

  #send(flight: Flight, number: number): void {
    const fd = this.#sockets.get(flight.ip.family);
    if (fd === undefined) return;
    const data = Buffer.alloc(Math.max(this.options.sizeBytes, STAMP_BYTES));
    data.set(this.#token);
    data.writeUInt32BE(flight.place, TOKEN_BYTES);
    data.writeUInt32BE(number, TOKEN_BYTES + 4);
    const packet = encodeEcho(flight.ip.family, this.#identifier, number, data);
    flight.sent++;
    flight.sentAtUs[number] = realtimeUs();
    try {
      sendto(fd, packet, MSG_DONTWAIT, socketAddress(flight.ip, 0));
    } catch (error) {
      flight.error = error instanceof SystemError ? error.message : messageOf(error);
    }
  }

  /** Fetches replies until the time has come or `enough` says so; once at least. */
  async #wait(untilMs: number, signal: AbortSignal, enough: () => boolean): Promise<void> {
    for (;;) {
      this.#fetch();
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0 || signal.aborted || enough()) return;
      await sleep(Math.min(FETCH_EVERY_MS, leftMs));
    }
  }

  #fetch(): void {
    for (const [family, fd] of this.#sockets) {
      for (;;) {
        const length = tryRecv(fd, this.#buffer, MSG_DONTWAIT);
        if (length <= 0) break;
        this.#take(family, this.#buffer.subarray(0, length), arrivedAtUs(fd) ?? realtimeUs());
      }
    }
  }

  #take(family: Family, bytes: Buffer, arrivedUs: number): void {
    const icmp = decodeIcmp(family, bytes);
    if (icmp === undefined || icmp.identifier !== this.#identifier) return;
    if (icmp.kind === "error") {
      const to = ipFromBytes(icmp.to);
      const flight = to === undefined ? undefined : this.#byAddress.get(formatIp(to));
      if (flight !== undefined) flight.error = "destination unreachable";
      return;
    }
    const { data } = icmp;
    if (data.length < STAMP_BYTES || !data.subarray(0, TOKEN_BYTES).equals(this.#token)) return;
    const flight = this.#byPlace.get(data.readUInt32BE(TOKEN_BYTES));
    const number = data.readUInt32BE(TOKEN_BYTES + 4);
    const sentUs = flight?.sentAtUs[number];
    if (flight === undefined || sentUs === undefined || flight.answered.has(number)) return;
    flight.answered.add(number);
    // The clock may be stepped in between.
    flight.rttsUs.push(Math.max(0, arrivedUs - sentUs));
  }

  #allAnswered(): boolean {
    return this.flights.every((flight) => flight.answered.size === this.options.count);
  }
}
