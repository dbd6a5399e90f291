// How large a packet one path carries, found by sending some: which sizes to try next, given what became of those
// before. It knows no clock and no socket. As RFC 8899 (packetization layer path MTU discovery) without its timers:
// what somebody on the way says of a smaller link ("fragmentation needed") is a size to try and never believed alone,
// and where nobody says anything, a range is narrowed down until it is a single size.

/** Sizes of whole IP packets, in bytes. */
export interface PathLimits {
  /** What every path is held to carry: a smaller one counts as none. */
  readonly smallestBytes: number;
  /** What the interface that leads there carries. */
  readonly largestBytes: number;
}

/** What became of one round. */
export interface RoundAnswer {
  /** Sizes that arrived, of those that were asked for. */
  readonly passed: readonly number[];
  /** The smallest MTU that a router, or this machine's kernel, named; undefined: none did. */
  readonly toldBytes: number | undefined;
}

export type PathVerdict =
  | { readonly kind: "searching" }
  /** Not even the smallest came back: the peer is down, or answers nothing of this kind. */
  | { readonly kind: "silent" }
  /** `isBlackHole`: what is larger is dropped, and nobody says so to the sender. */
  | { readonly kind: "found"; readonly mtuBytes: number; readonly isBlackHole: boolean };

// Choice: sizes at once in a round. A range shrinks by one more than this: 8,000 bytes in four rounds.
const SIZES_A_ROUND = 8;
// Choice: a path that lets through now what it dropped a moment ago (packets are lost for other reasons too) is
// searched again from there, but not for ever.
const RECHECKS_MAX = 3;

export class PathSearch {
  /** Invariant: `#passed` went through (or nothing did: 0), and `#failed` is larger and did not. */
  #passed = 0;
  #failed: number;
  #told: number | undefined;
  #triedTold: number | undefined;
  #rechecks = 0;
  #round: "ends" | "told" | "ladder" | "recheck" = "ends";
  #verdict: PathVerdict = { kind: "searching" };
  readonly #smallest: number;
  readonly #largest: number;

  /** `knownBytes`: what was found before; likely still true. */
  constructor(
    limits: PathLimits,
    private readonly knownBytes?: number,
  ) {
    this.#smallest = Math.min(limits.smallestBytes, limits.largestBytes);
    this.#largest = limits.largestBytes;
    this.#failed = this.#largest + 1;
  }

  get verdict(): PathVerdict {
    return this.#verdict;
  }

  /** What to send now, smallest first; empty when there is a verdict. */
  next(): readonly number[] {
    if (this.#verdict.kind !== "searching") return [];
    switch (this.#round) {
      case "ends":
        return ascending([this.#smallest, this.knownBytes ?? this.#smallest, this.#largest], this);
      case "told":
        return this.#told === undefined ? [] : ascending([this.#told], this);
      case "ladder":
        return this.#ladder();
      case "recheck":
        return [this.#failed];
    }
  }

  /** What came of the sizes that `next` named. */
  take({ passed, toldBytes }: RoundAnswer): void {
    const asked = this.next();
    const arrived = asked.filter((size) => passed.includes(size));
    this.#passed = Math.max(this.#passed, ...arrived);
    if (toldBytes !== undefined && toldBytes < this.#largest) this.#told = toldBytes;
    if (this.#round === "recheck") {
      this.#takeRecheck(arrived.length > 0);
      return;
    }
    const failed = asked.filter((size) => size > this.#passed);
    this.#failed = Math.min(this.#failed, ...failed);
    if (this.#failed <= this.#passed) this.#failed = this.#passed + 1;
    this.#decide();
  }

  /** For `ascending`. */
  admits(size: number): boolean {
    return size >= this.#smallest && size <= this.#largest;
  }

  #decide(): void {
    const told = this.#told;
    const passed = this.#passed;
    if (passed === 0) {
      this.#verdict = { kind: "silent" };
    } else if (passed === this.#largest || passed === told) {
      // A router's own word: exactly that, once it has been seen to pass.
      this.#verdict = { kind: "found", mtuBytes: passed, isBlackHole: false };
    } else if (this.#isWorthTrying(told)) {
      this.#triedTold = told;
      this.#round = "told";
    } else {
      this.#round = this.#failed - passed > 1 ? "ladder" : "recheck";
    }
  }

  #isWorthTrying(told: number | undefined): told is number {
    if (told === undefined || told === this.#triedTold || !this.admits(told)) return false;
    return told > this.#passed && told < this.#failed;
  }

  #takeRecheck(arrived: boolean): void {
    if (!arrived || this.#rechecks === RECHECKS_MAX) {
      // Had somebody named this size, it would have ended sooner.
      this.#verdict = { kind: "found", mtuBytes: this.#passed, isBlackHole: true };
      return;
    }
    this.#rechecks++;
    this.#failed = this.#largest + 1;
    if (this.#passed === this.#largest) this.#decide();
    else this.#round = "ladder";
  }

  #ladder(): readonly number[] {
    const between = this.#failed - this.#passed - 1;
    const count = Math.min(SIZES_A_ROUND, between);
    const step = (between + 1) / (count + 1);
    const sizes = Array.from(
      { length: count },
      (_, i) => this.#passed + Math.round((i + 1) * step),
    );
    // After a recheck the far end has not failed in this turn.
    if (this.#failed > this.#largest) sizes.push(this.#largest);
    return ascending(sizes, this);
  }
}

function ascending(sizes: readonly number[], search: PathSearch): readonly number[] {
  return [...new Set(sizes)].filter((size) => search.admits(size)).sort((a, b) => a - b);
}
