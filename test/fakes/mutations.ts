// Foreign bytes, made from good ones: flipped, cut, doubled, spliced with others, with lengths that lie.
// The same seed makes the same bytes, and a failure names it:
//   SKEIN_FUZZ_SEED=17 npx vitest run --project unit test/fuzz    starts there
//   SKEIN_FUZZ_ROUNDS=100 …                                       a hundred times as many
import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { messageOf } from "../../common/fault.js";
import { type Random, seededRandom } from "../../common/random.js";

const FIRST_SEED = Number(process.env["SKEIN_FUZZ_SEED"] ?? 1);
const ROUNDS = Number(process.env["SKEIN_FUZZ_ROUNDS"] ?? 1);

/** How long one input may take before it counts as a hang. Choice: far more than a busy machine needs. */
const HANG_MS = 2_000;

// Integers at whose edges decoders break.
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

export interface FuzzOptions {
  /** Good inputs. */
  readonly from: readonly Uint8Array[];
  readonly count: number;
  /** More than this must not be held for one input, beyond the input itself. Default 32 MiB. */
  readonly bytesMax?: number;
}

/**
 * Calls `look` with `count` mutated inputs, and fails, with the seed, when it throws, takes too long or holds
 * too much memory. `look` throws for whatever is not as it should be.
 */
export async function fuzz(
  { from, count, bytesMax = 32 * 2 ** 20 }: FuzzOptions,
  look: (bytes: Buffer, random: Random) => unknown,
): Promise<void> {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + count * ROUNDS; seed++) {
    const random = seededRandom(seed);
    const bytes = mutated(random, from);
    const heldBefore = held();
    const beganMs = performance.now();
    try {
      await look(bytes, random);
    } catch (error) {
      const shown = bytes.subarray(0, 200).toString("hex");
      throw new Error(`seed ${seed}, ${bytes.length} bytes ${shown}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const tookMs = performance.now() - beganMs;
    if (tookMs > HANG_MS) throw new Error(`seed ${seed}: took ${Math.round(tookMs)} ms`);
    const grew = held() - heldBefore;
    if (grew > bytesMax) throw new Error(`seed ${seed}: held ${grew} bytes more`);
  }
}

/** On the heap and, where buffers are, outside it. */
function held(): number {
  const { external_memory: external, used_heap_size: heap } = getHeapStatistics();
  return external + heap;
}

/** One of the inputs with one to four things done to it; never the same as it was, but for bad luck. */
function mutated(random: Random, inputs: readonly Uint8Array[]): Buffer {
  let bytes: Buffer = Buffer.from(pick(random, inputs));
  const times = 1 + random.below(4);
  for (let i = 0; i < times; i++) bytes = pick(random, MUTATIONS)(random, bytes, inputs);
  return bytes;
}

type Mutation = (random: Random, bytes: Buffer, inputs: readonly Uint8Array[]) => Buffer;

const MUTATIONS: readonly Mutation[] = [
  function flipBit(random, bytes) {
    return changed(bytes, random.below(bytes.length || 1), (byte) => byte ^ (1 << random.below(8)));
  },
  function setByte(random, bytes) {
    const value = pick(random, EDGES) & 0xff;
    return changed(bytes, random.below(bytes.length || 1), () => value);
  },
  function truncate(random, bytes) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
  function loseStart(random, bytes) {
    return bytes.subarray(random.below(bytes.length + 1));
  },
  function insert(random, bytes) {
    const { start } = run(random, bytes);
    const noise = Buffer.from(random.bytes(1 + random.below(16)));
    return Buffer.concat([bytes.subarray(0, start), noise, bytes.subarray(start)]);
  },
  function remove(random, bytes) {
    const { start, end } = run(random, bytes);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  function double(random, bytes) {
    const { start, end } = run(random, bytes);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  },
  function zero(random, bytes) {
    const { start, end } = run(random, bytes);
    return Buffer.from(bytes).fill(0, start, end);
  },
  function splice(random, bytes, inputs) {
    const other = Buffer.from(pick(random, inputs));
    const { start } = run(random, bytes);
    return Buffer.concat([bytes.subarray(0, start), other.subarray(run(random, other).start)]);
  },
  function lieAboutLength(random, bytes) {
    if (bytes.length < 4) return bytes;
    const lying = Buffer.from(bytes);
    const at = random.below(bytes.length - 3);
    const value = pick(random, EDGES);
    if (random.below(2) === 0) lying.writeUInt32BE(value, at);
    else lying.writeUInt32LE(value, at);
    return lying;
  },
];

function changed(bytes: Buffer, at: number, change: (byte: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  const byte = copy[at];
  if (byte !== undefined) copy[at] = change(byte);
  return copy;
}

function run(random: Random, bytes: Buffer): { readonly start: number; readonly end: number } {
  const start = random.below(bytes.length + 1);
  return { start, end: Math.min(bytes.length, start + 1 + random.below(64)) };
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.below(items.length)] as T;
}
