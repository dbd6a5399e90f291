// Bytes that do not move, seen in two ways: what a system call reads and writes where it lies. Frames in it are named by
// offsets, so that nothing is allocated for a frame.
import { sumOf } from "./internet-checksum.js";

export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** `sumOf` of `[from, to)`, which is 64 KiB at most. */
  sum(from: number, to: number): number;
}

export function memoryOf(buffer: ArrayBuffer): Memory {
  const view = new DataView(buffer);
  return { bytes: new Uint8Array(buffer), view, sum: (from, to) => sumOf(view, from, to) };
}

/** Copies header by header: below some hundred bytes this beats a call of copyWithin. Lengths are rounded up to 4. */
export function copyWords(view: DataView, to: number, from: number, lengthBytes: number): void {
  for (let i = 0; i < lengthBytes; i += 4) {
    view.setUint32(to + i, view.getUint32(from + i, true), true);
  }
}
