// Memory whose address is known: system calls are given places in it as numbers, so that no call wraps a buffer.
import { addressOf, fixedMemory } from "../../common/libc.js";
import { type Memory, memoryOf } from "../overlay/memory.js";
import { summedMemory } from "../overlay/vector-sum.js";

const PAGE_BYTES = 4096;

export class Arena implements Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly sum: (from: number, to: number) => number;
  readonly address: number;
  #used = 0;

  constructor(lengthBytes: number) {
    const summed = summedMemory(lengthBytes);
    const { buffer, address } = summed
      ? { buffer: summed.buffer, address: addressOf(summed.buffer) }
      : fixedMemory(lengthBytes);
    const { bytes, view, sum } = memoryOf(buffer);
    this.address = address;
    this.bytes = bytes;
    this.view = view;
    this.sum = summed?.sum ?? sum;
  }

  /** An offset from which on `lengthBytes` are the caller's own, on a page's beginning. */
  take(lengthBytes: number): number {
    const at = this.#used;
    this.#used += Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
    if (this.#used > this.bytes.length) throw new RangeError("the arena is too small");
    return at;
  }

  /** Writes the address of an offset, as a pointer of 64 bits. */
  putPointer(at: number, to: number): void {
    const address = this.address + to;
    this.view.setUint32(at, address >>> 0, true);
    this.view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
  }

  /** Writes a number of 64 bits that is below 2^32. */
  putLong(at: number, value: number): void {
    this.view.setUint32(at, value, true);
    this.view.setUint32(at + 4, 0, true);
  }
}
