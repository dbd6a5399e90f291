// Pseudo-terminals: pty(7), without a line of C.
import { closeSync, constants, openSync } from "node:fs";
import { ioctl } from "../kernel/libc.js";

// include/uapi/asm-generic/ioctls.h
const TIOCSWINSZ = 0x5414;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;

export interface Pty {
  /** Ours. Reads of it fail with EIO when nobody has the other end open any more. */
  readonly master: number;
  /** The process's. To be closed here once the process has it. */
  readonly slave: number;
}

export function openPty(): Pty {
  const flags = constants.O_RDWR | constants.O_NOCTTY;
  const master = openSync("/dev/ptmx", flags);
  try {
    ioctl(master, TIOCSPTLCK, Buffer.alloc(4));
    return { master, slave: openSync(`/dev/pts/${numberOf(master)}`, flags) };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}

export function resizePty(master: number, rows: number, columns: number): void {
  // struct winsize: four unsigned shorts; the last two, in pixels, are not used.
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  ioctl(master, TIOCSWINSZ, size);
}

function numberOf(master: number): number {
  const number = Buffer.alloc(4);
  ioctl(master, TIOCGPTN, number);
  return number.readUInt32LE(0);
}
