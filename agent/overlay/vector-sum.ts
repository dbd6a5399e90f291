// The sum that internet checksums are made of (RFC 1071), sixteen bytes an instruction. Each byte that passes the switch
// is summed once, which in JavaScript takes a fifth of a thread's time, and here an eighth of that. JavaScript has no
// instruction for many words at once, WebAssembly has: so this one loop is written in it, by hand. It reads a memory of
// its own, which is therefore the memory that frames lie in.
import { fold } from "./internet-checksum.js";

/** Memory that does not move, and who sums `[from, to)` of it as `sumOf` does. */
export interface SummedMemory {
  readonly buffer: ArrayBuffer;
  sum(from: number, to: number): number;
}

const PAGE_BYTES = 65_536;

// TypeScript knows of it among a browser's things alone.
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  readonly Memory: new (pages: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

/**
 * Undefined: this processor has no such instructions (x86 before SSE 4.1, and virtual machines that look like one), or the
 * process may not have the address space.
 */
export function summedMemory(lengthBytes: number): SummedMemory | undefined {
  if (!WebAssembly.validate(MODULE)) return undefined;
  const pages = Math.ceil(lengthBytes / PAGE_BYTES);
  const memory = unmovable(pages);
  if (memory === undefined) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(MODULE), { "": { memory } });
  const sum = exports["sum"] as (from: number, to: number) => number;
  return {
    buffer: memory.buffer,
    sum: (from, to) => {
      const folded = fold(sum(from, to));
      // Words were read as the processor does, the lower byte first.
      return ((folded & 0xff) << 8) | (folded >>> 8);
    },
  };
}

/** Memory that never grows, and so never moves. V8 reserves some gigabytes of addresses around it, which `ulimit -v` may deny. */
function unmovable(pages: number): { readonly buffer: ArrayBuffer } | undefined {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

// WebAssembly Core Specification 2.0, section 5.4. Constants and offsets here are below 64: one byte.
const block = [0x02, 0x40];
const loop = [0x03, 0x40];
const ifTrue = [0x04, 0x40];
const end = [0x0b];
const again = [0x0c, 0];
const leaveIf = [0x0d, 1];
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const constant = (value: number) => [0x41, value];
const isAbove = [0x4b];
const add = [0x6a];
const loadByte = [0x2d, 0, 0];
const loadWord = [0x2f, 0, 0];
/** v128.load: sixteen bytes. */
const loadVector = (offset: number) => [0xfd, 0, 0, offset];
/** i32x4.extadd_pairwise_i16x8_u: eight words, two by two, become four sums of 32 bits. */
const addPairs = [0xfd, 0x7f];
/** i32x4.add */
const addVectors = [0xfd, 0xae, 0x01];
const lane = (number: number) => [0xfd, 0x1b, number];

// Locals; the two vectors so that no addition waits for the one before.
const [at, to, a, b, sum] = [0, 1, 2, 3, 4] as const;
const [I32, V128] = [0x7f, 0x7b];

/** While `bytes` more are there: `body`, and on. */
const whileThere = (bytes: number, ...body: readonly number[][]) => [
  ...[...block, ...loop],
  ...[...get(at), ...constant(bytes), ...add, ...get(to), ...isAbove, ...leaveIf],
  ...body.flat(),
  ...[...get(at), ...constant(bytes), ...add, ...set(at)],
  ...[...again, ...end, ...end],
];

// Of 64 KiB a lane is below 2^29, and the sum of all below 2^31.
const SUM = [
  // Local variables: two vectors, and a number.
  ...[2, 2, V128, 1, I32],
  ...whileThere(
    32,
    [...get(a), ...get(at), ...loadVector(0), ...addPairs, ...addVectors, ...set(a)],
    [...get(b), ...get(at), ...loadVector(16), ...addPairs, ...addVectors, ...set(b)],
  ),
  ...[...get(a), ...get(b), ...addVectors, ...set(a)],
  ...[...get(a), ...lane(0), ...get(a), ...lane(1), ...add],
  ...[...get(a), ...lane(2), ...add, ...get(a), ...lane(3), ...add, ...set(sum)],
  ...whileThere(2, [...get(sum), ...get(at), ...loadWord, ...add, ...set(sum)]),
  // An odd last byte is followed by a zero in thought.
  ...[...get(to), ...get(at), ...isAbove, ...ifTrue],
  ...[...get(sum), ...get(at), ...loadByte, ...add, ...set(sum), ...end],
  ...[...get(sum), ...end],
];

// Section 5.5: a module is sections, each with its number and length; strings and lists have their length before them.
const counted = (bytes: readonly number[]) => {
  const { length } = bytes;
  return length < 128 ? [length, ...bytes] : [(length & 127) | 128, length >>> 7, ...bytes];
};
const text = (word: string) => counted([...Buffer.from(word, "latin1")]);
const MODULE = Uint8Array.from([
  ...[0, ...Buffer.from("asm"), 1, 0, 0, 0],
  // Types: one function, two numbers to a number.
  ...[1, ...counted([1, 0x60, 2, I32, I32, 1, I32])],
  // Imports: a memory of at least nothing.
  ...[2, ...counted([1, ...text(""), ...text("memory"), 2, 0, 0])],
  // Functions: one, of the first type; exports: the first function; code: its.
  ...[3, ...counted([1, 0])],
  ...[7, ...counted([1, ...text("sum"), 0, 0])],
  ...[10, ...counted([1, ...counted(SUM)])],
]);
