// The one door to libc, for what Node has no call for. A failure is a `SystemError` with its errno.
// Nothing else in the program loads a shared library.
import koffi from "koffi";
import { errnoName, errnoText } from "./errno.js";

/** A system call that failed. */
export class SystemError extends Error {
  readonly errnoName: string;
  constructor(
    readonly call: string,
    readonly errno: number,
  ) {
    super(`${call}: ${errnoText(errno)}`);
    this.errnoName = errnoName(errno);
  }
}

export type Call = (...args: readonly (number | string | Uint8Array | null)[]) => number;

const library = koffi.load("libc.so.6");

/** A function of libc by its C prototype. */
export function bindCall(prototype: string): Call {
  return library.func(prototype) as unknown as Call;
}

/** The result, or `SystemError` thrown if it is negative. */
export function check(call: string, result: number): number {
  if (result < 0) throw new SystemError(call, lastErrno());
  return result;
}

export function lastErrno(): number {
  return koffi.errno();
}

// flock(2); include/uapi/asm-generic/fcntl.h
const LOCK_EX = 2;
const LOCK_NB = 4;
const flock = bindCall("int flock(int, int)");

/**
 * Takes an advisory lock that the kernel releases when the process ends, however it ends. False when another open file
 * of the same inode holds it. Children do not inherit it: Node opens with O_CLOEXEC.
 */
export function tryLock(fd: number): boolean {
  return flock(fd, LOCK_EX | LOCK_NB) === 0;
}
