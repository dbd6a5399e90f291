// Asks the peers with ICMP echo requests, from this machine's namespace or from that of the nodes' own network. One
// socket for as long as the namespace lasts; answers are timed by the kernel's stamps, so that they can be fetched at
// leisure: a round costs some microseconds a peer, and no thread or timer waits for it.
import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { type Family, formatIp, type Ip } from "../../common/address.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import {
  decodePeerEcho,
  encodePeerEcho,
  PEER_ECHO_MAX_BYTES,
  PEER_TOKEN_BYTES,
} from "../overlay/peer-echo.js";
import type { PeerAnswer, PeerNews, PeerProber } from "../seams.js";
import {
  arrivedAtUs,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  MSG_DONTWAIT,
  preparedSocket,
  realtimeUs,
  SO_RCVBUF,
  SOCK_RAW,
  SOL_SOCKET,
  sendto,
  setsockopt,
  setsockoptBytes,
  tryRecv,
} from "./libc.js";
import { isNamespace, namespaceId, within } from "./namespace.js";
import { socketAddress } from "./socket-address.js";

// linux/icmp.h, linux/icmpv6.h: bits of the types that are not wanted.
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ICMPV6_FILTER = 1;
// Choice: some hundred requests and answers between two rounds.
const RECEIVE_BUFFER_BYTES = 256 << 10;
// Choice: whoever floods this machine with echo requests does not keep it busy here.
const READS_MAX = 4_096;
// Choice: the last rounds, whose answers may still come.
const ROUNDS_KEPT = 16;

interface Open {
  readonly fd: number;
  readonly family: Family;
  /** Of the namespace; empty: the agent's own. */
  readonly namespace: string;
}

export class LinuxPeerProber implements PeerProber {
  readonly #token = randomBytes(PEER_TOKEN_BYTES);
  readonly #buffer = Buffer.alloc(PEER_ECHO_MAX_BYTES + 1);
  /** When each round's requests were sent, by target. */
  readonly #sentUs = new Map<number, Map<string, number>>();
  #open: Open | undefined;

  /** `netnsPath` undefined: the agent's own namespace. */
  constructor(private readonly netnsPath: string | undefined) {}

  ask(round: number, source: Ip, targets: readonly Ip[]): boolean {
    const open = this.#ensure(source.family);
    if (open === undefined) return false;
    const sent = new Map<string, number>();
    this.#sentUs.set(round, sent);
    this.#sentUs.delete(round - ROUNDS_KEPT);
    for (const target of targets) {
      const packet = encodePeerEcho(this.#token, round, source, target);
      sent.set(formatIp(target), realtimeUs());
      try {
        sendto(open.fd, packet, MSG_DONTWAIT, socketAddress(target, 0));
      } catch {
        // No route, a neighbour that is gone, a filter here: it is lost, as it would be on the way.
      }
    }
    return true;
  }

  news(): PeerNews {
    const answers: PeerAnswer[] = [];
    const heard = new Set<string>();
    if (this.#open === undefined) return { answers, heard: [] };
    const { fd, family } = this.#open;
    for (let reads = 0; reads < READS_MAX; reads++) {
      const length = tryRecv(fd, this.#buffer, MSG_DONTWAIT);
      if (length <= 0) break;
      const echo = decodePeerEcho(family, this.#buffer.subarray(0, length));
      if (echo === undefined) continue;
      const isOurs = echo.token.equals(this.#token);
      if (echo.kind === "request" && !isOurs) heard.add(formatIp(echo.sender));
      if (echo.kind !== "reply" || !isOurs) continue;
      const address = formatIp(echo.target);
      const sentUs = this.#sentUs.get(echo.round)?.get(address);
      if (sentUs === undefined) continue;
      // The clock may be stepped in between.
      const rttUs = Math.max(0, (arrivedAtUs(fd) ?? realtimeUs()) - sentUs);
      answers.push({ address, round: echo.round, rttUs });
    }
    return { answers, heard: [...heard] };
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  /** The socket; another one when the namespace is another, or the family. */
  #ensure(family: Family): Open | undefined {
    const { netnsPath } = this;
    try {
      if (netnsPath !== undefined && !isNamespace(netnsPath)) {
        this.close();
        return undefined;
      }
      const namespace = netnsPath === undefined ? "" : namespaceId(netnsPath);
      if (this.#open?.namespace === namespace && this.#open.family === family) return this.#open;
      this.close();
      const open = () => openSocket(family, netnsPath !== undefined);
      const fd = netnsPath === undefined ? open() : within(netnsPath, open);
      this.#open = { fd, family, namespace };
      return this.#open;
    } catch {
      // The namespace went while it was looked at.
      this.close();
      return undefined;
    }
  }
}

function openSocket(family: Family, hears: boolean): number {
  const [domain, protocol] = family === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
  return preparedSocket(domain, SOCK_RAW, protocol, (fd) => {
    // Everybody's ICMP comes to a raw socket: only what is read here is let in.
    const types = family === 4 ? [0, ...(hears ? [8] : [])] : [129, ...(hears ? [128] : [])];
    const blocked = Buffer.alloc(family === 4 ? 4 : 32, 0xff);
    for (const type of types) {
      const at = 4 * (type >> 5);
      blocked.writeUInt32LE((blocked.readUInt32LE(at) & ~(1 << (type & 31))) >>> 0, at);
    }
    if (family === 4) setsockoptBytes(fd, SOL_RAW, ICMP_FILTER, blocked);
    else setsockoptBytes(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, blocked);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    arrivedAtUs(fd);
  });
}
