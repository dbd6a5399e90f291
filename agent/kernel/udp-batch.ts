// The UDP socket of the userspace data path. A system call carries many datagrams (sendmmsg, recvmmsg), and one of its
// messages carries many of the same size: the kernel, or the network card, takes them apart on sending (UDP_SEGMENT)
// and puts together what comes (UDP_GRO). Documentation: udp(7), linux/udp.h.
//
//   struct mmsghdr (64-bit)
//   0       8          16       24          32           40             48      56       60
//   +-------+----------+--------+-----------+------------+--------------+-------+--------+-----+
//   | name  | name len | iovecs | how many  | control    | control len  | flags | length | pad |
//   +-------+----------+--------+-----------+------------+--------------+-------+--------+-----+
import type { Family, Ip } from "../../common/address.js";
import { EINTR, EINVAL, EIO, EMSGSIZE } from "../../common/errno.js";
import { lastErrno } from "../../common/libc.js";
import { AF_INET, AF_INET6 } from "../netlink/constants.js";
import { PEER_BYTES } from "../overlay/peer-book.js";
import { count, TOO_BIG_OUT, UNSENDABLE } from "../overlay/switch-counters.js";
import type { DatagramReceiver, DatagramSender } from "../seams.js";
import type { Arena } from "./arena.js";
import {
  bind,
  getsockoptBytes,
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_V6ONLY,
  MSG_DONTWAIT,
  preparedSocket,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_DGRAM,
  SOL_SOCKET,
  setsockopt,
  setsockoptBytes,
} from "./libc.js";
import { socketAddress } from "./socket-address.js";
import { wire } from "./wire-calls.js";

// linux/in.h, in6.h, udp.h, socket.h
const PMTUDISC_DONT = 0;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const SO_SNDTIMEO = 21;
// Choice: eight receive buffers' worth of 64 KiB frames on many flows at once; the kernel takes it page by page.
const SOCKET_BUFFER_BYTES = 8 << 20;
// Choice: an underlay that takes nothing for so long loses frames, as a wire would, and does not hold up all others.
const SEND_TIMEOUT_MS = 100;

/** At the address and port in the namespace that the calling thread is in. EADDRINUSE: another has them. */
export function openUdp(local: Ip, port: number): number {
  return preparedSocket(local.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, (fd) => {
    if (local.family === 6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES);
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(BigInt(SEND_TIMEOUT_MS * 1000), 8);
    setsockoptBytes(fd, SOL_SOCKET, SO_SNDTIMEO, timeout);
    // As a VXLAN device has it: what the underlay cannot carry whole is carried in fragments.
    if (local.family === 4) setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT);
    else setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DONT);
    setsockopt(fd, SOL_UDP, UDP_GRO, 1);
    bind(fd, socketAddress(local, port));
  });
}

// sock_diag.h: SO_MEMINFO's numbers, 32 bits each; the last is SK_MEMINFO_DROPS.
const SO_MEMINFO = 55;
const MEMINFO_BYTES = 36;

/** Datagrams that found the receive buffer full, since the socket was opened. */
export function socketDrops(fd: number): number {
  const numbers = Buffer.alloc(MEMINFO_BYTES);
  getsockoptBytes(fd, SOL_SOCKET, SO_MEMINFO, numbers);
  return numbers.readUInt32LE(MEMINFO_BYTES - 4);
}

const MESSAGE_BYTES = 64;
const NAME_BYTES = 32;
// struct cmsghdr: length (64 bits), level, type; then the value, padded to 8 bytes.
const CONTROL_BYTES = 24;
const CONTROL_HEAD_BYTES = 16;
// struct iovec
const IOVEC_BYTES = 16;
const SOCKADDR_BYTES = { 4: 16, 6: 28 } as const;
/** Where the address is in struct sockaddr_in and sockaddr_in6. */
const ADDRESS_OFFSET = { 4: 4, 6: 8 } as const;

// Choice: what a turn of the switch collects; with more it leaves earlier.
const MESSAGES_MAX = 64;
const PIECES_MAX = 8192;
const PIECES_A_PACKET = 2;
// linux/udp.h before 6.9: UDP_MAX_SEGMENTS. Length: RFC 768's 16 bits, less the headers.
const PACKETS_A_MESSAGE = 64;
const BYTES_A_MESSAGE = 65_535 - 40 - 8;

export class UdpSender implements DatagramSender {
  readonly #messages: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #pieces: number;
  readonly #peers: DataView;
  /** Of each message: whose counters hear of its failure, how many datagrams it is, and how long all but the last are. */
  readonly #owners: (Float64Array | undefined)[] = Array(MESSAGES_MAX).fill(undefined);
  readonly #packets = new Int32Array(MESSAGES_MAX);
  readonly #sizes = new Int32Array(MESSAGES_MAX);
  readonly #firstPiece = new Int32Array(MESSAGES_MAX + 1);
  #count = 0;
  #pieceCount = 0;
  #peer = -1;
  #total = 0;
  /** Of the last message's last datagram. */
  #last = 0;

  #fd = -1;
  #family: Family = 4;

  constructor(
    private readonly arena: Arena,
    peers: SharedArrayBuffer,
  ) {
    // One more, for what is sent apart.
    this.#messages = arena.take((MESSAGES_MAX + 1) * MESSAGE_BYTES);
    this.#names = arena.take(MESSAGES_MAX * NAME_BYTES);
    this.#controls = arena.take(MESSAGES_MAX * CONTROL_BYTES);
    this.#pieces = arena.take(PIECES_MAX * IOVEC_BYTES);
    this.#peers = new DataView(peers);
  }

  /** Sends by this socket from now on, to this port of the others. Nothing waits to be sent. */
  use(fd: number, family: Family, port: number): void {
    const { arena } = this;
    this.#fd = fd;
    this.#family = family;
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const message = this.#messages + i * MESSAGE_BYTES;
      const name = this.#names + i * NAME_BYTES;
      const control = this.#controls + i * CONTROL_BYTES;
      arena.bytes.fill(0, name, name + NAME_BYTES);
      arena.putPointer(message, name);
      arena.putLong(message + 8, SOCKADDR_BYTES[family]);
      arena.putPointer(message + 32, control);
      arena.view.setUint16(name, family === 4 ? AF_INET : AF_INET6, true);
      arena.view.setUint16(name + 2, port);
      arena.putLong(control, CONTROL_HEAD_BYTES + 2);
      arena.view.setUint32(control + 8, SOL_UDP, true);
      arena.view.setUint32(control + 12, UDP_SEGMENT, true);
    }
  }

  packet(peer: number, lengthBytes: number, network: Float64Array): void {
    const i = this.#count - 1;
    if (
      i >= 0 &&
      peer === this.#peer &&
      this.#last === this.#sizes[i] &&
      lengthBytes <= this.#last &&
      (this.#packets[i] ?? 0) < PACKETS_A_MESSAGE &&
      this.#total + lengthBytes <= BYTES_A_MESSAGE &&
      this.#owners[i] === network &&
      this.#pieceCount + PIECES_A_PACKET <= PIECES_MAX
    ) {
      this.#packets[i] = (this.#packets[i] ?? 0) + 1;
      this.#total += lengthBytes;
      this.#last = lengthBytes;
      return;
    }
    if (this.#count === MESSAGES_MAX || this.#pieceCount + PIECES_A_PACKET > PIECES_MAX)
      this.flush();
    this.#begin(peer, lengthBytes, network);
  }

  #begin(peer: number, lengthBytes: number, network: Float64Array): void {
    const i = this.#count++;
    const { view } = this.arena;
    const address = this.#names + i * NAME_BYTES + ADDRESS_OFFSET[this.#family];
    const length = this.#family === 4 ? 4 : 16;
    for (let byte = 0; byte < length; byte += 4) {
      view.setUint32(address + byte, this.#peers.getUint32(peer * PEER_BYTES + byte, true), true);
    }
    this.#owners[i] = network;
    this.#packets[i] = 1;
    this.#sizes[i] = lengthBytes;
    this.#firstPiece[i] = this.#pieceCount;
    this.#peer = peer;
    this.#total = lengthBytes;
    this.#last = lengthBytes;
  }

  piece(at: number, lengthBytes: number): void {
    const piece = this.#pieces + this.#pieceCount++ * IOVEC_BYTES;
    this.arena.putPointer(piece, at);
    this.arena.putLong(piece + 8, lengthBytes);
  }

  flush(): void {
    const { arena } = this;
    this.#firstPiece[this.#count] = this.#pieceCount;
    for (let i = 0; i < this.#count; i++) {
      const message = this.#messages + i * MESSAGE_BYTES;
      const first = this.#firstPiece[i] ?? 0;
      arena.putPointer(message + 16, this.#pieces + first * IOVEC_BYTES);
      arena.putLong(message + 24, (this.#firstPiece[i + 1] ?? 0) - first);
      const isMany = (this.#packets[i] ?? 0) > 1;
      arena.putLong(message + 40, isMany ? CONTROL_BYTES : 0);
      if (isMany) {
        const value = this.#controls + i * CONTROL_BYTES + CONTROL_HEAD_BYTES;
        arena.view.setUint16(value, this.#sizes[i] ?? 0, true);
      }
    }
    let sent = 0;
    while (sent < this.#count) {
      const at = arena.address + this.#messages + sent * MESSAGE_BYTES;
      const done = wire.sendmmsg(this.#fd, at, this.#count - sent, 0);
      if (done > 0) sent += done;
      else if (!this.#failed(sent, lastErrno())) sent++;
    }
    this.#count = 0;
    this.#pieceCount = 0;
    this.#peer = -1;
  }

  /** Whether the message is to be tried again. */
  #failed(index: number, errno: number): boolean {
    if (errno === EINTR) return true;
    const packets = this.#packets[index] ?? 0;
    const owner = this.#owners[index];
    // No segmentation here: the device has no checksums for it (EIO), or a datagram is longer than the way there allows.
    const isApart = errno === EIO || errno === EINVAL || errno === EMSGSIZE;
    if (packets > 1 && isApart) this.#sendApart(index);
    else if (owner) count(owner, errno === EMSGSIZE ? TOO_BIG_OUT : UNSENDABLE, packets);
    return false;
  }

  /** Datagram by datagram, what was to go as one message. */
  #sendApart(index: number): void {
    const { arena } = this;
    const size = this.#sizes[index] ?? 0;
    const to = this.#firstPiece[index + 1] ?? 0;
    const alone = this.#messages + MESSAGES_MAX * MESSAGE_BYTES;
    let from = this.#firstPiece[index] ?? 0;
    while (from < to) {
      let end = from;
      for (let bytes = 0; bytes < size && end < to; end++) {
        bytes += arena.view.getUint32(this.#pieces + end * IOVEC_BYTES + 8, true);
      }
      arena.putPointer(alone, this.#names + index * NAME_BYTES);
      arena.putLong(alone + 8, SOCKADDR_BYTES[this.#family]);
      arena.putPointer(alone + 16, this.#pieces + from * IOVEC_BYTES);
      arena.putLong(alone + 24, end - from);
      arena.putLong(alone + 40, 0);
      const owner = this.#owners[index];
      if (wire.sendmmsg(this.#fd, arena.address + alone, 1, 0) < 0 && owner) {
        count(owner, lastErrno() === EMSGSIZE ? TOO_BIG_OUT : UNSENDABLE);
      }
      from = end;
    }
  }
}

// Choice: how many 64 KiB datagrams one call fetches.
const RECEIVES_MAX = 16;
const BUFFER_BYTES = 65_536;
/** Before each buffer, so that a header may be longer there than the one that came. */
const HEADROOM_BYTES = 64;

export class UdpReceiver implements DatagramReceiver {
  readonly #messages: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #pieces: number;
  readonly #buffers: number;

  #fd = -1;
  #family: Family = 4;

  constructor(private readonly arena: Arena) {
    this.#messages = arena.take(RECEIVES_MAX * MESSAGE_BYTES);
    this.#names = arena.take(RECEIVES_MAX * NAME_BYTES);
    this.#controls = arena.take(RECEIVES_MAX * CONTROL_BYTES);
    this.#pieces = arena.take(RECEIVES_MAX * IOVEC_BYTES);
    this.#buffers = arena.take(RECEIVES_MAX * (BUFFER_BYTES + HEADROOM_BYTES));
    for (let i = 0; i < RECEIVES_MAX; i++) {
      const message = this.#messages + i * MESSAGE_BYTES;
      const piece = this.#pieces + i * IOVEC_BYTES;
      arena.putPointer(message, this.#names + i * NAME_BYTES);
      arena.putPointer(message + 16, piece);
      arena.putLong(message + 24, 1);
      arena.putPointer(message + 32, this.#controls + i * CONTROL_BYTES);
      arena.putPointer(piece, this.at(i));
      arena.putLong(piece + 8, BUFFER_BYTES);
      this.#ready(i);
    }
  }

  use(fd: number, family: Family): void {
    this.#fd = fd;
    this.#family = family;
  }

  /** The kernel wrote how much of these it used. */
  #ready(index: number): void {
    const message = this.#messages + index * MESSAGE_BYTES;
    this.arena.view.setUint32(message + 8, NAME_BYTES, true);
    this.arena.view.setUint32(message + 40, CONTROL_BYTES, true);
  }

  receive(): number {
    const { arena } = this;
    const at = arena.address + this.#messages;
    const received = wire.recvmmsg(this.#fd, at, RECEIVES_MAX, MSG_DONTWAIT, 0);
    for (let i = 0; i < received; i++) {
      const message = this.#messages + i * MESSAGE_BYTES;
      const control = this.#controls + i * CONTROL_BYTES;
      const isMany =
        arena.view.getUint32(message + 40, true) > CONTROL_HEAD_BYTES &&
        arena.view.getUint32(control + 8, true) === SOL_UDP &&
        arena.view.getUint32(control + 12, true) === UDP_GRO;
      const size = isMany ? arena.view.getUint32(control + CONTROL_HEAD_BYTES, true) : 0;
      arena.view.setUint32(control, size, true);
      this.#ready(i);
    }
    return Math.max(received, 0);
  }

  at(index: number): number {
    return this.#buffers + index * (BUFFER_BYTES + HEADROOM_BYTES) + HEADROOM_BYTES;
  }

  lengthBytes(index: number): number {
    return this.arena.view.getUint32(this.#messages + index * MESSAGE_BYTES + 56, true);
  }

  packetBytes(index: number): number {
    return (
      this.arena.view.getUint32(this.#controls + index * CONTROL_BYTES, true) ||
      Math.max(this.lengthBytes(index), 1)
    );
  }

  sourceAt(index: number): number {
    return this.#names + index * NAME_BYTES + ADDRESS_OFFSET[this.#family];
  }
}
