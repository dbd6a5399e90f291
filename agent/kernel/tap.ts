// TAP devices: a network interface whose frames a program reads and writes. This is what a package `node-tun` would
// have been: a device is made, or found again, in any network namespace, kept when the program ends, and its frames may
// be up to 64 KiB long with their checksums left open (virtio-net header), so that a frame costs one system call
// however large it is.
//
// linux/if_tun.h; Documentation/networking/tuntap.rst.
import { closeSync, constants, openSync } from "node:fs";
import { EAGAIN } from "../../common/errno.js";
import { lastErrno } from "../../common/libc.js";
import { VIRTIO_NET_BYTES } from "../overlay/virtio-net.js";
import type { TapReader, TapWriter } from "../seams.js";
import type { Arena } from "./arena.js";
import { ioctl, ioctlNumber } from "./libc.js";
import { within } from "./namespace.js";
import { wire } from "./wire-calls.js";

const TUN_DEVICE = "/dev/net/tun";
// _IOW('T', number, int)
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_TSO_ECN = 0x08;
// net/if.h: struct ifreq is a name of 16 bytes and a union of 24.
const IFNAMSIZ = 16;
const IFREQ_BYTES = 40;

/**
 * A descriptor of the TAP device `name` in the namespace, made if it is not there. The device outlives the descriptor,
 * which any thread may use, and which does not block. EBUSY: another program has it open; EINVAL: a device of that
 * name is no TAP.
 */
export function openTap(namespacePath: string, name: string): number {
  // The device belongs to the namespace that the opening thread is in.
  return within(namespacePath, () => openTapHere(name));
}

function openTapHere(name: string): number {
  const fd = openSync(TUN_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(name, 0, IFNAMSIZ - 1, "latin1");
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, IFNAMSIZ);
    ioctl(fd, TUNSETIFF, request);
    const headerBytes = Buffer.alloc(4);
    headerBytes.writeInt32LE(VIRTIO_NET_BYTES);
    ioctl(fd, TUNSETVNETHDRSZ, headerBytes);
    ioctlNumber(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
    ioctlNumber(fd, TUNSETPERSIST, 1);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Largest that is read at once: a frame of 64 KiB, its Ethernet header with a tag, and the virtio-net header. */
export const TAP_READ_BYTES = 65_536 + 32;

export class TapBatchReader implements TapReader {
  constructor(private readonly arena: Arena) {}

  read(tap: number, at: number): number {
    const length = wire.read(tap, this.arena.address + at, TAP_READ_BYTES);
    if (length >= 0) return length;
    return lastErrno() === EAGAIN ? 0 : -1;
  }
}

// Choice: what a merged frame consists of at most, and a few more.
const PIECES_MAX = 128;
// struct iovec: address and length, 64 bits each.
const IOVEC_BYTES = 16;

export class TapBatchWriter implements TapWriter {
  readonly #pieces: number;
  #count = 0;

  constructor(private readonly arena: Arena) {
    this.#pieces = arena.take(PIECES_MAX * IOVEC_BYTES);
  }

  piece(at: number, lengthBytes: number): void {
    const piece = this.#pieces + this.#count * IOVEC_BYTES;
    this.arena.putPointer(piece, at);
    this.arena.putLong(piece + 8, lengthBytes);
    this.#count++;
  }

  write(tap: number): boolean {
    const written = wire.writev(tap, this.arena.address + this.#pieces, this.#count);
    this.#count = 0;
    return written >= 0;
  }
}
