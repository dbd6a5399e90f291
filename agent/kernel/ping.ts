// ICMP echo from inside a namespace: the Pinger seam. Replies are fetched every few milliseconds, but timed by the
// kernel's own arrival stamps, so a busy event loop delays the answer and not the figure.
import { type Family, formatIp, type Ip, parseIp } from "../../common/address.js";
import { EMSGSIZE } from "../../common/errno.js";
import { messageOf } from "../../common/fault.js";
import { SystemError } from "../../common/libc.js";
import type { EchoAnswer } from "../overlay/echo-mark.js";
import { encodeEcho } from "../overlay/icmp.js";
import type { Pinger, PingOutcome, PingTarget } from "../seams.js";
import { EchoInbox } from "./echo-inbox.js";
import {
  arrivedAtUs,
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  MSG_DONTWAIT,
  realtimeUs,
  sendto,
  setsockopt,
} from "./libc.js";
import { within } from "./namespace.js";
import { socketAddress } from "./socket-address.js";

// Choice: how late replies are fetched, and how many are sent before others get their turn.
const INBOX = { fetchEveryMs: 2, bufferBytes: 1 << 20 };
const SENDS_A_TURN = 100;

// linux/in.h, linux/in6.h.
const PMTUDISC_DO = 2;

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
  readonly #inbox = new EchoInbox(INBOX, (answer, fd) => this.#take(answer, fd));
  readonly #byPlace: ReadonlyMap<number, Flight>;
  readonly #byAddress: ReadonlyMap<string, Flight>;

  constructor(
    private readonly flights: readonly Flight[],
    private readonly options: Options,
  ) {
    this.#byPlace = new Map(flights.map((flight) => [flight.place, flight]));
    this.#byAddress = new Map(flights.map((flight) => [formatIp(flight.ip), flight]));
  }

  open(): void {
    for (const family of new Set(this.flights.map(({ ip }) => ip.family))) {
      const fd = this.#inbox.open(family);
      this.#sockets.set(family, fd);
      // A request in pieces says nothing of the MTU: it is sent whole or not at all.
      if (family === 4) setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO);
      else setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO);
      arrivedAtUs(fd);
    }
  }

  /** Ends when all have answered, when the last has had `timeoutMs`, or on abort. */
  async run(signal: AbortSignal): Promise<void> {
    const { count, intervalMs, timeoutMs } = this.options;
    const startMs = performance.now();
    for (let number = 0; number < count && !signal.aborted; number++) {
      await this.#inbox.wait(startMs + number * intervalMs, signal, () => false);
      for (let at = 0; at < this.flights.length && !signal.aborted; at += SENDS_A_TURN) {
        for (const flight of this.flights.slice(at, at + SENDS_A_TURN)) this.#send(flight, number);
        await this.#inbox.wait(0, signal, () => false);
      }
    }
    await this.#inbox.wait(performance.now() + timeoutMs, signal, () => this.#allAnswered());
  }

  close(): void {
    this.#inbox.close();
  }

  #send(flight: Flight, number: number): void {
    const fd = this.#sockets.get(flight.ip.family);
    if (fd === undefined) return;
    const data = this.#inbox.data({ target: flight.place, number }, this.options.sizeBytes);
    const packet = encodeEcho(flight.ip.family, this.#inbox.identifier, number, data);
    flight.sent++;
    flight.sentAtUs[number] = realtimeUs();
    try {
      sendto(fd, packet, MSG_DONTWAIT, socketAddress(flight.ip, 0));
    } catch (error) {
      const isTooLarge = error instanceof SystemError && error.errno === EMSGSIZE;
      flight.error = isTooLarge
        ? `${data.length} bytes of data are more than the MTU takes`
        : messageOf(error);
    }
  }

  #take(answer: EchoAnswer, fd: number): void {
    const arrivedUs = arrivedAtUs(fd) ?? realtimeUs();
    if (answer.kind === "error") {
      const flight = this.#byAddress.get(formatIp(answer.to));
      if (flight !== undefined) flight.error = "destination unreachable";
      return;
    }
    const { target, number } = answer;
    const flight = this.#byPlace.get(target);
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
