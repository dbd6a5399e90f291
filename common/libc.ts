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

// mman.h, mman-common.h
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const mmap = library.func("uintptr_t mmap(uintptr_t, size_t, int, int, int, long)") as unknown as (
  ...args: readonly number[]
) => number;
const MAP_FAILED = 2 ** 64 - 1;

/** Memory that does not move, so that the kernel can be told addresses in it. It is there until the process ends. */
export function fixedMemory(lengthBytes: number): { address: number; buffer: ArrayBuffer } {
  const address = mmap(0, lengthBytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (Number(address) >= MAP_FAILED) throw new SystemError("mmap", lastErrno());
  return { address, buffer: koffi.view(BigInt(address), lengthBytes) };
}

const memcpy = library.func("uintptr_t memcpy(void *, const void *, size_t)") as unknown as (
  ...args: readonly (Uint8Array | number)[]
) => number;

/** Where memory is that does not move. */
export function addressOf(buffer: ArrayBuffer): number {
  const bytes = new Uint8Array(buffer);
  return Number(memcpy(bytes, bytes, 0));
}
