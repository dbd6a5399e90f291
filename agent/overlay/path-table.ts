// What is known of the path to each peer, and when it is asked for again. Pure: time is an argument.
//
// A path that has become smaller is believed at once: whatever is larger is being lost. One that has become larger is
// found by looking, and the pause before the next look doubles each time it was in vain or did not last, so that a
// path that flaps makes the network's MTU flap ever more rarely. A peer that does not answer keeps what was last
// known for a while, and then has no say.
import type { PathLimits, PathVerdict } from "./path-search.js";

export interface PathPauses {
  /** Between two packets that ask whether a known path is still so. */
  readonly checkMs: number;
  /** Between two looks for a larger one: at first, and at most. */
  readonly raiseMinMs: number;
  readonly raiseMaxMs: number;
  /** How long what was known of a silent peer counts. */
  readonly forgetMs: number;
}

export interface PeerPath {
  /** The largest packet that reaches the peer. */
  readonly mtuBytes: number;
  /** What the interface that leads there carries. */
  readonly interfaceBytes: number;
  /** What is larger is dropped, and nobody says so to the sender. */
  readonly isBlackHole: boolean;
}

interface Entry {
  limits: PathLimits;
  path: PeerPath | undefined;
  /** Last time that it answered; of one that never did, never. */
  heardMs: number;
  checkAtMs: number;
  /** `Infinity`: there is nothing larger to find. */
  searchAtMs: number;
  raiseMs: number;
  /** When it last became smaller. */
  shrankMs: number;
}

export class PathTable {
  readonly #entries = new Map<string, Entry>();

  constructor(private readonly pauses: PathPauses) {}

  /** The peers there are now, by any key. One that is new, or whose interface has changed, is due at once. */
  keep(peers: ReadonlyMap<string, PathLimits>, nowMs: number): void {
    for (const key of this.#entries.keys()) if (!peers.has(key)) this.#entries.delete(key);
    for (const [key, limits] of peers) {
      const entry = this.#entries.get(key);
      if (entry === undefined) this.#entries.set(key, this.#newEntry(limits, nowMs));
      else if (entry.limits.largestBytes !== limits.largestBytes) {
        entry.limits = limits;
        entry.searchAtMs = nowMs;
        // The interface's word needs no search: nothing larger leaves this machine.
        const { path } = entry;
        if (path !== undefined && path.mtuBytes > limits.largestBytes)
          entry.path = { ...path, mtuBytes: limits.largestBytes };
      }
    }
  }

  /** Something says that the path is not as it was: it is searched now. */
  suspect(key: string, nowMs: number): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.searchAtMs = Math.min(entry.searchAtMs, nowMs);
  }

  limits(key: string): PathLimits | undefined {
    return this.#entries.get(key)?.limits;
  }

  known(key: string): PeerPath | undefined {
    return this.#entries.get(key)?.path;
  }

  /** Whom to search, and whom only to ask whether what is known is still so. */
  due(nowMs: number): { readonly search: readonly string[]; readonly check: readonly string[] } {
    const search: string[] = [];
    const check: string[] = [];
    for (const [key, { path, searchAtMs, checkAtMs }] of this.#entries) {
      if (searchAtMs <= nowMs) search.push(key);
      else if (checkAtMs <= nowMs) (path === undefined ? search : check).push(key);
    }
    return { search, check };
  }

  /** A packet of the known size came back, or none did: then it is to be searched at once. */
  checked(key: string, arrived: boolean, nowMs: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (arrived) this.#heard(entry, nowMs);
    else entry.searchAtMs = nowMs;
  }

  found(key: string, verdict: PathVerdict, nowMs: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || verdict.kind === "searching") return;
    if (verdict.kind === "silent") {
      entry.checkAtMs = nowMs + this.#checkMs();
      entry.searchAtMs = nextRaise(entry, nowMs);
      if (nowMs - entry.heardMs > this.pauses.forgetMs) entry.path = undefined;
      return;
    }
    const { mtuBytes, isBlackHole } = verdict;
    const before = entry.path;
    const { largestBytes } = entry.limits;
    entry.path = { mtuBytes, isBlackHole, interfaceBytes: largestBytes };
    this.#heard(entry, nowMs);
    this.#pace(entry, before, nowMs);
  }

  paths(): ReadonlyMap<string, PeerPath> {
    const paths = new Map<string, PeerPath>();
    for (const [key, { path }] of this.#entries) if (path !== undefined) paths.set(key, path);
    return paths;
  }

  #newEntry(limits: PathLimits, nowMs: number): Entry {
    return {
      limits,
      path: undefined,
      heardMs: Number.NEGATIVE_INFINITY,
      checkAtMs: nowMs,
      searchAtMs: nowMs,
      raiseMs: this.pauses.raiseMinMs,
      shrankMs: Number.NEGATIVE_INFINITY,
    };
  }

  #heard(entry: Entry, nowMs: number): void {
    entry.heardMs = nowMs;
    entry.checkAtMs = nowMs + this.#checkMs();
  }

  /** When to look for a larger one. */
  #pace(entry: Entry, before: PeerPath | undefined, nowMs: number): void {
    const { raiseMinMs, raiseMaxMs } = this.pauses;
    const { path } = entry;
    if (path === undefined) return;
    if (before !== undefined && path.mtuBytes < before.mtuBytes) {
      const isFlapping = nowMs - entry.shrankMs < 2 * raiseMaxMs;
      entry.raiseMs = isFlapping ? Math.min(2 * entry.raiseMs, raiseMaxMs) : raiseMinMs;
      entry.shrankMs = nowMs;
    } else if (before !== undefined && path.mtuBytes === before.mtuBytes) {
      entry.raiseMs = Math.min(2 * entry.raiseMs, raiseMaxMs);
    }
    entry.searchAtMs = nextRaise(entry, nowMs);
  }

  /** Choice: all of them together cost no more than ten packets a second, however many peers there are. */
  #checkMs(): number {
    return Math.max(this.pauses.checkMs, this.#entries.size * 100);
  }
}

function nextRaise({ path, limits, raiseMs }: Entry, nowMs: number): number {
  const isSmaller = path !== undefined && path.mtuBytes < limits.largestBytes;
  return isSmaller ? nowMs + raiseMs : Number.POSITIVE_INFINITY;
}
