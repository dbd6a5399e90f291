// Who has been heard lately. A node beats once a period; after three missed beats it is down. The order of
// last beats is kept, so that asking who is late costs only those who are.

// Choice (and Docker's): one missed beat may be a slow host, three are a dead one.
const MISSED_BEATS_MAX = 3;

export class Liveness {
  /** Last beat of each node, oldest first. */
  readonly #beats = new Map<string, number>();

  constructor(private periodMs: number) {}

  /** From now on; what was heard before counts by the new period too. */
  setPeriod(periodMs: number): void {
    this.periodMs = periodMs;
  }

  get windowMs(): number {
    return this.periodMs * MISSED_BEATS_MAX;
  }

  /** A new leader knows nobody's last beat, so all that should be there get one full window from now. */
  begin(nodeIds: Iterable<string>, nowMs: number): void {
    this.#beats.clear();
    for (const id of nodeIds) this.#beats.set(id, nowMs);
  }

  /** A session began or a beat came. Times must not go back; one that does counts as the newest known. */
  beat(nodeId: string, nowMs: number): void {
    this.#beats.delete(nodeId);
    this.#beats.set(nodeId, nowMs);
  }

  /** The node left or was removed: nobody waits for it. */
  forget(nodeId: string): void {
    this.#beats.delete(nodeId);
  }

  /** Those whose window has passed; each is named once and then forgotten until it beats again. */
  takeExpired(nowMs: number): readonly string[] {
    const expired: string[] = [];
    for (const [id, lastMs] of this.#beats) {
      if (lastMs + this.windowMs > nowMs) break;
      expired.push(id);
    }
    for (const id of expired) this.#beats.delete(id);
    return expired;
  }

  /** When `takeExpired` will next have something to say, if nobody beats; `undefined`: never. */
  nextDeadlineMs(): number | undefined {
    for (const lastMs of this.#beats.values()) return lastMs + this.windowMs;
    return undefined;
  }

  isWatched(nodeId: string): boolean {
    return this.#beats.has(nodeId);
  }
}
