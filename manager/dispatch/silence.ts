// Who is silent: not heard for about three beats, long before it is down. Only an opinion, by which new
// connections avoid a node that may be dead; so it is taken back as soon as the node is heard, but less and
// less soon the more often that happens, for every change of it is an entry of the log and news for all.
import type { Node } from "../../proto/gen/types.js";

// Choice: a node that dies is noticed within two seconds, and 1,000 nodes are as many beats as 2,000 a second.
const BEAT_MS = 500;
const BEATS_A_SECOND_MAX = 2_000;
// Choice: two beats were missed and the third is late; below the least, a pause of a garbage collector counts.
const BEATS_TO_SILENCE = 2.5;
const SILENCE_MIN_MS = 1_200;
// Choice: who fell silent a second time is believed again after so long without a gap, twice as long each time.
const TRUST_MS = 2_000;
const TRUST_MAX_MS = 60_000;
// Choice: what was so long ago is not held against it.
const FORGIVEN_MS = 5 * 60_000;
// Choice: nodes must first notice that the last leader is gone, and find this one.
const BEGINNING_MS = 5_000;

/** How often the leader of so many nodes wants to hear each of them. */
export function beatMsFor(nodes: number, heartbeatPeriodMs: number): number {
  const spread = Math.ceil((nodes * 1_000) / BEATS_A_SECOND_MAX);
  return Math.min(Math.max(BEAT_MS, spread), heartbeatPeriodMs);
}

interface Watched {
  /** When it was last heard. */
  lastMs: number;
  /** After so long without a beat it is silent. */
  readonly windowMs: number;
  readonly silent: boolean;
  /** Since when no gap was as long as that. */
  readonly steadySinceMs: number;
  /** How often it fell silent lately, and when that ended. */
  readonly silences: number;
  readonly endedMs: number;
}

export class Silence {
  /** Those that are not silent, the one that was heard longest ago first. */
  readonly #heard = new Map<string, Watched>();
  readonly #silent = new Map<string, Watched>();
  #changed = new Set<string>();

  /** A new leader knows what the last one thought, and gives everybody time. */
  begin(nodes: Iterable<Node>, nowMs: number): void {
    for (const { id, silent } of nodes) {
      const rest = { windowMs: BEGINNING_MS, steadySinceMs: nowMs, silences: 0, endedMs: 0 };
      const of = silent ? this.#silent : this.#heard;
      of.set(id, { ...rest, lastMs: nowMs, silent });
    }
  }

  /** `beatMs`: as the node was told. */
  heard(nodeId: string, beatMs: number, nowMs: number): void {
    const known = this.#silent.get(nodeId) ?? this.#heard.get(nodeId);
    const windowMs = Math.max(SILENCE_MIN_MS, BEATS_TO_SILENCE * beatMs);
    const fresh = { lastMs: nowMs, windowMs, silent: false, steadySinceMs: nowMs };
    if (known === undefined) {
      this.#heard.set(nodeId, { ...fresh, silences: 0, endedMs: 0 });
      return;
    }
    const isSteady = nowMs - known.lastMs < known.windowMs;
    const steadySinceMs = isSteady ? known.steadySinceMs : nowMs;
    const now = { ...known, ...fresh, steadySinceMs };
    this.#heard.delete(nodeId);
    if (known.silent && nowMs - steadySinceMs < trustMs(known.silences)) {
      this.#silent.set(nodeId, { ...now, silent: true });
      return;
    }
    this.#silent.delete(nodeId);
    this.#heard.set(nodeId, known.silent ? { ...now, endedMs: nowMs } : now);
    if (known.silent) this.#changed.add(nodeId);
  }

  /** It left, was removed, or is down: nobody has an opinion of it. */
  forget(nodeId: string): void {
    this.#heard.delete(nodeId);
    this.#silent.delete(nodeId);
    this.#changed.delete(nodeId);
  }

  /** The leader itself was held up for so long: who was not heard meanwhile may have spoken. */
  excuse(ms: number, nowMs: number): void {
    for (const watched of this.#heard.values()) {
      watched.lastMs = Math.min(watched.lastMs + ms, nowMs);
    }
  }

  /** Those that were not heard for too long are silent from now on. */
  judge(nowMs: number): void {
    for (const [id, watched] of this.#heard) {
      const gapMs = nowMs - watched.lastMs;
      if (gapMs < SILENCE_MIN_MS) break;
      if (gapMs < watched.windowMs) continue;
      const isForgiven = nowMs - watched.endedMs > FORGIVEN_MS;
      const silences = (isForgiven ? 0 : watched.silences) + 1;
      this.#heard.delete(id);
      this.#silent.set(id, { ...watched, silent: true, silences });
      this.#changed.add(id);
    }
  }

  /** Those about which the opinion has changed since this was last asked, and what it is now. */
  takeChanged(): ReadonlyMap<string, boolean> {
    const changed = new Map([...this.#changed].map((id) => [id, this.#silent.has(id)]));
    this.#changed = new Set();
    return changed;
  }

  /** What was taken came to nothing: it is to be taken again. */
  note(nodeIds: Iterable<string>): void {
    for (const id of nodeIds) this.#changed.add(id);
  }

  isSilent(nodeId: string): boolean {
    return this.#silent.has(nodeId);
  }

  isDue(nowMs: number): boolean {
    return (this.nextMs() ?? Number.POSITIVE_INFINITY) <= nowMs;
  }

  /** When somebody may be silent, if nobody is heard; `undefined`: never. */
  nextMs(): number | undefined {
    let nextMs: number | undefined;
    for (const { lastMs, windowMs } of this.#heard.values()) {
      if (nextMs !== undefined && lastMs + SILENCE_MIN_MS >= nextMs) break;
      nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, lastMs + windowMs);
    }
    return nextMs;
  }
}

/** At its first silence a node is believed at once. */
function trustMs(silences: number): number {
  return silences < 2 ? 0 : Math.min(TRUST_MS * 2 ** (silences - 2), TRUST_MAX_MS);
}

/** Whether two rows of one node differ in this opinion alone, which is no event for anybody. */
export function onlySilence(before: Node | undefined, after: Node | undefined): boolean {
  if (before === undefined || after === undefined || before.silent === after.silent) return false;
  const rest = (node: Node) => JSON.stringify({ ...node, meta: undefined, silent: false });
  return rest(before) === rest(after);
}
