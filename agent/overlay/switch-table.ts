// Who lives where on one network, as the switch's threads look it up: words in shared memory, written once by the main
// thread and then only read. A change is a new table; the threads are given it and forget the old one, so nobody waits
// for anybody.
//
//   word 0      1       2             3                4 …               then, SLOT_WORDS each
//   +----------+-------+-------------+----------------+-----------------+---------------------------------
//   | VNI      | MTU   | slots - 1   | flood count    | flood: peers    | MAC's first 16 bits, last 32, peer
//   +----------+-------+-------------+----------------+-----------------+---------------------------------
//
// A slot is found by a hash of the MAC, or is one of those after it (open addressing). Peers are numbers: see peer-book.ts.
import type { Vni } from "../../common/ids.js";
import { macToBytes } from "./mac-bytes.js";

const HEAD_WORDS = 4;
const SLOT_WORDS = 3;
/** In place of a peer: the endpoint is on this node. */
export const LOCAL = -1;
/** No such MAC. */
export const UNKNOWN = -2;
// A MAC's first half has 16 bits: no MAC has this.
const EMPTY = -1;

export interface SwitchRows {
  readonly vni: Vni;
  readonly mtuBytes: number;
  readonly locals: readonly string[];
  /** Remote MAC → peer. */
  readonly remotes: readonly (readonly [string, number])[];
  /** Peers that broadcast and multicast is copied to. */
  readonly flood: readonly number[];
}

export function encodeTable(rows: SwitchRows): Int32Array<SharedArrayBuffer> {
  const { locals, remotes, flood } = rows;
  // At most half full, so that one that is not there is found not to be in a step or two.
  const slots = 2 ** Math.ceil(Math.log2(Math.max(8, 2 * (locals.length + remotes.length))));
  const length = HEAD_WORDS + flood.length + slots * SLOT_WORDS;
  const words = new Int32Array(new SharedArrayBuffer(length * 4)).fill(EMPTY);
  words.set([rows.vni, rows.mtuBytes, slots - 1, flood.length, ...flood]);
  const first = HEAD_WORDS + flood.length;
  const put = (mac: string, peer: number) => {
    const bytes = macToBytes(mac as never);
    const high = bytes.readUInt16BE(0);
    const low = bytes.readInt32BE(2);
    let slot = hashOf(high, low) & (slots - 1);
    while (words[first + slot * SLOT_WORDS] !== EMPTY) slot = (slot + 1) & (slots - 1);
    words.set([high, low, peer], first + slot * SLOT_WORDS);
  };
  for (const mac of locals) put(mac, LOCAL);
  for (const [mac, peer] of remotes) put(mac, peer);
  return words;
}

export class SwitchTable {
  readonly vni: number;
  readonly mtuBytes: number;
  readonly floodCount: number;
  readonly #mask: number;
  readonly #first: number;

  constructor(private readonly words: Int32Array) {
    this.vni = words[0] ?? 0;
    this.mtuBytes = words[1] ?? 0;
    this.#mask = words[2] ?? 0;
    this.floodCount = words[3] ?? 0;
    this.#first = HEAD_WORDS + this.floodCount;
  }

  /** `index` below `floodCount`. */
  floodPeer(index: number): number {
    return this.words[HEAD_WORDS + index] ?? UNKNOWN;
  }

  /** A peer, LOCAL or UNKNOWN. `high` is the MAC's first 16 bits, `low` the others, as a signed number. */
  find(high: number, low: number): number {
    const { words } = this;
    for (let slot = hashOf(high, low) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = this.#first + slot * SLOT_WORDS;
      const found = words[at];
      if (found === EMPTY) return UNKNOWN;
      if (found === high && words[at + 1] === low) return words[at + 2] ?? UNKNOWN;
    }
  }
}

// Knuth's multiplicative hash: the golden ratio of 2^32.
function hashOf(high: number, low: number): number {
  const mixed = Math.imul(low ^ (high * 0x10001), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
