// A packet socket (packet(7)) of a namespace. Made inside it and read from outside; the kernel keeps what is not
// read, up to its buffer, and counts what it then drops.
import { closeSync } from "node:fs";
import { dumpLinks } from "../netlink/link.js";
import { decodeLink } from "../netlink/link-decode.js";
import type { FrameTap, TappedFrame, TapWish } from "../seams.js";
import {
  arrivedAt,
  bind,
  getsockoptBytes,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_SOCKET,
  setsockopt,
  socket,
  tryRecvFrom,
} from "./libc.js";
import { within } from "./namespace.js";
import { NetlinkSocket } from "./netlink-socket.js";

// bits/socket.h, linux/if_ether.h, linux/if_packet.h.
const AF_PACKET = 17;
const ETH_P_ALL = 3;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_OUTGOING = 4;
// struct sockaddr_ll: family 0, protocol 2 (network order), ifindex 4, hatype 8, pkttype 10, halen 11, addr 12.
const ADDRESS_BYTES = 20;
// Choice: some ten thousand small frames, or five thousand full ones (a frame costs its truesize).
const BUFFER_BYTES = 8 << 20;

export interface TapChoice extends TapWish {
  /** Undefined: the agent's own namespace. */
  readonly path: string | undefined;
  /** Devices whose frames are left out. */
  readonly without: ReadonlySet<string>;
}

const UNSTAMPED = { seconds: 0, nanoseconds: 0 };

export function openTap(choice: TapChoice): FrameTap {
  const open = () => new Tap(choice);
  return choice.path === undefined ? open() : within(choice.path, open);
}

class Tap implements FrameTap {
  readonly #fd: number;
  readonly #links: NetlinkSocket;
  readonly #names = new Map<number, string>();
  readonly #buffer: Buffer;
  readonly #address = Buffer.alloc(ADDRESS_BYTES);
  #came = 0;
  #read = 0;
  #dropped = 0;

  constructor(private readonly choice: TapChoice) {
    this.#buffer = Buffer.alloc(choice.snapBytes);
    this.#links = new NetlinkSocket();
    // Of no protocol until all is set.
    this.#fd = socket(AF_PACKET, SOCK_RAW, 0);
    try {
      setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
      this.#readNames();
      const address = Buffer.alloc(ADDRESS_BYTES);
      address.writeUInt16LE(AF_PACKET, 0);
      address.writeUInt16BE(ETH_P_ALL, 2);
      // The first call turns stamping on.
      if (choice.stamped) arrivedAt(this.#fd);
      if (choice.incomingOnly) setsockopt(this.#fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
      bind(this.#fd, address);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  read(max: number): readonly TappedFrame[] {
    const frames: TappedFrame[] = [];
    for (let count = 0; count < max; count++) {
      const length = tryRecvFrom(this.#fd, this.#buffer, MSG_DONTWAIT | MSG_TRUNC, this.#address);
      // ENETDOWN comes once when a device goes down; what follows is read next time.
      if (length <= 0) break;
      this.#read++;
      const device = this.#nameOf(this.#address.readInt32LE(4));
      if (this.choice.without.has(device)) continue;
      const at = (this.choice.stamped ? arrivedAt(this.#fd) : undefined) ?? UNSTAMPED;
      frames.push({
        ...at,
        length,
        data: Buffer.from(this.#buffer.subarray(0, Math.min(length, this.#buffer.length))),
        device,
        outgoing: this.#address.readUInt8(10) === PACKET_OUTGOING,
      });
    }
    return frames;
  }

  counts() {
    // struct tpacket_stats: packets (with those dropped), drops; asking begins them anew.
    const stats = Buffer.alloc(8);
    getsockoptBytes(this.#fd, SOL_PACKET, PACKET_STATISTICS, stats);
    this.#came += stats.readUInt32LE(0);
    this.#dropped += stats.readUInt32LE(4);
    return { came: this.#came, read: this.#read, dropped: this.#dropped };
  }

  close(): void {
    closeSync(this.#fd);
    this.#links.close();
  }

  #nameOf(ifindex: number): string {
    if (!this.#names.has(ifindex)) this.#readNames();
    const name = this.#names.get(ifindex) ?? "";
    this.#names.set(ifindex, name);
    return name;
  }

  #readNames(): void {
    for (const { ifindex, name } of this.#links.dump(dumpLinks, decodeLink)) {
      this.#names.set(ifindex, name);
    }
  }
}
