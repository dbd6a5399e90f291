// How large a packet reaches a peer, asked with echo requests: each of an exact size, marked that nobody may cut it in
// pieces. They go plainly or, for who gets no ICMP through, in VXLAN on the data path port. The answer of the peer is
// not so marked: what is measured is the way there, and the way back is the peer's to measure. Also what the kernel has
// learned of the way from answers to others.
import { closeSync } from "node:fs";
import { formatIp, type Ip } from "../../common/address.js";
import { EMSGSIZE } from "../../common/errno.js";
import { SystemError } from "../../common/libc.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import { getLinkAt } from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import { askRouteTo, decodeRouteTo } from "../netlink/route-to.js";
import type { EchoAnswer } from "../overlay/echo-mark.js";
import { encodeEcho } from "../overlay/icmp.js";
import { encodeTunnelEcho, TUNNEL_ECHO_BYTES } from "../overlay/path-packet.js";
import type { RoundAnswer } from "../overlay/path-search.js";
import type { KnownPath, PathProbe, PathProber } from "../seams.js";
import { EchoInbox } from "./echo-inbox.js";
import {
  bind,
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  MSG_DONTWAIT,
  SOCK_DGRAM,
  sendto,
  setsockopt,
  socket,
} from "./libc.js";
import { isNamespace, within } from "./namespace.js";
import { NetlinkError, NetlinkSocket } from "./netlink-socket.js";
import { socketAddress } from "./socket-address.js";

// linux/in.h, linux/in6.h: with PROBE the kernel marks packets and does not itself heed what it knows of the path.
const IP_PMTUDISC_PROBE = 3;
const IPV6_DONTFRAG = 62;

/** Of an IP packet that carries an echo request: RFC 791, RFC 8200, and 8 of ICMP. */
const HEADER_BYTES = { 4: 20 + 8, 6: 40 + 8 } as const;
// Choice: how late replies are fetched; that of a path with an RTT below it costs nothing. The buffer holds a round's
// largest packets.
const INBOX = { fetchEveryMs: 5, bufferBytes: 4 << 20 };

export class LinuxPathProber implements PathProber {
  readonly #netlink = new NetlinkSocket();

  /** `watchNetns`: the namespace of the nodes' own network, which need not stand. */
  constructor(private readonly watchNetns: string) {}

  known(from: Ip, to: Ip): KnownPath | undefined {
    try {
      const [route] = this.#netlink.dump((writer) => askRouteTo(writer, to, from), decodeRouteTo);
      if (route === undefined) return undefined;
      const [link] = this.#netlink.dump((writer) => getLinkAt(writer, route.ifindex), decodeLink);
      if (link === undefined) return undefined;
      const { mtuBytes, isLearned } = route;
      const written = isLearned ? undefined : mtuBytes;
      return {
        way: `${link.name} ${route.gateway}`,
        largestBytes: Math.min(link.mtuBytes, written ?? link.mtuBytes),
        learnedBytes: isLearned ? mtuBytes : undefined,
      };
    } catch (error) {
      // No route, no such source, or the interface went in between.
      if (error instanceof NetlinkError) return undefined;
      throw error;
    }
  }

  async send(
    probes: readonly PathProbe[],
    options: { readonly tries: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<readonly RoundAnswer[]> {
    const call = new Call(probes, this.watchNetns);
    try {
      await call.run(options, signal);
    } finally {
      call.close();
    }
    return call.answers();
  }

  close(): void {
    this.#netlink.close();
  }
}

interface Flight {
  readonly place: number;
  readonly probe: PathProbe;
  /** undefined: there is nothing to send by, and all is lost. */
  readonly fd: number | undefined;
  readonly passed: Set<number>;
  told: number | undefined;
}

/** One round, over one socket for each source address and manner. */
class Call {
  readonly #senders = new Map<string, number>();
  /** Those that send by UDP: the others' are the inbox's. */
  readonly #tunnels: number[] = [];
  readonly #inbox = new EchoInbox(INBOX, (answer) => this.#take(answer));
  readonly #flights: readonly Flight[];

  constructor(
    probes: readonly PathProbe[],
    private readonly watchNetns: string,
  ) {
    try {
      this.#flights = probes.map((probe, place) => {
        const fd =
          probe.tunnelPort === undefined
            ? this.#echoFrom(probe.from)
            : this.#tunnelFrom(probe.from);
        return { place, probe, fd, passed: new Set(), told: undefined };
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #echoFrom(ip: Ip): number {
    const key = `echo ${formatIp(ip)}`;
    const known = this.#senders.get(key);
    if (known !== undefined) return known;
    const fd = this.#inbox.open(ip.family);
    this.#senders.set(key, fd);
    this.#bindWhole(fd, ip);
    return fd;
  }

  #tunnelFrom(ip: Ip): number | undefined {
    const key = `tunnel ${formatIp(ip)}`;
    const known = this.#senders.get(key);
    if (known !== undefined) return known;
    if (!isNamespace(this.watchNetns)) return undefined;
    within(this.watchNetns, () => this.#inbox.open(ip.family));
    const fd = socket(ip.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    this.#tunnels.push(fd);
    this.#senders.set(key, fd);
    this.#bindWhole(fd, ip);
    return fd;
  }

  /** From this address, and in one piece. */
  #bindWhole(fd: number, ip: Ip): void {
    if (ip.family === 4) setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    else {
      setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_PROBE);
      setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
    }
    bind(fd, socketAddress(ip, 0));
  }

  async run(
    { tries, timeoutMs }: { readonly tries: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    const startMs = performance.now();
    for (let attempt = 1; attempt <= tries && !signal.aborted; attempt++) {
      for (const flight of this.#flights) this.#sendOpen(flight);
      const endMs = startMs + (timeoutMs * attempt) / tries;
      await this.#inbox.wait(endMs, signal, () => this.#isDone());
      if (this.#isDone()) return;
    }
  }

  answers(): readonly RoundAnswer[] {
    return this.#flights.map(({ passed, told }) => ({ passed: [...passed], toldBytes: told }));
  }

  close(): void {
    for (const fd of this.#tunnels) closeSync(fd);
    this.#inbox.close();
  }

  #sendOpen(flight: Flight): void {
    for (const size of openSizes(flight)) {
      try {
        this.#send(flight, size);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        // The interface itself says so; anything else (no route, no room) is one that was lost.
        if (error.errno === EMSGSIZE) this.#tell(flight, size - 1);
      }
    }
  }

  #send({ fd, place, probe }: Flight, size: number): void {
    const { from, to, tunnelPort } = probe;
    if (fd === undefined) return;
    const data = this.#inbox.data({ target: place, number: 0 }, size - headerBytes(probe));
    const { identifier } = this.#inbox;
    const packet =
      tunnelPort === undefined
        ? encodeEcho(to.family, identifier, place, data)
        : encodeTunnelEcho(from, to, { identifier, sequence: place, data });
    sendto(fd, packet, MSG_DONTWAIT, socketAddress(to, tunnelPort ?? 0));
  }

  #take(answer: EchoAnswer): void {
    if (answer.kind === "error") {
      const { to, mtuBytes } = answer;
      if (mtuBytes === undefined || mtuBytes === 0) return;
      const text = formatIp(to);
      const flight = this.#flights.find(({ probe }) => formatIp(probe.to) === text);
      if (flight !== undefined) this.#tell(flight, mtuBytes);
      return;
    }
    const flight = this.#flights[answer.target];
    if (flight === undefined) return;
    const size = answer.dataBytes + headerBytes(flight.probe);
    if (flight.probe.sizesBytes.includes(size)) flight.passed.add(size);
  }

  #tell(flight: Flight, mtuBytes: number): void {
    flight.told = Math.min(flight.told ?? mtuBytes, mtuBytes);
  }

  #isDone(): boolean {
    return this.#flights.every((flight) => openSizes(flight).length === 0);
  }
}

/** All but the data of the echo. */
function headerBytes({ to: { family }, tunnelPort }: PathProbe): number {
  return tunnelPort === undefined ? HEADER_BYTES[family] : TUNNEL_ECHO_BYTES[family];
}

/** Sizes of which nothing is known yet. */
function openSizes({ probe, passed, told }: Flight): readonly number[] {
  return probe.sizesBytes.filter(
    (size) => !passed.has(size) && !(told !== undefined && size > told),
  );
}
